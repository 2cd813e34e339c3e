//! What stands before and after every request: its id, the Host and Origin guard, the form of errors, the log, the measures.

use crate::{
    admit::{self, Remote},
    app::App,
    error::{ApiError, family_of},
    lan::OnLan,
    notice,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use kith_types::{Code, RequestId};
use std::{net::IpAddr, sync::Arc, time::Instant};

tokio::task_local! {
    /// The id of the request being answered, also while its stream is written.
    pub(crate) static REQUEST_ID: RequestId;
}

/// Frames every answer: `X-Request-ID`, errors in the family's form, security headers, one line of log, one observation.
pub(crate) async fn frame(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = app.new_request_id();
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());
    request.extensions_mut().insert(id.clone());
    let lan = request.extensions().get::<OnLan>().cloned();
    let mut response = match refuse_foreign(&app, request.headers(), request.uri(), lan.as_ref()) {
        Some(error) => {
            notice::foreign(&app, &error.message, request.extensions().get::<Remote>().map(|remote| remote.0.ip()));
            admit::refused(&app, &request, error)
        }
        None => REQUEST_ID.scope(id.clone(), next.run(request)).await,
    };
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        write_error(&app, &error, &path, &id, &mut response);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert("x-request-id", value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let status = response.status().as_u16();
    app.metrics.observe(&method, route.as_deref().unwrap_or("unmatched"), status, start.elapsed());
    app.traffic.answered(status, start.elapsed());
    tracing::debug!(%method, path, status, request_id = %id, elapsed_ms = start.elapsed().as_millis(), "answered");
    response
}

fn write_error(app: &App, error: &ApiError, path: &str, id: &RequestId, response: &mut Response) {
    let body = error.body(family_of(path), id, app.clock.now()).to_string();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
}

/// Refuses what a web page of another site could have sent: DNS rebinding shows in Host, cross-site calls in Origin and Sec-Fetch-Site.
fn refuse_foreign(app: &App, headers: &HeaderMap, uri: &Uri, lan: Option<&OnLan>) -> Option<ApiError> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("\0"));
    let settings = app.allowed();
    let forbidden = |message: String| Some(ApiError::new(Code::Forbidden, message));
    // HTTP/2 has :authority, which hyper puts into the URI.
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    let is_host = |host: &str| lan.map_or_else(|| host_allowed(host, &settings.hosts), |lan| lan.0.has_host(host));
    let is_origin = |origin: &str| lan.map_or_else(|| origin_allowed(origin, &settings), |lan| lan.0.has_origin(origin));
    match host {
        None => return Some(ApiError::new(Code::InvalidRequest, "the request has no Host header")),
        Some(host) if !is_host(host) && lan.is_some() => {
            return forbidden(format!("the host `{}` is not this node", printable(host)));
        }
        Some(host) if !is_host(host) => {
            return forbidden(format!("the host `{}` is not this node; add it to api.hosts to allow it", printable(host)));
        }
        Some(_) => {}
    }
    if let Some(origin) = text(header::ORIGIN) {
        if !is_origin(origin) {
            return forbidden(format!(
                "pages of `{}` may not call this node; add it to api.origins to allow it",
                printable(origin)
            ));
        }
    } else if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return forbidden("pages of other sites may not call this node".to_owned());
    }
    None
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// `host` without its port, and without the brackets of an IPv6 address.
fn bare_host(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn host_allowed(host: &str, extra: &[String]) -> bool {
    let name = bare_host(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || extra.contains(&name)
}

fn origin_allowed(origin: &str, settings: &crate::Settings) -> bool {
    let origin = origin.to_ascii_lowercase();
    if settings.origins.contains(&origin) {
        return true;
    }
    // `null` (sandboxed frames, files) and other schemes are foreign.
    match origin.split_once("://") {
        Some(("http" | "https", host)) => host_allowed(host, &settings.hosts),
        Some(("tauri", "localhost")) => true,
        _ => false,
    }
}

/// No route has this path.
pub(crate) async fn no_such_route(method: Method, uri: Uri) -> ApiError {
    ApiError::new(Code::RouteNotFound, format!("there is no {method} {}", printable(uri.path())))
}

/// The path exists, but not with this method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(Code::MethodNotAllowed, format!("{} does not take {method}", printable(uri.path())))
}

/// A handler panicked: tell the client nothing but that.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::internal(&format!("a handler panicked: {}", text.unwrap_or("no message"))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_named_hosts_are_hosts() {
        for host in ["localhost", "localhost:4343", "127.0.0.1:4343", "127.8.8.8", "[::1]:4343", "LOCALHOST", "kith.localhost:80"]
        {
            assert!(host_allowed(host, &[]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4343",
            "localhost.evil.example",
            "10.0.0.1",
            "[2001:db8::1]",
            "",
            "\0",
            "127.0.0.1.evil",
        ] {
            assert!(!host_allowed(host, &[]), "{host}");
        }
        assert!(host_allowed("Box.Lan:4343".to_ascii_lowercase().as_str(), &["box.lan".into()]));
    }

    #[test]
    fn only_own_pages_are_origins() {
        let settings = crate::Settings {
            hosts: vec![],
            origins: vec!["https://trusted.example".into()],
            inference_body: 0,
            standard_body: 0,
            at_rest: String::new(),
            data_dir: "".into(),
        };
        for origin in ["http://localhost:3000", "http://127.0.0.1:4343", "tauri://localhost", "https://trusted.example"] {
            assert!(origin_allowed(origin, &settings), "{origin}");
        }
        for origin in ["null", "https://evil.example", "file://", "http://localhost.evil.example", "chrome-extension://abc"] {
            assert!(!origin_allowed(origin, &settings), "{origin}");
        }
    }
}
