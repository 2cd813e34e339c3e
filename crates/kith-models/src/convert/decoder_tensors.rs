//! Which tensors a decoder has, under which names, of which shapes, and in which order of rows.

use super::{decoder::Decoder, refused, shards::Placed};
use crate::ModelError;
use std::collections::BTreeMap;

/// A tensor of the folder, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its name in the folder.
    pub(super) from: String,
    /// Its name in the GGUF file.
    pub(super) name: String,
    /// Its dimensions, outermost first.
    pub(super) shape: Vec<u64>,
    /// The numbers in a head, if the rows of its heads are reordered.
    pub(super) reordered: Option<u64>,
}

/// Parts of a folder that say nothing which config.json does not.
const NOT_NEEDED: &str = "rotary_emb.inv_freq";

/// The decoder's tensors in the order of the GGUF file, without the ones that are computed.
pub(super) fn wanted(decoder: &Decoder, has_output: bool) -> Vec<Wanted> {
    let Decoder { family, width, inner, layers, heads, kv_heads, head, vocabulary, .. } = *decoder;
    let (queries, keys) = (heads * head, kv_heads * head);
    let mut wanted = Vec::new();
    let mut want = |from: String, name: String, shape: Vec<u64>, reordered: bool| {
        wanted.push(Wanted { from, name, shape, reordered: (reordered && family.reorders).then_some(head) });
    };
    want("model.embed_tokens.weight".into(), "token_embd.weight".into(), vec![vocabulary, width], false);
    for at in 0..layers {
        let mut layer = |from: &str, name: &str, shape: Vec<u64>, reordered: bool| {
            want(format!("model.layers.{at}.{from}"), format!("blk.{at}.{name}"), shape, reordered);
        };
        layer("input_layernorm.weight", "attn_norm.weight", vec![width], false);
        if family.fused {
            layer("self_attn.qkv_proj.weight", "attn_qkv.weight", vec![queries + 2 * keys, width], false);
        } else {
            layer("self_attn.q_proj.weight", "attn_q.weight", vec![queries, width], true);
            layer("self_attn.k_proj.weight", "attn_k.weight", vec![keys, width], true);
            layer("self_attn.v_proj.weight", "attn_v.weight", vec![keys, width], false);
        }
        if family.biases {
            layer("self_attn.q_proj.bias", "attn_q.bias", vec![queries], true);
            layer("self_attn.k_proj.bias", "attn_k.bias", vec![keys], true);
            layer("self_attn.v_proj.bias", "attn_v.bias", vec![keys], false);
        }
        if family.norms {
            layer("self_attn.q_norm.weight", "attn_q_norm.weight", vec![head], false);
            layer("self_attn.k_norm.weight", "attn_k_norm.weight", vec![head], false);
        }
        layer("self_attn.o_proj.weight", "attn_output.weight", vec![width, queries], false);
        layer("post_attention_layernorm.weight", "ffn_norm.weight", vec![width], false);
        if family.fused {
            layer("mlp.gate_up_proj.weight", "ffn_up.weight", vec![2 * inner, width], false);
        } else {
            layer("mlp.gate_proj.weight", "ffn_gate.weight", vec![inner, width], false);
            layer("mlp.up_proj.weight", "ffn_up.weight", vec![inner, width], false);
        }
        layer("mlp.down_proj.weight", "ffn_down.weight", vec![width, inner], false);
    }
    want("model.norm.weight".into(), "output_norm.weight".into(), vec![width], false);
    if has_output {
        want("lm_head.weight".into(), "output.weight".into(), vec![vocabulary, width], false);
    }
    wanted
}

/// Finds every tensor of a decoder among those stored. Every one must be there with its shape, and no other.
pub(super) fn select<'a>(
    stored: &'a BTreeMap<String, Placed>,
    decoder: &Decoder,
) -> Result<Vec<(Wanted, &'a Placed)>, ModelError> {
    // A tied output is at times stored all the same; it is the embedding again.
    let has_output = !decoder.tied;
    let mut present: BTreeMap<&str, &Placed> = stored
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .filter(|(name, _)| !name.ends_with(NOT_NEEDED) && (has_output || *name != "lm_head.weight"))
        .collect();
    let mut found = Vec::new();
    for wanted in wanted(decoder, has_output) {
        let Some(tensor) = present.remove(wanted.from.as_str()) else {
            return refused(format!("the folder has no tensor `{}`, which its config.json speaks of", wanted.from));
        };
        if tensor.1.kind.is_none() {
            return refused(format!(
                "the numbers of the tensor `{}` are not stored as float32, float16 or bfloat16",
                wanted.from
            ));
        }
        if tensor.1.shape != wanted.shape {
            let (is, should) = (&tensor.1.shape, &wanted.shape);
            return refused(format!("the tensor `{}` has the shape {is:?}; by config.json it is {should:?}", wanted.from));
        }
        found.push((wanted, tensor));
    }
    match present.first_key_value() {
        Some((name, _)) => refused(format!("the folder has a tensor `{name}`, which this kind of model has no place for")),
        None => Ok(found),
    }
}

/// Which row of the folder's tensor stands at `row` of the GGUF file's: within each head, the halves are interleaved.
pub(super) fn source_row(row: u64, head: u64) -> u64 {
    let (first, within) = (row / head * head, row % head);
    first + within % 2 * (head / 2) + within / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_head_are_interleaved() {
        // Two heads of four: 0 1 | 2 3 becomes 0 2 1 3.
        assert_eq!((0..8).map(|row| source_row(row, 4)).collect::<Vec<_>>(), [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    proptest::proptest! {
        #[test]
        fn reordering_loses_no_row(heads in 1u64..6, half in 1u64..33) {
            let head = 2 * half;
            let mut rows: Vec<u64> = (0..heads * head).map(|row| source_row(row, head)).collect();
            rows.sort_unstable();
            proptest::prop_assert!(rows.into_iter().eq(0..heads * head));
        }
    }
}
