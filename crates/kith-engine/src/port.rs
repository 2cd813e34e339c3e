//! The traits an engine implements.

use crate::{EmbedRequest, Embedded, EngineError, GenerateRequest, Step};
use async_trait::async_trait;
use futures::Stream;
use std::{path::PathBuf, pin::Pin, sync::Arc};

/// The file format of a model's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelFormat {
    /// One GGUF file.
    Gguf,
    /// A folder of safetensors with its configuration.
    Safetensors,
}

/// A model as an engine finds it on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// The model's name, for logs.
    pub name: String,
    /// The weights: a file for GGUF, a folder for safetensors.
    pub path: PathBuf,
    /// Their format.
    pub format: ModelFormat,
    /// `general.architecture` of the file (`llama`, `qwen2`, …).
    pub architecture: String,
    /// Bytes of the weights on disk.
    pub size_bytes: u64,
    /// The context window to provide, in tokens; `None` takes the model's own.
    pub context: Option<u32>,
    /// How many answers may be written at once.
    pub parallel: u32,
}

/// Memory that a loaded model holds, in bytes, as measured or, where the engine cannot measure, as it reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Weights.
    pub weights: u64,
    /// Key-value cache of running answers and the prefix cache, at its present size.
    pub cache: u64,
    /// How much of the two lies on a GPU.
    pub gpu: u64,
}

/// What is known of a model once it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedInfo {
    /// The engine that holds it (`mistral.rs`).
    pub engine: &'static str,
    /// Tokens in the context window.
    pub context: u32,
    /// How many answers may be written at once.
    pub parallel: u32,
    /// Entries in the vocabulary.
    pub vocabulary: u32,
}

/// The steps of one answer. Dropping it stops the work within one token.
pub type TokenStream = Pin<Box<dyn Stream<Item = Result<Step, EngineError>> + Send>>;

/// Loads models.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// A short constant name.
    fn name(&self) -> &'static str;

    /// Whether this engine reads such a model. Decides from the description alone.
    fn supports(&self, spec: &ModelSpec) -> bool;

    /// Whether such a model, as this engine runs it, writes answers. Asked only of models it supports.
    fn generates(&self, _spec: &ModelSpec) -> bool {
        true
    }

    /// Whether such a model, as this engine runs it, embeds texts. Asked only of models it supports.
    fn embeds(&self, _spec: &ModelSpec) -> bool {
        false
    }

    /// An upper estimate of the memory `load` will take, in bytes.
    fn estimate(&self, spec: &ModelSpec) -> Memory;

    /// Loads the model. Must not block the async runtime.
    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError>;
}

/// A model in memory.
#[async_trait]
pub trait Loaded: Send + Sync + 'static {
    /// Facts fixed at loading.
    fn info(&self) -> &LoadedInfo;

    /// Memory held now.
    fn memory(&self) -> Memory;

    /// Whether it can still answer. `false` after a fault of the engine that only loading anew mends.
    fn is_alive(&self) -> bool {
        true
    }

    /// The ids of `text`. `add_special` adds the opening token (BOS) where the model has one.
    async fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError>;

    /// The text of `tokens`.
    async fn detokenize(&self, tokens: &[u32]) -> Result<String, EngineError>;

    /// Begins an answer. Errors of the request come from here, errors of the run from the stream.
    ///
    /// The prompt must leave room for at least one token: otherwise [`EngineError::ContextExceeded`]; nothing is ever cut off.
    async fn generate(&self, request: GenerateRequest) -> Result<TokenStream, EngineError>;

    /// Embeds texts. Dropping the future stops the work at the next pause between batches.
    ///
    /// [`EngineError::Unsupported`] where [`Engine::embeds`] says no.
    async fn embed(&self, _request: EmbedRequest) -> Result<Embedded, EngineError> {
        Err(EngineError::Unsupported("the model writes answers and does not embed texts".into()))
    }

    /// Ends all answers with [`EngineError::Unloaded`] and frees the memory. Idempotent; returns when the memory is free.
    async fn unload(&self);
}
