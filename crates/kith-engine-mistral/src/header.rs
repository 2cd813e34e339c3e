//! The facts of a GGUF file's header: sizes for memory figures, and the tokenizer's fields.

use candle_core::quantized::{
    GgmlDType,
    gguf_file::{Content, Value},
};
use kith_engine::EngineError;
use std::{fs::File, io::BufReader, path::Path};

/// mistral.rs grows a sequence's cache by this many tokens at a time.
pub(crate) const CACHE_STEP: u64 = 512;

/// The window mistral.rs assumes for a file that names none.
const DEFAULT_CONTEXT: u64 = 4096;

/// Bytes that one vocabulary entry costs in tokenizers and token tries, ours and mistral.rs's, as measured.
const VOCABULARY_ENTRY: u64 = 3072;

/// Bytes that a vocabulary of so many entries costs in memory.
pub(crate) fn vocabulary_bytes(entries: usize) -> u64 {
    (entries as u64).saturating_mul(VOCABULARY_ENTRY)
}

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// Tokens in the longest window that mistral.rs can really fill.
    pub(crate) context: u32,
    /// Numbers that one token leaves in the key-value cache, over all layers.
    pub(crate) cache_numbers: u64,
    /// Bytes of everything that is held as long as the model is loaded.
    pub(crate) weights: u64,
    /// The tokenizer's fields.
    pub(crate) tokenizer: TokenizerFields,
}

/// The `tokenizer.ggml` fields as they stand in the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TokenizerFields {
    pub(crate) model: String,
    pub(crate) pre: Option<String>,
    pub(crate) tokens: Vec<String>,
    pub(crate) kinds: Vec<i64>,
    pub(crate) scores: Vec<f32>,
    pub(crate) merges: Vec<String>,
    pub(crate) bos: Option<u32>,
    pub(crate) unknown: Option<u32>,
    /// The tokens that end an answer, as the file numbers them: end of text, of turn, of message.
    pub(crate) ends: Vec<u32>,
    pub(crate) add_bos: Option<bool>,
    pub(crate) add_space_prefix: Option<bool>,
}

impl Header {
    /// Reads the header of the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, EngineError> {
        let file =
            File::open(path).map_err(|error| EngineError::UnsupportedModel(format!("cannot open the model file: {error}")))?;
        let content = Content::read(&mut BufReader::new(file))
            .map_err(|error| EngineError::UnsupportedModel(format!("cannot read the model file: {error}")))?;
        Self::of(&content)
    }

    fn of(content: &Content) -> Result<Self, EngineError> {
        let fields = Fields(content);
        let architecture = fields.text("general.architecture").ok_or_else(|| missing("general.architecture"))?;
        let number = |name: &str| fields.number(&format!("{architecture}.{name}"));
        let needed = |name: &str| number(name).ok_or_else(|| missing(name));
        let layers = needed("block_count")?;
        let heads = needed("attention.head_count")?.max(1);
        let embedding = needed("embedding_length")?;
        let cache_heads = number("attention.head_count_kv").unwrap_or(heads);
        let key = number("attention.key_length").unwrap_or(embedding / heads);
        let value = number("attention.value_length").unwrap_or(embedding / heads);
        let context = number("context_length").unwrap_or(DEFAULT_CONTEXT);
        // The cache grows in whole steps and must not grow past the window: the rest of a window that is no multiple cannot be used.
        let usable = if context > CACHE_STEP { context / CACHE_STEP * CACHE_STEP } else { context };
        let rotary = number("rope.dimension_count").unwrap_or(key);
        let tokenizer = TokenizerFields::of(&fields);
        // Cosines and sines for every place of the window, half the rotated dimensions each, as f32.
        let rotary_tables = context.saturating_mul(rotary).saturating_mul(4);
        let vocabulary = vocabulary_bytes(tokenizer.tokens.len());
        Ok(Self {
            context: u32::try_from(usable).unwrap_or(u32::MAX),
            cache_numbers: layers.saturating_mul(cache_heads).saturating_mul(key.saturating_add(value)),
            weights: tensors(content).saturating_add(rotary_tables).saturating_add(vocabulary),
            tokenizer,
        })
    }
}

/// Bytes of the tensors as mistral.rs keeps them: quantised ones as they are, half precision ones widened to f32, and the embedding
/// table as f32, beside its quantised form if that is the output layer too.
fn tensors(content: &Content) -> u64 {
    let tied = !content.tensor_infos.contains_key("output.weight");
    content
        .tensor_infos
        .iter()
        .map(|(name, info)| {
            let count = info.shape.elem_count() as u64;
            let wide = count.saturating_mul(4);
            let kept = match info.ggml_dtype {
                GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => wide,
                kind => count / kind.block_size() as u64 * kind.type_size() as u64,
            };
            match (name == "token_embd.weight", tied) {
                (true, true) => wide.saturating_add(kept),
                (true, false) => wide,
                (false, _) => kept,
            }
        })
        .fold(0, u64::saturating_add)
}

