//! A group in 8 bits with AVX2: 32 values are four vectors.

use super::{GROUP, Group, NOTHING};
use crate::math::ROUND;
use std::arch::x86_64::*;

/// As [`super::quantise`], with the same bits.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn quantise(values: &[f32], groups: &mut [Group]) {
    for (values, group) in values.as_chunks().0.iter().zip(groups) {
        *group = of(values);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn of(values: &[f32; GROUP]) -> Group {
    // SAFETY: four times eight values are read.
    let v: [__m256; 4] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(values.as_ptr().add(8 * i)) });
    let sizes = v.map(|v| _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fff_ffff)));
    let pairs = _mm256_max_epu32(_mm256_max_epu32(sizes[0], sizes[1]), _mm256_max_epu32(sizes[2], sizes[3]));
    let four = _mm_max_epu32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
    let two = _mm_max_epu32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    let one = _mm_max_epu32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
    let largest = f32::from_bits(_mm_cvtsi128_si32(one).cast_unsigned());
    if !largest.is_finite() || largest < NOTHING {
        return Group::of(values);
    }
    let (per_value, round) = (_mm256_set1_ps(127.0 / largest), _mm256_set1_ps(ROUND));
    let wide = v.map(|v| {
        let rounded = _mm256_castps_si256(_mm256_fmadd_ps(v, per_value, round));
        _mm256_sub_epi32(rounded, _mm256_castps_si256(round))
    });
    // Nothing saturates: codes are at most 127 in size. Packing goes by halves of vectors, which are put in order afterwards.
    let packed = _mm256_packs_epi16(_mm256_packs_epi32(wide[0], wide[1]), _mm256_packs_epi32(wide[2], wide[3]));
    let packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    let mut codes = [0i8; GROUP];
    // SAFETY: 32 bytes are written.
    unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), packed) };
    let sums = _mm256_hadd_epi32(_mm256_add_epi32(wide[0], wide[1]), _mm256_add_epi32(wide[2], wide[3]));
    let sums = _mm256_hadd_epi32(sums, sums);
    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let halves = [_mm_extract_epi32::<0>(sums), _mm_extract_epi32::<1>(sums)];
    let (scale, sum) = (largest / 127.0, halves[0] + halves[1]);
    Group { codes, scale, scaled_sum: scale * sum as f32, sum, halves: halves.map(|sum| sum as i16) }
}
