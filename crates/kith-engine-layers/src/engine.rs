//! Loading: which models are read, how much memory they take, and the thread they live on.

use crate::{
    cache::BLOCK,
    family,
    gguf::Gguf,
    grammar::Grammars,
    model::{Entropy, LayersModel, Shared},
    panels::Unsaved,
    scheduler::{self, Scheduler},
    shape::Shape,
    stage::{Stage, StageOptions},
    vocabulary::{TokenizerFields, Vocabulary},
    weights,
};
use async_trait::async_trait;
use kith_engine::{Engine, EngineError, Loaded, LoadedInfo, Memory, ModelFormat, ModelSpec};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::{mpsc, oneshot};

/// The engine's name.
const NAME: &str = "layers";
/// Requests that may wait for the model's thread; the queue proper is the caller's.
const INCOMING: usize = 1024;
/// The most memory for what sequences begin with, in bytes, however long the window is.
const PREFIX_CEILING: u64 = 1 << 30;
/// Bytes that one vocabulary entry costs: its bytes, its places in maps of tokens and merges.
const VOCABULARY_ENTRY: u64 = 512;

/// The engine on our own layers.
#[derive(Clone)]
pub struct LayersEngine {
    threads: usize,
    entropy: Entropy,
    panels: Option<PathBuf>,
}

impl Default for LayersEngine {
    fn default() -> Self {
        Self::new()
    }
}

/// The values of `general.architecture` that it reads.
pub fn supported_architectures() -> impl Iterator<Item = &'static str> {
    family::FAMILIES.iter().map(|family| family.name)
}

impl LayersEngine {
    /// An engine that works on all cores this process may use, and seeds requests without a seed from the operating system.
    pub fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // Where the system has no randomness to give, the answers are still good: only not different from each other.
        Self { threads, entropy: Arc::new(|| getrandom::u64().unwrap_or_default()), panels: None }
    }

    /// The same on so many threads; at least one.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The same, which keeps weights as the kernels want them in this folder, about as large as the models' files; later starts map them from
    /// there. Files of models that are gone are the caller's to remove: their names begin with that of the model's file.
    pub fn with_panels(mut self, folder: PathBuf) -> Self {
        self.panels = Some(folder);
        self
    }

    /// The same with another source of seeds.
    pub fn with_entropy(mut self, entropy: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }
}

#[async_trait]
impl Engine for LayersEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports(&self, spec: &ModelSpec) -> bool {
        spec.format == ModelFormat::Gguf && family::family(&spec.architecture).is_some()
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        let footprint = Gguf::open(&spec.path).and_then(|file| Footprint::new(&file, &Shape::read(&file)?, spec));
        match footprint {
            Ok(footprint) => footprint.most(),
            // Loading will say what is wrong with the file.
            Err(_) => Memory { weights: spec.size_bytes, ..Memory::default() },
        }
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        if !self.supports(&spec) {
            return Err(EngineError::UnsupportedModel(format!("the layer engine does not read {} models", spec.architecture)));
        }
        let (report, reported) = oneshot::channel();
        let (orders, incoming) = mpsc::channel(INCOMING);
        let engine = self.clone();
        // A thread of its own, which stays with the model: loading and working both block.
        std::thread::Builder::new()
            .name("kith-layers".into())
            .spawn(move || live(&spec, engine, orders, incoming, report))
            .map_err(|error| EngineError::Failed(format!("cannot start a thread: {error}")))?;
        let model = reported.await.map_err(|_| EngineError::Failed("loading stopped unexpectedly".into()))??;
        Ok(Arc::new(model))
    }
}

/// How much memory a model takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Footprint {
    weights: u64,
    /// Of a block of keys and values.
    block: u64,
    /// Tokens in the window.
    window: u64,
    /// Blocks of answers that are being written, at most.
    running: u64,
    /// Blocks of what sequences begin with, at most.
    kept: u64,
}

