//! What the library keeps of a file's header beside the model's name, so that listing models opens no file.

use crate::gguf::{Gguf, GgufError};
use serde::{Deserialize, Serialize};

/// The longest text kept of a header, in bytes. Chat templates of known models stay under 32 KiB.
pub(crate) const MAX_TEXT: usize = 256 << 10;
/// The longest name of an architecture, in bytes.
const MAX_ARCHITECTURE: usize = 64;

/// What a model's file says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// `llama`, `qwen2`, …: what Ollama calls the family.
    pub architecture: String,
    /// The model's name by its makers.
    pub title: Option<String>,
    /// Weights.
    pub parameter_count: u64,
    /// The same for people: `135M`, `7.6B`.
    pub parameter_size: String,
    /// How the weights are stored: `Q4_K_M`.
    pub quantization: String,
    /// Tokens that the model was trained to attend to.
    pub context_length: u32,
    /// The width of the stream between layers.
    pub embedding_length: Option<u64>,
    /// Layers.
    pub block_count: Option<u64>,
    /// Attention heads.
    pub head_count: Option<u64>,
    /// Attention heads with keys and values of their own.
    pub head_count_kv: Option<u64>,
    /// The width of one head's key.
    pub key_length: Option<u64>,
    /// The width of one head's value.
    pub value_length: Option<u64>,
    /// Entries of the vocabulary.
    pub vocabulary_size: Option<u64>,
    /// What it can do, in Ollama's words: `completion`, `tools`, `insert`, `vision`, `embedding`, `thinking`.
    pub capabilities: Vec<String>,
    /// The file's own chat template, in Jinja.
    pub chat_template: Option<String>,
    /// The opening token's text.
    pub bos_token: Option<String>,
    /// The text of the token that ends an answer.
    pub eos_token: Option<String>,
    /// The opening token's id.
    pub bos_id: Option<u64>,
    /// The id of the token that ends an answer.
    pub eos_id: Option<u64>,
    /// Whether the opening token goes before every prompt.
    pub add_bos: bool,
    /// The licence, as the file names it.
    pub license: Option<String>,
}

impl Details {
    /// Gathers them from a header.
    ///
    /// # Errors
    /// [`GgufError::Refused`] if the file is not one whole language model: a vocabulary, an adapter, a projector, a part.
    pub fn of(gguf: &Gguf) -> Result<Self, GgufError> {
        let refused = |sentence: &str| Err(GgufError::Refused(sentence.to_owned()));
        let text = |key: &str| gguf.get(key).and_then(|value| value.as_str());
        let number = |key: &str| gguf.get(key).and_then(|value| value.as_u64());
        let Some(architecture) = gguf.architecture().filter(|name| !name.is_empty()) else {
            return refused("the file does not name the model's architecture");
        };
        if architecture.len() > MAX_ARCHITECTURE || !architecture.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refused("the file's name for the model's architecture is not a word");
        }
        if architecture == "clip" || text("general.type") == Some("mmproj") {
            return refused("the file is the image projector of a model, not a model of its own");
        }
        match text("general.type") {
            None | Some("model") => {}
            Some("adapter") => return refused("the file is an adapter (LoRA) to a model, not a model of its own"),
            Some(_) => return refused("the file accompanies a model and is not a model of its own"),
        }
        if number("split.count").is_some_and(|count| count > 1) {
            return refused("the file is one part of a split model: join the parts with `llama-gguf-split --merge` first");
        }
        if gguf.tensors.is_empty() {
            return refused("the file holds no weights");
        }
        let Some(context_length) = gguf.context_length().filter(|length| *length > 0) else {
            return refused("the file does not say how long a context the model attends to");
        };
        for (key, value) in &gguf.metadata {
            let kept = KEPT.contains(&key.as_str());
            if kept && value.as_str().is_some_and(|text| text.len() > MAX_TEXT) {
                return refused(&format!("the text under `{key}` is longer than {MAX_TEXT} bytes"));
            }
        }
        let token = |text: Option<&str>| text.filter(|text| text.len() <= MAX_TEXT).map(str::to_owned);
        let parameter_count = gguf.parameter_count();
        Ok(Self {
            architecture: architecture.to_owned(),
            title: gguf.name().map(str::to_owned),
            parameter_count,
            parameter_size: for_people(parameter_count),
            quantization: gguf.quantization().unwrap_or("unknown").to_owned(),
            context_length: u32::try_from(context_length).unwrap_or(u32::MAX),
            embedding_length: gguf.embedding_length(),
            block_count: gguf.block_count(),
            head_count: gguf.head_count(),
            head_count_kv: gguf.head_count_kv(),
            key_length: gguf.key_length(),
            value_length: gguf.value_length(),
            vocabulary_size: gguf.vocabulary_size(),
            capabilities: capabilities(gguf).into_iter().map(str::to_owned).collect(),
            chat_template: gguf.chat_template().map(str::to_owned),
            bos_token: token(gguf.bos_token()),
            eos_token: token(gguf.eos_token()),
            bos_id: gguf.bos_id(),
            eos_id: gguf.eos_id(),
            add_bos: gguf.add_bos(),
            license: text("general.license").map(str::to_owned),
        })
    }
}

