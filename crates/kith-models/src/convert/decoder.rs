//! The shape of a decoder in a folder of safetensors: a row of the table for each family, and the keys its GGUF file has.
//!
//! Names of the folder's fields: the `transformers` library; of keys and tensors: llama.cpp, `gguf-py/gguf/constants.py`.

use super::{header::Header, json, refused, text};
use crate::ModelError;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// The most layers of a decoder. The largest known have 126.
const MAX_LAYERS: u64 = 512;

/// What sets one family of decoders apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// `model_type` in config.json.
    kind: &'static str,
    /// `general.architecture` of its GGUF files.
    pub(super) architecture: &'static str,
    /// Whether the rows of queries and keys are reordered: the file rotates neighbouring numbers, the folder halves of a head.
    pub(super) reorders: bool,
    /// Whether queries, keys and values have biases.
    pub(super) biases: bool,
    /// Whether queries and keys are normalised, head by head.
    pub(super) norms: bool,
    /// Whether queries, keys and values are one tensor, and the gate is one with the upward projection.
    pub(super) fused: bool,
}

const PLAIN: Family = Family { kind: "", architecture: "", reorders: false, biases: false, norms: false, fused: false };
const FAMILIES: [Family; 5] = [
    Family { kind: "llama", architecture: "llama", reorders: true, ..PLAIN },
    // GGUF files of Mistral's dense models are of llama's architecture.
    Family { kind: "mistral", architecture: "llama", reorders: true, ..PLAIN },
    Family { kind: "qwen2", architecture: "qwen2", biases: true, ..PLAIN },
    Family { kind: "qwen3", architecture: "qwen3", norms: true, ..PLAIN },
    Family { kind: "phi3", architecture: "phi3", fused: true, ..PLAIN },
];

/// `config.json`, as far as it matters.
#[derive(Debug, Deserialize)]
struct File {
    hidden_size: u64,
    intermediate_size: u64,
    num_hidden_layers: u64,
    num_attention_heads: u64,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    max_position_embeddings: u64,
    vocab_size: u64,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Value>,
    /// The newer place of the two before.
    rope_parameters: Option<Value>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    partial_rotary_factor: Option<f64>,
    hidden_act: Option<String>,
    #[serde(default)]
    use_sliding_window: bool,
}

/// How the angles of the rotary embedding are stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stretch {
    None,
    Linear(f32),
    /// By wavelength, as Llama 3.1 does: factor, low and high frequency factors, the original window.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
}

/// What is known of a decoder beside its tensors and its vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decoder {
    pub(super) family: Family,
    pub(super) width: u64,
    pub(super) inner: u64,
    pub(super) layers: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    pub(super) head: u64,
    pub(super) vocabulary: u64,
    pub(super) tied: bool,
    window: u64,
    epsilon: f32,
    theta: f64,
    stretch: Stretch,
    template: Option<String>,
}

impl Decoder {
    /// Reads the folder's small files. `kind` is the `model_type` its config.json gives.
    pub(super) fn read(folder: &Path, kind: &str) -> Result<Self, ModelError> {
        let Some(family) = FAMILIES.into_iter().find(|family| family.kind == kind) else {
            let known = FAMILIES.map(|family| family.kind).join(", ");
            return refused(format!(
                "the folder holds a {kind} model; of folders, these are read: bert, {known}. Import others as GGUF"
            ));
        };
        let Some(file) = json::<File>(&folder.join("config.json"))? else { return refused("the folder has no config.json") };
        file.check()?;
        let rope = file.rope_parameters.as_ref().or(file.rope_scaling.as_ref());
        let theta = file.rope_theta.or_else(|| file.rope_parameters.as_ref()?.get("rope_theta")?.as_f64()).unwrap_or(10_000.0);
        let head = file.head_dim.unwrap_or(file.hidden_size / file.num_attention_heads);
        if head == 0 || head % 2 != 0 || head > 4096 {
            return refused(format!("config.json gives heads of {head} numbers"));
        }
        Ok(Self {
            family,
            width: file.hidden_size,
            inner: file.intermediate_size,
            layers: file.num_hidden_layers,
            heads: file.num_attention_heads,
            kv_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
            head,
            vocabulary: file.vocab_size,
            tied: file.tie_word_embeddings,
            window: file.max_position_embeddings,
            epsilon: file.rms_norm_eps as f32,
            theta,
            stretch: stretch(rope, file.max_position_embeddings)?,
            template: template(folder)?,
        })
    }

