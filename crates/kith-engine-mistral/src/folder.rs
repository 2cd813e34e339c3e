//! Folders of safetensors: their configuration made whole, the memory they take, and mistral.rs's pipeline made of them. A folder may also
//! be one safetensors file that carries the small files in its header ([`files`]).
//!
//! mistral.rs unwraps what it reads of these files and would take a chat template and special tokens from them; it gets copies of its
//! own, from a folder that lasts as long as loading does. Nothing is looked for elsewhere.

mod files;
mod weights;

use crate::{
    header::{CACHE_STEP, Header, TokenizerFields},
    sight::{self, Settings, Sight},
    vocabulary::{JsonTokenizer, Vocabulary},
};
use candle_core::Device;
use files::Files;
use kith_engine::{EngineError, InSitu, ModelSpec};
use mistralrs_core::{
    AdapterPaths, DeviceMapSetting, IsqType, LocalModelPaths, ModelDType, ModelPaths, MultimodalLoaderBuilder,
    MultimodalSpecificConfig, Pipeline,
};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::Mutex;
use weights::Weights;

/// Where nothing is said, weights of more bytes on disk than this are held with 8 bits.
const WHOLE: u64 = 1 << 30;
/// A template that says what it is told: the text is laid out already.
const PASS_THROUGH: &str = "{{ messages[0]['content'] }}";

/// A folder, read but for its weights.
pub(crate) struct Folder {
    /// Sizes, as for a GGUF file; without the tokenizer's fields.
    pub(crate) header: Header,
    pub(crate) sight: Sight,
    settings: Settings,
    weights: Weights,
    tokenizer: JsonTokenizer,
    quantised: Option<IsqType>,
}

/// A folder, read but for its tokenizer and its weights.
struct Opened {
    files: Files,
    header: Header,
    sight: Sight,
    settings: Settings,
    weights: Weights,
    quantised: Option<IsqType>,
}

impl Opened {
    fn new(spec: &ModelSpec) -> Result<Self, EngineError> {
        let unsupported = EngineError::UnsupportedModel;
        let files = Files::open(&spec.path)?;
        let mut settings = Settings {
            config: files.needed("config.json")?,
            preprocessor: files.optional("preprocessor_config.json")?.unwrap_or(json!({})),
            processor: json!({}),
        };
        let model_type = settings.config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let family = sight::family(&model_type)
            .ok_or_else(|| unsupported(format!("mistral.rs does not read folders of {model_type:?} models")))?;
        if settings.config.get("quantization_config").is_some_and(|quantised| !quantised.is_null()) {
            return Err(unsupported("the weights are quantised already; take the folder with whole weights".into()));
        }
        let tokens = (family.complete)(&mut settings).map_err(unsupported)?;
        let weights = Weights::read(&files)?;
        let quantised = match spec.in_situ {
            InSitu::Whole => None,
            InSitu::Auto if weights.bytes() <= WHOLE => None,
            InSitu::Auto | InSitu::Q8 => Some(IsqType::Q8_0),
            InSitu::Q4 => Some(IsqType::Q4K),
        };
        let header = header(&settings.config["text_config"], &weights, quantised)?;
        Ok(Self { files, header, sight: Sight { family, tokens }, settings, weights, quantised })
    }
}

impl Folder {
    /// The sizes of the folder at the path of `spec`.
    pub(crate) fn measure(spec: &ModelSpec) -> Result<Header, EngineError> {
        Ok(Opened::new(spec)?.header)
    }

    /// Reads the folder at the path of `spec`.
    pub(crate) fn read(spec: &ModelSpec) -> Result<Self, EngineError> {
        let Opened { files, header, sight, settings, weights, quantised } = Opened::new(spec)?;
        let tokenizer = JsonTokenizer::new(
            files.needed("tokenizer.json")?,
            files.optional("tokenizer_config.json")?,
            [files.optional("generation_config.json")?, Some(settings.config.clone())].into_iter().flatten(),
        )?;
        Ok(Self { header, sight, settings, weights, tokenizer, quantised })
    }

