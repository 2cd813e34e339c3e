//! Encoders of the BERT family from GGUF files: texts in, one vector each out.
//!
//! A request is cut into tokens, the texts are put into batches of like length, and the batches of all requests take turns, in the
//! order of their coming. Between batches a request notices that nobody waits for it or that the model is unloaded.

mod batches;
mod config;
mod network;
mod pooling;
mod wordpiece;

use crate::{executor, heap};
use async_trait::async_trait;
use candle_core::quantized::gguf_file::Content;
use config::{Config, LEAST_WINDOW};
use kith_engine::{
    EmbedInput, EmbedRequest, Embedded, Engine, EngineError, GenerateRequest, Loaded, LoadedInfo, Memory, ModelFormat, ModelSpec,
    TokenStream,
};
use network::Network;
use std::{
    fs::File,
    io::BufReader,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use wordpiece::{WordPiece, WordPieceFields};

/// The value of `general.architecture` of encoders that are read.
const ARCHITECTURE: &str = "bert";
/// Streams as wide as the model that a layer holds at once: what comes in, queries, keys, values, each before and after it is split
/// into heads, and the sums.
const STREAMS: u64 = 10;
/// The same of the inner stream: before and after adding the bias, and after the activation.
const INNER_STREAMS: u64 = 3;
/// The same of attention's shares: as multiplied, as masked, as shares.
const SHARES: u64 = 3;

/// The engine for encoders.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncoderEngine;

impl EncoderEngine {
    /// An engine for encoders.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Engine for EncoderEngine {
    fn name(&self) -> &'static str {
        "encoder"
    }

    fn supports(&self, spec: &ModelSpec) -> bool {
        spec.format == ModelFormat::Gguf && spec.architecture == ARCHITECTURE
    }

    fn generates(&self, _spec: &ModelSpec) -> bool {
        false
    }

    fn embeds(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        let config = open(spec).and_then(|(_, content)| Config::of(&content));
        match config {
            Ok(config) => {
                let window = config.window as usize;
                let (tokens, pairs) = (batches::TOKENS.max(window), batches::PAIRS.max(window.saturating_mul(window)));
                memory(config.weights, working(&config, tokens, pairs))
            }
            // Loading will say what is wrong with the file.
            Err(_) => Memory { weights: spec.size_bytes, ..Memory::default() },
        }
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        if !self.supports(&spec) {
            return Err(EngineError::UnsupportedModel(format!("this engine does not read {} models", spec.architecture)));
        }
        let model = spawn_blocking(move || {
            heap::settle();
            // Tensors are read from a file that may hold anything.
            catch_unwind(AssertUnwindSafe(|| EncoderModel::read(&spec)))
                .unwrap_or_else(|_| Err(EngineError::UnsupportedModel("the encoder's file cannot be read".into())))
        });
        let model = model.await.map_err(|error| EngineError::Failed(format!("loading an encoder: {error}")))??;
        Ok(Arc::new(model))
    }
}

fn open(spec: &ModelSpec) -> Result<(BufReader<File>, Content), EngineError> {
    let file = File::open(&spec.path).map_err(|error| unreadable(&error))?;
    let mut file = BufReader::new(file);
    let content = Content::read(&mut file).map_err(|error| unreadable(&error))?;
    Ok((file, content))
}

fn unreadable(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::UnsupportedModel(format!("cannot read the encoder: {error}"))
}

fn failed(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Failed(format!("the encoder: {error}"))
}

fn memory(weights: u64, cache: u64) -> Memory {
    let on_gpu = !executor::device().is_ok_and(|device| device.is_cpu());
    Memory { weights, cache, gpu: if on_gpu { weights.saturating_add(cache) } else { 0 } }
}

/// Bytes that a batch of so many tokens, in which each head compares so many pairs, takes while it runs.
fn working(config: &Config, tokens: usize, pairs: usize) -> u64 {
    let streams = STREAMS.saturating_mul(config.width as u64).saturating_add(INNER_STREAMS.saturating_mul(config.inner as u64));
    let shares = SHARES.saturating_mul(config.heads as u64).saturating_mul(pairs as u64);
    (tokens as u64).saturating_mul(streams).saturating_add(shares).saturating_mul(4)
}