impl TokenizerFields {
    fn of(fields: &Fields<'_>) -> Self {
        let id = |name: &str| fields.number(&format!("tokenizer.ggml.{name}")).and_then(|id| u32::try_from(id).ok());
        Self {
            model: fields.text("tokenizer.ggml.model").unwrap_or_default(),
            pre: fields.text("tokenizer.ggml.pre"),
            tokens: fields.list("tokenizer.ggml.tokens", |value| value.to_string().cloned().ok()),
            kinds: fields.list("tokenizer.ggml.token_type", whole),
            scores: fields.list("tokenizer.ggml.scores", |value| value.to_f32().ok()),
            merges: fields.list("tokenizer.ggml.merges", |value| value.to_string().cloned().ok()),
            bos: id("bos_token_id"),
            unknown: id("unknown_token_id"),
            ends: ["eos_token_id", "eot_token_id", "eom_token_id"].into_iter().filter_map(id).collect(),
            add_bos: fields.flag("tokenizer.ggml.add_bos_token"),
            add_space_prefix: fields.flag("tokenizer.ggml.add_space_prefix"),
        }
    }
}

/// The header's key-value pairs, read without trusting their types.
pub(crate) struct Fields<'a>(pub(crate) &'a Content);

impl Fields<'_> {
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.metadata.get(name)?.to_string().ok().cloned()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        u64::try_from(whole(self.0.metadata.get(name)?)?).ok()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.0.metadata.get(name)?.to_bool().ok()
    }

    /// All elements, or none if one has another type.
    pub(crate) fn list<T>(&self, name: &str, element: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        let values = self.0.metadata.get(name).and_then(|value| value.to_vec().ok());
        values.and_then(|values| values.iter().map(element).collect()).unwrap_or_default()
    }
}

/// A whole number of whatever width.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::U8(n) => Some(i64::from(*n)),
        Value::I8(n) => Some(i64::from(*n)),
        Value::U16(n) => Some(i64::from(*n)),
        Value::I16(n) => Some(i64::from(*n)),
        Value::U32(n) => Some(i64::from(*n)),
        Value::I32(n) => Some(i64::from(*n)),
        Value::U64(n) => i64::try_from(*n).ok(),
        Value::I64(n) => Some(*n),
        _ => None,
    }
}

pub(crate) fn missing(name: &str) -> EngineError {
    EngineError::UnsupportedModel(format!("the model file does not say its {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::{QTensor, gguf_file};
    use candle_core::{Device, Tensor};
    use std::io::Cursor;

    fn written(metadata: &[(&str, Value)]) -> Content {
        let table = Tensor::zeros((32, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
        let table = QTensor::quantize(&table, GgmlDType::Q4_0).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(name, value)| (*name, value)).collect();
        gguf_file::write(&mut bytes, &metadata, &[("token_embd.weight", &table)]).unwrap();
        bytes.set_position(0);
        Content::read(&mut bytes).unwrap()
    }

    fn llama(context: u32) -> Vec<(&'static str, Value)> {
        vec![
            ("general.architecture", Value::String("llama".into())),
            ("llama.block_count", Value::U32(2)),
            ("llama.attention.head_count", Value::U32(4)),
            ("llama.attention.head_count_kv", Value::U32(2)),
            ("llama.embedding_length", Value::U32(64)),
            ("llama.context_length", Value::U32(context)),
            ("llama.rope.dimension_count", Value::U64(16)),
        ]
    }

    #[test]
    fn cache_and_weights_are_as_computed_by_hand() {
        let header = Header::of(&written(&llama(1024))).unwrap();
        // 2 layers x 2 heads x (16 + 16) numbers.
        assert_eq!(header.cache_numbers, 128);
        // The table as f32, the same as Q4_0 (18 bytes for 32 numbers) for the output, rotary tables for 1024 places.
        assert_eq!(header.weights, 32 * 64 * 4 + 32 * 64 / 32 * 18 + 1024 * 16 * 4);
    }

    #[test]
    fn a_window_that_is_no_multiple_of_the_cache_step_is_rounded_down() {
        assert_eq!(Header::of(&written(&llama(2000))).unwrap().context, 1536);
        assert_eq!(Header::of(&written(&llama(300))).unwrap().context, 300);
    }

    #[test]
    fn a_file_without_what_is_needed_is_refused_by_name() {
        let error = Header::of(&written(&llama(1024)[..3])).unwrap_err();
        assert_eq!(error, EngineError::UnsupportedModel("the model file does not say its embedding_length".into()));
    }

    #[test]
    fn a_file_that_is_no_gguf_is_refused() {
        assert!(matches!(Header::read(Path::new("Cargo.toml")), Err(EngineError::UnsupportedModel(_))));
        assert!(matches!(Header::read(Path::new("no/such/file")), Err(EngineError::UnsupportedModel(_))));
    }
}
