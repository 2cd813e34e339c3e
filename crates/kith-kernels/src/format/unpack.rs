//! One block of a quantised format taken apart: codes, scales, minima. Where each bit of a block lies is written here and nowhere else.

use super::{Format, SUPER_BLOCK};
use crate::float::from_f16;

/// A block taken apart. A value is `d * scale * (code - offset) + minimum`, see [`Unpacked::value`].
pub(crate) struct Unpacked {
    /// One per value; signed bytes for Q8_0.
    pub codes: [u8; SUPER_BLOCK],
    /// K-quants: one per 32 values (Q4_K, Q5_K) or 16 (others); signed bytes for Q3_K and Q6_K.
    pub scales: [u8; 16],
    /// Q2_K, Q4_K, Q5_K: as many as scales.
    pub minima: [u8; 16],
    /// The block's scale, a half.
    pub d: u16,
    /// The block's minimum (Q4_1, Q5_1) or the scale of the minima (Q2_K, Q4_K, Q5_K), a half.
    pub m: u16,
}

impl Default for Unpacked {
    fn default() -> Self {
        Self { codes: [0; SUPER_BLOCK], scales: [0; 16], minima: [0; 16], d: 0, m: 0 }
    }
}

impl Unpacked {
    /// The `i`-th value.
    pub fn value(&self, format: Format, i: usize) -> f32 {
        let d = from_f16(self.d);
        let m = from_f16(self.m);
        let code = f32::from(self.codes[i]);
        match format {
            Format::Q4_0 => d * (code - 8.0),
            Format::Q5_0 => d * (code - 16.0),
            Format::Q8_0 => d * f32::from(self.codes[i] as i8),
            Format::Q4_1 | Format::Q5_1 => d * code + m,
            Format::Q4_K | Format::Q5_K => (d * f32::from(self.scales[i / 32])) * code - m * f32::from(self.minima[i / 32]),
            Format::Q2_K => (d * f32::from(self.scales[i / 16])) * code - m * f32::from(self.minima[i / 16]),
            Format::Q3_K => (d * f32::from(self.scales[i / 16] as i8)) * (code - 4.0),
            Format::Q6_K => (d * f32::from(self.scales[i / 16] as i8)) * (code - 32.0),
            Format::F32 | Format::F16 | Format::BF16 => f32::NAN,
        }
    }
}

/// Takes one block apart. `bytes` is one block of `format`, which is no float format.
pub(crate) fn unpack(format: Format, bytes: &[u8], to: &mut Unpacked) {
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    match format {
        Format::F32 | Format::F16 | Format::BF16 => {}
        Format::Q4_0 => {
            to.d = half(0);
            nibbles(&bytes[2..18], &mut to.codes[..32]);
        }
        Format::Q4_1 => {
            (to.d, to.m) = (half(0), half(2));
            nibbles(&bytes[4..20], &mut to.codes[..32]);
        }
        Format::Q5_0 => {
            to.d = half(0);
            nibbles(&bytes[6..22], &mut to.codes[..32]);
            fifth_bits(&bytes[2..6], &mut to.codes[..32]);
        }
        Format::Q5_1 => {
            (to.d, to.m) = (half(0), half(2));
            nibbles(&bytes[8..24], &mut to.codes[..32]);
            fifth_bits(&bytes[4..8], &mut to.codes[..32]);
        }
        Format::Q8_0 => {
            to.d = half(0);
            to.codes[..32].copy_from_slice(&bytes[2..34]);
        }
        Format::Q2_K => {
            for i in 0..16 {
                to.scales[i] = bytes[i] & 15;
                to.minima[i] = bytes[i] >> 4;
            }
            pairs_of_bits(&bytes[16..80], &mut to.codes);
            (to.d, to.m) = (half(80), half(82));
        }
        Format::Q3_K => {
            pairs_of_bits(&bytes[32..96], &mut to.codes);
            for (i, code) in to.codes.iter_mut().enumerate() {
                *code |= (bytes[i % 32] >> (i / 32) & 1) << 2;
            }
            let packed = &bytes[96..108];
            for i in 0..16 {
                let low = if i < 8 { packed[i] & 15 } else { packed[i - 8] >> 4 };
                let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
                to.scales[i] = (low | high << 4).wrapping_sub(32);
            }
            to.d = half(108);
        }
        Format::Q4_K | Format::Q5_K => {
            (to.d, to.m) = (half(0), half(2));
            six_bit_scales(&bytes[4..16], to);
            let low = if format == Format::Q4_K { &bytes[16..144] } else { &bytes[48..176] };
            for (codes, low) in to.codes.chunks_exact_mut(64).zip(low.chunks_exact(32)) {
                for i in 0..32 {
                    codes[i] = low[i] & 15;
                    codes[i + 32] = low[i] >> 4;
                }
            }
            if format == Format::Q5_K {
                for (i, code) in to.codes.iter_mut().enumerate() {
                    *code |= (bytes[16 + i % 32] >> (i / 32) & 1) << 4;
                }
            }
        }
        Format::Q6_K => {
            for (half, codes) in to.codes.chunks_exact_mut(128).enumerate() {
                let low = &bytes[64 * half..];
                let high = &bytes[128 + 32 * half..];
                for (i, code) in codes.iter_mut().enumerate() {
                    let nibble = low[i % 64] >> (4 * (i / 64)) & 15;
                    *code = nibble | (high[i % 32] >> (2 * (i / 32)) & 3) << 4;
                }
            }
            to.scales.copy_from_slice(&bytes[192..208]);
            to.d = half(208);
        }
    }
}

/// 16 bytes: the low nibbles are the first 16 codes, the high ones the others.
fn nibbles(bytes: &[u8], codes: &mut [u8]) {
    for i in 0..16 {
        codes[i] = bytes[i] & 15;
        codes[i + 16] = bytes[i] >> 4;
    }
}

/// 32 bits, one per code.
fn fifth_bits(bytes: &[u8], codes: &mut [u8]) {
    for (i, code) in codes.iter_mut().enumerate() {
        *code |= (bytes[i / 8] >> (i % 8) & 1) << 4;
    }
}

/// 64 bytes of four codes each: bits 2j and 2j+1 of byte l of a half belong to its value 32 j + l.
fn pairs_of_bits(bytes: &[u8], codes: &mut [u8]) {
    for (half, codes) in codes.chunks_exact_mut(128).enumerate() {
        for (i, code) in codes.iter_mut().enumerate() {
            *code = bytes[32 * half + i % 32] >> (2 * (i / 32)) & 3;
        }
    }
}

/// Eight scales and eight minima of six bits in twelve bytes.
fn six_bit_scales(packed: &[u8], to: &mut Unpacked) {
    for i in 0..4 {
        to.scales[i] = packed[i] & 63;
        to.minima[i] = packed[i + 4] & 63;
        to.scales[i + 4] = packed[i + 8] & 15 | packed[i] >> 6 << 4;
        to.minima[i + 4] = packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4;
    }
}
