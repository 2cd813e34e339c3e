//! From the blocks in which tensors are stored to plain numbers, one row at a time.
//!
//! Layouts: the `block_…` structures of `ggml-common.h`. Each decoder multiplies and adds in the order of the reference
//! (`dequantize_row_…` in `ggml-quants.c`), so that its results are the same to the last bit.

use super::{
    GgmlType,
    half::{bf16_to_f32, f16_to_f32},
};

/// Elements of a block of the older kinds, `Q4_0` to `Q8_0`.
const SMALL: usize = 32;
/// Elements of a block of the `K` kinds.
const LARGE: usize = 256;

/// Whether [`decode`] knows tensors stored so.
pub fn decodable(kind: GgmlType) -> bool {
    use GgmlType as T;
    matches!(
        kind,
        T::F32
            | T::F16
            | T::BF16
            | T::Q4_0
            | T::Q4_1
            | T::Q5_0
            | T::Q5_1
            | T::Q8_0
            | T::Q2_K
            | T::Q3_K
            | T::Q4_K
            | T::Q5_K
            | T::Q6_K
    )
}

/// Decodes `bytes`, whole blocks of `kind`, into `row`. False, and `row` untouched, if the lengths do not fit each other or the kind
/// is not [`decodable`].
#[must_use]
pub fn decode(kind: GgmlType, bytes: &[u8], row: &mut [f32]) -> bool {
    let (block, size) = (kind.block() as usize, kind.block_bytes() as usize);
    if !decodable(kind) || !row.len().is_multiple_of(block) || bytes.len() != row.len() / block * size {
        return false;
    }
    let one: fn(&[u8], &mut [f32]) = match kind {
        GgmlType::F32 => |bytes, row| row[0] = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        GgmlType::F16 => |bytes, row| row[0] = half(bytes, 0),
        GgmlType::BF16 => |bytes, row| row[0] = bf16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]])),
        GgmlType::Q4_0 => q4_0,
        GgmlType::Q4_1 => q4_1,
        GgmlType::Q5_0 => q5_0,
        GgmlType::Q5_1 => q5_1,
        GgmlType::Q8_0 => q8_0,
        GgmlType::Q2_K => q2_k,
        GgmlType::Q3_K => q3_k,
        GgmlType::Q4_K => q4_k,
        GgmlType::Q5_K => q5_k,
        _ => q6_k,
    };
    for (bytes, row) in bytes.chunks_exact(size).zip(row.chunks_exact_mut(block)) {
        one(bytes, row);
    }
    true
}

