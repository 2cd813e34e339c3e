//! Which tensors an encoder has, under which names and of which shapes.

use super::{config::Config, refused, safetensors::Safetensors};
use crate::{ModelError, gguf::GgmlType};

/// A tensor on its way from one file into the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// Its name in the GGUF file.
    pub(super) name: String,
    /// Its dimensions, outermost first.
    pub(super) shape: Vec<u64>,
    /// How its numbers are stored.
    pub(super) kind: GgmlType,
    /// Where its bytes begin in the safetensors file.
    pub(super) from: u64,
    /// Their number.
    pub(super) bytes: u64,
}

/// Parts that embeddings do not need: what is trained on top of an encoder, and constants.
const NOT_NEEDED: [&str; 4] = ["pooler.", "cls.", "classifier.", "embeddings.position_ids"];

/// The encoder's tensors in the order of the GGUF file. Every one must be there with its shape, and no other.
pub(super) fn select(stored: &Safetensors, config: &Config, tokens: usize) -> Result<Vec<Moved>, ModelError> {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let mut wanted: Vec<(String, String, Vec<u64>)> = Vec::new();
    let mut want = |from: String, to: String, shape: Vec<u64>| wanted.push((from, to, shape));
    let table = |rows: u64| vec![rows, width];
    want("embeddings.word_embeddings.weight".into(), "token_embd.weight".into(), table(config.vocab_size));
    want("embeddings.position_embeddings.weight".into(), "position_embd.weight".into(), table(config.max_position_embeddings));
    want("embeddings.token_type_embeddings.weight".into(), "token_types.weight".into(), table(config.type_vocab_size));
    let mut pair = |from: String, to: String, shape: Vec<u64>| {
        want(format!("{from}.bias"), format!("{to}.bias"), vec![shape.first().copied().unwrap_or_default()]);
        want(format!("{from}.weight"), format!("{to}.weight"), shape);
    };
    pair("embeddings.LayerNorm".into(), "token_embd_norm".into(), vec![width]);
    for at in 0..config.num_hidden_layers {
        for (from, to, shape) in [
            ("attention.self.query", "attn_q", table(width)),
            ("attention.self.key", "attn_k", table(width)),
            ("attention.self.value", "attn_v", table(width)),
            ("attention.output.dense", "attn_output", table(width)),
            ("attention.output.LayerNorm", "attn_output_norm", vec![width]),
            ("intermediate.dense", "ffn_up", vec![inner, width]),
            ("output.dense", "ffn_down", vec![width, inner]),
            ("output.LayerNorm", "layer_output_norm", vec![width]),
        ] {
            pair(format!("encoder.layer.{at}.{from}"), format!("blk.{at}.{to}"), shape);
        }
    }
    if (tokens as u64) > config.vocab_size {
        return refused(format!("the tokenizer has {tokens} tokens, the model embeddings for {} only", config.vocab_size));
    }
    let mut present: std::collections::BTreeMap<String, _> =
        stored.0.iter().map(|(name, tensor)| (plain(name), tensor)).filter(|(name, _)| needed(name)).collect();
    let mut moved = Vec::with_capacity(wanted.len());
    for (from, name, shape) in wanted {
        let Some(tensor) = present.remove(&from) else {
            return refused(format!("the weights' file has no tensor `{from}`, which a BERT encoder needs"));
        };
        let Some(kind) = tensor.kind else {
            return refused(format!("the numbers of the tensor `{from}` are not stored as float32 or float16"));
        };
        if tensor.shape != shape {
            return refused(format!("the tensor `{from}` has the shape {:?}; by config.json it is {shape:?}", tensor.shape));
        }
        moved.push(Moved { name, shape, kind, from: tensor.from, bytes: tensor.bytes });
    }
    match present.first_key_value() {
        Some((name, _)) => refused(format!("the weights' file has a tensor `{name}`, which a BERT encoder has no place for")),
        None => Ok(moved),
    }
}

/// The name without what wraps the encoder, and in the newer spelling of layer norms.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
}

fn needed(name: &str) -> bool {
    !NOT_NEEDED.iter().any(|start| name.starts_with(start))
}
