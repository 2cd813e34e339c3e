//! The block formats of GGUF files: their sizes, and what a block means (the reference for everything else).

mod unpack;

pub(crate) use unpack::{Unpacked, unpack};

use crate::float::{from_bf16, from_f16};

/// Values of a K-quant's super-block, and the most that any block holds.
pub const SUPER_BLOCK: usize = 256;

/// How the numbers of a tensor are stored in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the format's own names, known by these spellings")]
pub enum Format {
    /// 32-bit floats.
    F32,
    /// IEEE halves.
    F16,
    /// The upper halves of 32-bit floats.
    BF16,
    /// 32 values of 4 bits about 8, one scale.
    Q4_0,
    /// 32 values of 4 bits, scale and minimum.
    Q4_1,
    /// 32 values of 5 bits about 16, one scale.
    Q5_0,
    /// 32 values of 5 bits, scale and minimum.
    Q5_1,
    /// 32 signed bytes, one scale.
    Q8_0,
    /// 256 values of 2 bits; per 16 a scale and a minimum of 4 bits.
    Q2_K,
    /// 256 values of 3 bits about 4; per 16 a scale of 6 bits.
    Q3_K,
    /// 256 values of 4 bits; per 32 a scale and a minimum of 6 bits.
    Q4_K,
    /// 256 values of 5 bits; per 32 a scale and a minimum of 6 bits.
    Q5_K,
    /// 256 values of 6 bits about 32; per 16 a scale of 8 bits.
    Q6_K,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// By the number GGUF gives it (`ggml_type`); none for types that have no kernels here.
    pub const fn from_gguf(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2_K,
            11 => Self::Q3_K,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            30 => Self::BF16,
            _ => return None,
        })
    }

    /// The number GGUF gives it.
    pub const fn gguf(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q2_K => 10,
            Self::Q3_K => 11,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// Values of a block: 1, 32 or 256. A row of a tensor is a whole number of blocks.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => SUPER_BLOCK,
        }
    }

    /// Bytes of a block in the file.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2_K => 84,
            Self::Q3_K => 110,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// Bytes of a row of `len` values; none where that is no whole number of blocks, or more than memory could hold.
    pub const fn row_bytes(self, len: usize) -> Option<usize> {
        if len.is_multiple_of(self.block_len()) { (len / self.block_len()).checked_mul(self.block_bytes()) } else { None }
    }

    /// Whether its products take the activations as they are (f32) rather than in 8 bits.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    /// Writes the values of whole blocks. Each value is rounded at most once, from the exact one that the format defines
    /// (Q4_1 and Q5_1: scale times code plus minimum; K-quants: (scale of the super-block * scale) * code - minimum).
    ///
    /// # Panics
    /// If `values` is no whole number of blocks or `bytes` has another length than those blocks.
    pub fn dequantise(self, bytes: &[u8], values: &mut [f32]) {
        assert_eq!(Some(bytes.len()), self.row_bytes(values.len()), "bytes of whole blocks");
        match self {
            Self::F32 => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Self::F16 | Self::BF16 => {
                let convert = if self == Self::F16 { from_f16 } else { from_bf16 };
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = convert(u16::from_le_bytes(*bytes));
                }
            }
            _ => {
                let mut block = Unpacked::default();
                for (values, bytes) in values.chunks_exact_mut(self.block_len()).zip(bytes.chunks_exact(self.block_bytes())) {
                    unpack(self, bytes, &mut block);
                    for (i, value) in values.iter_mut().enumerate() {
                        *value = block.value(self, i);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
