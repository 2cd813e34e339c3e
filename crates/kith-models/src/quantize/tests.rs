//! Blocks are what the published formats say, and lose no more than their steps allow.

use super::*;
use proptest::prelude::*;

/// Every format written.
const KINDS: [GgmlType; 8] = [
    GgmlType::Q8_0,
    GgmlType::Q5_1,
    GgmlType::Q5_0,
    GgmlType::Q4_1,
    GgmlType::Q4_0,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
];

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
        if kind.block() == 256 {
            out.extend(super_block(kind, block));
            continue;
        }
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

fn super_block(kind: GgmlType, block: &[u8]) -> Vec<f32> {
    let half = |at: usize| f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
    if kind == GgmlType::Q6_K {
        let (d, low, high, scales) = (half(208), &block[..128], &block[128..192], &block[192..208]);
        return (0..256)
            .map(|at| {
                let (part, l) = (at / 128, at % 128);
                let nibble = (low[part * 64 + l % 64] >> (l / 64 * 4)) & 0xF;
                let top = (high[part * 32 + l % 32] >> (l / 32 * 2)) & 3;
                let level = (nibble | (top << 4)).cast_signed() - 32;
                d * f32::from(scales[at / 16].cast_signed()) * f32::from(level)
            })
            .collect();
    }
    let (d, d_min, scales) = (half(0), half(2), &block[4..16]);
    let (fifth, nibbles) = if kind == GgmlType::Q5_K { (Some(&block[16..48]), &block[48..]) } else { (None, &block[16..]) };
    (0..256)
        .map(|at| {
            let group = at / 32;
            let (scale, min) = match group {
                0..4 => (scales[group] & 63, scales[group + 4] & 63),
                _ => (
                    (scales[group + 4] & 0xF) | ((scales[group - 4] >> 6) << 4),
                    (scales[group + 4] >> 4) | ((scales[group] >> 6) << 4),
                ),
            };
            let nibble = (nibbles[at / 64 * 32 + at % 32] >> (group % 2 * 4)) & 0xF;
            let level = nibble | fifth.map_or(0, |fifth| ((fifth[at % 32] >> group) & 1) << 4);
            d * f32::from(scale) * f32::from(level) - d_min * f32::from(min)
        })
        .collect()
}

fn quantized(kind: GgmlType, weights: &[f32]) -> Vec<u8> {
    let mut out = Vec::new();
    quantize(kind, weights, &mut out).unwrap();
    out
}

#[test]
fn a_block_has_the_formats_length() {
    for kind in KINDS {
        let weights = vec![0.5; 3 * usize::try_from(kind.block()).unwrap()];
        assert_eq!(quantized(kind, &weights).len() as u64, 3 * kind.block_bytes(), "{kind:?}");
    }
    assert_eq!(quantize(GgmlType::Q2_K, &[0.0; 256], &mut Vec::new()), None);
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
    for kind in KINDS {
        assert_eq!(dequantize(kind, &quantized(kind, &[0.0; 256])), [0.0; 256], "{kind:?}");
    }
}

#[test]
fn names_are_known_in_any_case_and_nothing_else_is() {
    assert_eq!(Target::named("q8_0").unwrap().kind, GgmlType::Q8_0);
    assert_eq!(Target::named("Q4_1").unwrap().file_type, 3);
    assert_eq!(Target::named("q4_K_M").unwrap().kind, GgmlType::Q4_K);
    assert_eq!(Target::named("q2_K"), None);
    for target in TARGETS {
        assert_eq!(crate::gguf::label(target.file_type.into()), Some(target.name));
    }
}

/// Numbers that are the same on every machine: SplitMix64 (Steele et al. 2014), four of them added up and scaled.
fn drawn(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 48) as i32 - 32768
    };
    (0..count).map(|_| (next() + next() + next() + next()) as f32 / 262_144.0).collect()
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_same_weights_give_the_same_bytes_as_the_reference() {
    // What `quantize_row_…_ref` of ggml makes of these weights, as a hash.
    let weights = drawn(7, 256 * 64);
    for (kind, expected) in REFERENCE {
        assert_eq!(hash(&quantized(kind, &weights)), expected, "{kind:?}");
    }
}

/// Hashes of the reference's bytes.
const REFERENCE: [(GgmlType, u64); 8] = [
    (GgmlType::Q8_0, 0x9823_d139_c0e3_f76e),
    (GgmlType::Q5_1, 0x7843_5cd5_525b_0492),
    (GgmlType::Q5_0, 0xebee_09df_9148_f18c),
    (GgmlType::Q4_1, 0x169b_f15d_186e_6d58),
    (GgmlType::Q4_0, 0xd71c_56e2_2e45_b6bf),
    (GgmlType::Q4_K, 0x900e_fe4d_0106_5dea),
    (GgmlType::Q5_K, 0xb791_b3d3_1313_d820),
    (GgmlType::Q6_K, 0xd1b0_a5f5_e4bc_b857),
];

proptest! {
    #[test]
    fn no_weight_is_off_by_more_than_its_formats_step(weights in prop::collection::vec(-100.0f32..100.0, 256)) {
        for kind in KINDS {
            let block = usize::try_from(kind.block()).unwrap();
            let back = dequantize(kind, &quantized(kind, &weights));
            for (weights, back) in weights.chunks(block).zip(back.chunks(block)) {
                let most = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
                let (min, max) = weights.iter().fold((f32::MAX, f32::MIN), |(min, max), w| (min.min(*w), max.max(*w)));
                // Half a step, but a whole one at the end that a symmetric format lacks; and what its scale of 16 bits rounds away.
                // The larger blocks give single weights away for the sum of all: two steps.
                let step = match kind {
                    GgmlType::Q8_0 => most / 127.0 / 2.0,
                    GgmlType::Q4_0 => most / 8.0,
                    GgmlType::Q5_0 => most / 16.0,
                    GgmlType::Q4_1 => (max - min) / 15.0 / 2.0,
                    GgmlType::Q5_1 => (max - min) / 31.0 / 2.0,
                    GgmlType::Q4_K => (max - min).max(most) / 15.0 * 2.0,
                    GgmlType::Q5_K => (max - min).max(most) / 31.0 * 2.0,
                    _ => most / 32.0 * 2.0,
                };
                let bound = step * 1.001 + most * 0.002 + 1e-6;
                for (weight, back) in weights.iter().zip(back) {
                    prop_assert!((weight - back).abs() <= bound, "{kind:?}: {weight} became {back}, bound {bound}");
                }
            }
        }
    }

    #[test]
    fn whatever_the_bits_nothing_panics_and_every_block_is_whole(bits in prop::collection::vec(any::<u32>(), 256)) {
        let weights: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        for kind in KINDS {
            prop_assert_eq!(quantized(kind, &weights).len() as u64, 256 / kind.block() * kind.block_bytes());
        }
    }
}
