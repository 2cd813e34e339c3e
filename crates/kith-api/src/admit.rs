//! Lets a request through to its handler: who calls, whether they may, whether they call too often.

use crate::{
    app::App,
    error::ApiError,
    lan::{OnLan, level_there},
    leash, notice,
    signed::{self, Signed},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use kith_access::{AccessError, Class, Level, Presented, Principal, Rate};
use kith_types::Code;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

/// The address a request came from, put into its extensions by [`crate::serve`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote(pub SocketAddr);

/// Routes whose GET also takes the bearer as `?token=`, because browsers cannot send headers there.
const QUERY_TOKEN_PATHS: [&str; 3] = ["/api/v1/events/stream", "/api/v1/audit/export", "/api/v1/diagnostics/reports/{id}"];
/// WebSockets, which also take a ticket as `?ticket=`.
const TICKET_PATHS: [&str; 2] = ["/ws", "/api/admin/ws"];

pub(crate) async fn admit(
    State((app, level, class)): State<(Arc<App>, Level, Class)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (remote, lan) = (remote_of(&request), request.extensions().get::<OnLan>().is_some());
    let nobody = nobody(&request);
    let headers = request.headers();
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned()).unwrap_or_default();
    let method = request.method().clone();
    // `None` where the listener for paired devices has no such thing; who asks for it there is told after who they are.
    let asked = if lan { level_there(&method, &route, level) } else { Some(level) };
    let takes_query = method == Method::GET && QUERY_TOKEN_PATHS.contains(&route.as_str());
    let query_token = takes_query.then(|| query_value(request.uri().query(), "token")).flatten();
    let ticket = TICKET_PATHS.contains(&route.as_str()).then(|| query_value(request.uri().query(), "ticket")).flatten();
    let bearer = bearer_of(headers).or(query_token);
    // A signature counts where the mesh is let in; elsewhere it is a header like others.
    let signature = match asked {
        Some(Level::Mesh) => signed::verify((&method, request.uri()), headers, &app.node_id, app.clock.now()),
        _ => None,
    };
    let presented = Presented {
        bearer: bearer.as_deref(),
        admin_token: text_of(headers, "x-kith-admin-token"),
        mesh_token: text_of(headers, "x-mesh-token"),
        remote,
        lan,
    };
    let mut who = match &ticket {
        Some(ticket) => app.access.redeem_socket_ticket(ticket, remote, lan).await,
        None => app.access.authenticate(presented).await,
    };
    // Where none are needed, credentials that are wrong are none: logging out twice is no error. And OpenAI's clients cannot be told
    // to send no key, so people give them any word: on this machine a word that is not of our making is no credential.
    let keyless = match asked {
        Some(Level::Open) => true,
        Some(Level::Loopback) => nobody.loopback && foreign_word(headers, bearer.as_deref()),
        _ => false,
    };
    if keyless && matches!(who, Err(AccessError::Unauthorized)) {
        who = Ok(nobody.clone());
    }
    let (who, signed) = signed_for(&app, who.map_err(ApiError::from), signature).await;
    let admitted = match who {
        Ok(principal) => {
            let rate = app.access.check(&principal, class);
            let verdict = match rate.retry_after {
                Some(_) => {
                    notice::limited(&app, &principal, class);
                    Err(limited(&rate))
                }
                None => {
                    let allowed = app.access.require(&principal, asked.unwrap_or(Level::User)).map_err(ApiError::from);
                    allowed.and_then(|()| asked.map(drop).ok_or_else(closed)).and_then(|()| shared(&app, &principal, class))
                }
            };
            verdict.map(|()| principal).map_err(|error| (error, rate)).map(|principal| (principal, rate))
        }
        // Guessing is counted against the address it comes from.
        Err(error) => {
            notice::denied(&app, remote);
            let rate = app.access.check(&nobody, Class::Standard);
            let error = if rate.retry_after.is_some() { limited(&rate) } else { error };
            Err((error, rate))
        }
    };
    let (mut response, rate) = match admitted {
        Ok((principal, rate)) => {
            request.extensions_mut().insert(principal.clone());
            let taken = match &signed {
                Some(signed) => signed::take(&app, request, signed).await,
                None => Ok(request),
            };
            let response = match taken {
                Ok(request) => leash::run(&app, &principal, request, next).await,
                Err(error) => error.into_response(),
            };
            notice::changed(&app, &principal, level, (&method, &route), response.status().as_u16());
            (response, rate)
        }
        Err((error, rate)) => (error.into_response(), rate),
    };
    set_rate(response.headers_mut(), &rate);
    response
}

