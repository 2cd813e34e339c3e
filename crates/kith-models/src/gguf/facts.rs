//! What a header says of its model: the well-known keys, by the format's names for them.

use super::{Array, Gguf, Value, file_type};
use std::collections::BTreeMap;

/// Pre-tokenisers of BPE vocabularies whose models expect an opening token though the file does not say so (llama.cpp,
/// `llama_vocab::impl::load`).
const OPENED: [&str; 6] = ["llama3", "llama-v3", "llama-bpe", "falcon3", "tekken", "chameleon"];

impl Gguf {
    /// `general.architecture`: `llama`, `qwen2`, ….
    pub fn architecture(&self) -> Option<&str> {
        self.get("general.architecture")?.as_str()
    }

    /// `general.name`.
    pub fn name(&self) -> Option<&str> {
        self.get("general.name")?.as_str()
    }

    /// The value under a key that begins with the architecture's name.
    pub fn of_architecture(&self, key: &str) -> Option<&Value> {
        self.get(&format!("{}.{key}", self.architecture()?))
    }

    /// Tokens that the model was trained to attend to.
    pub fn context_length(&self) -> Option<u64> {
        self.of_architecture("context_length")?.as_u64()
    }

    /// Layers.
    pub fn block_count(&self) -> Option<u64> {
        self.of_architecture("block_count")?.as_u64()
    }

    /// The width of the stream between layers.
    pub fn embedding_length(&self) -> Option<u64> {
        self.of_architecture("embedding_length")?.as_u64()
    }

    /// The width of the layers' inner stream; the largest, where layers differ.
    pub fn feed_forward_length(&self) -> Option<u64> {
        self.largest("feed_forward_length")
    }

    /// Attention heads; the largest number, where layers differ.
    pub fn head_count(&self) -> Option<u64> {
        self.largest("attention.head_count")
    }

    /// Heads with keys and values of their own; the largest number, where layers differ. As many as heads if the file does not say.
    pub fn head_count_kv(&self) -> Option<u64> {
        self.largest("attention.head_count_kv").or_else(|| self.head_count())
    }

    /// The width of one head's key: what the file says, or the stream's width over the heads.
    pub fn key_length(&self) -> Option<u64> {
        self.head_width("attention.key_length")
    }

    /// The width of one head's value: what the file says, or the stream's width over the heads.
    pub fn value_length(&self) -> Option<u64> {
        self.head_width("attention.value_length")
    }

    /// Dimensions that rotary positions turn.
    pub fn rope_dimension_count(&self) -> Option<u64> {
        self.of_architecture("rope.dimension_count")?.as_u64()
    }

    /// The base of rotary positions' frequencies.
    pub fn rope_freq_base(&self) -> Option<f64> {
        self.of_architecture("rope.freq_base")?.as_f64()
    }

    /// How rotary positions are stretched beyond the trained length (`linear`, `yarn`, …), and how far.
    pub fn rope_scaling(&self) -> Option<(&str, Option<f64>)> {
        let kind = self.of_architecture("rope.scaling.type")?.as_str()?;
        Some((kind, self.of_architecture("rope.scaling.factor").and_then(Value::as_f64)))
    }

    /// Entries of the vocabulary.
    pub fn vocabulary_size(&self) -> Option<u64> {
        self.tokens().map(|tokens| tokens.len() as u64).or_else(|| self.of_architecture("vocab_size")?.as_u64())
    }

    /// Elements of all tensors together.
    pub fn parameter_count(&self) -> u64 {
        self.tensors.iter().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.elements()))
    }

    /// The label of the quantisation, `Q4_K_M`: as the file says it, or else the type that most of its bytes are of.
    pub fn quantization(&self) -> Option<&'static str> {
        self.get("general.file_type").and_then(Value::as_u64).and_then(file_type::label).or_else(|| {
            let mut bytes = BTreeMap::<u32, (u64, &'static str)>::new();
            for tensor in &self.tensors {
                let (sum, _) = bytes.entry(tensor.kind.code()).or_insert((0, tensor.kind.as_str()));
                *sum = sum.saturating_add(tensor.bytes());
            }
            bytes.into_values().max_by_key(|(sum, _)| *sum).map(|(_, label)| label)
        })
    }

    /// `tokenizer.chat_template`, in Jinja.
    pub fn chat_template(&self) -> Option<&str> {
        self.get("tokenizer.chat_template")?.as_str()
    }

    /// The id of the opening token.
    pub fn bos_id(&self) -> Option<u64> {
        self.special("tokenizer.ggml.bos_token_id", 1)
    }

    /// The id of the token that ends an answer.
    pub fn eos_id(&self) -> Option<u64> {
        self.special("tokenizer.ggml.eos_token_id", 2)
    }

    /// The text of the opening token.
    pub fn bos_token(&self) -> Option<&str> {
        self.tokens()?.text(self.bos_id()?)
    }

    /// The text of the token that ends an answer.
    pub fn eos_token(&self) -> Option<&str> {
        self.tokens()?.text(self.eos_id()?)
    }

    /// Whether the opening token goes before every prompt: what the file says, or else what its kind of vocabulary means.
    pub fn add_bos(&self) -> bool {
        let pre = || self.get("tokenizer.ggml.pre").and_then(Value::as_str);
        match self.get("tokenizer.ggml.add_bos_token").and_then(Value::as_bool) {
            Some(add) => add,
            None => match self.tokenizer() {
                Some("llama" | "bert") => true,
                Some("gpt2") => pre().is_some_and(|pre| OPENED.contains(&pre)),
                _ => false,
            },
        }
    }

    /// The vocabulary.
    pub fn tokens(&self) -> Option<&Array> {
        self.get("tokenizer.ggml.tokens")?.as_array()
    }

    fn tokenizer(&self) -> Option<&str> {
        self.get("tokenizer.ggml.model")?.as_str()
    }

    /// A special token's id. Only SentencePiece vocabularies have customary ones.
    fn special(&self, key: &str, customary: u64) -> Option<u64> {
        let customary = || (self.tokenizer() == Some("llama")).then_some(customary);
        self.get(key).and_then(Value::as_u64).or_else(customary)
    }

    fn largest(&self, key: &str) -> Option<u64> {
        let value = self.of_architecture(key)?;
        value.as_u64().or_else(|| value.as_array()?.largest())
    }

    fn head_width(&self, key: &str) -> Option<u64> {
        let stated = self.of_architecture(key).and_then(Value::as_u64);
        stated.or_else(|| self.embedding_length()?.checked_div(self.head_count()?))
    }
}
