//! What an encoder's header says of its shape.

use crate::header::{Fields, missing};
use candle_core::quantized::gguf_file::Content;
use kith_engine::EngineError;

/// Bytes that one vocabulary entry costs in the tokenizer: the text twice, in a map each way.
const VOCABULARY_ENTRY: u64 = 256;

/// The fewest tokens a window may have: one between those that open and close a text.
pub(super) const LEAST_WINDOW: u32 = 3;

/// How the outputs of all tokens become one vector (`pooling_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first, `[CLS]`.
    First,
    /// The last, `[SEP]`.
    Last,
}

/// An encoder's shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    /// Numbers in a vector.
    pub(super) width: usize,
    /// Layers.
    pub(super) layers: usize,
    /// Attention heads of each layer; they divide the width.
    pub(super) heads: usize,
    /// Numbers in a layer's inner stream.
    pub(super) inner: usize,
    /// Tokens in the longest text.
    pub(super) window: u32,
    /// Keeps layer norms from dividing by zero.
    pub(super) epsilon: f32,
    /// How a text's vector is made.
    pub(super) pooling: Pooling,
    /// Whether vectors are scaled to length 1.
    pub(super) unit: bool,
    /// Bytes that weights and vocabulary take in memory.
    pub(super) weights: u64,
}

impl Config {
    /// Reads it; refuses what the network here would compute otherwise than the model's makers did.
    pub(super) fn of(content: &Content) -> Result<Self, EngineError> {
        let fields = Fields(content);
        let refused = |sentence: String| Err(EngineError::UnsupportedModel(sentence));
        let number = |name: &str| fields.number(&format!("bert.{name}"));
        let needed = |name: &str| {
            let number = number(name).and_then(|number| usize::try_from(number).ok());
            number.filter(|number| *number > 0).ok_or_else(|| missing(&format!("bert.{name}")))
        };
        let (width, heads) = (needed("embedding_length")?, needed("attention.head_count")?);
        if !width.is_multiple_of(heads) {
            return refused(format!("the model's {heads} attention heads do not divide its width of {width}"));
        }
        if fields.flag("bert.attention.causal") == Some(true) {
            return refused("the model attends only backwards, which is not known of encoders of this kind".into());
        }
        let pooling = match number("pooling_type") {
            None | Some(1) => Pooling::Mean,
            Some(2) => Pooling::First,
            Some(3) => Pooling::Last,
            Some(other) => return refused(format!("the model pools its outputs in a way that is not known ({other})")),
        };
        let window = u32::try_from(needed("context_length")?).unwrap_or(u32::MAX);
        let places = content.tensor_infos.get("position_embd.weight").and_then(|info| info.shape.dims().first().copied());
        if places.is_none_or(|places| places < window as usize) {
            return refused(format!("the model claims a window of {window} tokens but knows {} places", places.unwrap_or(0)));
        }
        if window < LEAST_WINDOW {
            return refused(format!("the model's window of {window} tokens holds no text"));
        }
        let epsilon = content.metadata.get("bert.attention.layer_norm_epsilon").and_then(|value| value.to_f32().ok());
        let epsilon = epsilon.ok_or_else(|| missing("bert.attention.layer_norm_epsilon"))?;
        let numbers = content.tensor_infos.values().map(|info| info.shape.elem_count() as u64).fold(0, u64::saturating_add);
        let entries = content.metadata.get("tokenizer.ggml.tokens").and_then(|list| list.to_vec().ok()).map_or(0, Vec::len);
        let vocabulary = (entries as u64).saturating_mul(VOCABULARY_ENTRY);
        Ok(Self {
            width,
            layers: needed("block_count")?,
            heads,
            inner: needed("feed_forward_length")?,
            window,
            epsilon,
            pooling,
            unit: fields.flag("bert.normalize_embeddings").unwrap_or(true),
            // Everything is f32 in memory, however it is stored.
            weights: numbers.saturating_mul(4).saturating_add(vocabulary),
        })
    }
}
