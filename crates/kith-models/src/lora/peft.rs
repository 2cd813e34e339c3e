//! Adapters as PEFT saves them: safetensors with the names of the Transformers library, and a config beside.

use super::{Lora, LoraFormat, Matrix, Pair, Scaling, bad, safetensors, shown};
use crate::ModelError;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs::File, path::Path};

/// Modules within a layer, and GGUF's names for them (llama.cpp, `gguf-py/gguf/tensor_mapping.py`).
const MODULES: [(&str, &str); 14] = [
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.dense", "attn_output"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

/// The fields of `adapter_config.json` that change what an adapter means.
#[derive(Deserialize)]
struct Config {
    peft_type: Option<String>,
    lora_alpha: Option<f32>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f32>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Ways of adapting that are not sums of matrices, or are of transposed ones. Each is refused where it is set.
const OTHER_WAYS: [&str; 9] = [
    "use_dora",
    "fan_in_fan_out",
    "layer_replication",
    "modules_to_save",
    "lora_bias",
    "use_qalora",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
];

/// Reads the text of an `adapter_config.json`.
pub fn scaling(text: &[u8]) -> Result<Scaling, ModelError> {
    let config: Config = match serde_json::from_slice(text) {
        Ok(config) => config,
        Err(error) => return bad(format!("the `adapter_config.json` beside the file cannot be read: {error}")),
    };
    if let Some(kind) = config.peft_type.filter(|kind| !kind.eq_ignore_ascii_case("lora")) {
        return bad(format!("the adapter is of the kind {}, not LoRA", shown(&kind)));
    }
    let set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    };
    if let Some(way) = OTHER_WAYS.iter().find(|way| config.others.get(**way).is_some_and(set)) {
        return bad(format!("the adapter was trained with `{way}`, which cannot be folded into the weights here"));
    }
    if let Some(pattern) = config.alpha_pattern.keys().find(|pattern| !pattern.chars().all(in_name)) {
        return bad(format!("`alpha_pattern` has the expression `{}`; plain names of modules are read", shown(pattern)));
    }
    Ok(Scaling { alpha: config.lora_alpha, alphas: config.alpha_pattern, rank_stabilised: config.use_rslora })
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
}

/// Reads the header of the safetensors file.
pub fn read(file: File, path: &Path, scaling: &Scaling) -> Result<Lora, ModelError> {
    let header = safetensors::read(file)?;
    let told = |key: &str| header.metadata.get(key).and_then(|text| text.trim().parse::<f32>().ok());
    let alpha = scaling.alpha.or_else(|| told("lora_alpha")).or_else(|| told("alpha"));
    let mut modules = BTreeMap::<String, (Option<Matrix>, Option<Matrix>)>::new();
    for tensor in header.tensors {
        let Some((module, is_a)) = half_of(&tensor.name) else {
            return bad(format!("the file holds `{}`, which is not a LoRA matrix", shown(&tensor.name)));
        };
        let [rows, columns] = tensor.shape[..] else {
            return bad(format!("`{}` has {} dimensions; a matrix has two", shown(&tensor.name), tensor.shape.len()));
        };
        let matrix = Matrix { rows, columns, kind: tensor.kind, offset: tensor.offset };
        let pair = modules.entry(module.to_owned()).or_default();
        let side = if is_a { &mut pair.0 } else { &mut pair.1 };
        if side.replace(matrix).is_some() {
            return bad(format!("`{}` occurs under two names", shown(&tensor.name)));
        }
    }
    let pairs = modules.into_iter().map(|(module, matrices)| {
        let (Some(a), Some(b)) = matrices else {
            return bad(format!("one of the two matrices for `{}` is missing", shown(&module)));
        };
        let Some(target) = target(&module) else {
            return bad(format!("the adapter changes `{}`, which is not among the matrices known here", shown(&module)));
        };
        let own = scaling.alphas.iter().find(|(name, _)| module == **name || module.ends_with(&format!(".{name}")));
        let rank = a.rows as f32;
        let alpha = own.map(|(_, alpha)| *alpha).or(alpha).unwrap_or(rank);
        let strength = alpha / if scaling.rank_stabilised { rank.sqrt() } else { rank };
        Ok(Pair { target, a, b, strength })
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    Lora::of(LoraFormat::Safetensors, path, alpha, None, pairs)
}

/// The module a tensor belongs to, without the prefixes that PEFT sets before it, and whether it is the module's A.
fn half_of(name: &str) -> Option<(&str, bool)> {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let name = name.strip_suffix(".weight")?;
    let name = name.strip_suffix(".default").unwrap_or(name);
    match name.strip_suffix(".lora_A") {
        Some(module) => Some((module, true)),
        None => Some((name.strip_suffix(".lora_B")?, false)),
    }
}

/// GGUF's name for the matrix of a module.
fn target(module: &str) -> Option<String> {
    let module = module.strip_prefix("model.").unwrap_or(module);
    if module == "lm_head" {
        return Some("output.weight".to_owned());
    }
    let (layer, rest) = module.strip_prefix("layers.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (_, name) = MODULES.iter().find(|(module, _)| *module == rest)?;
    Some(format!("blk.{layer}.{name}.weight"))
}
