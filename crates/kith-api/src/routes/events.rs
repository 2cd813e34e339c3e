//! The event stream.

use crate::{
    app::App,
    stream::{json_bytes, sse},
};
use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use futures::StreamExt;
use kith_access::Principal;
use kith_events::Delivery;
use kith_types::Timestamp;
use kith_wire::system::Envelope;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// A comment goes out after this long without an event, so that proxies and clients know the stream lives.
const KEEPALIVE: Duration = Duration::from_secs(20);

fn frame(kind: &str, id: Option<u64>, at: Timestamp, data: serde_json::Value) -> Bytes {
    let envelope = Envelope { kind: kind.to_owned(), id: id.unwrap_or(0), ts_ms: at, data };
    let mut frame = id.map(|id| format!("id: {id}\n").into_bytes()).unwrap_or_default();
    frame.extend(b"data: ");
    frame.extend(json_bytes(&envelope));
    frame.extend(b"\n\n");
    frame.into()
}

/// What happens on this node, as it happens. `Last-Event-ID` resumes; events that were lost are told by `events.missed`.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "system",
    params(("token" = Option<String>, Query, description = "The bearer, for EventSource."),
           ("Last-Event-ID" = Option<String>, Header, description = "The last event seen.")),
    responses((status = 200, description = "Server-sent events.", body = Envelope, content_type = "text/event-stream")))]
pub async fn stream(State(app): State<Arc<App>>, Extension(principal): Extension<Principal>, headers: HeaderMap) -> Response {
    let after = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut events = Box::pin(app.events.listen(after));
    let clock = Arc::clone(&app.clock);
    // A revoked or expired bearer closes its streams.
    let ended = app.access.until_ended(&principal);
    let stream = async_stream::stream! {
        yield Bytes::from_static(b": connected\n\n");
        loop {
            match tokio::time::timeout(KEEPALIVE, events.next()).await {
                Ok(Some(Delivery::Event(event))) => yield frame(event.kind, Some(event.id), event.at, event.data.clone()),
                Ok(Some(Delivery::Missed(count))) => yield frame("events.missed", None, clock.now(), json!({"count": count})),
                Ok(None) => return,
                Err(_) => yield Bytes::from_static(b": keep-alive\n\n"),
            }
        }
    };
    sse(stream.take_until(ended), &app)
}
