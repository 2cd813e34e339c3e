//! A model of the shape of gemma3-270m with weights and a vocabulary drawn from a seed: for speed, which does not depend on what they are.

use crate::file::{Fields, Tensor, write};
use kith_kernels::{Format, float::to_f16};
use std::{io, path::Path};

const WIDTH: usize = 640;
const LAYERS: usize = 18;
const HEADS: usize = 4;
const HEAD: usize = 256;
const INNER: usize = 2048;
const VOCABULARY: usize = 262_144;
const SLIDING_WINDOW: u32 = 512;
const CONTEXT: u32 = 32_768;
/// Padding, end, beginning, unknown; then a token for each byte.
const CONTROL: [&str; 4] = ["<pad>", "<eos>", "<bos>", "<unk>"];
/// Of every block of weights; its codes go up to 127, so weights are from -0.05 to 0.05.
const SCALE: f32 = 0.0004;

/// Writes the model, its matrices in Q8_0.
pub fn make(path: &Path) -> io::Result<()> {
    let tensors = tensors();
    let mut state = 1u64;
    write(path, &fields(), &tensors, |number, bytes| {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 40
        };
        match tensors[number].format {
            Format::Q8_0 => {
                for block in bytes.chunks_exact_mut(Format::Q8_0.block_bytes()) {
                    block[..2].copy_from_slice(&to_f16(SCALE).to_le_bytes());
                    block[2..].fill_with(|| ((next() % 255) as i32 - 127) as i8 as u8);
                }
            }
            _ => {
                for value in bytes.chunks_exact_mut(4) {
                    value.copy_from_slice(&(0.75 + (next() % 1024) as f32 / 2048.0).to_le_bytes());
                }
            }
        }
    })
}

fn tensors() -> Vec<Tensor> {
    let vector = |name: String, length: usize| Tensor { name, shape: vec![length], format: Format::F32 };
    let matrix = |name: String, depth: usize, rows: usize| Tensor { name, shape: vec![depth, rows], format: Format::Q8_0 };
    let mut all = vec![matrix("token_embd.weight".into(), WIDTH, VOCABULARY), vector("output_norm.weight".into(), WIDTH)];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        all.extend(["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"].map(|part| vector(name(part), WIDTH)));
        all.extend(["attn_q_norm", "attn_k_norm"].map(|part| vector(name(part), HEAD)));
        all.extend([
            matrix(name("attn_q"), WIDTH, HEADS * HEAD),
            matrix(name("attn_k"), WIDTH, HEAD),
            matrix(name("attn_v"), WIDTH, HEAD),
            matrix(name("attn_output"), HEADS * HEAD, WIDTH),
            matrix(name("ffn_gate"), WIDTH, INNER),
            matrix(name("ffn_up"), WIDTH, INNER),
            matrix(name("ffn_down"), INNER, WIDTH),
        ]);
    }
    all
}

fn fields() -> Fields {
    let mut fields = Fields::default();
    fields.text("general.architecture", "gemma3");
    fields.text("general.name", "weights drawn from a seed in the shape of gemma3-270m");
    fields.u32("general.file_type", 7);
    fields.u32("general.quantization_version", 2);
    for (name, value) in [
        ("block_count", LAYERS as u32),
        ("context_length", CONTEXT),
        ("embedding_length", WIDTH as u32),
        ("feed_forward_length", INNER as u32),
        ("attention.head_count", HEADS as u32),
        ("attention.head_count_kv", 1),
        ("attention.key_length", HEAD as u32),
        ("attention.value_length", HEAD as u32),
        ("attention.sliding_window", SLIDING_WINDOW),
    ] {
        fields.u32(&format!("gemma3.{name}"), value);
    }
    fields.f32("gemma3.attention.layer_norm_rms_epsilon", 1e-6);
    fields.f32("gemma3.rope.freq_base", 1e6);
    fields.f32("gemma3.rope.freq_base_swa", 1e4);
    let mut tokens: Vec<String> = CONTROL.map(str::to_owned).to_vec();
    let mut kinds = vec![3i32, 3, 3, 2];
    tokens.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
    kinds.resize(tokens.len(), 6);
    while tokens.len() < VOCABULARY {
        tokens.push(format!("\u{2581}{:x}", tokens.len()));
    }
    kinds.resize(tokens.len(), 1);
    let scores: Vec<f32> = (0..VOCABULARY).map(|id| -(id as f32)).collect();
    fields.text("tokenizer.ggml.model", "llama");
    fields.text("tokenizer.ggml.pre", "default");
    fields.texts("tokenizer.ggml.tokens", &tokens);
    fields.f32s("tokenizer.ggml.scores", &scores);
    fields.i32s("tokenizer.ggml.token_type", &kinds);
    for (id, name) in (0u32..).zip(["padding", "eos", "bos", "unknown"]) {
        fields.u32(&format!("tokenizer.ggml.{name}_token_id"), id);
    }
    fields.flag("tokenizer.ggml.add_bos_token", true);
    fields.flag("tokenizer.ggml.add_eos_token", false);
    fields.flag("tokenizer.ggml.add_space_prefix", false);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_as_many_weights_as_its_name_says() {
        let weights: usize = tensors().iter().map(Tensor::len).sum();
        assert_eq!(weights / 1_000_000, 268);
    }
}
