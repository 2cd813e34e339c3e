//! Loading: which models mistral.rs reads, how much memory they take, and the thread they live on.

use crate::{
    answer::Answer,
    executor::{self, Executor},
    folder::Folder,
    header::{CACHE_STEP, Header},
    heap,
    model::{MistralModel, Reading},
    prefix::PrefixMirror,
    sight,
    turns::{Shared, Turns},
    vocabulary::Vocabulary,
};
use async_trait::async_trait;
use candle_core::Device;
use kith_decoding::Grammars;
use kith_engine::{Engine, EngineError, Loaded, LoadedInfo, Memory, ModelFormat, ModelSpec};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot};

/// The values of `general.architecture` that mistral.rs loads from a GGUF file.
pub const SUPPORTED_ARCHITECTURES: &[&str] = &["llama", "mistral3", "phi2", "phi3", "qwen2", "qwen3", "qwen3moe", "starcoder2"];

/// The values of `model_type` of the folders of safetensors that mistral.rs loads. All of them see.
pub fn supported_folders() -> impl Iterator<Item = &'static str> {
    sight::model_types()
}

/// Requests that may wait for the model's thread; the queue proper is the caller's.
const INCOMING: usize = 1024;

/// The most memory for the prefix cache, in bytes, however long the window is.
const PREFIX_CEILING: u64 = 1 << 30;

/// Gives seeds to requests that name none.
pub(crate) type Entropy = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The engine on mistral.rs.
#[derive(Clone)]
pub struct MistralEngine {
    entropy: Entropy,
}

impl Default for MistralEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl MistralEngine {
    /// An engine that seeds requests without a seed from the operating system.
    pub fn new() -> Self {
        // Where the system has no randomness to give, the answers are still good: only not different from each other.
        Self::with_entropy(|| getrandom::u64().unwrap_or_default())
    }

    /// The same with another source of seeds.
    pub fn with_entropy(entropy: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { entropy: Arc::new(entropy) }
    }

    /// Loads a model, as its own type.
    pub(crate) async fn load_model(&self, spec: ModelSpec) -> Result<MistralModel, EngineError> {
        if !self.supports(&spec) {
            return Err(EngineError::UnsupportedModel(format!("mistral.rs does not read {} models", spec.architecture)));
        }
        let shared = Arc::new(Shared::default());
        let (report, reported) = oneshot::channel();
        let (answers, incoming) = mpsc::channel(INCOMING);
        let (entropy, for_thread) = (Arc::clone(&self.entropy), Arc::clone(&shared));
        // A thread, because loading blocks and because mistral.rs warms itself up when it is started inside tokio's pool.
        std::thread::Builder::new()
            .name("kith-mistral".into())
            .spawn(move || live(&spec, entropy, for_thread, answers, incoming, report))
            .map_err(|error| EngineError::Failed(format!("cannot start a thread: {error}")))?;
        reported.await.map_err(|_| EngineError::Failed("loading stopped unexpectedly".into()))?
    }
}

#[async_trait]
impl Engine for MistralEngine {
    fn name(&self) -> &'static str {
        "mistral.rs"
    }

    fn supports(&self, spec: &ModelSpec) -> bool {
        match spec.format {
            ModelFormat::Gguf => SUPPORTED_ARCHITECTURES.contains(&spec.architecture.as_str()),
            ModelFormat::Safetensors => sight::family(&spec.architecture).is_some(),
        }
    }

    fn sees(&self, spec: &ModelSpec) -> bool {
        spec.format == ModelFormat::Safetensors && sight::family(&spec.architecture).is_some()
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        let on_gpu = !executor::device().is_ok_and(|device| device.is_cpu());
        let footprint = match spec.format {
            ModelFormat::Gguf => Header::read(&spec.path).map(|header| Footprint::new(&header, spec, on_gpu)),
            ModelFormat::Safetensors => Folder::measure(spec).map(|header| Footprint::alone(&header, spec, on_gpu)),
        };
        match footprint {
            Ok(footprint) => footprint.most(),
            // Loading will say what is wrong with the file.
            Err(_) => Memory { weights: spec.size_bytes, ..Memory::default() },
        }
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        Ok(Arc::new(self.load_model(spec).await?))
    }
}

