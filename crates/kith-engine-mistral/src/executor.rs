//! mistral.rs itself: loading the weights, starting and stopping its engine, handing it sequences.

use crate::{choose::Chooser, folder::Folder, header::Header, sight::Seen, vocabulary::Vocabulary};
use candle_core::Device;
use kith_engine::{EngineError, ModelSpec};
use mistralrs_core::{
    AdapterPaths, Constraint, CustomLogitsProcessor, DefaultSchedulerMethod, DeviceMapSetting, GGUFLoaderBuilder,
    GGUFSpecificConfig, LocalModelPaths, MemoryGpuConfig, MistralRs, MistralRsBuilder, ModelDType, ModelPaths, NormalRequest,
    PagedAttentionConfig, PagedCacheType, Pipeline, Request, RequestMessage, Response, SamplingParams, SchedulerConfig,
    StopTokens, llguidance::toktrie::TokEnv,
};
use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc};

/// Answers that mistral.rs may hold for us before we take them. They are taken as they come (nothing is done with them), so this
/// never fills; if it did, mistral.rs would wait.
const RESPONSES: usize = 64;

/// Entries of mistral.rs's prefix cache on a GPU; on the CPU it ignores the number (see [`crate::prefix`]).
const PREFIX_ENTRIES: usize = 16;

/// How often to look whether mistral.rs's thread has ended, and how often at most once it has let go of the weights.
const ENDED_POLL: Duration = Duration::from_millis(1);
const ENDED_POLLS: u32 = 2000;

/// A token that no model has. (`u32::MAX` itself stands for a row of zeros in candle.)
const NO_TOKEN: u32 = u32::MAX - 1;

/// Weights in memory, and the engine that runs them.
pub(crate) struct Executor {
    pipeline: Arc<Mutex<dyn Pipeline>>,
    scheduler: SchedulerConfig,
    engine: Option<Running>,
    stop: u32,
    next_id: usize,
    /// Whether mistral.rs keeps the prompts it has read.
    keeps: bool,
    /// Copies lie in the thread-local storage of mistral.rs's thread.
    life: Arc<()>,
}

struct Running {
    /// Ends its thread when dropped.
    _mistral: Arc<MistralRs>,
    requests: mpsc::Sender<Request>,
}

/// A prompt as mistral.rs gets it.
pub(crate) enum Given {
    /// Token ids.
    Tokens(Vec<u32>),
    /// A text with its images, which mistral.rs turns into tokens.
    Seen(Seen),
}

/// What loading finds out beside the weights.
pub(crate) struct Tokens {
    /// The tokens as mistral.rs knows them.
    pub(crate) environment: TokEnv,
    /// The tokens at which mistral.rs ends an answer by itself.
    pub(crate) ends: Vec<u32>,
}

/// The device everything runs on: the first GPU with the features `cuda` or `metal`, else the CPU.
pub(crate) fn device() -> Result<Device, EngineError> {
    let device = if cfg!(feature = "cuda") {
        Device::cuda_if_available(0)
    } else if cfg!(feature = "metal") {
        Device::metal_if_available(0)
    } else {
        Ok(Device::Cpu)
    };
    device.map_err(|error| EngineError::Failed(format!("cannot use the GPU: {error}")))
}

/// Whether models run on a GPU here.
pub fn has_accelerator() -> bool {
    device().is_ok_and(|device| !device.is_cpu())
}