    /// Writes the keys. `file_type` is the storage of most of the weights (`enum llama_ftype` in `llama.h`).
    pub(super) fn write(&self, header: &mut Header, file_type: u32) {
        // Checked when the file was read.
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let architecture = self.family.architecture;
        let key = |name: &str| format!("{architecture}.{name}");
        header.text("general.architecture", architecture);
        header.text("general.type", "model");
        header.number("general.file_type", file_type);
        header.number(&key("context_length"), number(self.window));
        header.number(&key("embedding_length"), number(self.width));
        header.number(&key("feed_forward_length"), number(self.inner));
        header.number(&key("block_count"), number(self.layers));
        header.number(&key("attention.head_count"), number(self.heads));
        header.number(&key("attention.head_count_kv"), number(self.kv_heads));
        header.number(&key("attention.key_length"), number(self.head));
        header.number(&key("attention.value_length"), number(self.head));
        header.number(&key("rope.dimension_count"), number(self.head));
        header.number(&key("vocab_size"), number(self.vocabulary));
        header.fraction(&key("attention.layer_norm_rms_epsilon"), self.epsilon);
        header.fraction(&key("rope.freq_base"), self.theta as f32);
        if let Stretch::Linear(factor) = self.stretch {
            header.text(&key("rope.scaling.type"), "linear");
            header.fraction(&key("rope.scaling.factor"), factor);
        }
        if let Some(template) = &self.template {
            header.text("tokenizer.chat_template", template);
        }
    }

    /// By what each frequency of the rotary embedding is divided, where that differs from frequency to frequency: the tensor
    /// `rope_freqs.weight`. The formula is that of `_compute_llama3_parameters` in `transformers/modeling_rope_utils.py`.
    pub(super) fn frequency_factors(&self) -> Option<Vec<f32>> {
        let Stretch::Llama3 { factor, low, high, original } = self.stretch else { return None };
        let of = |at: u64| {
            let frequency = self.theta.powf(-((2 * at) as f64) / self.head as f64);
            let length = std::f64::consts::TAU / frequency;
            if length < original / high {
                1.0
            } else if length > original / low {
                factor
            } else {
                let smooth = (original / length - low) / (high - low);
                1.0 / ((1.0 - smooth) / factor + smooth)
            }
        };
        Some((0..self.head / 2).map(|at| of(at) as f32).collect())
    }
}

impl File {
    fn check(&self) -> Result<(), ModelError> {
        let kv = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        let sizes = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", kv),
            ("max_position_embeddings", self.max_position_embeddings),
            ("vocab_size", self.vocab_size),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > u64::from(u32::MAX)) {
            return refused(format!("config.json gives {size} as `{name}`"));
        }
        if self.num_hidden_layers > MAX_LAYERS {
            return refused(format!("config.json gives {} layers; at most {MAX_LAYERS} are read", self.num_hidden_layers));
        }
        let even = self.num_attention_heads.is_multiple_of(kv)
            && (self.head_dim.is_some() || self.hidden_size.is_multiple_of(self.num_attention_heads));
        if !even {
            return refused("config.json gives numbers of heads that do not divide each other or the width");
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            return refused(format!("config.json gives {} as `rms_norm_eps`", self.rms_norm_eps));
        }
        let unknown = [
            ("attention_bias", self.attention_bias),
            ("mlp_bias", self.mlp_bias),
            ("use_sliding_window", self.use_sliding_window),
            ("partial_rotary_factor", self.partial_rotary_factor.is_some_and(|factor| factor != 1.0)),
            ("hidden_act", self.hidden_act.as_deref().is_some_and(|act| act != "silu")),
        ];
        match unknown.iter().find(|(_, set)| *set) {
            Some((name, _)) => refused(format!("config.json sets `{name}` in a way that is not known; import the model as GGUF")),
            None => Ok(()),
        }
    }
}

