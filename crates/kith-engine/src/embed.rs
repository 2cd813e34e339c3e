//! One request for embeddings and its answer.

/// One text to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    /// Text as it is.
    Text(String),
    /// Token ids of this model's vocabulary. The tokens that open and close a text are added where they are missing.
    Tokens(Vec<u32>),
}

/// Texts to embed together. How many and how long is bounded by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest {
    /// The texts.
    pub inputs: Vec<EmbedInput>,
    /// Whether a text that is longer than the model's window is cut; else it is refused with
    /// [`crate::EngineError::ContextExceeded`].
    pub truncate: bool,
    /// Keep only the first so many numbers of each vector, scaled to unit length again where the model's vectors have it. At least 1
    /// and at most the model's width. `None` keeps all.
    pub dimensions: Option<u32>,
}

/// Embeddings, in the order of the inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One vector for each input, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens of each input were read, opening and closing tokens among them.
    pub tokens: Vec<u32>,
}