/// The binary16 number at byte `at`.
fn half(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Low nibbles are the block's first half, high nibbles its second.
fn nibbles(quants: &[u8], row: &mut [f32], number: impl Fn(u8) -> f32) {
    for (j, byte) in quants.iter().enumerate() {
        row[j] = number(byte & 0x0f);
        row[j + SMALL / 2] = number(byte >> 4);
    }
}

fn q4_0(bytes: &[u8], row: &mut [f32]) {
    let d = half(bytes, 0);
    nibbles(&bytes[2..], row, |q| f32::from(q as i8 - 8) * d);
}

fn q4_1(bytes: &[u8], row: &mut [f32]) {
    let (d, m) = (half(bytes, 0), half(bytes, 2));
    nibbles(&bytes[4..], row, |q| f32::from(q) * d + m);
}

/// Nibbles with a fifth bit each, the bits of all 32 in one word.
fn five(high: [u8; 4], quants: &[u8], row: &mut [f32], number: impl Fn(u8) -> f32) {
    let high = u32::from_le_bytes(high);
    let fifth = |at: usize| ((high >> at & 1) as u8) << 4;
    for (j, byte) in quants.iter().enumerate() {
        row[j] = number(byte & 0x0f | fifth(j));
        row[j + SMALL / 2] = number(byte >> 4 | fifth(j + SMALL / 2));
    }
}

fn q5_0(bytes: &[u8], row: &mut [f32]) {
    let d = half(bytes, 0);
    five([bytes[2], bytes[3], bytes[4], bytes[5]], &bytes[6..], row, |q| f32::from(q as i8 - 16) * d);
}

fn q5_1(bytes: &[u8], row: &mut [f32]) {
    let (d, m) = (half(bytes, 0), half(bytes, 2));
    five([bytes[4], bytes[5], bytes[6], bytes[7]], &bytes[8..], row, |q| f32::from(q) * d + m);
}

fn q8_0(bytes: &[u8], row: &mut [f32]) {
    let d = half(bytes, 0);
    for (value, byte) in row.iter_mut().zip(&bytes[2..]) {
        *value = f32::from(byte.cast_signed()) * d;
    }
}

/// 16 groups of 16: scale and minimum of four bits each, quants of two bits.
fn q2_k(bytes: &[u8], row: &mut [f32]) {
    let (scales, quants) = (&bytes[..16], &bytes[16..80]);
    let (d, least) = (half(bytes, 80), half(bytes, 82));
    for (group, values) in row.chunks_exact_mut(16).enumerate() {
        let (scale, minimum) = (d * f32::from(scales[group] & 0x0f), least * f32::from(scales[group] >> 4));
        let (at, shift) = two_bits(group);
        for (l, value) in values.iter_mut().enumerate() {
            *value = scale * f32::from(quants[at + l] >> shift & 3) - minimum;
        }
    }
}

/// Where the two-bit quants of a group of 16 lie: their first byte, and how far they are shifted in theirs.
fn two_bits(group: usize) -> (usize, usize) {
    (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2)
}

/// 16 groups of 16: scales of six bits, quants of two bits with a third one apart.
fn q3_k(bytes: &[u8], row: &mut [f32]) {
    let (high, quants, packed, d) = (&bytes[..32], &bytes[32..96], &bytes[96..108], half(bytes, 108));
    for (group, values) in row.chunks_exact_mut(16).enumerate() {
        let low = if group < 8 { packed[group] & 0x0f } else { packed[group - 8] >> 4 };
        let scale = low | (packed[8 + group % 4] >> (group / 4 * 2) & 3) << 4;
        let scale = d * f32::from(scale as i8 - 32);
        let (at, shift) = two_bits(group);
        for (l, value) in values.iter_mut().enumerate() {
            let third = high[group % 2 * 16 + l] >> (group / 2) & 1;
            *value = scale * f32::from((quants[at + l] >> shift & 3) as i8 - if third == 1 { 0 } else { 4 });
        }
    }
}

/// Scale and minimum of one of eight groups, six bits each, packed into twelve bytes.
fn scale_and_minimum(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let both = packed[group + 4];
        (both & 0x0f | packed[group - 4] >> 6 << 4, both >> 4 | packed[group] >> 6 << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

/// Eight groups of 32: scale and minimum of six bits each, quants of four bits; two groups share 32 bytes.
fn q4_k(bytes: &[u8], row: &mut [f32]) {
    let (d, least, quants) = (half(bytes, 0), half(bytes, 2), &bytes[16..]);
    for (group, values) in row.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(&bytes[4..16], group);
        let (scale, minimum) = (d * scale, least * minimum);
        for (l, value) in values.iter_mut().enumerate() {
            let nibble = quants[group / 2 * 32 + l] >> (group % 2 * 4) & 0x0f;
            *value = scale * f32::from(nibble) - minimum;
        }
    }
}

/// As `q4_k`, with a fifth bit for each quant.
fn q5_k(bytes: &[u8], row: &mut [f32]) {
    let (d, least, high, quants) = (half(bytes, 0), half(bytes, 2), &bytes[16..48], &bytes[48..]);
    for (group, values) in row.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(&bytes[4..16], group);
        let (scale, minimum) = (d * scale, least * minimum);
        for (l, value) in values.iter_mut().enumerate() {
            let nibble = quants[group / 2 * 32 + l] >> (group % 2 * 4) & 0x0f;
            *value = scale * f32::from(nibble | (high[l] >> group & 1) << 4) - minimum;
        }
    }
}

/// 16 groups of 16: scales of eight bits, quants of six: four in one place and two in another.
fn q6_k(bytes: &[u8], row: &mut [f32]) {
    let (low, high, scales, d) = (&bytes[..128], &bytes[128..192], &bytes[192..208], half(bytes, 208));
    for (at, value) in row.iter_mut().enumerate().take(LARGE) {
        let (part, within) = (at / 128, at % 128);
        let (quarter, l) = (within / 32, within % 32);
        let nibble = low[part * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 0x0f;
        let rest = high[part * 32 + l] >> (quarter * 2) & 3;
        let scale = scales[at / 16].cast_signed();
        *value = d * f32::from(scale) * f32::from((nibble | rest << 4) as i8 - 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two blocks of bytes without meaning, from a linear congruential generator that starts at the kind's number; their scales are
    /// set to halves that are exact.
    fn blocks(kind: GgmlType, halves: &[usize]) -> Vec<u8> {
        let mut state = kind.code();
        let size = kind.block_bytes() as usize;
        let mut bytes: Vec<u8> = (0..2 * size)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        for (block, scales) in [[0x3800_u16, 0xb400], [0xb000, 0x3a00]].into_iter().enumerate() {
            for (at, scale) in halves.iter().zip(scales) {
                bytes[block * size + at..][..2].copy_from_slice(&scale.to_le_bytes());
            }
        }
        bytes
    }

    /// FNV-1a over the values as whole multiples of 1/1024.
    fn fingerprint(values: &[f32]) -> u64 {
        values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, value| {
            (hash ^ u64::from(((value * 1024.0) as i32).cast_unsigned())).wrapping_mul(0x0100_0000_01b3)
        })
    }

    #[test]
    fn blocks_are_decoded_as_the_formats_own_package_decodes_them() {
        // Computed with `gguf.quants.dequantize` of the format's Python package, 0.19.
        let known: [(GgmlType, &[usize], [f32; 4], u64); 10] = [
            (GgmlType::Q4_0, &[0], [-4.0, 2.5, 1.5, 0.125], 0xc98a_441a_a0de_f1a5),
            (GgmlType::Q4_1, &[0, 2], [0.75, 6.25, 6.25, 0.75], 0xe92d_274d_ddb7_be25),
            (GgmlType::Q5_0, &[0], [7.0, -6.5, 1.0, 1.75], 0x8dcc_6047_45d5_27a5),
            (GgmlType::Q5_1, &[0, 2], [0.25, 5.25, 7.25, -0.5], 0x7a20_9f61_667e_66a5),
            (GgmlType::Q8_0, &[0], [38.0, -5.0, -33.5, 11.75], 0x790d_0457_228c_d925),
            (GgmlType::Q2_K, &[80, 82], [7.25, 13.75, 0.5, -3.375], 0xf35b_d0a6_06e7_31a5),
            (GgmlType::Q3_K, &[108], [-40.5, 54.0, 28.5, 15.0], 0xa75b_83a9_1c2d_cd25),
            (GgmlType::Q4_K, &[0, 2], [188.5, 238.0, 122.5, -12.875], 0x97ae_5f37_682d_3da5),
            (GgmlType::Q5_K, &[0, 2], [67.5, 91.5, 37.5, -42.5], 0x3a42_e41d_1879_3d25),
            (GgmlType::Q6_K, &[208], [-201.5, 62.0, 1508.0, -28.75], 0x710a_996f_622e_ab25),
        ];
        for (kind, halves, some, all) in known {
            let mut row = vec![0.0; 2 * kind.block() as usize];
            assert!(decode(kind, &blocks(kind, halves), &mut row), "{kind:?}");
            assert_eq!([row[0], row[1], row[17], row[row.len() - 1]], some, "{kind:?}");
            assert_eq!(fingerprint(&row), all, "{kind:?}");
        }
    }

    #[test]
    fn plain_numbers_are_read_as_they_are() {
        let mut row = [0.0; 2];
        assert!(decode(GgmlType::F32, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], &mut row));
        assert_eq!(row, [1.0, -2.0]);
        assert!(decode(GgmlType::F16, &[0, 0x3c, 0, 0xc0], &mut row));
        assert_eq!(row, [1.0, -2.0]);
        assert!(decode(GgmlType::BF16, &[0x80, 0x3f, 0, 0xc0], &mut row));
        assert_eq!(row, [1.0, -2.0]);
    }

    #[test]
    fn lengths_that_do_not_fit_and_kinds_not_known_are_refused() {
        let mut row = [7.0; 33];
        assert!(!decode(GgmlType::Q4_0, &[0; 18], &mut row));
        assert!(!decode(GgmlType::Q4_0, &[0; 17], &mut row[..32]));
        assert!(!decode(GgmlType::IQ4_NL, &[0; 18], &mut row[..32]));
        assert_eq!(row, [7.0; 33]);
        for kind in GgmlType::ALL {
            let mut row = vec![0.0; kind.block() as usize];
            assert_eq!(decode(*kind, &vec![0; kind.block_bytes() as usize], &mut row), decodable(*kind));
        }
    }
}
