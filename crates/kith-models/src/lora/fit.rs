//! Whether an adapter fits a model: every matrix it changes is there and has the right shape, and its rows can be put in order.

use super::{Lora, LoraFormat, bad, shown};
use crate::{
    ModelError,
    gguf::{Array, Gguf, blocks},
};
use std::collections::HashMap;

/// Architectures whose conversion to GGUF reorders the rows of the query and key matrices, so that the two halves of each rotary
/// pair lie side by side (llama.cpp, `LlamaModel.permute` in `convert_hf_to_gguf.py`, and the classes that inherit it).
const REORDERED: [&str; 4] = ["llama", "granite", "arcee", "smollm3"];
/// Architectures whose conversion leaves the rows of matrices as they are.
const AS_THEY_ARE: [&str; 8] = ["qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi2", "phi3", "starcoder2"];

/// One change of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The pair's place in the adapter.
    pub pair: usize,
    /// Heads whose rows were reordered at the model's conversion, and so are in the adapter's B.
    pub reordered: Option<u64>,
}

impl Lora {
    /// What the adapter changes in the model with this header, by the tensor's place in it.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] with the first thing that does not fit.
    pub(super) fn fit(&self, base: &Gguf) -> Result<HashMap<usize, Change>, ModelError> {
        let architecture = base.architecture().unwrap_or_default();
        if let Some(own) = self.architecture.as_deref().filter(|own| *own != architecture) {
            return bad(format!(
                "the adapter is for models of architecture {}; this model's is {}",
                shown(own),
                shown(architecture)
            ));
        }
        let reorder = match self.format {
            LoraFormat::Gguf => false,
            LoraFormat::Safetensors if REORDERED.contains(&architecture) => true,
            LoraFormat::Safetensors if AS_THEY_ARE.contains(&architecture) => false,
            LoraFormat::Safetensors => {
                return bad(format!(
                    "adapters in safetensors are not known for architecture {}: convert the adapter to GGUF",
                    shown(architecture)
                ));
            }
        };
        let names: HashMap<&str, usize> = base.tensors.iter().enumerate().map(|(at, t)| (t.name.as_str(), at)).collect();
        let changes = self.pairs.iter().enumerate().map(|(pair, matrices)| {
            let target = &matrices.target;
            let Some(&at) = names.get(target.as_str()) else {
                return bad(format!("the adapter changes `{}`, which the model does not have", shown(target)));
            };
            let tensor = &base.tensors[at];
            let (inputs, outputs) = (matrices.a.columns, matrices.b.rows);
            if tensor.shape != [inputs, outputs] {
                return bad(format!(
                    "the adapter's matrices for `{}` are for {inputs} inputs and {outputs} outputs; the model's has the shape {:?}",
                    shown(target),
                    tensor.shape
                ));
            }
            if target == "token_embd.weight" {
                return bad("the adapter changes the table of token embeddings, which cannot be done here");
            }
            if !blocks::decodable(tensor.kind) {
                let kind = tensor.kind.as_str();
                return bad(format!("the model's `{}` is stored as {kind}, to which nothing can be added", shown(target)));
            }
            let reordered = if reorder { heads(base, target)? } else { None };
            if let Some(heads) = reordered
                && (heads == 0 || !outputs.is_multiple_of(heads.saturating_mul(2)))
            {
                return bad(format!("the model's `{}` cannot be divided among {heads} heads", shown(target)));
            }
            Ok((at, Change { pair, reordered }))
        });
        changes.collect()
    }
}

/// How many heads share the rows of a query or key matrix; `None` for other matrices.
fn heads(base: &Gguf, target: &str) -> Result<Option<u64>, ModelError> {
    let key = match super::kind_of(target) {
        "attn_q" => "attention.head_count",
        "attn_k" => "attention.head_count_kv",
        _ => return Ok(None),
    };
    // Without a number of their own, keys have as many heads as queries.
    let value = base.of_architecture(key).or_else(|| base.of_architecture("attention.head_count"));
    let layer = target.split('.').nth(1).and_then(|layer| layer.parse::<usize>().ok()).unwrap_or_default();
    let heads = value.and_then(|value| {
        value.as_u64().or_else(|| match value.as_array()? {
            Array::U32(counts) => counts.get(layer).copied().map(u64::from),
            Array::I32(counts) => counts.get(layer).and_then(|count| u64::try_from(*count).ok()),
            _ => None,
        })
    });
    match heads {
        Some(heads) => Ok(Some(heads)),
        None => bad("the model's file does not say how many heads it has"),
    }
}

/// Where row `row` of the model's file lies in the adapter's B, if `heads` share `rows` rows that were reordered: within a head, the
/// file has row 0 of the first half, row 0 of the second half, row 1 of the first, ….
pub fn source_row(row: usize, rows: usize, heads: usize) -> usize {
    let width = rows / heads;
    let (head, within) = (row / width, row % width);
    head * width + within % 2 * (width / 2) + within / 2
}
