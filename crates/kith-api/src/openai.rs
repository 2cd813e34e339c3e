//! The OpenAI dialect: requests to [`kith_inference::Generate`], pieces of the answer to completions and chunks. Translation only.

mod answer;
mod chat;
mod chunks;
mod completion;
mod completion_answer;
mod embedding;
mod messages;
mod options;
pub(crate) mod responses;

pub(crate) use answer::{ChatFold, Head};
pub(crate) use chat::chat;
pub(crate) use chunks::ChatChunks;
pub(crate) use completion::completions;
pub(crate) use completion_answer::{CompletionChunks, CompletionFold};
pub(crate) use embedding::{embedding_field, embedding_list, embeddings};

#[cfg(test)]
mod tests;

/// The text of the event that ends a stream.
pub(crate) const DONE: &str = "[DONE]";

/// A field of the native request in the words of `/v1/chat/completions`.
pub(crate) fn chat_field(native: &str) -> String {
    let native = native.strip_prefix("sampling.").unwrap_or(native);
    let (head, tail) = native.split_at(native.find(['.', '[']).unwrap_or(native.len()));
    match head {
        "logprobs" => "top_logprobs".to_owned(),
        "format" | "constraint" => "response_format".to_owned(),
        "think" => "reasoning_effort".to_owned(),
        "tools" => native.replacen("].", "].function.", 1),
        "messages" => match tail.split_once("].") {
            Some((at, rest)) if rest.starts_with("images") => format!("messages{at}].content"),
            Some((at, rest)) if rest.starts_with("tool_calls") => {
                format!("messages{at}].{}", rest.replacen("].", "].function.", 1))
            }
            _ => native.to_owned(),
        },
        "prompt" => "messages".to_owned(),
        _ => native.to_owned(),
    }
}

/// A field of the native request in the words of `/v1/completions`.
pub(crate) fn completion_field(native: &str) -> String {
    let native = native.strip_prefix("sampling.").unwrap_or(native);
    match native.split(['.', '[']).next().unwrap_or(native) {
        "format" | "constraint" => "grammar".to_owned(),
        "messages" => "prompt".to_owned(),
        _ => native.to_owned(),
    }
}