/// How much memory a model takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footprint {
    weights: u64,
    token: u64,
    on_gpu: bool,
    /// Tokens in the window.
    pub(crate) window: u32,
    /// The most tokens in the caches of answers that are being written.
    running: u64,
    /// The most tokens in the prefix cache.
    pub(crate) kept: u64,
}

impl Footprint {
    pub(crate) fn new(header: &Header, spec: &ModelSpec, on_gpu: bool) -> Self {
        let window = header.context.min(spec.context.unwrap_or(u32::MAX)).max(1);
        let parallel = u64::from(spec.parallel.max(1));
        // On the CPU everything is f32, on a GPU half as wide.
        let token = header.cache_numbers.saturating_mul(if on_gpu { 2 } else { 4 }).max(1);
        let steps = u64::from(window).div_ceil(CACHE_STEP) * CACHE_STEP;
        // Paged attention keeps prefixes in the same pool. On the CPU one answer is written at a time, and the prefix cache holds those
        // that gave way and those that have ended; it always has room for one window, or a long conversation could never continue.
        let (running, kept) = if on_gpu {
            (steps.saturating_mul(parallel), 0)
        } else {
            let wanted = steps.saturating_mul(parallel.saturating_add(1));
            (steps, wanted.min((PREFIX_CEILING / token).max(steps)))
        };
        Self { weights: header.weights, token, on_gpu, window, running, kept }
    }

    /// Of a model whose answers are written one after the other, without a prefix cache.
    pub(crate) fn alone(header: &Header, spec: &ModelSpec, on_gpu: bool) -> Self {
        let one = ModelSpec { parallel: 1, ..spec.clone() };
        Self { kept: 0, ..Self::new(header, &one, on_gpu) }
    }

    /// The most it can come to.
    fn most(&self) -> Memory {
        self.memory(self.running.saturating_add(self.kept))
    }

    /// With this many tokens in the caches.
    pub(crate) fn memory(&self, tokens: u64) -> Memory {
        let (weights, cache) = (self.weights, tokens.saturating_mul(self.token));
        Memory { weights, cache, gpu: if self.on_gpu { weights.saturating_add(cache) } else { 0 } }
    }
}

/// The life of a model's thread: load, report, serve, free.
fn live(
    spec: &ModelSpec,
    entropy: Entropy,
    shared: Arc<Shared>,
    answers: mpsc::Sender<Answer>,
    incoming: mpsc::Receiver<Answer>,
    report: oneshot::Sender<Result<MistralModel, EngineError>>,
) {
    heap::settle();
    let freed = shared.freed.clone();
    let _freed = freed.drop_guard();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = report.send(Err(EngineError::Failed(format!("cannot start a runtime: {error}"))));
            return;
        }
    };
    // mistral.rs unwraps where a file is not as it expects.
    let loaded = catch_unwind(AssertUnwindSafe(|| assemble(spec))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(EngineError::UnsupportedModel(format!("mistral.rs cannot read the model: {}", said.unwrap_or("it gave no reason"))))
    });
    let (mut executor, footprint, reading) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let _ = report.send(Err(error));
            return;
        }
    };
    // Answers of models that see are written one after the other.
    let parallel = if reading.sight.is_some() { 1 } else { spec.parallel.max(1) };
    let image_mark = reading.sight.map(|sight| sight.mark());
    let vocabulary = u32::try_from(reading.vocabulary.tokens().len()).unwrap_or(u32::MAX);
    shared.set_reading(Some(Arc::new(reading)));
    let model = MistralModel {
        info: LoadedInfo { engine: "mistral.rs", context: footprint.window, parallel, vocabulary, image_mark },
        footprint,
        answers,
        shared: Arc::clone(&shared),
        entropy,
        #[cfg(test)]
        fault_after: std::sync::Mutex::default(),
    };
    runtime.block_on(async move {
        let started = executor.start().await;
        // If nobody waits for the model any more it is dropped here, which ends the run below at once.
        let failed = started.is_err();
        drop(report.send(started.map(|()| model)));
        if !failed {
            let mirror = PrefixMirror::new(CACHE_STEP, footprint.kept);
            Turns::new(executor, mirror, shared, parallel as usize).run(incoming).await;
        }
    });
    drop(runtime);
    heap::trim();
}

