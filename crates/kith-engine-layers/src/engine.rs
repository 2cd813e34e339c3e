//! Loading: which models are read, how much memory they take, and the thread they live on.

use crate::{
    adapter::Shelf,
    cache::BLOCK,
    drafter::Drafter,
    embed::{self, Pooling},
    family,
    gguf::Gguf,
    model::{Entropy, LayersModel, Shared},
    panels::Unsaved,
    scheduler::{self, Scheduler},
    shape::Shape,
    stage::{Stage, StageOptions},
    turns::Turns,
    vocabulary::{TokenizerFields, Vocabulary},
    weights,
};
use async_trait::async_trait;
use kith_decoding::Grammars;
use kith_engine::{Engine, EngineError, Loaded, LoadedInfo, Memory, ModelFormat, ModelSpec};
use kith_kernels::Limit;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The engine's name.
const NAME: &str = "layers";
/// Requests that may wait for the model's thread; the queue proper is the caller's.
const INCOMING: usize = 1024;
/// The most memory for what sequences begin with, in bytes, however long the window is.
const PREFIX_CEILING: u64 = 1 << 30;
/// The most memory for answers that are being written, in bytes, or one window. Beyond it the youngest wait.
const RUNNING_CEILING: u64 = 2 << 30;
/// Bytes that one vocabulary entry costs: its bytes, its places in maps of tokens and merges.
const VOCABULARY_ENTRY: u64 = 512;

/// The engine on our own layers.
#[derive(Clone)]
pub struct LayersEngine {
    threads: usize,
    /// How many threads of each model may work at a time.
    cores: Limit,
    entropy: Entropy,
    panels: Option<PathBuf>,
    may_keep: Arc<dyn Fn(u64) -> bool + Send + Sync>,
    /// Bytes that answers at work may hold together, or one window.
    running: u64,
    /// Whose step it is, of all models of this engine.
    turns: Arc<Turns>,
    /// Whether draft models guess as much as they may, whatever that costs (for tests).
    eager: bool,
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
        Self {
            threads,
            cores: Limit::default(),
            entropy: Arc::new(|| getrandom::u64().unwrap_or_default()),
            panels: None,
            may_keep: Arc::new(|_| true),
            running: RUNNING_CEILING,
            turns: Arc::default(),
            eager: false,
        }
    }

    /// The same on so many threads; at least one.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The same, which keeps weights as the kernels want them in this folder, about as large as the models' files; later starts map them from
    /// there. `may_keep` is asked before a file of so many bytes is written. Files of models that are gone stay until
    /// [`remove_stale_panels`](crate::remove_stale_panels).
    pub fn with_panels(mut self, folder: PathBuf, may_keep: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        self.panels = Some(folder);
        self.may_keep = Arc::new(may_keep);
        self
    }

    /// The same with less memory for answers at work, for tests.
    #[cfg(test)]
    fn with_running(mut self, bytes: u64) -> Self {
        self.running = bytes;
        self
    }

    /// The same, whose draft models guess as much as they may, whatever that costs.
    #[cfg(test)]
    pub(crate) fn eager(mut self) -> Self {
        self.eager = true;
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

    fn adapts(&self, spec: &ModelSpec) -> bool {
        self.supports(spec)
    }

    /// Every model it reads, beside writing answers. One that ranks texts says so when it is asked.
    fn embeds(&self, spec: &ModelSpec) -> bool {
        self.supports(spec)
    }

    fn drafts(&self, spec: &ModelSpec, draft: &ModelSpec) -> bool {
        self.supports(spec) && self.supports(draft)
    }

    fn use_cores(&self, cores: Option<usize>) {
        self.cores.set(cores);
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        let footprint =
            |path: &Path| Gguf::open(path).and_then(|file| Footprint::new(&file, &Shape::read(&file)?, spec, self.running));
        // Loading will say what is wrong with the files.
        let unknown = |_| Memory { weights: spec.size_bytes, ..Memory::default() };
        let model = footprint(&spec.path).map_or_else(unknown, |footprint| footprint.most());
        let draft = spec.draft.as_deref().and_then(|path| footprint(path).ok());
        let draft = draft.map_or_else(Memory::default, |footprint| footprint.of_draft().most());
        Memory { weights: model.weights.saturating_add(draft.weights), cache: model.cache.saturating_add(draft.cache), gpu: 0 }
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
    /// Blocks of texts that are being embedded, at most: one of a window's length, the others within one step.
    embedding: u64,
}

impl Footprint {
    fn new(file: &Gguf, shape: &Shape, spec: &ModelSpec, ceiling: u64) -> Result<Self, EngineError> {
        let window = shape.context.min(spec.context.map_or(usize::MAX, |context| context as usize)).max(1);
        let blocks = window.div_ceil(BLOCK) as u64;
        // Two bytes for each key and value.
        let token = (2 * 2 * shape.layers * shape.kv_heads * shape.head) as u64;
        let block = token.saturating_mul(BLOCK as u64).max(1);
        let running = blocks.saturating_mul(u64::from(spec.parallel.max(1))).min((ceiling / block).max(blocks));
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
            embedding: blocks.saturating_add((embed::TOGETHER + scheduler::MOST / BLOCK) as u64),
        })
    }

    /// That of a draft model, which embeds nothing and keeps at most one window of what answers began with.
    fn of_draft(self) -> Self {
        Self { kept: self.window.div_ceil(BLOCK as u64), embedding: 0, ..self }
    }

    /// The most it can come to.
    fn most(&self) -> Memory {
        let blocks = self.running.saturating_add(self.kept).saturating_add(self.embedding);
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
    // Something about the file was not foreseen: another engine may read it.
    let loaded =
        loaded.unwrap_or_else(|_| Err(EngineError::UnsupportedModel("its file cannot be read by the layer engine".into())));
    let Assembled { mut stage, vocabulary, footprint, draft } = match loaded {
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
        weights: footprint.weights.saturating_add(draft.as_ref().map_or(0, |(_, footprint)| footprint.weights)),
        block: footprint.block,
        draft: draft.as_ref().map(|(stage, footprint)| (footprint.block, stage.cache().counter())),
        blocks: stage.cache().counter(),
        pooling: Pooling::read(stage.file(), stage.shape().family.name),
        width: stage.width(),
        grammars: Arc::new(Grammars::new(vocabulary.shared())),
        adapters: Arc::new(Shelf::new(stage.targets(), footprint.weights)),
        vocabulary,
        orders,
        shared: Arc::clone(&shared),
        entropy: engine.entropy,
    };
    let size = |blocks: u64| usize::try_from(blocks).unwrap_or(usize::MAX);
    let mut unsaved = Vec::from_iter(stage.unsaved());
    let drafter = draft.map(|(mut stage, footprint)| {
        unsaved.extend(stage.unsaved());
        Drafter::new(stage, model.vocabulary.len(), size(footprint.kept), engine.eager)
    });
    let (kept, running) = (size(footprint.kept), size(footprint.running));
    let scheduler = Scheduler::new(stage, kept, running, parallel as usize, Arc::clone(&shared))
        .with_drafter(drafter)
        .taking(Arc::clone(&engine.turns));
    if report.send(Ok(model)).is_err() {
        return;
    }
    let unsaved = unsaved.into_iter().filter(|unsaved| (engine.may_keep)(unsaved.bytes()));
    let writers: Vec<_> = unsaved.filter_map(|unsaved| keep(unsaved, shared.unload.clone())).collect();
    if catch_unwind(AssertUnwindSafe(|| scheduler.run(incoming))).is_err() {
        tracing::error!(model = spec.name, "the model's thread stopped unexpectedly");
        shared.broken.store(true, Ordering::Release);
    }
    // They hold the weights: the memory is free only when they have ended. Nobody asks for anything any more.
    shared.unload.cancel();
    for writer in writers {
        let _ = writer.join();
    }
}

