//! The two WebSockets, and the ticket that opens one from a page.

use crate::{
    app::App,
    error::ApiError,
    sockets::{self, ADMIN, CLUSTER, Feed, MAX_MESSAGE, Pace, Vocabulary},
    stats,
};
use axum::{
    Extension, Json,
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use futures::StreamExt;
use kith_access::Principal;
use kith_types::Code;
use kith_wire::system::SocketTicket;
use std::sync::Arc;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

fn open(app: Arc<App>, principal: &Principal, upgrade: Upgrade, words: &'static Vocabulary) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::new(Code::InvalidRequest, "this is a WebSocket: ask for it with an upgrade"))?;
    let full = |_| ApiError { retry_after: Some(5), ..ApiError::new(Code::Overloaded, "too many WebSockets are open") };
    let place = Arc::clone(&app.sockets).try_acquire_owned().map_err(full)?;
    // A revoked or expired bearer closes its sockets.
    let ended = app.access.until_ended(principal);
    let here = app.access.here(principal);
    let shared = Arc::clone(&app);
    let feed = Feed {
        words,
        events: Box::pin(app.events.listen(None)),
        reading: Box::new(move || {
            let app = Arc::clone(&shared);
            Box::pin(async move { serde_json::to_value(stats::node(&app).await.ok()?).ok() })
        }),
        clock: Arc::clone(&app.clock),
        pace: Pace::default(),
    };
    let stop = app.stop.clone();
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let (writer, reader) = socket.split();
        sockets::serve(reader, writer, feed, ended, stop).await;
        drop((place, here));
    }))
}

/// What happens, in the administration's words: `activity_event`, `stats_update` every 2 s, `peer_list`, `models_changed`,
/// `update_available`. A page opens it with `?ticket=`, others with a bearer.
#[utoipa::path(get, path = "/api/admin/ws", tag = "system",
    params(("ticket" = Option<String>, Query, description = "A ticket of POST /api/admin/ws-ticket, good once.")),
    responses((status = 101, description = "A WebSocket of JSON texts."), (status = 400, description = "No WebSocket was asked for."),
              (status = 503, description = "Too many are open.")))]
pub async fn admin(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    open(app, &principal, upgrade, &ADMIN)
}

/// What happens, in the cluster's words: `metrics` every 2 s, transfers, models, prompts, the cluster; `subscribe` narrows it to
/// channels. A page opens it with `?ticket=`, others with a bearer.
#[utoipa::path(get, path = "/ws", tag = "system",
    params(("ticket" = Option<String>, Query, description = "A ticket of POST /api/admin/ws-ticket, good once.")),
    responses((status = 101, description = "A WebSocket of JSON texts."), (status = 400, description = "No WebSocket was asked for."),
              (status = 503, description = "Too many are open.")))]
pub async fn cluster(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    open(app, &principal, upgrade, &CLUSTER)
}

/// Makes a ticket that opens one WebSocket as the caller: good once, for 60 seconds.
#[utoipa::path(post, path = "/api/admin/ws-ticket", tag = "system", responses((status = 200, body = SocketTicket)))]
pub async fn ticket(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<SocketTicket>, ApiError> {
    let (ticket, expires_at_ms) = app.access.issue_socket_ticket(&principal)?;
    Ok(Json(SocketTicket { ticket, expires_at_ms }))
}