fn assemble(spec: &ModelSpec) -> Result<(Executor, Footprint, Reading), EngineError> {
    let device: Device = executor::device()?;
    let (footprint, mut vocabulary, sight, (mut executor, tokens)) = match spec.format {
        ModelFormat::Gguf => {
            let header = Header::read(&spec.path)?;
            let vocabulary = Vocabulary::new(&header.tokenizer)?;
            (Footprint::new(&header, spec, !device.is_cpu()), vocabulary, None, Executor::load(spec, &header, &device)?)
        }
        ModelFormat::Safetensors => {
            let folder = Folder::read(spec)?;
            let vocabulary = folder.vocabulary()?;
            let footprint = Footprint::alone(&folder.header, spec, !device.is_cpu());
            (footprint, vocabulary, Some(folder.sight), Executor::load_folder(&folder, &device)?)
        }
    };
    vocabulary.add_ends(&tokens.ends);
    executor.choose_stop(&vocabulary, &tokens.environment)?;
    let grammars = Arc::new(Grammars::of_environment(&tokens.environment, vocabulary.tokens().ends())?);
    Ok((executor, footprint, Reading { vocabulary: Arc::new(vocabulary), grammars, sight }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::TokenizerFields;

    fn spec(architecture: &str, format: ModelFormat) -> ModelSpec {
        ModelSpec {
            name: "m".into(),
            path: "no/such/file".into(),
            format,
            architecture: architecture.into(),
            size_bytes: 10,
            context: Some(1000),
            parallel: 4,
            in_situ: kith_engine::InSitu::Auto,
            draft: None,
        }
    }

    fn header(context: u32) -> Header {
        Header { context, cache_numbers: 100, weights: 5000, tokenizer: TokenizerFields::default() }
    }

    #[test]
    fn only_gguf_files_of_known_architectures_are_supported() {
        let engine = MistralEngine::new();
        assert!(engine.supports(&spec("llama", ModelFormat::Gguf)));
        assert!(!engine.supports(&spec("llama", ModelFormat::Safetensors)));
        assert!(!engine.supports(&spec("gemma3", ModelFormat::Gguf)));
        assert!(!engine.supports(&spec("gpt2", ModelFormat::Gguf)));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_refused() {
        let engine = MistralEngine::new();
        assert!(matches!(engine.load(spec("llama", ModelFormat::Gguf)).await, Err(EngineError::UnsupportedModel(_))));
        assert!(matches!(engine.load(spec("bert", ModelFormat::Gguf)).await, Err(EngineError::UnsupportedModel(_))));
        assert_eq!(engine.estimate(&spec("llama", ModelFormat::Gguf)).weights, 10);
    }

    #[test]
    fn the_cache_is_one_window_and_the_prefixes_of_the_other_answers() {
        let footprint = Footprint::new(&header(4096), &spec("llama", ModelFormat::Gguf), false);
        // 1000 tokens are two steps of 512; one running window and five kept, at 100 numbers of 4 bytes.
        assert_eq!(footprint.window, 1000);
        assert_eq!(footprint.most(), Memory { weights: 5000, cache: 6 * 1024 * 400, gpu: 0 });
        let footprint = Footprint::new(&header(512), &ModelSpec { parallel: 1, ..spec("llama", ModelFormat::Gguf) }, false);
        assert_eq!((footprint.window, footprint.most().cache), (512, 3 * 512 * 400));
    }

    #[test]
    fn the_prefix_cache_has_a_ceiling_but_room_for_one_window() {
        let header = Header { cache_numbers: 65_536, ..header(131_072) };
        let long = ModelSpec { context: None, ..spec("llama", ModelFormat::Gguf) };
        assert_eq!(Footprint::new(&header, &long, false).kept, 131_072);
        let short = ModelSpec { context: Some(2048), ..long };
        assert_eq!(Footprint::new(&header, &short, false).kept, PREFIX_CEILING / (65_536 * 4));
    }

    #[test]
    fn on_a_gpu_all_windows_are_running() {
        let memory = Footprint::new(&header(4096), &spec("llama", ModelFormat::Gguf), true).most();
        assert_eq!(memory, Memory { weights: 5000, cache: 4 * 1024 * 200, gpu: 5000 + 4 * 1024 * 200 });
    }
}