impl Footprint {
    fn new(file: &Gguf, shape: &Shape, spec: &ModelSpec) -> Result<Self, EngineError> {
        let window = shape.context.min(spec.context.map_or(usize::MAX, |context| context as usize)).max(1);
        let blocks = window.div_ceil(BLOCK) as u64;
        // Two bytes for each key and value.
        let token = (2 * 2 * shape.layers * shape.kv_heads * shape.head) as u64;
        let block = token.saturating_mul(BLOCK as u64).max(1);
        let running = blocks.saturating_mul(u64::from(spec.parallel.max(1)));
        let entries = file.tensors().get("token_embd.weight").map_or(0, |tensor| tensor.shape[1] as u64);
        let vocabulary = entries.saturating_mul(VOCABULARY_ENTRY);
        // Numbers between layers: hidden states four times, heads three times, the inner part twice, for each expert at work.
        let used = shape.experts.map_or(1, |experts| experts.used);
        let between = 4 * shape.width + 3 * shape.heads * shape.head + 2 * used * (shape.inner + shape.width);
        let between = (4 * scheduler::MOST * between) as u64;
        Ok(Self {
            weights: weights::bytes(file, shape)?.saturating_add(vocabulary).saturating_add(between),
            block,
            window: window as u64,
            running,
            // Always room for one window, or a long conversation could never continue.
            kept: running.saturating_add(blocks).min((PREFIX_CEILING / block).max(blocks)),
        })
    }

    /// The most it can come to.
    fn most(&self) -> Memory {
        let blocks = self.running.saturating_add(self.kept);
        Memory { weights: self.weights, cache: blocks.saturating_mul(self.block), gpu: 0 }
    }
}

/// The life of a model's thread: load, report, serve, free.
fn live(
    spec: &ModelSpec,
    engine: LayersEngine,
    orders: mpsc::Sender<scheduler::Order>,
    incoming: mpsc::Receiver<scheduler::Order>,
    report: oneshot::Sender<Result<LayersModel, EngineError>>,
) {
    let shared = Arc::new(Shared::default());
    let freed = shared.freed.clone();
    let _freed = freed.drop_guard();
    let loaded = catch_unwind(AssertUnwindSafe(|| assemble(spec, &engine)));
    let loaded = loaded.unwrap_or_else(|_| Err(EngineError::Failed("loading the model stopped unexpectedly".into())));
    let (mut stage, vocabulary, footprint) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            // Nobody waits for the model any more if this fails.
            let _ = report.send(Err(error));
            return;
        }
    };
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let parallel = spec.parallel.max(1);
    let model = LayersModel {
        info: LoadedInfo {
            engine: NAME,
            context: count(footprint.window),
            parallel,
            vocabulary: count(vocabulary.len() as u64),
            image_mark: None,
        },
        weights: footprint.weights,
        block: footprint.block,
        blocks: stage.cache().counter(),
        grammars: Arc::new(Grammars::new(Arc::clone(&vocabulary))),
        vocabulary,
        orders,
        shared: Arc::clone(&shared),
        entropy: engine.entropy,
    };
    let unsaved = stage.unsaved();
    let kept = usize::try_from(footprint.kept).unwrap_or(usize::MAX);
    let scheduler = Scheduler::new(stage, kept, parallel as usize, Arc::clone(&shared));
    if report.send(Ok(model)).is_err() {
        return;
    }
    if let Some(unsaved) = unsaved {
        keep(unsaved);
    }
    if catch_unwind(AssertUnwindSafe(|| scheduler.run(incoming))).is_err() {
        tracing::error!(model = spec.name, "the model's thread stopped unexpectedly");
        shared.broken.store(true, Ordering::Release);
    }
}

/// Writes panels beside the work. If that fails, or is cut off, the next start takes longer: nothing else.
fn keep(unsaved: Unsaved) {
    let write = move || {
        if let Err(error) = unsaved.save() {
            tracing::warn!(%error, "weights could not be kept for the next start");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("kith-panels".into()).spawn(write) {
        tracing::warn!(%error, "no thread to keep weights for the next start");
    }
}

fn assemble(spec: &ModelSpec, engine: &LayersEngine) -> Result<(Stage, Arc<Vocabulary>, Footprint), EngineError> {
    let context = spec.context.map(|context| context as usize);
    let stage =
        Stage::load(&spec.path, &StageOptions { window: None, context, threads: engine.threads, panels: engine.panels.clone() })?;
    // From a mapping of its own: the pages that were read for it go back to the system with that.
    let vocabulary = Vocabulary::new(&TokenizerFields::read(&Gguf::open(&spec.path)?))?;
    if vocabulary.len() > stage.vocabulary() {
        let (tokens, rows) = (vocabulary.len(), stage.vocabulary());
        return Err(EngineError::UnsupportedModel(format!("the file names {tokens} tokens and embeds {rows}")));
    }
    let footprint = Footprint::new(stage.file(), stage.shape(), spec)?;
    Ok((stage, Arc::new(vocabulary), footprint))
}

#[cfg(test)]
mod tests;