    /// The tokens. Takes tenths of a second.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary, EngineError> {
        let vocabulary = Vocabulary::of_folder(&self.tokenizer)?;
        match self.sight.family.reserved.iter().find(|token| vocabulary.id_of(token).is_none()) {
            None => Ok(vocabulary),
            Some(token) => Err(EngineError::UnsupportedModel(format!("the tokenizer has no token `{token}`"))),
        }
    }

    /// Reads the weights. Blocks for as long as that takes.
    pub(crate) fn pipeline(&self, device: &Device) -> Result<Arc<Mutex<dyn Pipeline>>, EngineError> {
        let private = tempfile::tempdir().map_err(|error| EngineError::Failed(format!("cannot make a folder: {error}")))?;
        let write = |name: &str, bytes: Vec<u8>| {
            let path = private.path().join(name);
            std::fs::write(&path, bytes).map_err(|error| EngineError::Failed(format!("cannot write {name}: {error}")))?;
            Ok::<PathBuf, EngineError>(path)
        };
        let paths: Box<dyn ModelPaths> = Box::new(LocalModelPaths {
            tokenizer_filename: write("tokenizer.json", self.tokenizer.json().to_string().into_bytes())?,
            config_filename: write("config.json", self.settings.config.to_string().into_bytes())?,
            template_filename: None,
            filenames: self.weights.named(private.path())?,
            adapter_paths: AdapterPaths::None,
            gen_conf: None,
            preprocessor_config: Some(write("preprocessor_config.json", self.settings.preprocessor.to_string().into_bytes())?),
            processor_config: Some(write("processor_config.json", self.settings.processor.to_string().into_bytes())?),
            chat_template_json_filename: None,
        });
        let template = write("pass.jinja", PASS_THROUGH.as_bytes().to_vec())?.to_string_lossy().into_owned();
        let name = private.path().to_string_lossy().into_owned();
        let builder = MultimodalLoaderBuilder::new(MultimodalSpecificConfig::default(), None, None, Some(name), Some(template));
        // On the CPU f32 is both fastest and exact.
        let dtype = if device.is_cpu() { ModelDType::F32 } else { ModelDType::Auto };
        // Without paged attention: it would batch prompts with images and without, and then mistral.rs forgets the images.
        let pipeline = builder
            .build(Some((self.sight.family.loader)()))
            .load_model_from_path(&paths, &dtype, device, true, DeviceMapSetting::dummy(), self.quantised, None)
            .map_err(|error| EngineError::UnsupportedModel(format!("mistral.rs cannot read the model: {error:#}")))?;
        Ok(pipeline)
    }
}

fn header(text: &Value, weights: &Weights, quantised: Option<IsqType>) -> Result<Header, EngineError> {
    let number = |name: &str| text.get(name).and_then(Value::as_u64).filter(|number| (1..=1 << 24).contains(number));
    let needed = |name: &str| {
        number(name).ok_or_else(|| EngineError::UnsupportedModel(format!("config.json does not say the model's `{name}`")))
    };
    let (layers, heads, width) = (needed("num_hidden_layers")?, needed("num_attention_heads")?, needed("hidden_size")?);
    let head = number("head_dim").unwrap_or(width / heads);
    let context = needed("max_position_embeddings")?;
    let vocabulary = usize::try_from(needed("vocab_size")?).unwrap_or(usize::MAX);
    // The cache grows in whole steps and must not grow past the window.
    let usable = if context > CACHE_STEP { context / CACHE_STEP * CACHE_STEP } else { context };
    let cached = number("num_key_value_heads").unwrap_or(heads).saturating_mul(layers).saturating_mul(head).saturating_mul(2);
    let rotary = context.saturating_mul(head).saturating_mul(4);
    Ok(Header {
        context: u32::try_from(usable).unwrap_or(u32::MAX),
        cache_numbers: cached,
        weights: weights.held(quantised).saturating_add(rotary).saturating_add(crate::header::vocabulary_bytes(vocabulary)),
        tokenizer: TokenizerFields::default(),
    })
}