impl Executor {
    /// Reads the weights. Blocks for as long as that takes. Touches nothing but the model's file: the tokenizer comes from it too, and
    /// its chat template is left alone (some make mistral.rs fetch a vocabulary from the network).
    pub(crate) fn load(spec: &ModelSpec, header: &Header, device: &Device) -> Result<(Self, Tokens), EngineError> {
        let parallel = NonZeroUsize::new(spec.parallel.max(1) as usize).unwrap_or(NonZeroUsize::MIN);
        let folder = spec.path.parent().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let file = spec.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Naming a template that is no file keeps mistral.rs from using the one in the header.
        let no_template = Some("none".to_owned());
        let builder = GGUFLoaderBuilder::new(no_template, None, folder, vec![file], GGUFSpecificConfig::default(), false, None);
        let paths: Box<dyn ModelPaths> = Box::new(LocalModelPaths {
            tokenizer_filename: PathBuf::new(),
            config_filename: PathBuf::new(),
            template_filename: None,
            filenames: vec![spec.path.clone()],
            adapter_paths: AdapterPaths::None,
            gen_conf: None,
            preprocessor_config: None,
            processor_config: None,
            chat_template_json_filename: None,
        });
        // On the CPU f32 is both fastest and exact.
        let (dtype, paged) = if device.is_cpu() {
            (ModelDType::F32, None)
        } else {
            let tokens = header.context.min(spec.context.unwrap_or(u32::MAX)) as usize * parallel.get();
            let paged = PagedAttentionConfig::new(None, MemoryGpuConfig::ContextSize(tokens), PagedCacheType::Auto);
            (ModelDType::Auto, paged.ok().filter(|_| mistralrs_core::paged_attn_supported()))
        };
        let pipeline = builder
            .build()
            .load_model_from_path(&paths, &dtype, device, true, DeviceMapSetting::dummy(), None, paged)
            .map_err(|error| EngineError::UnsupportedModel(format!("mistral.rs cannot read the model: {error:#}")))?;
        Self::around(pipeline, parallel, true)
    }

    /// The same for a folder. Prompts are not kept: mistral.rs would have to know an image by more than its mark.
    pub(crate) fn load_folder(folder: &Folder, device: &Device) -> Result<(Self, Tokens), EngineError> {
        Self::around(folder.pipeline(device)?, NonZeroUsize::MIN, false)
    }

    fn around(pipeline: Arc<Mutex<dyn Pipeline>>, parallel: NonZeroUsize, keeps: bool) -> Result<(Self, Tokens), EngineError> {
        let unusual = || EngineError::UnsupportedModel("mistral.rs made no token table for the model".into());
        let metadata = pipeline.try_lock().map_err(|_| unusual())?.get_metadata();
        let scheduler = match metadata.cache_config.clone() {
            Some(config) => SchedulerConfig::PagedAttentionMeta { max_num_seqs: parallel.get(), config },
            None => SchedulerConfig::DefaultScheduler { method: DefaultSchedulerMethod::Fixed(parallel) },
        };
        let tokens = Tokens { environment: metadata.tok_env().ok_or_else(unusual)?, ends: metadata.eos_tok.clone() };
        Ok((Self { pipeline, scheduler, engine: None, stop: 0, next_id: 0, keeps, life: Arc::default() }, tokens))
    }

    /// Whether many answers can be written in one step.
    pub(crate) fn batches(&self) -> bool {
        matches!(self.scheduler, SchedulerConfig::PagedAttentionMeta { .. })
    }

    /// Whether it keeps prompts, in the way that [`crate::prefix`] mirrors.
    pub(crate) fn keeps_prefixes(&self) -> bool {
        self.keeps && !self.batches()
    }

    /// Chooses the token that ends a turn: one that prompts hardly hold, and no beginning of another (mistral.rs refuses those).
    /// Without any, the token that ends answers: then every next prompt of a conversation starts the prefix cache anew.
    pub(crate) fn choose_stop(&mut self, vocabulary: &Vocabulary, environment: &TokEnv) -> Result<(), EngineError> {
        let trie = environment.tok_trie();
        let usable = |id: &u32| (*id as usize) < trie.vocab_size() && !trie.has_extensions(trie.token(*id));
        self.stop = vocabulary
            .oddities()
            .chain(vocabulary.tokens().ends().iter().copied())
            .find(usable)
            .ok_or_else(|| EngineError::UnsupportedModel("the model has no token that could end an answer".into()))?;
        Ok(())
    }

    /// The token that ends a turn.
    pub(crate) fn stop_token(&self) -> u32 {
        self.stop
    }

