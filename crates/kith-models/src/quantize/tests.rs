//! Blocks are what the published formats say, and lose no more than their steps allow.

use super::*;
use proptest::prelude::*;

/// Reads blocks back as the formats define them (`dequantize_row_…` in `ggml-quants.c`).
fn dequantize(kind: GgmlType, bytes: &[u8]) -> Vec<f32> {
    let half = |at: usize, block: &[u8]| f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
    let mut out = Vec::new();
    for block in bytes.chunks_exact(usize::try_from(kind.block_bytes()).unwrap()) {
        let nibbles = |from: usize| -> Vec<u8> {
            let bytes = &block[from..from + 16];
            bytes.iter().map(|byte| byte & 0xF).chain(bytes.iter().map(|byte| byte >> 4)).collect()
        };
        let fifth = |from: usize, at: usize| {
            let bits = u32::from_le_bytes(block[from..from + 4].try_into().unwrap());
            ((bits >> at) & 1) as u8
        };
        let d = half(0, block);
        match kind {
            GgmlType::Q8_0 => out.extend(block[2..].iter().map(|level| d * f32::from(level.cast_signed()))),
            GgmlType::Q4_0 => out.extend(nibbles(2).iter().map(|level| d * (f32::from(*level) - 8.0))),
            GgmlType::Q4_1 => out.extend(nibbles(4).iter().map(|level| d * f32::from(*level) + half(2, block))),
            GgmlType::Q5_0 => {
                let levels = nibbles(6);
                out.extend((0..32).map(|at| d * (f32::from(levels[at] | (fifth(2, at) << 4)) - 16.0)));
            }
            GgmlType::Q5_1 => {
                let levels = nibbles(8);
                out.extend((0..32).map(|at| d * f32::from(levels[at] | (fifth(4, at) << 4)) + half(2, block)));
            }
            other => panic!("{other:?}"),
        }
    }
    out
}

fn quantized(kind: GgmlType, weights: &[f32]) -> Vec<u8> {
    let mut out = Vec::new();
    quantize(kind, weights, &mut out).unwrap();
    out
}

#[test]
fn a_block_has_the_formats_length() {
    for target in TARGETS {
        assert_eq!(quantized(target.kind, &[0.5; 96]).len() as u64, 3 * target.kind.block_bytes(), "{:?}", target.kind);
    }
    assert_eq!(quantize(GgmlType::Q4_K, &[0.0; 32], &mut Vec::new()), None);
}

#[test]
fn known_blocks_have_their_known_bytes() {
    // 0, 1, …, 31: the scale of Q8_0 is 31/127, of Q4_0 31/-8, of Q4_1 31/15.
    let ramp: Vec<f32> = (0..32u8).map(f32::from).collect();
    let q8 = quantized(GgmlType::Q8_0, &ramp);
    assert_eq!(&q8[..2], f32_to_f16(31.0 / 127.0).to_le_bytes());
    assert_eq!(&q8[2..6], [0, 4, 8, 12]);
    assert_eq!(q8[33], 127);
    let q4 = quantized(GgmlType::Q4_0, &ramp);
    assert_eq!(&q4[..2], f32_to_f16(-3.875).to_le_bytes());
    // Level 8 is zero; 16 / -3.875 + 8.5 is cut to 4.
    assert_eq!(q4[2], 0x48);
    // 15 / -3.875 + 8.5 is cut to 4, 31 / -3.875 + 8.5 to 0.
    assert_eq!(q4[17], 0x04);
    let q41 = quantized(GgmlType::Q4_1, &ramp);
    assert_eq!(&q41[..4], [f32_to_f16(31.0 / 15.0).to_le_bytes(), [0, 0]].concat());
    assert_eq!((q41[4], q41[19]), (0x80, 0xF7));
    let q50 = quantized(GgmlType::Q5_0, &ramp);
    assert_eq!(&q50[..2], f32_to_f16(-1.9375).to_le_bytes());
    // Zero is level 16, whose fifth bit is set; 31 is level 0.
    assert_eq!((q50[2] & 1, q50[5] >> 7), (1, 0));
}

#[test]
fn a_row_of_zeros_stays_one() {
    for target in TARGETS {
        assert_eq!(dequantize(target.kind, &quantized(target.kind, &[0.0; 32])), [0.0; 32], "{:?}", target.kind);
    }
}

#[test]
fn names_are_known_in_any_case_and_nothing_else_is() {
    assert_eq!(Target::named("q8_0").unwrap().kind, GgmlType::Q8_0);
    assert_eq!(Target::named("Q4_1").unwrap().file_type, 3);
    assert_eq!(Target::named("q4_K_M"), None);
    for target in TARGETS {
        assert_eq!(crate::gguf::label(target.file_type.into()), Some(target.kind.as_str()));
    }
}

proptest! {
    #[test]
    fn no_weight_is_off_by_more_than_its_formats_step(weights in prop::collection::vec(-100.0f32..100.0, 32)) {
        let most = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
        let (min, max) = weights.iter().fold((f32::MAX, f32::MIN), |(min, max), w| (min.min(*w), max.max(*w)));
        for target in TARGETS {
            // Half a step, but a whole one at the end that a symmetric format lacks; and what its scale of 16 bits rounds away.
            let step = match target.kind {
                GgmlType::Q8_0 => most / 127.0 / 2.0,
                GgmlType::Q4_0 => most / 8.0,
                GgmlType::Q5_0 => most / 16.0,
                GgmlType::Q4_1 => (max - min) / 15.0 / 2.0,
                _ => (max - min) / 31.0 / 2.0,
            };
            let bound = step * 1.001 + most * 0.002 + 1e-6;
            let back = dequantize(target.kind, &quantized(target.kind, &weights));
            for (weight, back) in weights.iter().zip(&back) {
                prop_assert!((weight - back).abs() <= bound, "{:?}: {weight} became {back}, bound {bound}", target.kind);
            }
        }
    }

    #[test]
    fn whatever_the_bits_nothing_panics_and_every_block_is_whole(bits in prop::collection::vec(any::<u32>(), 32)) {
        let weights: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        for target in TARGETS {
            prop_assert_eq!(quantized(target.kind, &weights).len() as u64, target.kind.block_bytes());
        }
    }
}
