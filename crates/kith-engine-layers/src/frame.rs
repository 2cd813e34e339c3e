//! Hidden states as bytes, for the way from one window of a model to the next. It owns the format; how the bytes travel is not its matter.
//!
//! A frame says itself what it holds: 16 bytes of header, then the values, token after token. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `KLF1` |
//! | 4 | the encoding's number: 0 f32, 1 f16, 2 in 8 bits |
//! | 4 | tokens |
//! | 4 | width: values of a token |
//!
//! - **f32**: 4 bytes a value, the very bits, of infinities and NaNs too. Rows of windows give the bits of the whole only with this one.
//! - **f16**: for each token an f32 factor, then 2 bytes a value. The factor is 1, or where a value is too large for a half, the least power
//!   of two that brings all of the token's finite values into range. Wrong by at most 2^-11 of a value, or 2^-25 times the factor where that
//!   is more. Infinities stay infinities, NaNs become quiet NaNs.
//! - **8 bits**: for each token its groups of 32 values (the last may be shorter): an f32 scale, then a byte a value. Wrong by at most half
//!   a scale, which is a 127th of the group's largest magnitude; groups with nothing above 10^-30 become zeros. A group that holds an infinity
//!   or a NaN becomes NaN as a whole: what is broken shows at the other end.

use kith_engine::EngineError;
use kith_kernels::{
    GROUP, Group, Set,
    activations::quantise,
    float::{from_f16, to_f16},
};

const MAGIC: &[u8; 4] = b"KLF1";
/// Bytes before the values.
const HEADER: usize = 16;
/// The largest finite half.
const LARGEST_HALF: f32 = 65_504.0;

/// How a frame's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 4 bytes a value, exactly.
    F32,
    /// 2 bytes a value, and 4 a token.
    F16,
    /// 1 byte a value, and 4 for 32 of them.
    I8,
}

impl Encoding {
    const fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::I8 => 2,
        }
    }

    /// Bytes of one token; `None` beyond what memory can hold.
    const fn token_bytes(self, width: usize) -> Option<usize> {
        match self {
            Self::F32 => width.checked_mul(4),
            Self::F16 => match width.checked_mul(2) {
                Some(halves) => halves.checked_add(4),
                None => None,
            },
            Self::I8 => match width.div_ceil(GROUP).checked_mul(4) {
                Some(scales) => scales.checked_add(width),
                None => None,
            },
        }
    }

    /// Bytes of a frame of so many tokens of `width` values each; `None` beyond what a frame can hold.
    pub fn frame_bytes(self, tokens: usize, width: usize) -> Option<usize> {
        u32::try_from(tokens).ok()?;
        u32::try_from(width).ok()?;
        self.token_bytes(width)?.checked_mul(tokens)?.checked_add(HEADER)
    }
}

