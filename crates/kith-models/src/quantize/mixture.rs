//! What a model can be quantised to, and which of its matrices get more bits than the rest: those that decide most.
//!
//! The choices are llama.cpp's (`llama_tensor_get_type` in `llama-quant.cpp`), without its exceptions for single model families.

use super::{BLOCK, SUPER_BLOCK};
use crate::gguf::{GgmlType, TensorInfo};

/// What a model can be quantised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its name as llama.cpp writes it.
    pub name: &'static str,
    /// How most of its matrices are stored.
    pub kind: GgmlType,
    /// `general.file_type` of such files (`enum llama_ftype` in `llama.h`).
    pub file_type: u32,
}

macro_rules! targets {
    ($($name:ident of $kind:ident = $file_type:literal,)*) => {
        /// Every target, the largest first.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), kind: GgmlType::$kind, file_type: $file_type },)*];
    };
}

targets! {
    Q8_0 of Q8_0 = 7,
    Q6_K of Q6_K = 18,
    Q5_K_M of Q5_K = 17,
    Q5_K_S of Q5_K = 16,
    Q5_1 of Q5_1 = 9,
    Q5_0 of Q5_0 = 8,
    Q4_K_M of Q4_K = 15,
    Q4_K_S of Q4_K = 14,
    Q4_1 of Q4_1 = 3,
    Q4_0 of Q4_0 = 2,
}

/// What the choice for one matrix depends on besides its name.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// Whether the matrix before the answer's words is one of its own; otherwise it is the embedding.
    pub own_output: bool,
    /// Layers.
    pub layers: u64,
    /// Experts of each layer; 0 without any.
    pub experts: u64,
}

impl Target {
    /// The target of this name, in any case: `q4_K_M`.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.iter().find(|target| target.name.eq_ignore_ascii_case(name)).copied()
    }

    /// The names of all targets, for people: `Q8_0, Q6_K, …`.
    pub fn names() -> String {
        TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
    }

    /// How this matrix is stored; `None` if its rows are not whole blocks of any format.
    pub fn kind_of(&self, matrix: &TensorInfo, around: &Surroundings) -> Option<GgmlType> {
        let wanted = self.wanted(&matrix.name, around);
        let row = matrix.shape.first().copied().unwrap_or(0);
        if row % wanted.block() == 0 {
            return Some(wanted);
        }
        if row % BLOCK as u64 != 0 {
            return None;
        }
        debug_assert_eq!(wanted.block(), SUPER_BLOCK as u64);
        Some(match wanted {
            GgmlType::Q4_K => GgmlType::Q5_0,
            GgmlType::Q5_K => GgmlType::Q5_1,
            _ => GgmlType::Q8_0,
        })
    }

    fn wanted(&self, name: &str, around: &Surroundings) -> GgmlType {
        let output = if around.own_output { "output.weight" } else { "token_embd.weight" };
        if name == output {
            return if self.kind == GgmlType::Q8_0 { GgmlType::Q8_0 } else { GgmlType::Q6_K };
        }
        let layer = layer(name);
        let layers = around.layers;
        let favoured = layer.is_some_and(|layer| is_favoured(layer, layers));
        let early = |bound: u64| layer.is_some_and(|layer| layer < bound);
        let eight = around.experts == 8;
        let (small, medium, fused) = match self.name {
            "Q4_K_S" => (true, false, self.kind),
            "Q4_K_M" => (false, true, GgmlType::Q5_K),
            "Q5_K_M" => (false, true, GgmlType::Q6_K),
            _ => (false, false, self.kind),
        };
        let has = |part: &str| name.contains(part);
        if eight && (has("attn_v.weight") || has("attn_k.weight")) {
            GgmlType::Q8_0
        } else if eight && has("attn_output.weight") && self.kind == GgmlType::Q4_K {
            GgmlType::Q5_K
        } else if has("attn_qkv.weight") {
            fused
        } else if medium && favoured && (has("attn_v.weight") || has("ffn_down")) {
            GgmlType::Q6_K
        } else if small && ((has("attn_v.weight") && early(4)) || (has("ffn_down") && early(layers / 8))) {
            GgmlType::Q5_K
        } else {
            self.kind
        }
    }
}

/// `blk.7.…`: the layer's number.
fn layer(name: &str) -> Option<u64> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// Whether a layer is among the first or the last eighth, or every third of those between.
fn is_favoured(layer: u64, layers: u64) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(target: &str, name: &str, row: u64, around: Surroundings) -> Option<GgmlType> {
        let tensor = TensorInfo { name: name.into(), shape: vec![row, 4], kind: GgmlType::F16, offset: 0 };
        Target::named(target).unwrap().kind_of(&tensor, &around)
    }

    const DENSE: Surroundings = Surroundings { own_output: true, layers: 32, experts: 0 };

    #[test]
    fn the_matrices_that_decide_most_get_more_bits() {
        use GgmlType::*;
        for (target, name, wanted) in [
            ("q4_k_m", "output.weight", Q6_K),
            ("q4_k_m", "token_embd.weight", Q4_K),
            ("q4_k_m", "blk.0.attn_q.weight", Q4_K),
            ("q4_k_m", "blk.0.attn_v.weight", Q6_K),
            ("q4_k_m", "blk.4.attn_v.weight", Q4_K),
            ("q4_k_m", "blk.6.ffn_down.weight", Q6_K),
            ("q4_k_m", "blk.31.ffn_down.weight", Q6_K),
            ("q4_k_m", "blk.7.ffn_up.weight", Q4_K),
            ("q4_k_m", "blk.7.attn_qkv.weight", Q5_K),
            ("q4_k_s", "blk.3.attn_v.weight", Q5_K),
            ("q4_k_s", "blk.4.attn_v.weight", Q4_K),
            ("q4_k_s", "blk.3.ffn_down.weight", Q5_K),
            ("q5_k_m", "blk.0.attn_v.weight", Q6_K),
            ("q5_k_m", "blk.9.attn_qkv.weight", Q6_K),
            ("q5_k_s", "blk.0.attn_v.weight", Q5_K),
            ("q4_0", "output.weight", Q6_K),
            ("q8_0", "output.weight", Q8_0),
            ("q6_k", "blk.0.attn_v.weight", Q6_K),
        ] {
            assert_eq!(chosen(target, name, 512, DENSE), Some(wanted), "{target} {name}");
        }
        let tied = Surroundings { own_output: false, ..DENSE };
        assert_eq!(chosen("q4_k_m", "token_embd.weight", 512, tied), Some(Q6_K));
        let eight = Surroundings { experts: 8, ..DENSE };
        assert_eq!(chosen("q4_k_m", "blk.9.attn_k.weight", 512, eight), Some(Q8_0));
        assert_eq!(chosen("q4_k_m", "blk.9.attn_output.weight", 512, eight), Some(Q5_K));
    }

    #[test]
    fn rows_that_are_no_whole_blocks_fall_back_or_stay() {
        use GgmlType::*;
        for (target, wanted) in [("q4_k_m", Q5_0), ("q5_k_s", Q5_1), ("q6_k", Q8_0), ("q4_0", Q4_0)] {
            assert_eq!(chosen(target, "blk.9.attn_q.weight", 96, DENSE), Some(wanted), "{target}");
        }
        assert_eq!(chosen("q4_k_m", "output.weight", 96, DENSE), Some(Q8_0));
        assert_eq!(chosen("q4_k_m", "blk.9.attn_q.weight", 33, DENSE), None);
    }
}
