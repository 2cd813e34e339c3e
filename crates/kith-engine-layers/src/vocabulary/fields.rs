//! The `tokenizer.ggml` fields of a file.

use crate::gguf::Gguf;
use std::borrow::Cow;

/// The fields as they stand in the file; its texts stay there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TokenizerFields<'a> {
    pub(crate) model: String,
    pub(crate) pre: Option<String>,
    pub(crate) tokens: Vec<Cow<'a, str>>,
    pub(crate) kinds: Vec<i64>,
    pub(crate) scores: Vec<f32>,
    pub(crate) merges: Vec<Cow<'a, str>>,
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unknown: Option<u32>,
    /// The tokens that end an answer, as the file numbers them: end of text, of turn, of message.
    pub(crate) ends: Vec<u32>,
    pub(crate) add_bos: Option<bool>,
    pub(crate) add_eos: Option<bool>,
    pub(crate) add_space_prefix: Option<bool>,
}

impl<'a> TokenizerFields<'a> {
    pub(crate) fn read(file: &'a Gguf) -> Self {
        let id = |name: &str| file.number(&format!("tokenizer.ggml.{name}")).and_then(|id| u32::try_from(id).ok());
        Self {
            model: file.text("tokenizer.ggml.model").unwrap_or_default(),
            pre: file.text("tokenizer.ggml.pre"),
            tokens: file.texts("tokenizer.ggml.tokens"),
            kinds: file.numbers("tokenizer.ggml.token_type"),
            scores: file.fractions("tokenizer.ggml.scores"),
            merges: file.texts("tokenizer.ggml.merges"),
            bos: id("bos_token_id"),
            eos: id("eos_token_id"),
            unknown: id("unknown_token_id"),
            ends: ["eos_token_id", "eot_token_id", "eom_token_id"].into_iter().filter_map(id).collect(),
            add_bos: file.flag("tokenizer.ggml.add_bos_token"),
            add_eos: file.flag("tokenizer.ggml.add_eos_token"),
            add_space_prefix: file.flag("tokenizer.ggml.add_space_prefix"),
        }
    }
}