impl Details {
    /// Takes `template` in place of the file's own for what depends on it: whether tools and reasoning can be shown.
    pub(crate) fn follow(&mut self, template: &str) {
        if self.capabilities.iter().any(|capability| capability == "embedding") {
            return;
        }
        self.capabilities.retain(|capability| !matches!(capability.as_str(), "tools" | "thinking"));
        let found = [("tools", speaks_of_tools(template)), ("thinking", speaks_of_reasoning(template))];
        self.capabilities.extend(found.into_iter().filter(|(_, found)| *found).map(|(word, _)| word.to_owned()));
    }
}

fn speaks_of_tools(template: &str) -> bool {
    ["tools", "tool_calls"].iter().any(|word| template.contains(word))
}

fn speaks_of_reasoning(template: &str) -> bool {
    ["<think>", "enable_thinking", "reasoning_content"].iter().any(|word| template.contains(word))
}

/// The texts that are kept, and so bounded.
const KEPT: [&str; 3] = ["general.name", "general.license", "tokenizer.chat_template"];

/// What a model can do, as far as its header shows it.
fn capabilities(gguf: &Gguf) -> Vec<&'static str> {
    // Encoders say how their outputs are pooled into one; models that write answers do not.
    if gguf.of_architecture("pooling_type").is_some() || gguf.architecture() == Some("bert") {
        return vec!["embedding"];
    }
    let mut found = vec!["completion"];
    let template = gguf.chat_template().unwrap_or_default();
    if speaks_of_tools(template) {
        found.push("tools");
    }
    let has = |keys: &[&str]| keys.iter().any(|key| gguf.get(key).is_some());
    // Fill-in-the-middle needs the token before and the one after the gap; older files name them otherwise.
    if has(&["tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"])
        && has(&["tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"])
    {
        found.push("insert");
    }
    if gguf.of_architecture("vision.block_count").is_some() {
        found.push("vision");
    }
    if speaks_of_reasoning(template) {
        found.push("thinking");
    }
    found
}

/// `135M`, `7.6B`: a count in the largest unit it reaches; billions with one decimal unless it is zero.
pub(crate) fn for_people(count: u64) -> String {
    // Tenths of the unit, rounded to the nearest.
    let tenths = |unit: u64| (count / (unit / 10)).saturating_add(u64::from(count % (unit / 10) >= unit / 20));
    let whole = |unit: u64| (count / unit).saturating_add(u64::from(count % unit >= unit / 2));
    // The limits lie where rounding reaches the next unit.
    match count {
        999_500_000.. => {
            let tenths = tenths(1_000_000_000);
            if tenths.is_multiple_of(10) { format!("{}B", tenths / 10) } else { format!("{}.{}B", tenths / 10, tenths % 10) }
        }
        999_500.. => format!("{}M", whole(1_000_000)),
        1_000.. => format!("{}K", whole(1_000)),
        count => count.to_string(),
    }
}

#[cfg(test)]
mod tests;
