//! A model in memory, as the port sees it.

use crate::{
    adapter::Shelf,
    answer::Answer,
    embed::{self, Pooling, Texts},
    scheduler::Order,
    vocabulary::Vocabulary,
};
use async_trait::async_trait;
use kith_decoding::{Beginning, Grammars, nothing, room, until_the_end};
use kith_engine::{EmbedRequest, Embedded, EngineError, GenerateRequest, Input, Loaded, LoadedInfo, Memory, TokenStream};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Gives seeds to requests that name none.
pub(crate) type Entropy = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the model and its thread both know.
#[derive(Default)]
pub(crate) struct Shared {
    /// Cancelled when the model is to end.
    pub(crate) unload: CancellationToken,
    /// Cancelled when its memory is free.
    pub(crate) freed: CancellationToken,
    /// Whether the thread ended by a fault.
    pub(crate) broken: AtomicBool,
}

impl Shared {
    /// Why it cannot answer any more.
    fn gone(&self) -> Option<EngineError> {
        if self.broken.load(Ordering::Acquire) {
            return Some(EngineError::Failed("the model's thread stopped unexpectedly".into()));
        }
        (self.unload.is_cancelled() || self.freed.is_cancelled()).then_some(EngineError::Unloaded)
    }
}

/// A loaded model.
pub(crate) struct LayersModel {
    pub(crate) info: LoadedInfo,
    /// Bytes of everything that is held as long as it is loaded.
    pub(crate) weights: u64,
    /// Bytes of a block of keys and values.
    pub(crate) block: u64,
    /// Blocks that are alive.
    pub(crate) blocks: Arc<AtomicU64>,
    /// Bytes of such a block of the draft model, and how many are alive.
    pub(crate) draft: Option<(u64, Arc<AtomicU64>)>,
    /// How states become a text's vector; why they cannot.
    pub(crate) pooling: Result<Pooling, EngineError>,
    /// Numbers of such a vector.
    pub(crate) width: usize,
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) grammars: Arc<Grammars>,
    pub(crate) adapters: Arc<Shelf>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) entropy: Entropy,
}

impl LayersModel {
    /// The tokens that the model will read. Long texts take a while: not on a thread of the runtime.
    async fn take_in(&self, input: Input) -> Result<Vec<u32>, EngineError> {
        /// Bytes of a text that is cut at once.
        const SHORT: usize = 4096;
        match input {
            Input::Text { images, .. } if !images.is_empty() => {
                Err(EngineError::Unsupported("the model does not see images".into()))
            }
            Input::Text { text, add_special, .. } if text.len() <= SHORT => Ok(self.vocabulary.ids(&text, add_special)),
            Input::Text { text, add_special, .. } => {
                let vocabulary = Arc::clone(&self.vocabulary);
                tokio::task::spawn_blocking(move || vocabulary.ids(&text, add_special))
                    .await
                    .map_err(|error| EngineError::Failed(format!("cutting the text: {error}")))
            }
            Input::Tokens(tokens) => {
                self.vocabulary.tokens().must_know(&tokens)?;
                Ok(tokens)
            }
        }
    }

    /// Tells the model's thread.
    async fn order(&self, order: Order) -> Result<(), EngineError> {
        tokio::select! {
            biased;
            () = self.shared.unload.cancelled() => Err(EngineError::Unloaded),
            sent = self.orders.send(order) => sent.map_err(|_| self.shared.gone().unwrap_or(EngineError::Unloaded)),
        }
    }
}

#[async_trait]
impl Loaded for LayersModel {
    fn is_alive(&self) -> bool {
        self.shared.gone().is_none()
    }

    fn info(&self) -> &LoadedInfo {
        &self.info
    }

    fn memory(&self) -> Memory {
        if self.shared.freed.is_cancelled() {
            return Memory::default();
        }
        let draft = self.draft.as_ref().map_or(0, |(block, blocks)| blocks.load(Ordering::Relaxed) * block);
        let weights = self.weights + self.adapters.held();
        Memory { weights, cache: self.blocks.load(Ordering::Relaxed) * self.block + draft, gpu: 0 }
    }

    fn adapts(&self) -> bool {
        true
    }

