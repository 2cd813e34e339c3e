//! The shape of an encoder and how its outputs become one vector, from the folder's small files.

use super::{header::Header, json, refused, tensors::Moved, text};
use crate::{ModelError, gguf::GgmlType};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Component, Path};

/// The most layers of an encoder. The largest known have 48.
const MAX_LAYERS: u64 = 512;
/// The longest licence name taken from a model card, in bytes.
const MAX_LICENSE: usize = 64;

/// `pooling_type` of GGUF files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    Mean = 1,
    First = 2,
    Last = 3,
}

/// `config.json`, as far as it matters.
#[derive(Debug, Deserialize)]
struct File {
    model_type: Option<String>,
    hidden_size: u64,
    intermediate_size: u64,
    num_hidden_layers: u64,
    num_attention_heads: u64,
    max_position_embeddings: u64,
    vocab_size: u64,
    #[serde(default = "two")]
    type_vocab_size: u64,
    #[serde(default = "usual_epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    add_cross_attention: bool,
}

// The defaults of the `transformers` library's BertConfig.
fn two() -> u64 {
    2
}
fn usual_epsilon() -> f64 {
    1e-12
}
fn gelu() -> String {
    "gelu".to_owned()
}

/// One entry of `modules.json`.
#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `sentence_bert_config.json`.
#[derive(Debug, Default, Deserialize)]
struct Sentences {
    max_seq_length: Option<u64>,
}

/// What is known of an encoder beside its tensors and its vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub(super) hidden_size: u64,
    pub(super) intermediate_size: u64,
    pub(super) num_hidden_layers: u64,
    pub(super) max_position_embeddings: u64,
    pub(super) vocab_size: u64,
    pub(super) type_vocab_size: u64,
    heads: u64,
    epsilon: f32,
    window: u64,
    pooling: Pooling,
    unit: bool,
    license: Option<String>,
}

impl Config {
    /// Reads the folder's small files.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let Some(file) = json::<File>(&folder.join("config.json"))? else {
            return refused(format!("{} has no config.json: it is no folder of a model", folder.display()));
        };
        file.check()?;
        let sentences: Sentences = json(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
        let window = sentences.max_seq_length.filter(|length| *length > 0);
        let (pooling, unit) = pooling(folder)?;
        Ok(Self {
            hidden_size: file.hidden_size,
            intermediate_size: file.intermediate_size,
            num_hidden_layers: file.num_hidden_layers,
            max_position_embeddings: file.max_position_embeddings,
            vocab_size: file.vocab_size,
            type_vocab_size: file.type_vocab_size,
            heads: file.num_attention_heads,
            epsilon: file.layer_norm_eps as f32,
            window: window.unwrap_or(u64::MAX).min(file.max_position_embeddings),
            pooling,
            unit,
            license: text(&folder.join("README.md"))?.as_deref().and_then(license),
        })
    }

    /// Writes the keys.
    pub(super) fn write(&self, header: &mut Header, tensors: &[Moved]) {
        // Checked when the file was read: none exceeds the bounds of its own tensors.
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        header.text("general.architecture", "bert");
        header.text("general.type", "model");
        if let Some(license) = &self.license {
            header.text("general.license", license);
        }
        header.number("general.file_type", file_type(tensors));
        header.number("bert.context_length", number(self.window));
        header.number("bert.embedding_length", number(self.hidden_size));
        header.number("bert.feed_forward_length", number(self.intermediate_size));
        header.number("bert.block_count", number(self.num_hidden_layers));
        header.number("bert.attention.head_count", number(self.heads));
        header.fraction("bert.attention.layer_norm_epsilon", self.epsilon);
        header.flag("bert.attention.causal", false);
        header.number("bert.pooling_type", self.pooling as u32);
        header.flag("bert.normalize_embeddings", self.unit);
        header.number("tokenizer.ggml.token_type_count", number(self.type_vocab_size));
    }
}

