//! Streams to clients: server-sent events and lines of JSON. Dropping the connection drops the stream, and with it the work.

use crate::{app::App, error::ApiError, guard::REQUEST_ID};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

fn respond(content_type: &'static str, stream: impl Stream<Item = Bytes> + Send + 'static, app: &Arc<App>) -> Response {
    let stopping = app.stop.clone();
    // A node that stops ends its streams, or it would wait for them.
    let mut stream = Box::pin(stream.take_until(stopping.cancelled_owned()).map(Ok::<_, Infallible>));
    // The stream is written after the handler has returned; an error told then still bears the request's id.
    let id = REQUEST_ID.try_with(Clone::clone).ok();
    let stream = futures::stream::poll_fn(move |context: &mut Context<'_>| -> Poll<_> {
        match &id {
            Some(id) => REQUEST_ID.sync_scope(id.clone(), || stream.as_mut().poll_next(context)),
            None => stream.as_mut().poll_next(context),
        }
    });
    let mut response = Body::from_stream(stream).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Proxies that buffer would hold the first token back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One JSON document as bytes. Serialising our own bodies cannot fail; if it ever did, the client is told so.
pub(crate) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a body could not be serialised");
        br#"{"error":"an internal error occurred"}"#.to_vec()
    })
}

/// One server-sent event with a JSON document.
pub(crate) fn sse_data(value: &impl Serialize) -> Bytes {
    let mut line = b"data: ".to_vec();
    line.extend(json_bytes(value));
    line.extend(b"\n\n");
    line.into()
}

/// One line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Bytes {
    let mut line = json_bytes(value);
    line.push(b'\n');
    line.into()
}

/// An answer of server-sent events.
pub(crate) fn sse(stream: impl Stream<Item = Bytes> + Send + 'static, app: &Arc<App>) -> Response {
    respond("text/event-stream; charset=utf-8", stream, app)
}

/// Longer than this no stream of events is silent: proxies and clients give up on one that is.
const ALIVE: Duration = Duration::from_secs(15);

/// An answer of server-sent events that sends `ping` whenever it has been silent for a while.
pub(crate) fn sse_alive(stream: impl Stream<Item = Bytes> + Send + 'static, ping: Bytes, app: &Arc<App>) -> Response {
    let alive = async_stream::stream! {
        tokio::pin!(stream);
        loop {
            match tokio::time::timeout(ALIVE, stream.next()).await {
                Ok(Some(frame)) => yield frame,
                Ok(None) => return,
                Err(_) => yield ping.clone(),
            }
        }
    };
    sse(alive, app)
}

/// An answer of lines of JSON.
pub(crate) fn ndjson(stream: impl Stream<Item = Bytes> + Send + 'static, app: &Arc<App>) -> Response {
    respond("application/x-ndjson", stream, app)
}

/// The body of an error that comes after the status has been sent.
pub(crate) fn late_error(app: &App, error: ApiError, family: kith_types::Family) -> serde_json::Value {
    let id = REQUEST_ID.try_with(Clone::clone).unwrap_or_else(|_| app.new_request_id());
    error.body(family, &id, app.clock.now())
}