    async fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        self.take_in(Input::Text { text: text.to_owned(), add_special, images: Vec::new() }).await
    }

    async fn count(&self, input: &Input) -> Result<u32, EngineError> {
        Ok(count(self.take_in(input.clone()).await?.len()))
    }

    async fn detokenize(&self, tokens: &[u32]) -> Result<String, EngineError> {
        self.vocabulary.tokens().must_know(tokens)?;
        Ok(self.vocabulary.text(tokens))
    }

    async fn generate(&self, request: GenerateRequest) -> Result<TokenStream, EngineError> {
        if let Some(error) = self.shared.gone() {
            return Err(error);
        }
        request.check()?;
        let GenerateRequest { input, sampling, max_tokens, logprobs, constraint, ignore_eos, adapter } = request;
        let prompt = self.take_in(input).await?;
        let grammar = self.grammars.compile(constraint).await?;
        let adapter = match adapter {
            None => None,
            Some(adapter) => Some(self.adapters.get(adapter).await?),
        };
        let room = room(prompt.len(), self.info.context, max_tokens)?;
        if room == 0 {
            return Ok(nothing(prompt.len()));
        }
        let seed = sampling.seed.unwrap_or_else(|| (self.entropy)());
        let (steps, reader) = mpsc::channel(room as usize + 1);
        let beginning = Beginning { prompt, room, sampling, seed, logprobs, ignore_eos, grammar };
        let answer = Answer::new(beginning, adapter, self.vocabulary.shared(), steps);
        self.order(Order::Write(Box::new(answer))).await?;
        let shared = Arc::clone(&self.shared);
        let lost = async move {
            // The thread lets go of answers before it says why it ended.
            shared.freed.cancelled().await;
            shared.gone().unwrap_or(EngineError::Unloaded)
        };
        Ok(until_the_end(reader, self.shared.unload.clone(), lost))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, EngineError> {
        if let Some(error) = self.shared.gone() {
            return Err(error);
        }
        let pooling = self.pooling.clone()?;
        let EmbedRequest { inputs, truncate, dimensions } = request;
        let dimensions = dimensions.map_or(self.width, |dimensions| dimensions as usize);
        if !(1..=self.width).contains(&dimensions) {
            let message = format!("`dimensions` is {dimensions}; the model's vectors have {}", self.width);
            return Err(EngineError::Invalid { field: "dimensions", message });
        }
        if inputs.is_empty() {
            return Ok(Embedded { vectors: Vec::new(), tokens: Vec::new() });
        }
        let dropped = CancellationToken::new();
        let _dropped = dropped.clone().drop_guard();
        let (vocabulary, unload, window) = (Arc::clone(&self.vocabulary), self.shared.unload.clone(), self.info.context);
        let stop = move || dropped.is_cancelled() || unload.is_cancelled();
        let texts = tokio::task::spawn_blocking(move || embed::tokens(&vocabulary, inputs, truncate, window, stop))
            .await
            .map_err(|error| EngineError::Failed(format!("cutting the texts: {error}")))??;
        let tokens = texts.iter().map(|text| count(text.len())).collect();
        let (report, reported) = oneshot::channel();
        self.order(Order::Embed(Box::new(Texts::new(texts, pooling, dimensions, report)))).await?;
        let vectors = tokio::select! {
            biased;
            vectors = reported => vectors.ok(),
            () = self.shared.unload.cancelled() => Some(Err(EngineError::Unloaded)),
        };
        let Some(vectors) = vectors else {
            // The thread lets go of texts before it says why it ended.
            self.shared.freed.cancelled().await;
            return Err(self.shared.gone().unwrap_or(EngineError::Unloaded));
        };
        Ok(Embedded { vectors: vectors?, tokens })
    }

    async fn unload(&self) {
        self.shared.unload.cancel();
        self.adapters.close();
        // Wakes the thread if it waits; if it has ended, there is nobody to tell.
        let _ = self.orders.send(Order::Stop).await;
        self.shared.freed.cancelled().await;
    }
}

impl Drop for LayersModel {
    fn drop(&mut self) {
        // The thread ends with the channel, or at its next look if it is at work.
        self.shared.unload.cancel();
    }
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
