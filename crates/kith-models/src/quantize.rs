//! Quantising rows of weights: from F32, F16 and BF16 to formats that hold 32 or 256 weights in a block.
//!
//! The arithmetic is that of the reference rounding in `ggml-quants.c` (`quantize_row_…_ref`): the same weights give the same bytes.

mod mixture;
mod super_blocks;

pub use crate::gguf::half::{bf16_to_f32, f16_to_f32, f32_to_f16};
pub use mixture::{Surroundings, TARGETS, Target};
pub use super_blocks::SUPER_BLOCK;

use crate::gguf::GgmlType;

/// Weights in a plain block.
pub const BLOCK: usize = 32;

/// Whether weights stored so can be read for quantising.
pub fn is_source(kind: GgmlType) -> bool {
    matches!(kind, GgmlType::F32 | GgmlType::F16 | GgmlType::BF16)
}

/// Reads `bytes` of a source type as numbers, onto the end of `out`.
pub fn read_source(kind: GgmlType, bytes: &[u8], out: &mut Vec<f32>) {
    match kind {
        GgmlType::F16 => out.extend(bytes.as_chunks::<2>().0.iter().map(|two| f16_to_f32(u16::from_le_bytes(*two)))),
        GgmlType::BF16 => out.extend(bytes.as_chunks::<2>().0.iter().map(|two| bf16_to_f32(u16::from_le_bytes(*two)))),
        _ => out.extend(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four))),
    }
}

/// Quantises whole blocks of `weights` to `kind`, onto the end of `out`. What does not fill a block is left out. `None` if `kind` is
/// no target.
pub fn quantize(kind: GgmlType, weights: &[f32], out: &mut Vec<u8>) -> Option<()> {
    type Block<const N: usize> = fn(&[f32; N], &mut Vec<u8>);
    let super_block: Option<Block<SUPER_BLOCK>> = match kind {
        GgmlType::Q4_K => Some(super_blocks::q4_k),
        GgmlType::Q5_K => Some(super_blocks::q5_k),
        GgmlType::Q6_K => Some(super_blocks::q6_k),
        _ => None,
    };
    if let Some(block) = super_block {
        weights.as_chunks::<SUPER_BLOCK>().0.iter().for_each(|weights| block(weights, out));
        return Some(());
    }
    let block: Block<BLOCK> = match kind {
        GgmlType::Q8_0 => q8_0,
        GgmlType::Q5_1 => q5_1,
        GgmlType::Q5_0 => q5_0,
        GgmlType::Q4_1 => q4_1,
        GgmlType::Q4_0 => q4_0,
        _ => return None,
    };
    weights.as_chunks::<BLOCK>().0.iter().for_each(|weights| block(weights, out));
    Some(())
}

/// One over `d`, or nothing of nothing.
fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

fn put_f16(value: f32, out: &mut Vec<u8>) {
    out.extend(f32_to_f16(value).to_le_bytes());
}

/// The weight farthest from zero, with its sign; the first of equals.
fn farthest(weights: &[f32; BLOCK]) -> f32 {
    let (_, max) = weights.iter().fold(
        (0.0, 0.0),
        |(most, max): (f32, f32), weight| {
            if weight.abs() > most { (weight.abs(), *weight) } else { (most, max) }
        },
    );
    max
}

fn bounds(weights: &[f32; BLOCK]) -> (f32, f32) {
    weights.iter().fold((f32::MAX, -f32::MAX), |(min, max), weight| {
        (if *weight < min { *weight } else { min }, if *weight > max { *weight } else { max })
    })
}

/// Rounded by adding a half and cutting, held to `0..=most`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn level(value: f32, most: u8) -> u8 {
    // `as` saturates, and makes nothing of not-a-number.
    (value as i32).clamp(0, i32::from(most)) as u8
}

#[allow(clippy::cast_possible_truncation)]
fn q8_0(weights: &[f32; BLOCK], out: &mut Vec<u8>) {
    let most = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
    let d = most / 127.0;
    let id = inverse(d);
    put_f16(d, out);
    out.extend(weights.iter().map(|weight| ((weight * id).round() as i8).to_le_bytes()[0]));
}

/// Puts the low four bits of the first half of the levels beside those of the second half.
fn put_nibbles(levels: &[u8; BLOCK], out: &mut Vec<u8>) {
    let (low, high) = levels.split_at(BLOCK / 2);
    out.extend(low.iter().zip(high).map(|(low, high)| (low & 0xF) | ((high & 0xF) << 4)));
}

/// Gathers the fifth bits of the levels.
fn put_fifth_bits(levels: &[u8; BLOCK], out: &mut Vec<u8>) {
    let bits = levels.iter().enumerate().fold(0u32, |bits, (at, level)| bits | (u32::from((level >> 4) & 1) << at));
    out.extend(bits.to_le_bytes());
}

fn q4_0(weights: &[f32; BLOCK], out: &mut Vec<u8>) {
    let d = farthest(weights) / -8.0;
    let id = inverse(d);
    put_f16(d, out);
    put_nibbles(&weights.map(|weight| level(weight * id + 8.5, 15)), out);
}

fn q4_1(weights: &[f32; BLOCK], out: &mut Vec<u8>) {
    let (min, max) = bounds(weights);
    let d = (max - min) / 15.0;
    let id = inverse(d);
    put_f16(d, out);
    put_f16(min, out);
    put_nibbles(&weights.map(|weight| level((weight - min) * id + 0.5, 15)), out);
}

fn q5_0(weights: &[f32; BLOCK], out: &mut Vec<u8>) {
    let d = farthest(weights) / -16.0;
    let id = inverse(d);
    put_f16(d, out);
    let levels = weights.map(|weight| level(weight * id + 16.5, 31));
    put_fifth_bits(&levels, out);
    put_nibbles(&levels, out);
}

fn q5_1(weights: &[f32; BLOCK], out: &mut Vec<u8>) {
    let (min, max) = bounds(weights);
    let d = (max - min) / 31.0;
    let id = inverse(d);
    put_f16(d, out);
    put_f16(min, out);
    let levels = weights.map(|weight| level((weight - min) * id + 0.5, 31));
    put_fifth_bits(&levels, out);
    put_nibbles(&levels, out);
}

#[cfg(test)]
mod tests;