/// The signer of a request as its principal, where nothing else that was presented is wrong.
async fn signed_for(
    app: &App,
    who: Result<Principal, ApiError>,
    signature: Option<Result<Signed, ApiError>>,
) -> (Result<Principal, ApiError>, Option<Signed>) {
    let Some(signature) = signature.filter(|_| who.is_ok()) else { return (who, None) };
    match signed::signer(app, signature).await {
        Ok(signed) => (Ok(Principal::signed_by(signed.node.clone())), Some(signed)),
        Err(error) => (Err(error), None),
    }
}

/// What the listener for paired devices has for nobody.
fn closed() -> ApiError {
    ApiError::new(Code::Forbidden, "this is done at the node itself, not from a paired device")
}

/// In quiet hours a node may keep its work to its own machine.
fn shared(app: &App, principal: &Principal, class: Class) -> Result<(), ApiError> {
    if class != Class::Inference || principal.loopback {
        return Ok(());
    }
    let Some(until) = app.configuration.paused_until() else { return Ok(()) };
    let seconds = u64::try_from((until.ms() - app.clock.now().ms()) / 1000).unwrap_or(0) + 1;
    let message = format!("in its quiet hours, until {}, this node answers its own machine alone", until.rfc3339());
    Err(ApiError { retry_after: Some(seconds), ..ApiError::new(Code::Overloaded, message) })
}

fn foreign_word(headers: &HeaderMap, bearer: Option<&str>) -> bool {
    bearer.is_some_and(|word| !word.starts_with("kith_"))
        && !headers.contains_key("x-kith-admin-token")
        && !headers.contains_key("x-mesh-token")
}

/// A refusal before anybody was asked who calls, counted against the address it came from.
pub(crate) fn refused(app: &App, request: &Request, error: ApiError) -> Response {
    let rate = app.access.check(&nobody(request), Class::Standard);
    let error = if rate.retry_after.is_some() { limited(&rate) } else { error };
    let mut response = error.into_response();
    set_rate(response.headers_mut(), &rate);
    response
}

/// Counts requests that no route takes, so that scanning is limited too.
pub(crate) async fn count_unrouted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let nobody = nobody(&request);
    let mut response = next.run(request).await;
    if !response.headers().contains_key("x-ratelimit-limit") {
        let rate = app.access.check(&nobody, Class::Standard);
        if rate.retry_after.is_some() && response.status().is_client_error() {
            response = limited(&rate).into_response();
        }
        set_rate(response.headers_mut(), &rate);
    }
    response
}

fn remote_of(request: &Request) -> IpAddr {
    // Without a socket (calls inside the process) the address is nobody's: the documentation range, never loopback.
    request.extensions().get::<Remote>().map_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)), |remote| remote.0.ip())
}

/// Who asks, as long as they have presented nothing. By the listener for paired devices nobody is at home.
fn nobody(request: &Request) -> Principal {
    let remote = remote_of(request);
    match request.extensions().get::<OnLan>() {
        Some(_) => Principal::from_afar(remote),
        None => Principal::without_credentials(remote),
    }
}

fn limited(rate: &Rate) -> ApiError {
    let seconds = rate.retry_after.unwrap_or(1);
    ApiError {
        retry_after: Some(seconds),
        ..ApiError::new(
            Code::RateLimited,
            format!("more than {} requests in the time allowed; try again in {seconds} s", rate.limit),
        )
    }
}

fn set_rate(headers: &mut HeaderMap, rate: &Rate) {
    headers.insert("x-ratelimit-limit", HeaderValue::from(rate.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(rate.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(rate.reset.secs()));
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A header that is no text was presented all the same, and matches nothing.
    headers.get(name).map(|value| value.to_str().unwrap_or("\0"))
}

fn bearer_of(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = text_of(headers, header::AUTHORIZATION.as_str()) {
        let token =
            value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        return Some(token.unwrap_or("\0").to_owned());
    }
    // Anthropic's clients send their key so.
    text_of(headers, "x-api-key").map(str::to_owned)
}

fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    query?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}
