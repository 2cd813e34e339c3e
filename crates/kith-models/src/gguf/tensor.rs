//! Tensors' descriptions: their types, their shapes, and whether their data can lie where they say.

use super::{
    GgufError,
    cursor::{Cursor, shown},
};
use std::io::Read;

/// The most dimensions a tensor has (`GGML_MAX_DIMS`).
const MAX_DIMENSIONS: u32 = 4;

macro_rules! types {
    ($($name:ident = $code:literal: $block:literal in $size:literal;)*) => {
        /// How a tensor's elements are stored: in blocks of a fixed number of elements and bytes.
        ///
        /// Numbers and sizes: `enum ggml_type` in `ggml.h` and the `block_…` structures in `ggml-common.h`. Numbers missing here were
        /// withdrawn from the format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, missing_docs)]
        pub enum GgmlType {
            $($name,)*
        }

        impl GgmlType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The type with this number.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its number in files.
            pub const fn code(self) -> u32 {
                match self { $(Self::$name => $code,)* }
            }

            /// Its name as llama.cpp writes it, `Q4_K`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Elements in a block.
            pub const fn block(self) -> u64 {
                match self { $(Self::$name => $block,)* }
            }

            /// Bytes of a block.
            pub const fn block_bytes(self) -> u64 {
                match self { $(Self::$name => $size,)* }
            }
        }
    };
}

types! {
    F32 = 0: 1 in 4;
    F16 = 1: 1 in 2;
    Q4_0 = 2: 32 in 18;
    Q4_1 = 3: 32 in 20;
    Q5_0 = 6: 32 in 22;
    Q5_1 = 7: 32 in 24;
    Q8_0 = 8: 32 in 34;
    Q8_1 = 9: 32 in 36;
    Q2_K = 10: 256 in 84;
    Q3_K = 11: 256 in 110;
    Q4_K = 12: 256 in 144;
    Q5_K = 13: 256 in 176;
    Q6_K = 14: 256 in 210;
    Q8_K = 15: 256 in 292;
    IQ2_XXS = 16: 256 in 66;
    IQ2_XS = 17: 256 in 74;
    IQ3_XXS = 18: 256 in 98;
    IQ1_S = 19: 256 in 50;
    IQ4_NL = 20: 32 in 18;
    IQ3_S = 21: 256 in 110;
    IQ2_S = 22: 256 in 82;
    IQ4_XS = 23: 256 in 136;
    I8 = 24: 1 in 1;
    I16 = 25: 1 in 2;
    I32 = 26: 1 in 4;
    I64 = 27: 1 in 8;
    F64 = 28: 1 in 8;
    IQ1_M = 29: 256 in 56;
    BF16 = 30: 1 in 2;
    TQ1_0 = 34: 256 in 54;
    TQ2_0 = 35: 256 in 66;
    MXFP4 = 39: 32 in 17;
    NVFP4 = 40: 64 in 36;
    Q1_0 = 41: 128 in 18;
    Q2_0 = 42: 64 in 18;
}

/// One tensor's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Its dimensions, innermost first; at most four.
    pub shape: Vec<u64>,
    /// How its elements are stored.
    pub kind: GgmlType,
    /// Where its data begins, in bytes from [`super::Gguf::data_offset`].
    pub offset: u64,
}

impl TensorInfo {
    /// The product of its dimensions. Exact for tensors of a header that was read; for others it saturates.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, dimension| product.saturating_mul(*dimension))
    }

    /// Bytes of its data.
    pub fn bytes(&self) -> u64 {
        (self.elements() / self.kind.block()).saturating_mul(self.kind.block_bytes())
    }

    pub(super) fn read(cursor: &mut Cursor<impl Read>) -> Result<Self, GgufError> {
        let name = cursor.name("a tensor's name")?;
        let dimensions = cursor.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return GgufError::refused(format!(
                "the tensor `{}` has {dimensions} dimensions; at most {MAX_DIMENSIONS} are known",
                shown(&name)
            ));
        }
        let shape = (0..dimensions).map(|_| cursor.u64()).collect::<Result<_, _>>()?;
        let code = cursor.u32()?;
        let Some(kind) = GgmlType::from_code(code) else {
            return GgufError::refused(format!(
                "the tensor `{}` is of type {code}, which is not known or was withdrawn",
                shown(&name)
            ));
        };
        let offset = cursor.u64()?;
        Ok(Self { name, shape, kind, offset })
    }

    /// Sees that the shape is possible and the data lies within the file.
    pub(super) fn check(&self, data_offset: u64, alignment: u64, file_size: u64) -> Result<(), GgufError> {
        let name = || shown(&self.name);
        let elements = self.shape.iter().try_fold(1u64, |product, dimension| product.checked_mul(*dimension));
        let Some(elements) = elements.filter(|elements| i64::try_from(*elements).is_ok()) else {
            return GgufError::refused(format!("the tensor `{}` announces more elements than can be counted", name()));
        };
        let row = self.shape.first().copied().unwrap_or(1);
        if row % self.kind.block() != 0 {
            let (kind, block) = (self.kind.as_str(), self.kind.block());
            return GgufError::refused(format!(
                "the tensor `{}` has rows of {row} elements, but {kind} goes by blocks of {block}",
                name()
            ));
        }
        if !self.offset.is_multiple_of(alignment) {
            return GgufError::refused(format!("the data of the tensor `{}` is not aligned to {alignment} bytes", name()));
        }
        let end = (elements / self.kind.block())
            .checked_mul(self.kind.block_bytes())
            .and_then(|bytes| bytes.checked_add(self.offset))
            .and_then(|end| end.checked_add(data_offset));
        match end {
            Some(end) if end <= file_size => Ok(()),
            _ => GgufError::refused(format!(
                "the file is incomplete: the data of the tensor `{}` goes beyond its end at byte {file_size}",
                name()
            )),
        }
    }
}
