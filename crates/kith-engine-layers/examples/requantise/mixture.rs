//! Which format each tensor of a file gets, by the file's kind: the rules that files in use follow.

use crate::file::Tensor;
use kith_kernels::Format;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixture {
    /// By which name it goes.
    pub name: &'static str,
    /// The number of `general.file_type`.
    pub number: u32,
    /// What most matrices are stored as.
    usual: Format,
}

const ALL: [Mixture; 5] = [
    Mixture { name: "F32", number: 0, usual: Format::F32 },
    Mixture { name: "F16", number: 1, usual: Format::F16 },
    Mixture { name: "Q8_0", number: 7, usual: Format::Q8_0 },
    Mixture { name: "Q4_0", number: 2, usual: Format::Q4_0 },
    Mixture { name: "Q4_K_M", number: 15, usual: Format::Q4_K },
];

impl Mixture {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|mixture| mixture.name == name)
    }

    /// All names, for a sentence.
    pub fn names() -> String {
        ALL.map(|mixture| mixture.name).join(" ")
    }

    /// What a tensor of a model of `layers` layers is stored as. `has_head` says whether the head has a matrix of its own; otherwise the
    /// embedding is the head.
    ///
    /// Vectors stay as they are. The head gets 6 bits where most get fewer, and in Q4_K_M so do values and the way down of the first and
    /// last eighth of the layers and of every third between. Rows that are no whole number of super-blocks get the next better format of
    /// blocks of 32: 5 bits for 4, 8 for 6.
    pub fn of(self, tensor: &Tensor, layers: usize, has_head: bool) -> Format {
        if tensor.shape.len() < 2 {
            return tensor.format;
        }
        if self.usual.is_float() || self.usual == Format::Q8_0 {
            return self.usual;
        }
        let head = if has_head { "output.weight" } else { "token_embd.weight" };
        let layer = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        let layer = layer.and_then(|(number, part)| Some((number.parse::<usize>().ok()?, part)));
        let more = match layer {
            None => tensor.name == head,
            Some((number, "attn_v.weight" | "ffn_down.weight")) if self.usual == Format::Q4_K => {
                number < layers / 8 || number >= 7 * layers / 8 || (number - layers / 8) % 3 == 2
            }
            Some(_) => false,
        };
        match if more { Format::Q6_K } else { self.usual } {
            Format::Q6_K if !tensor.depth().is_multiple_of(256) => Format::Q8_0,
            Format::Q4_K if !tensor.depth().is_multiple_of(256) => Format::Q5_0,
            fitting => fitting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mixture: &str, name: &str, shape: &[usize]) -> Format {
        let tensor = Tensor { name: name.into(), shape: shape.to_vec(), format: Format::F32 };
        Mixture::named(mixture).unwrap().of(&tensor, 30, false)
    }

    #[test]
    fn the_mixture_gives_more_bits_to_some_layers_and_to_the_head() {
        assert_eq!(of("Q4_K_M", "blk.5.ffn_down.weight", &[1536, 576]), Format::Q6_K);
        assert_eq!(of("Q4_K_M", "blk.6.ffn_down.weight", &[1536, 576]), Format::Q4_K);
        assert_eq!(of("Q4_K_M", "blk.29.ffn_down.weight", &[1536, 576]), Format::Q6_K);
        assert_eq!(of("Q4_0", "blk.5.ffn_down.weight", &[1536, 576]), Format::Q4_0);
        assert_eq!(of("Q4_0", "token_embd.weight", &[512, 100]), Format::Q6_K);
    }

    #[test]
    fn rows_that_are_no_super_blocks_get_the_next_better_format() {
        assert_eq!(of("Q4_K_M", "blk.5.attn_q.weight", &[576, 576]), Format::Q5_0);
        assert_eq!(of("Q4_K_M", "blk.5.attn_v.weight", &[576, 192]), Format::Q8_0);
        assert_eq!(of("Q4_0", "token_embd.weight", &[576, 49152]), Format::Q8_0);
    }

    #[test]
    fn vectors_stay_as_they_are() {
        assert_eq!(of("Q4_0", "blk.0.attn_norm.weight", &[576]), Format::F32);
        assert_eq!(of("F16", "blk.0.attn_norm.weight", &[576]), Format::F32);
    }
}
