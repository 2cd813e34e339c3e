//! The Ollama dialect: requests to [`kith_inference::Generate`], pieces of the answer to lines. Translation only.

mod answer;
mod chat;
pub(crate) mod create;
mod embed;
mod generate;
mod options;
pub(crate) mod show;

pub(crate) use answer::{ChatFold, ChatLines, GenerateFold, GenerateLines, chat_without_answer, generate_without_answer};
pub(crate) use chat::chat;
pub(crate) use embed::{embed, embed_field, embedded, embedding, embedding_field, one_embedded};
pub(crate) use generate::generate;

use kith_inference::{Generate, KeepAlive};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// What a request wants of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// An answer.
    Answer,
    /// Nothing to answer: only that the model be loaded.
    Load,
    /// Nothing to answer, and not to be kept: that the model be unloaded.
    Unload,
}

impl Intent {
    /// `done_reason` of the one line that tells of it.
    pub(crate) fn done_reason(self) -> &'static str {
        match self {
            Self::Answer => "stop",
            Self::Load => "load",
            Self::Unload => "unload",
        }
    }

    fn of(empty: bool, keep_alive: Option<KeepAlive>) -> Self {
        match (empty, keep_alive) {
            (false, _) => Self::Answer,
            (true, Some(KeepAlive::For(Duration::ZERO))) => Self::Unload,
            (true, _) => Self::Load,
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// The native request; for [`Intent::Load`] one that says which model, for how long and with which window.
    pub generate: Generate,
    /// What is wanted.
    pub intent: Intent,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// A field of the native request in the words of `/api/chat`.
pub(crate) fn chat_field(native: &str) -> String {
    let native = native.strip_prefix("sampling.").unwrap_or(native);
    match native.split(['.', '[']).next().unwrap_or(native) {
        "max_tokens" => "options.num_predict".to_owned(),
        "repetition_penalty" => "options.repeat_penalty".to_owned(),
        "context" => "options.num_ctx".to_owned(),
        "temperature" | "top_k" | "top_p" | "min_p" | "repeat_last_n" | "frequency_penalty" | "presence_penalty" | "seed"
        | "stop" => format!("options.{native}"),
        "logprobs" => "top_logprobs".to_owned(),
        "constraint" => "format".to_owned(),
        "tools" => native.replacen("].", "].function.", 1),
        "prompt" => "messages".to_owned(),
        "messages" => match native.split_once("].tool_calls[") {
            Some((message, call)) => format!("{message}].tool_calls[{}", call.replacen("].", "].function.", 1)),
            None => native.to_owned(),
        },
        _ => native.to_owned(),
    }
}

/// A field of the native request in the words of `/api/generate`.
pub(crate) fn generate_field(native: &str) -> String {
    match native {
        "prompt.context" => "context".to_owned(),
        "prompt.system" => "system".to_owned(),
        _ if native.starts_with("prompt.images") => native["prompt.".len()..].to_owned(),
        _ if native.starts_with("prompt") || native.starts_with("messages") => "prompt".to_owned(),
        _ => chat_field(native),
    }
}