/// A frame whose header has been checked against its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    encoding: Encoding,
    tokens: usize,
    width: usize,
    values: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Puts a frame of these hidden states, `width` values each, behind what `out` holds.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] (`states`) if they are no whole number of states, or more than a frame can hold; `out` is left as it was.
    pub fn encode(encoding: Encoding, width: usize, states: &[f32], out: &mut Vec<u8>) -> Result<(), EngineError> {
        let tokens = states.len().checked_div(width).unwrap_or(0);
        if tokens * width != states.len() {
            return Err(invalid(format!("{} values are no whole number of hidden states of {width}", states.len())));
        }
        let (Ok(tokens32), Ok(width32), Some(bytes)) =
            (u32::try_from(tokens), u32::try_from(width), encoding.frame_bytes(tokens, width))
        else {
            return Err(invalid(format!("{tokens} hidden states of {width} values are more than a frame holds")));
        };
        out.reserve(bytes);
        out.extend_from_slice(MAGIC);
        [encoding.number(), tokens32, width32].iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        match encoding {
            Encoding::F32 => put_floats(states, out),
            Encoding::F16 => states.chunks_exact(width.max(1)).for_each(|token| put_halves(token, out)),
            Encoding::I8 => states.chunks_exact(width.max(1)).for_each(|token| put_groups(token, out)),
        }
        Ok(())
    }

    /// Reads a frame that is all of `bytes`. Nothing is allocated.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] (`frame`) says what is wrong with them.
    pub fn read(bytes: &'a [u8]) -> Result<Self, EngineError> {
        let refused = |message: String| Err(EngineError::Invalid { field: "frame", message });
        let Some((header, values)) = bytes.split_first_chunk::<HEADER>() else {
            return refused(format!("{} bytes are no frame of hidden states: its header alone has {HEADER}", bytes.len()));
        };
        let [magic, number, tokens, width] = [0, 4, 8, 12].map(|at| [header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if magic != *MAGIC {
            return refused("it does not begin as a frame of hidden states does".into());
        }
        let [number, tokens, width] = [number, tokens, width].map(u32::from_le_bytes);
        let encoding = match number {
            0 => Encoding::F32,
            1 => Encoding::F16,
            2 => Encoding::I8,
            other => return refused(format!("frames of the encoding {other} are not known")),
        };
        if width == 0 && tokens > 0 {
            return refused(format!("it claims to hold {tokens} hidden states of no values"));
        }
        let (tokens, width) = (tokens as usize, width as usize);
        if encoding.frame_bytes(tokens, width) != Some(bytes.len()) {
            return refused(format!("{tokens} hidden states of {width} values do not take {} bytes", bytes.len()));
        }
        Ok(Self { encoding, tokens, width, values })
    }

    /// How the values are stored.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many hidden states it holds.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Values of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Replaces what `states` holds by the frame's values, one state after another. At most four times the frame's length is allocated.
    pub fn decode(&self, states: &mut Vec<f32>) {
        states.clear();
        states.reserve(self.tokens * self.width);
        let Some(token_bytes) = self.encoding.token_bytes(self.width).filter(|bytes| *bytes > 0) else { return };
        match self.encoding {
            Encoding::F32 => states.extend(self.values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Encoding::F16 => self.values.chunks_exact(token_bytes).for_each(|token| take_halves(token, states)),
            Encoding::I8 => self.values.chunks_exact(token_bytes).for_each(|token| take_groups(token, states)),
        }
    }
}

fn put_floats(values: &[f32], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 4 * values.len(), 0);
    for (bytes, value) in out[start..].as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
}

fn put_halves(token: &[f32], out: &mut Vec<u8>) {
    let largest = token.iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f32::max);
    let mut factor = 1.0f32;
    // At most 113 times: an f32 is less than 2^128. What rounds up to a half beyond the largest counts as too large.
    while largest / factor > LARGEST_HALF {
        factor *= 2.0;
    }
    let inverse = 1.0 / factor;
    out.extend_from_slice(&factor.to_le_bytes());
    out.extend(token.iter().flat_map(|value| to_f16(value * inverse).to_le_bytes()));
}

fn take_halves(token: &[u8], states: &mut Vec<f32>) {
    let Some((factor, halves)) = token.split_first_chunk() else { return };
    let factor = f32::from_le_bytes(*factor);
    states.extend(halves.as_chunks().0.iter().map(|bytes| from_f16(u16::from_le_bytes(*bytes)) * factor));
}

fn put_groups(token: &[f32], out: &mut Vec<u8>) {
    let set = Set::best();
    for values in token.chunks(GROUP) {
        // A shorter one at the end is filled up with zeros, which change neither its scale nor its codes.
        let mut whole = [0.0; GROUP];
        whole[..values.len()].copy_from_slice(values);
        let mut group = [Group { codes: [0; GROUP], scale: 0.0, scaled_sum: 0.0, sum: 0, halves: [0; 2] }];
        quantise(set, &whole, &mut group);
        out.extend_from_slice(&group[0].scale.to_le_bytes());
        out.extend(group[0].codes[..values.len()].iter().map(|code| code.cast_unsigned()));
    }
}

fn take_groups(token: &[u8], states: &mut Vec<f32>) {
    for group in token.chunks(4 + GROUP) {
        let Some((scale, codes)) = group.split_first_chunk() else { return };
        let scale = f32::from_le_bytes(*scale);
        states.extend(codes.iter().map(|code| f32::from(code.cast_signed()) * scale));
    }
}

fn invalid(message: String) -> EngineError {
    EngineError::Invalid { field: "states", message }
}

#[cfg(test)]
mod tests;
