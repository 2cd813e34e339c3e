//! The Responses API: requests to [`kith_inference::Generate`], pieces of the answer to items and events; kept by
//! [`kith_responses`]. Translation, and the task that carries a response on without its client.

mod answer;
mod chain;
mod drive;
mod ids;
mod input;
mod request;
mod start;
mod stored;

pub(crate) use start::{Started, start};
pub(crate) use stored::{broke_off_event, deleted, item_page, summaries, told};

use super::{answer as chat_answer, chat as chat_request, messages as chat_messages, options};

#[cfg(test)]
mod tests;

/// A field of the native request in the words of `/v1/responses`.
pub(crate) fn response_field(native: &str) -> String {
    let native = native.strip_prefix("sampling.").unwrap_or(native);
    match native.split(['.', '[']).next().unwrap_or(native) {
        "max_tokens" => "max_output_tokens".to_owned(),
        "logprobs" => "top_logprobs".to_owned(),
        "format" | "constraint" => "text.format".to_owned(),
        "think" => "reasoning.effort".to_owned(),
        // Items and messages are not one to one.
        "messages" | "prompt" => "input".to_owned(),
        _ => native.to_owned(),
    }
}
