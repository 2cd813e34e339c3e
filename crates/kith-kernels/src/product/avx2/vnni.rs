//! Integer sums with AVX-VNNI, which adds four products of an unsigned and a signed byte to 32 bits, exactly. Signed weights are made unsigned by
//! adding 128, which is taken back as 128 times the sum of the activations.

use super::{
    codes::{AHEAD, Halves, cell_of, rows_with},
    forms::Codes,
};
use crate::{Group, PANEL_ROWS};
use std::arch::x86_64::*;

/// One panel with 1 to 4 columns.
///
/// # Safety
/// As [`super::codes_vnni`], for this form.
pub(super) unsafe fn tile<F: Codes>(panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says.
    unsafe {
        match inputs.len() {
            1 => rows::<F, 1>(panel, inputs, tile),
            2 => rows::<F, 2>(panel, inputs, tile),
            3 => rows::<F, 3>(panel, inputs, tile),
            _ => rows::<F, 4>(panel, inputs, tile),
        }
    }
}

rows_with!(rows, "avx2,fma,f16c,avxvnni", plain, scaled);

/// Adds the products of some cells.
macro_rules! cells {
    ($form:ty, $at:expr, $groups:expr, $sums:expr, [$($t:literal)+]) => {
        $(
            let mut weights = [cell_of::<$form, $t>($at), cell_of::<$form, $t>($at.add(32))];
            if <$form>::BITS == 8 {
                weights = weights.map(|weights| _mm256_xor_si256(weights, _mm256_set1_epi8(-128)));
            }
            for (sums, group) in $sums.iter_mut().zip($groups) {
                let values = _mm256_set1_epi32((*group).codes.as_ptr().add(4 * $t).cast::<i32>().read_unaligned());
                for h in 0..2 {
                    sums[h] = _mm256_dpbusd_avx_epi32(sums[h], weights[h], values);
                }
            }
        )+
    };
}

/// Integer sums of a group, less the offset times the sum of the activations.
///
/// # Safety
/// AVX2 and AVX-VNNI are here; `at` is the beginning of a group's codes; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn plain<F: Codes, const C: usize>(at: *const u8, groups: [*const Group; C]) -> Halves<C> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut wholes = [[_mm256_setzero_si256(); 2]; C];
        cells!(F, at, groups, wholes, [0 1 2 3 4 5 6 7]);
        let shift = if F::BITS == 8 { 7 } else { F::OFFSET };
        if shift > 0 {
            for c in 0..C {
                let offset = _mm256_sll_epi32(_mm256_set1_epi32((*groups[c]).sum), _mm_cvtsi32_si128(shift));
                for h in 0..2 {
                    wholes[c][h] = _mm256_sub_epi32(wholes[c][h], offset);
                }
            }
        }
        wholes
    }
}

/// Integer sums of a group, each half of its depth times its scale. The pairs of scales hold each twice, as 16-bit integers.
///
/// # Safety
/// AVX2 and AVX-VNNI are here; `at` is the beginning of a group's codes; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn scaled<F: Codes, const C: usize>(
    at: *const u8,
    groups: [*const Group; C],
    scales: [[__m256i; 2]; 2],
    _: [__m256i; 2],
) -> Halves<C> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut low = [[_mm256_setzero_si256(); 2]; C];
        let mut high = low;
        cells!(F, at, groups, low, [0 1 2 3]);
        cells!(F, at, groups, high, [4 5 6 7]);
        let shift = _mm_cvtsi32_si128(F::OFFSET);
        for c in 0..C {
            let [first, second] = (*groups[c]).halves.map(|sum| _mm256_set1_epi32(i32::from(sum)));
            for h in 0..2 {
                let (mut a, mut b) = (low[c][h], high[c][h]);
                if F::OFFSET > 0 {
                    a = _mm256_sub_epi32(a, _mm256_sll_epi32(first, shift));
                    b = _mm256_sub_epi32(b, _mm256_sll_epi32(second, shift));
                }
                let [x, y] = scales[h].map(|pair| _mm256_srai_epi32::<16>(pair));
                low[c][h] = _mm256_add_epi32(_mm256_mullo_epi32(a, x), _mm256_mullo_epi32(b, y));
            }
        }
        low
    }
}