/// Shows how much a running batch takes, for as long as it lives.
struct Working<'a>(&'a AtomicU64);

impl<'a> Working<'a> {
    fn new(shown: &'a AtomicU64, bytes: u64) -> Self {
        shown.store(bytes, Ordering::Relaxed);
        Self(shown)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A loaded encoder.
struct EncoderModel {
    info: LoadedInfo,
    config: Arc<Config>,
    tokenizer: Arc<WordPiece>,
    shared: Arc<Shared>,
}

/// What batches on their own threads hold on to.
struct Shared {
    /// `None` once it is unloaded.
    network: Mutex<Option<Arc<Network>>>,
    /// Whose turn it is: one batch at a time, since each uses all cores.
    turn: Arc<Semaphore>,
    gone: AtomicBool,
    /// Bytes that the running batch takes.
    working: AtomicU64,
}

impl Shared {
    fn network(&self) -> MutexGuard<'_, Option<Arc<Network>>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EncoderModel {
    fn read(spec: &ModelSpec) -> Result<Self, EngineError> {
        let device = executor::device()?;
        let (mut file, content) = open(spec)?;
        let config = Config::of(&content)?;
        let tokenizer = WordPiece::new(&WordPieceFields::of(&content)?)?;
        let network = Network::read(&content, &mut file, &config, tokenizer.len(), &device);
        let network = network.map_err(|error| unreadable(&error))?;
        let context = config.window.min(spec.context.unwrap_or(u32::MAX)).max(LEAST_WINDOW);
        Ok(Self {
            info: LoadedInfo {
                engine: "encoder",
                context,
                parallel: spec.parallel.max(1),
                vocabulary: u32::try_from(tokenizer.len()).unwrap_or(u32::MAX),
                image_mark: None,
            },
            config: Arc::new(config),
            tokenizer: Arc::new(tokenizer),
            shared: Arc::new(Shared {
                network: Mutex::new(Some(Arc::new(network))),
                turn: Arc::new(Semaphore::new(1)),
                gone: AtomicBool::new(false),
                working: AtomicU64::new(0),
            }),
        })
    }

    fn alive(&self) -> Result<(), EngineError> {
        if self.shared.gone.load(Ordering::Acquire) { Err(EngineError::Unloaded) } else { Ok(()) }
    }

    /// The tokens of every input, opened and closed, none longer than the window. Stops when the future is dropped.
    async fn tokens(&self, inputs: Vec<EmbedInput>, truncate: bool) -> Result<Vec<Vec<u32>>, EngineError> {
        let (tokenizer, shared, window) = (Arc::clone(&self.tokenizer), Arc::clone(&self.shared), self.info.context);
        let dropped = CancellationToken::new();
        let _guard = dropped.clone().drop_guard();
        let room = window as usize - 2;
        let work = move || {
            let cancelled = || dropped.is_cancelled() || shared.gone.load(Ordering::Acquire);
            let read = |(at, input): (usize, EmbedInput)| {
                if cancelled() {
                    return Err(EngineError::Unloaded);
                }
                let mut ids = match input {
                    EmbedInput::Text(text) => {
                        let enough = if truncate { room } else { usize::MAX };
                        tokenizer.ids(&text, enough, cancelled)?.map_err(|_| EngineError::Unloaded)?
                    }
                    EmbedInput::Tokens(ids) => {
                        known(&ids, at, &tokenizer)?;
                        tokenizer.bare(&ids).to_vec()
                    }
                };
                if ids.len() > room && !truncate {
                    return Err(EngineError::ContextExceeded {
                        prompt: u32::try_from(ids.len() + 2).unwrap_or(u32::MAX),
                        window,
                    });
                }
                ids.truncate(room);
                Ok(tokenizer.framed(ids))
            };
            inputs.into_iter().enumerate().map(read).collect()
        };
        spawn_blocking(work).await.map_err(|error| failed(&error))?
    }

    /// The vectors of one batch, when its turn comes.
    async fn batch(&self, texts: Vec<Vec<u32>>, dimensions: Option<usize>) -> Result<Vec<Vec<f32>>, EngineError> {
        let permit = Arc::clone(&self.shared.turn).acquire_owned().await.map_err(|_| EngineError::Unloaded)?;
        let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&self.config));
        let work = move || {
            // Held by the work itself: it goes on to the batch's end although its request may be gone.
            let _permit = permit;
            let network = shared.network().clone().ok_or(EngineError::Unloaded)?;
            let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
            let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
            let tokens = texts.len() * longest;
            let _working = Working::new(&shared.working, working(&config, tokens, tokens * longest));
            let outputs = network.forward(&texts);
            let vector =
                |outputs: Vec<Vec<f32>>| pooling::finish(pooling::pool(&outputs, config.pooling), dimensions, config.unit);
            Ok(outputs.map_err(|error| failed(&error))?.into_iter().map(vector).collect())
        };
        spawn_blocking(work).await.map_err(|error| failed(&error))?
    }
}