/// Writes panels beside the work, until the model is unloaded. If that fails, or is cut off, the next start takes longer: nothing else.
fn keep(unsaved: Unsaved, unload: CancellationToken) -> Option<JoinHandle<()>> {
    let write = move || {
        if let Err(error) = unsaved.save(&|| unload.is_cancelled()) {
            tracing::warn!(%error, "weights could not be kept for the next start");
        }
    };
    let thread = std::thread::Builder::new().name("kith-panels".into()).spawn(write);
    thread.inspect_err(|error| tracing::warn!(%error, "no thread to keep weights for the next start")).ok()
}

/// A model and what belongs to it.
struct Assembled {
    stage: Stage,
    vocabulary: Arc<Vocabulary>,
    footprint: Footprint,
    draft: Option<(Stage, Footprint)>,
}

fn assemble(spec: &ModelSpec, engine: &LayersEngine) -> Result<Assembled, EngineError> {
    // First what costs little, so that a file is refused soon, and a draft before the model that can do without.
    let vocabulary = Arc::new(vocabulary(&spec.path)?);
    let draft = spec.draft.as_deref().map(|path| draft(path, &vocabulary, spec, engine)).transpose()?;
    let (stage, footprint) = whole(&spec.path, &vocabulary, spec, engine)?;
    Ok(Assembled { stage, vocabulary, footprint, draft })
}

/// The model at `path`, to guess for one with this vocabulary.
fn draft(path: &Path, wanted: &Vocabulary, spec: &ModelSpec, engine: &LayersEngine) -> Result<(Stage, Footprint), EngineError> {
    let read = || {
        let own = vocabulary(path).map_err(|error| error.to_string())?;
        wanted.must_be(&own)?;
        whole(path, &own, spec, engine).map_err(|error| error.to_string())
    };
    let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("its file cannot be read".to_owned()));
    let (stage, footprint) = read.map_err(EngineError::UnsuitableDraft)?;
    Ok((stage, footprint.of_draft()))
}

/// The vocabulary of the model at `path`; from a mapping of its own: the pages that were read for it go back to the system with that.
fn vocabulary(path: &Path) -> Result<Vocabulary, EngineError> {
    Vocabulary::new(&TokenizerFields::read(&Gguf::open(path)?))
}

/// All of the model at `path`.
fn whole(
    path: &Path,
    vocabulary: &Vocabulary,
    spec: &ModelSpec,
    engine: &LayersEngine,
) -> Result<(Stage, Footprint), EngineError> {
    let context = spec.context.map(|context| context as usize);
    let stage = Stage::load(
        path,
        &StageOptions {
            window: None,
            context,
            threads: engine.threads,
            cores: engine.cores.clone(),
            panels: engine.panels.clone(),
        },
    )?;
    if vocabulary.len() > stage.vocabulary() {
        let (tokens, rows) = (vocabulary.len(), stage.vocabulary());
        return Err(EngineError::UnsupportedModel(format!("the file names {tokens} tokens and embeds {rows}")));
    }
    let footprint = Footprint::new(stage.file(), stage.shape(), spec, engine.running)?;
    Ok((stage, footprint))
}

#[cfg(test)]
mod tests;
