//! The Anthropic dialect: requests to [`kith_inference::Generate`], pieces of the answer to messages and events. Translation only.

mod answer;
mod blocks;
mod request;

pub(crate) use answer::{Events, fold};
pub(crate) use request::{count, messages};

use crate::stream::json_bytes;
use bytes::Bytes;
use kith_wire::anthropic::StreamEvent;

#[cfg(test)]
mod tests;

/// A field of the native request in the words of `/v1/messages`.
pub(crate) fn message_field(native: &str) -> String {
    let native = native.strip_prefix("sampling.").unwrap_or(native);
    let (head, tail) = native.split_at(native.find(['.', '[']).unwrap_or(native.len()));
    match head {
        "stop" => format!("stop_sequences{tail}"),
        "format" | "constraint" => "output_config.format".to_owned(),
        "think" => "thinking".to_owned(),
        "tools" => native.replacen("].parameters", "].input_schema", 1),
        // Blocks and messages are not one to one.
        "messages" | "prompt" => "messages".to_owned(),
        _ => native.to_owned(),
    }
}

/// One event as a frame of a stream.
pub(crate) fn frame(event: &StreamEvent) -> Bytes {
    let mut frame = format!("event: {}\ndata: ", event.name()).into_bytes();
    frame.extend(json_bytes(event));
    frame.extend(b"\n\n");
    frame.into()
}