impl File {
    fn check(&self) -> Result<(), ModelError> {
        let kind = self.model_type.as_deref().unwrap_or("bert");
        if kind != "bert" {
            return refused(format!("the folder holds a {kind} model; not a BERT encoder"));
        }
        if self.is_decoder || self.add_cross_attention {
            return refused("the folder holds a BERT decoder, not an encoder");
        }
        if self.hidden_act != "gelu" {
            return refused(format!("the encoder's activation is {}; only gelu is known", self.hidden_act));
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return refused(format!("the encoder's position embeddings are {kind}; only absolute ones are known"));
        }
        let sizes = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
            ("vocab_size", self.vocab_size),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > u64::from(u32::MAX)) {
            return refused(format!("config.json gives {size} as `{name}`"));
        }
        if self.num_hidden_layers > MAX_LAYERS {
            return refused(format!("config.json gives {} layers; at most {MAX_LAYERS} are read", self.num_hidden_layers));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return refused(format!(
                "{} attention heads do not divide a width of {}",
                self.num_attention_heads, self.hidden_size
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return refused(format!("config.json gives {} as `layer_norm_eps`", self.layer_norm_eps));
        }
        Ok(())
    }
}

/// How outputs are pooled, and whether vectors are scaled to length 1: by the modules that the folder lists, else the mean, scaled.
fn pooling(folder: &Path) -> Result<(Pooling, bool), ModelError> {
    let Some(modules) = json::<Vec<Module>>(&folder.join("modules.json"))? else {
        let pooling = pooling_of(&folder.join("1_Pooling"))?;
        return Ok((pooling.unwrap_or(Pooling::Mean), true));
    };
    let (mut pooling, mut unit) = (Pooling::Mean, false);
    for module in modules {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" if module.path.is_empty() => {}
            "Transformer" => {
                return refused("modules.json places the encoder in a folder of its own: import that folder's parent flattened");
            }
            "Pooling" => pooling = pooling_of(&folder.join(plain(&module.path)?))?.unwrap_or(Pooling::Mean),
            "Normalize" => unit = true,
            other => return refused(format!("modules.json names a module `{other}`, which is not known")),
        }
    }
    Ok((pooling, unit))
}

/// A module's folder: a name, never a way out of the model's folder.
pub(super) fn plain(path: &str) -> Result<&str, ModelError> {
    let mut parts = Path::new(path).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(path),
        _ => refused(format!("`{path}` does not lie directly in the model's folder")),
    }
}

fn pooling_of(folder: &Path) -> Result<Option<Pooling>, ModelError> {
    let Some(file) = json::<serde_json::Map<String, Value>>(&folder.join("config.json"))? else { return Ok(None) };
    let old =
        file.iter().filter(|(_, value)| **value == Value::Bool(true)).filter_map(|(key, _)| key.strip_prefix("pooling_mode_"));
    let mut modes: Vec<&str> = old.collect();
    // The newer files name the mode in one word.
    modes.extend(file.get("pooling_mode").and_then(Value::as_str));
    match modes.as_slice() {
        [] | ["mean_tokens" | "mean"] => Ok(Some(Pooling::Mean)),
        ["cls_token" | "cls"] => Ok(Some(Pooling::First)),
        ["lasttoken"] => Ok(Some(Pooling::Last)),
        modes => {
            refused(format!("the encoder pools its outputs by {}; only mean, cls and lasttoken are known", modes.join(" and ")))
        }
    }
}

/// `general.file_type`: how most of the weights are stored.
fn file_type(tensors: &[Moved]) -> u32 {
    let bytes = |kind: GgmlType| tensors.iter().filter(|tensor| tensor.kind == kind).map(|tensor| tensor.bytes).sum::<u64>();
    let kinds = [GgmlType::F32, GgmlType::F16, GgmlType::BF16];
    kinds.into_iter().max_by_key(|kind| bytes(*kind)).map_or(0, file_type_of)
}

/// `general.file_type` of a file whose weights are stored so (`enum llama_ftype` in `llama.h`).
pub(super) fn file_type_of(kind: GgmlType) -> u32 {
    match kind {
        GgmlType::F16 => 1,
        GgmlType::BF16 => 32,
        _ => 0,
    }
}

/// The kind of model that a folder holds: `model_type` of its config.json, which old encoders leave out.
pub(super) fn kind(folder: &Path) -> Result<String, ModelError> {
    #[derive(Deserialize)]
    struct Kind {
        model_type: Option<String>,
    }
    match json::<Kind>(&folder.join("config.json"))? {
        Some(Kind { model_type }) => Ok(model_type.unwrap_or_else(|| "bert".to_owned())),
        None => refused(format!("{} has no config.json: it is no folder of a model", folder.display())),
    }
}

/// The licence that a model card names in the lines between its first two `---`.
fn license(card: &str) -> Option<String> {
    let front = card.strip_prefix("---")?.split("\n---").next()?;
    let named = front.lines().find_map(|line| line.strip_prefix("license:"))?.trim().trim_matches(['"', '\'']);
    let word = !named.is_empty() && named.len() <= MAX_LICENSE && named.bytes().all(|byte| byte.is_ascii_graphic());
    word.then(|| named.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_read_off_the_cards_front() {
        assert_eq!(license("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model").as_deref(), Some("apache-2.0"));
        assert_eq!(license("---\nlanguage: en\n---\nlicense: mit\n"), None);
        assert_eq!(license("# Model\nlicense: mit"), None);
        assert_eq!(license("---\nlicense: two words\n---"), None);
    }

    #[test]
    fn a_modules_folder_lies_in_the_models_folder() {
        assert_eq!(plain("1_Pooling").unwrap(), "1_Pooling");
        for path in ["", "..", "a/b", "/etc", "../x", "."] {
            assert!(plain(path).is_err(), "{path}");
        }
    }
}
