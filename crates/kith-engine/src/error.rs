//! Why an engine could not do what it was asked.

/// What the caller can do about it is the variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The request itself is wrong (a bad grammar, a value out of bounds): change it. `field` names the culprit.
    #[error("{message}")]
    Invalid {
        /// The field at fault, as the port calls it (`constraint`, `sampling.top_p`).
        field: &'static str,
        /// One sentence.
        message: String,
    },
    /// The prompt and the answer's room do not fit the context window.
    #[error("the prompt has {prompt} tokens, the context window holds {window}")]
    ContextExceeded {
        /// Tokens of the prompt.
        prompt: u32,
        /// Tokens of the window.
        window: u32,
    },
    /// The engine cannot read this model: choose another engine or another file.
    #[error("{0}")]
    UnsupportedModel(String),
    /// The model that is to guess for this one cannot: load it with another one, or without.
    #[error("the draft model does not suit: {0}")]
    UnsuitableDraft(String),
    /// The model can do much, but not this (logits of a whole batch, images): ask for something else.
    #[error("{0}")]
    Unsupported(String),
    /// The machine has too little memory.
    #[error("the model needs {needed} bytes of memory, {available} are free")]
    OutOfMemory {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// The model was unloaded while the request ran: load it again.
    #[error("the model was unloaded")]
    Unloaded,
    /// The engine failed in a way nobody foresaw. The text is for the log, not for users.
    #[error("the engine failed: {0}")]
    Failed(String),
}
