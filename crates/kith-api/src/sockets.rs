//! WebSockets: events of the bus in the words of two references, a reading of the node every two seconds, and what clients may say.
//!
//! One task serves a socket and waits for it alone. A client that reads too slowly falls behind the bus, is told so, and is closed:
//! it can come back and read the state anew, which no queue of ours could spare it.

mod words;

pub(crate) use words::{ADMIN, CLUSTER};

use axum::extract::ws::{CloseFrame, Message, close_code};
use futures::{Sink, SinkExt, Stream, StreamExt, future::BoxFuture};
use kith_events::{Delivery, Event};
use kith_types::{Clock, Timestamp};
use kith_wire::system::SocketRequest;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// The times of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A reading of the node is sent this often.
    pub reading: Duration,
    /// A ping goes out this often, so that proxies and clients know the socket lives.
    pub ping: Duration,
    /// A client that was not heard of for this long is gone.
    pub silence: Duration,
    /// A client must take a message within this time.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let [reading, ping, silence, patience] = [2, 20, 60, 10].map(Duration::from_secs);
        Self { reading, ping, silence, patience }
    }
}

/// The largest message of a client, in bytes.
pub(crate) const MAX_MESSAGE: usize = 4096;
/// The most messages of a client between two pings.
const MAX_MESSAGES: u32 = 100;

/// One thing to tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// Who wants to hear it.
    pub channel: &'static str,
    /// What it is.
    pub kind: String,
    /// The particulars.
    pub data: Value,
}

impl Frame {
    fn new(channel: &'static str, kind: impl Into<String>, data: Value) -> Self {
        Self { channel, kind: kind.into(), data }
    }
}

/// The words of one reference.
pub(crate) struct Vocabulary {
    /// What can be subscribed to.
    pub channels: &'static [&'static str],
    /// The channel and type of readings.
    pub reading: (&'static str, &'static str),
    /// What an event is in these words.
    pub translate: fn(&Event) -> Vec<Frame>,
    /// What is told at the beginning, after the welcome.
    pub first: fn() -> Vec<Frame>,
}

/// What a socket is served from.
pub(crate) struct Feed {
    /// The words.
    pub words: &'static Vocabulary,
    /// The bus.
    pub events: Pin<Box<dyn Stream<Item = Delivery> + Send>>,
    /// Reads the node.
    pub reading: Box<dyn Fn() -> BoxFuture<'static, Option<Value>> + Send + Sync>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The times.
    pub pace: Pace,
}

fn text(kind: &str, data: &Value, at: Timestamp, id: Option<u64>) -> Message {
    let mut envelope = json!({"type": kind, "data": data, "timestamp": at.rfc3339()});
    if let (Some(id), Some(map)) = (id, envelope.as_object_mut()) {
        map.insert("id".to_owned(), json!(id));
    }
    Message::Text(envelope.to_string().into())
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// What the client wants to hear.
struct Wishes {
    words: &'static Vocabulary,
    /// `None` is everything.
    channels: Option<BTreeSet<String>>,
    said: u32,
}

impl Wishes {
    fn hears(&self, channel: &str) -> bool {
        self.channels.as_ref().is_none_or(|channels| channels.contains(channel))
    }

    /// Takes a message; gives the answer, or the reason to close.
    fn said(&mut self, message: &str, now: Timestamp) -> Result<Message, Message> {
        self.said += 1;
        if self.said > MAX_MESSAGES {
            return Err(close(close_code::POLICY, "too many messages"));
        }
        let fault = |message: String| text("error", &json!({"code": "INVALID_REQUEST", "message": message}), now, None);
        let known = |channels: &[String]| {
            channels
                .iter()
                .find(|channel| !self.words.channels.contains(&channel.as_str()))
                .map(|unknown| fault(format!("there is no channel `{unknown}`; there are {}", self.words.channels.join(", "))))
        };
        match serde_json::from_str(message) {
            Ok(SocketRequest::Ping) => return Ok(text("pong", &json!({}), now, None)),
            Ok(SocketRequest::Subscribe { channels }) => {
                if let Some(fault) = known(&channels) {
                    return Ok(fault);
                }
                self.channels.get_or_insert_default().extend(channels);
            }
            Ok(SocketRequest::Unsubscribe { channels }) => {
                if let Some(fault) = known(&channels) {
                    return Ok(fault);
                }
                let all = || self.words.channels.iter().map(|channel| (*channel).to_owned()).collect();
                let heard = self.channels.get_or_insert_with(all);
                heard.retain(|channel| !channels.contains(channel));
            }
            Err(error) => return Ok(fault(format!("the message is not understood: {error}"))),
        }
        let heard: Vec<&str> = self.words.channels.iter().copied().filter(|channel| self.hears(channel)).collect();
        Ok(text("subscribed", &json!({"channels": heard}), now, None))
    }
}

/// Serves one socket until either side ends it, `ended` comes, or the node stops.
pub(crate) async fn serve<R, W, E>(
    mut reader: R,
    mut writer: W,
    mut feed: Feed,
    ended: impl Future<Output = ()> + Send,
    stop: CancellationToken,
) where
    R: Stream<Item = Result<Message, E>> + Unpin,
    W: Sink<Message> + Unpin,
{
    let words = feed.words;
    let mut wishes = Wishes { words, channels: None, said: 0 };
    let mut readings = interval(feed.pace.reading);
    let mut pings = interval(feed.pace.ping);
    readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut heard = Instant::now();
    tokio::pin!(ended);
    let now = feed.clock.now();
    let mut out = vec![text("welcome", &json!({"channels": words.channels}), now, None)];
    out.extend((words.first)().iter().map(|frame| text(&frame.kind, &frame.data, now, None)));
    loop {
        for message in out.drain(..) {
            let last = matches!(message, Message::Close(_));
            // Sent to the end: half a message would be the end of the socket anyway.
            if !matches!(timeout(feed.pace.patience, writer.send(message)).await, Ok(Ok(()))) || last {
                return;
            }
        }
        tokio::select! {
            () = stop.cancelled() => out.push(close(close_code::AWAY, "the node is stopping")),
            () = &mut ended => out.push(close(close_code::POLICY, "the credentials have ended")),
            message = reader.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(message))) => {
                        out.push(wishes.said(&message, feed.clock.now()).unwrap_or_else(|close| close));
                    }
                    Some(Ok(Message::Binary(_))) => out.push(close(close_code::UNSUPPORTED, "messages are JSON text")),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
            }
            delivery = feed.events.next() => match delivery {
                Some(Delivery::Event(event)) => {
                    let frames = (words.translate)(&event).into_iter().filter(|frame| wishes.hears(frame.channel));
                    out.extend(frames.map(|frame| text(&frame.kind, &frame.data, event.at, Some(event.id))));
                }
                Some(Delivery::Missed(count)) => {
                    out.push(text("lagged", &json!({"missed": count}), feed.clock.now(), None));
                    out.push(close(close_code::AGAIN, "too slow; read the state anew"));
                }
                None => return,
            },
            _ = readings.tick() => {
                let (channel, kind) = words.reading;
                if wishes.hears(channel) && let Some(data) = (feed.reading)().await {
                    out.push(text(kind, &data, feed.clock.now(), None));
                }
            }
            _ = pings.tick() => {
                wishes.said = 0;
                out.push(if heard.elapsed() > feed.pace.silence {
                    close(close_code::AWAY, "nothing was heard of the client")
                } else {
                    Message::Ping(Vec::new().into())
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
