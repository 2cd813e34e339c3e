//! Why a prompt could not be answered.

use crate::ProviderFault;
use std::time::Duration;

/// What the caller can do about it is the variant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InferenceError {
    /// A field is malformed or out of bounds: change it.
    #[error("{message}")]
    Invalid {
        /// The field in the native request's words (`temperature`, `stop`, `messages[2].content`, `tools[0].name`).
        field: String,
        /// One sentence.
        message: String,
    },
    /// No model of that name: take `nearest`, or pull it.
    #[error("model `{name}` is not in the library{}; get it with: kith pull {name}", nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default())]
    ModelNotFound {
        /// The name as asked for.
        name: String,
        /// The most similar name in the library.
        nearest: Option<String>,
    },
    /// No adapter of that id: register it, or leave it out.
    #[error("no adapter `{0}` is registered")]
    AdapterNotFound(String),
    /// The disk has no room for what the model needs there: make room.
    #[error("there is no room left on the disk for `{0}`")]
    StorageFull(String),
    /// The prompt, with the room asked for its answer, exceeds the window: shorten it.
    #[error(
        "the prompt has {prompt} tokens{} but the context window of `{model}` holds {window}",
        answer.map(|n| format!(" and {n} more were asked for the answer,")).unwrap_or_default()
    )]
    ContextExceeded {
        /// The model.
        model: String,
        /// Tokens of the prompt.
        prompt: u32,
        /// Tokens asked for the answer, if they were.
        answer: Option<u32>,
        /// Tokens of the window.
        window: u32,
    },
    /// The model cannot do this: ask for something else.
    #[error("{0}")]
    UnsupportedByModel(String),
    /// Too much is waiting: try again after `retry_after`.
    #[error("{waiting} requests are waiting for `{model}`; try again in {} s", retry_after.as_secs())]
    Overloaded {
        /// The model.
        model: String,
        /// Requests waiting.
        waiting: usize,
        /// A fair guess when there will be room.
        retry_after: Duration,
    },
    /// The model does not fit the memory that may be used.
    #[error("`{model}` needs {} MiB of memory; {} MiB may be used", needed >> 20, budget >> 20)]
    OutOfMemory {
        /// The model.
        model: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes that may be used.
        budget: u64,
    },
    /// The model's file cannot be read.
    #[error("`{model}` cannot be loaded: {reason}")]
    BadModel {
        /// The model.
        model: String,
        /// One sentence.
        reason: String,
    },
    /// The model was unloaded while it answered.
    #[error("`{0}` was unloaded while it answered")]
    Unloaded(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The engine failed; the log has the details.
    #[error("the engine failed on this request")]
    Failed(String),
    /// The provider that the model's name names did not answer; the fault says what can be done.
    #[error("{}", fault.told(provider))]
    Provider {
        /// The provider's name for people.
        provider: &'static str,
        /// What is the matter.
        fault: ProviderFault,
    },
}
