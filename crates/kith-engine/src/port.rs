//! The traits an engine implements.

use crate::{EmbedRequest, Embedded, EngineError, GenerateRequest, Input, Step};
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

/// How the weights of a folder of safetensors are held in memory. GGUF files are held as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InSitu {
    /// As the engine thinks best for their size.
    #[default]
    Auto,
    /// With all their digits.
    Whole,
    /// The layers' matrices with 8 bits a weight.
    Q8,
    /// The layers' matrices with about 4.5 bits a weight.
    Q4,
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
    /// `general.architecture` of the file (`llama`, `qwen2`, …), or `model_type` of the folder's configuration (`idefics3`, …).
    pub architecture: String,
    /// Bytes of the weights on disk.
    pub size_bytes: u64,
    /// The context window to provide, in tokens; `None` takes the model's own.
    pub context: Option<u32>,
    /// How many answers may be written at once.
    pub parallel: u32,
    /// How the weights of a folder are held in memory.
    pub in_situ: InSitu,
    /// A small GGUF model with the same vocabulary, which guesses what this one will say so that it writes faster; the answers are the
    /// same without. Engines that do not guess that way leave it alone; the others refuse one that does not suit, as
    /// [`EngineError::UnsuitableDraft`].
    pub draft: Option<PathBuf>,
}

impl ModelSpec {
    /// A GGUF file as it lies there: with the model's own window, for one answer at a time, without a draft.
    pub fn gguf(name: impl Into<String>, path: impl Into<PathBuf>, architecture: impl Into<String>, size_bytes: u64) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            format: ModelFormat::Gguf,
            architecture: architecture.into(),
            size_bytes,
            context: None,
            parallel: 1,
            in_situ: InSitu::default(),
            draft: None,
        }
    }
}

/// Memory that a loaded model holds, in bytes, as measured or, where the engine cannot measure, as it reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Weights, those of adapters among them.
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
    /// For models that see: what stands in a text where an image is. `None` for those that do not.
    pub image_mark: Option<ImageMark>,
}

/// How a text tells of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMark {
    /// What stands where an image is (`<image>`).
    pub text: String,
    /// The tokens that tell of images; none of them may stand in a text but as part of a mark.
    pub reserved: Vec<String>,
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

    /// Whether such a model, as this engine runs it, sees images. Asked only of models it supports.
    fn sees(&self, _spec: &ModelSpec) -> bool {
        false
    }

    /// Whether such a model, as this engine runs it, takes an adapter with each request. Asked only of models it supports.
    fn adapts(&self, _spec: &ModelSpec) -> bool {
        false
    }

    /// Whether such a model, as this engine runs it, may have `draft` guess for it ([`ModelSpec::draft`]). Asked only of models it supports;
    /// whether their vocabularies agree shows when they are loaded.
    fn drafts(&self, _spec: &ModelSpec, _draft: &ModelSpec) -> bool {
        false
    }

    /// Lets each model of this engine work on so many of the processor's cores from its next step on; `None` is on as many as the engine was made for.
    /// An engine that cannot change that goes on as it was.
    fn use_cores(&self, _cores: Option<usize>) {}

    /// An upper estimate of the memory `load` will take, in bytes, that of a draft included.
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

    /// Whether it takes an adapter with each request; otherwise one that brings an adapter is [`EngineError::Unsupported`].
    fn adapts(&self) -> bool {
        false
    }

    /// The ids of `text`. `add_special` adds the opening token (BOS) where the model has one.
    async fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError>;

    /// How many tokens the model reads for `input`, its images among them. They are not decoded for that.
    async fn count(&self, input: &Input) -> Result<u32, EngineError> {
        let tokens = match input {
            Input::Tokens(tokens) => tokens.len(),
            Input::Text { text, add_special, images } if images.is_empty() => self.tokenize(text, *add_special).await?.len(),
            Input::Text { .. } => return Err(EngineError::Unsupported("the model does not see images".into())),
        };
        Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
    }

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