    /// Starts mistral.rs's engine, with an empty prefix cache. Must be called outside a multi-threaded tokio runtime: inside one,
    /// mistral.rs runs a prompt of its own first, which would stay in the cache.
    pub(crate) async fn start(&mut self) -> Result<(), EngineError> {
        let mistral = MistralRsBuilder::new(Arc::clone(&self.pipeline), self.scheduler.clone(), false, None)
            .with_no_prefix_cache(!self.keeps)
            .with_prefix_cache_n(PREFIX_ENTRIES)
            .build()
            .await;
        let requests =
            mistral.get_sender(None).map_err(|error| EngineError::Failed(format!("mistral.rs did not start: {error}")))?;
        self.engine = Some(Running { _mistral: mistral, requests });
        Ok(())
    }

    /// Stops the engine and waits until its thread has let go of the weights: at most one step of the model.
    pub(crate) async fn stop(&mut self) {
        self.engine = None;
        while Arc::strong_count(&self.pipeline) > 1 {
            tokio::time::sleep(ENDED_POLL).await;
        }
    }

    /// Waits, once every chooser is gone, until the engine's thread has ended: after the weights go its caches, and its own storage last.
    pub(crate) async fn ended(&self) {
        for _ in 0..ENDED_POLLS {
            if Arc::strong_count(&self.life) == 1 {
                break;
            }
            tokio::time::sleep(ENDED_POLL).await;
        }
    }

    /// What the chooser leaves with mistral.rs's thread; `None` where tokens are chosen on threads that never end.
    pub(crate) fn life(&self) -> Option<Arc<()>> {
        (!self.batches()).then(|| Arc::clone(&self.life))
    }

    /// Empties mistral.rs's prefix cache. It does that only when a step of the model fails, so one is made to: with a token that does
    /// not exist. (mistral.rs reports an error in the log; ours to cause, and harmless. Starting the engine anew would do too, but
    /// leaves a thread behind each time.)
    pub(crate) async fn evict(&mut self) -> Result<(), EngineError> {
        let mut responses = self.submit(Given::Tokens(vec![NO_TOKEN]), None).await?;
        let mut failed = false;
        while let Some(response) = responses.recv().await {
            failed |= matches!(response, Response::CompletionModelError(..));
        }
        if failed && !self.is_dead() { Ok(()) } else { Err(died()) }
    }

    /// Whether the engine's thread has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.engine.as_ref().is_none_or(|engine| engine.requests.is_closed())
    }

    /// Hands over one sequence: `prompt`, continued as `chooser` decides. The channel, which must be read to its end, ends when mistral.rs has let go of it.
    pub(crate) async fn submit(
        &mut self,
        prompt: Given,
        chooser: Option<Arc<Chooser>>,
    ) -> Result<mpsc::Receiver<Response>, EngineError> {
        let (response, responses) = mpsc::channel(RESPONSES);
        self.next_id = self.next_id.wrapping_add(1);
        let processors = chooser.map(|chooser| vec![chooser as Arc<dyn CustomLogitsProcessor>]);
        let request = NormalRequest {
            messages: match prompt {
                Given::Tokens(tokens) => RequestMessage::CompletionTokens(tokens),
                Given::Seen(Seen { text, images }) => RequestMessage::MultimodalChat {
                    images,
                    audios: Vec::new(),
                    videos: Vec::new(),
                    // The error of a result is the left of an `Either`: here, the text.
                    messages: vec![std::iter::once(("content".to_owned(), Err(text).into())).collect()],
                    enable_thinking: None,
                    reasoning_effort: None,
                },
            },
            // Temperature 0 takes the likeliest token: the chooser leaves only one.
            sampling_params: SamplingParams {
                temperature: Some(0.0),
                stop_toks: Some(StopTokens::Ids(vec![self.stop])),
                ..SamplingParams::neutral()
            },
            response,
            return_logprobs: false,
            is_streaming: true,
            id: self.next_id,
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: processors,
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        let engine = self.engine.as_ref().ok_or_else(died)?;
        engine.requests.send(Request::Normal(Box::new(request))).await.map_err(|_| died())?;
        Ok(responses)
    }
}

/// What waiting answers are told when mistral.rs's thread has ended without being asked.
pub(crate) fn died() -> EngineError {
    EngineError::Failed("mistral.rs stopped unexpectedly; load the model again".into())
}