fn known(ids: &[u32], at: usize, tokenizer: &WordPiece) -> Result<(), EngineError> {
    match ids.iter().find(|id| **id as usize >= tokenizer.len()) {
        None => Ok(()),
        Some(id) => {
            let message = format!("token {id} of input {at} is none of the model's {} tokens", tokenizer.len());
            Err(EngineError::Invalid { field: "input", message })
        }
    }
}

#[async_trait]
impl Loaded for EncoderModel {
    fn info(&self) -> &LoadedInfo {
        &self.info
    }

    fn memory(&self) -> Memory {
        if self.shared.network().is_none() {
            return Memory::default();
        }
        memory(self.config.weights, self.shared.working.load(Ordering::Relaxed))
    }

    async fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        self.alive()?;
        let (tokenizer, text) = (Arc::clone(&self.tokenizer), text.to_owned());
        let work = move || {
            let ids = tokenizer.ids(&text, usize::MAX, || false)?.map_err(|_| EngineError::Unloaded)?;
            Ok(if add_special { tokenizer.framed(ids) } else { ids })
        };
        spawn_blocking(work).await.map_err(|error| failed(&error))?
    }

    async fn detokenize(&self, tokens: &[u32]) -> Result<String, EngineError> {
        known(tokens, 0, &self.tokenizer)?;
        Ok(self.tokenizer.text(tokens))
    }

    async fn generate(&self, _request: GenerateRequest) -> Result<TokenStream, EngineError> {
        Err(EngineError::Unsupported("the model embeds texts and writes no answers".into()))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, EngineError> {
        self.alive()?;
        let width = self.config.width;
        let dimensions = request.dimensions.map(|dimensions| dimensions as usize);
        if let Some(wanted) = dimensions.filter(|wanted| !(1..=width).contains(wanted)) {
            let message = format!("`dimensions` is {wanted}; the model's vectors have {width}");
            return Err(EngineError::Invalid { field: "dimensions", message });
        }
        let mut texts = self.tokens(request.inputs, request.truncate).await?;
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for places in batches::plan(&lengths) {
            self.alive()?;
            let batch = places.iter().map(|at| std::mem::take(&mut texts[*at])).collect();
            for (at, vector) in places.iter().zip(self.batch(batch, dimensions).await?) {
                vectors[*at] = vector;
            }
        }
        let tokens = lengths.into_iter().map(|length| u32::try_from(length).unwrap_or(u32::MAX)).collect();
        Ok(Embedded { vectors, tokens })
    }

    async fn unload(&self) {
        self.shared.gone.store(true, Ordering::Release);
        // The running batch ends first; those behind it find nothing to run on.
        let _turn = self.shared.turn.acquire().await;
        if self.shared.network().take().is_some() {
            heap::trim();
        }
    }
}

#[cfg(test)]
mod tests;