fn stretch(rope: Option<&Value>, window: u64) -> Result<Stretch, ModelError> {
    let Some(rope) = rope.filter(|rope| !rope.is_null()) else { return Ok(Stretch::None) };
    let number = |name: &str| rope.get(name).and_then(Value::as_f64).filter(|number| number.is_finite() && *number > 0.0);
    let kind = rope.get("rope_type").or_else(|| rope.get("type")).and_then(Value::as_str).unwrap_or("default");
    let known = match kind {
        "default" => Some(Stretch::None),
        "linear" => number("factor").map(|factor| Stretch::Linear(factor as f32)),
        "llama3" => (|| {
            let (factor, low, high) = (number("factor")?, number("low_freq_factor")?, number("high_freq_factor")?);
            let original = number("original_max_position_embeddings").unwrap_or(window as f64);
            (high > low).then_some(Stretch::Llama3 { factor, low, high, original })
        })(),
        _ => None,
    };
    match known {
        Some(stretch) => Ok(stretch),
        None => refused(format!("config.json stretches the rotary embedding by `{kind}` in a way that is not known")),
    }
}

/// The chat template: from a file of its own, or from tokenizer_config.json, where it may be one of several.
fn template(folder: &Path) -> Result<Option<String>, ModelError> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
        template: String,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Template {
        One(String),
        Several(Vec<Named>),
    }
    #[derive(Deserialize)]
    struct Settings {
        chat_template: Option<Template>,
    }
    if let Some(template) = text(&folder.join("chat_template.jinja"))? {
        return Ok(Some(template));
    }
    let settings = json::<Settings>(&folder.join("tokenizer_config.json"))?;
    Ok(match settings.and_then(|settings| settings.chat_template) {
        Some(Template::One(template)) => Some(template),
        Some(Template::Several(list)) => list.into_iter().find(|named| named.name == "default").map(|named| named.template),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    fn decoder(config: Value) -> Result<Decoder, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        let mut all = value!({"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 8192, "vocab_size": 300, "rms_norm_eps": 1e-5});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        std::fs::write(folder.path().join("config.json"), all.to_string()).unwrap();
        Decoder::read(folder.path(), all["model_type"].as_str().unwrap_or("llama"))
    }

    #[test]
    fn sizes_and_families_are_read() {
        let llama = decoder(value!({"rope_theta": 500000.0, "tie_word_embeddings": true})).unwrap();
        assert_eq!((llama.head, llama.kv_heads, llama.tied, llama.family.reorders), (16, 2, true, true));
        assert_eq!(decoder(value!({"model_type": "qwen3", "head_dim": 32})).unwrap().head, 32);
        assert!(decoder(value!({"model_type": "qwen2"})).unwrap().family.biases);
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_passed_over() {
        for config in [
            value!({"model_type": "mamba"}),
            value!({"num_attention_heads": 0}),
            value!({"num_attention_heads": 5}),
            value!({"num_key_value_heads": 3}),
            value!({"num_hidden_layers": 100_000}),
            value!({"rms_norm_eps": 0.0}),
            value!({"attention_bias": true}),
            value!({"hidden_act": "relu"}),
            value!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
            value!({"rope_scaling": {"rope_type": "linear", "factor": -1.0}}),
        ] {
            assert!(matches!(decoder(config.clone()), Err(ModelError::BadFile { .. })), "{config}");
        }
    }

    #[test]
    fn long_wavelengths_are_stretched_by_the_whole_factor_and_short_ones_not_at_all() {
        let scaling = value!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192});
        let llama = decoder(value!({"rope_theta": 500000.0, "head_dim": 128, "rope_scaling": scaling})).unwrap();
        let factors = llama.frequency_factors().unwrap();
        assert_eq!(factors.len(), 64);
        assert_eq!((factors[0], factors[63]), (1.0, 8.0));
        assert!(factors.windows(2).all(|two| two[0] <= two[1]), "{factors:?}");
        assert!(factors.iter().any(|factor| *factor > 1.0 && *factor < 8.0));
        assert_eq!(decoder(value!({})).unwrap().frequency_factors(), None);
    }
}
