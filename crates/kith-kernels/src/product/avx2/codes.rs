//! Quantised weights: integer sums per group, then the links of the chain.

use super::forms::{Codes, cell};
use crate::{Group, PANEL_ROWS};
use std::arch::x86_64::*;

/// One panel with 1 to 4 columns: one and two columns take both halves of the panel at once, so that it is read from memory in one
/// go; more take one half after the other, so that all sums stay in registers.
///
/// # Safety
/// As [`super::codes`], for this form.
pub(super) unsafe fn tile<F: Codes>(panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says.
    unsafe {
        match inputs.len() {
            1 => rows::<F, 2, 1>(panel, inputs, tile, 0),
            2 => rows::<F, 2, 2>(panel, inputs, tile, 0),
            3 => {
                rows::<F, 1, 3>(panel, inputs, tile, 0);
                rows::<F, 1, 3>(panel, inputs, tile, 1);
            }
            _ => {
                rows::<F, 1, 4>(panel, inputs, tile, 0);
                rows::<F, 1, 4>(panel, inputs, tile, 1);
            }
        }
    }
}

/// H times 8 rows, from half `first` on, with C columns.
///
/// # Safety
/// As [`super::codes`], with C columns; `first + H` is at most 2.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn rows<F: Codes, const H: usize, const C: usize>(
    panel: &[u8],
    inputs: &[&[Group]],
    tile: &mut [[f32; PANEL_ROWS]],
    first: usize,
) {
    let count = inputs[0].len();
    let group_bytes = F::CODES + F::SCALES;
    debug_assert_eq!(panel.len(), count * group_bytes + count / 8 * F::HEAD);
    let columns: [*const Group; C] = std::array::from_fn(|c| inputs[c].as_ptr());
    let mut sums = [[_mm256_setzero_ps(); C]; H];
    let mut at = panel.as_ptr();
    let mut head = at;
    for index in 0..count {
        // SAFETY: the panel has `count` groups, a head before every eight, the columns as many.
        unsafe {
            if F::HEAD > 0 && index % 8 == 0 {
                head = at;
                at = at.add(F::HEAD);
            }
            let groups: [*const Group; C] = std::array::from_fn(|c| columns[c].add(index));
            for h in 0..H {
                let half = first + h;
                let scales = F::scales(head, at.add(F::CODES), half);
                let wholes = if F::BY_SIXTEEN {
                    scaled::<F, C>(at.add(32 * half), groups, scales.pairs, scales.both)
                } else {
                    plain::<F, C>(at.add(32 * half), groups)
                };
                for c in 0..C {
                    let scale = _mm256_set1_ps((*groups[c]).scale);
                    let mut sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(wholes[c]), _mm256_mul_ps(scales.d, scale), sums[h][c]);
                    if F::MINIMA && F::BY_SIXTEEN {
                        let minima = _mm256_madd_epi16(scales.minima, halves(groups[c]));
                        sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(minima), _mm256_mul_ps(scales.m, scale), sum);
                    } else if F::MINIMA {
                        sum = _mm256_fmadd_ps(scales.m, _mm256_set1_ps((*groups[c]).scaled_sum), sum);
                    }
                    sums[h][c] = sum;
                }
            }
            at = at.add(group_bytes);
        }
    }
    for h in 0..H {
        for c in 0..C {
            // SAFETY: a tile's column has 16 values.
            unsafe { _mm256_storeu_ps(tile[c].as_mut_ptr().add(8 * (first + h)), sums[h][c]) };
        }
    }
}

/// The sums of a group's two halves, in every 32-bit lane.
///
/// # Safety
/// AVX2 is here; `group` may be read.
#[inline(always)]
unsafe fn halves(group: *const Group) -> __m256i {
    // SAFETY: the caller's promise; two 16-bit integers are 32 bits.
    unsafe { _mm256_set1_epi32((&raw const (*group).halves).cast::<i32>().read_unaligned()) }
}

/// Cell T of 8 rows times the same cell of each column: pairs of products in 16 bits, set or added.
macro_rules! cells {
    ($form:ty, $at:expr, $groups:expr, $sums:expr, [$($t:literal)+]) => {
        let mut fresh = true;
        $(
            let weights = cell_of::<$form, $t>($at);
            for (sum, group) in $sums.iter_mut().zip($groups) {
                let values = _mm256_set1_epi32((*group).codes.as_ptr().add(4 * $t).cast::<i32>().read_unaligned());
                let products = if <$form>::BITS == 8 {
                    _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(values, weights))
                } else {
                    _mm256_maddubs_epi16(weights, values)
                };
                *sum = if fresh { products } else { _mm256_add_epi16(*sum, products) };
            }
            fresh = false;
        )+
        let _ = fresh;
    };
}

/// [`cell`] for the bits of a form.
///
/// # Safety
/// As [`cell`].
#[inline(always)]
unsafe fn cell_of<F: Codes, const T: usize>(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        match F::BITS {
            2 => cell::<2, T>(at),
            3 => cell::<3, T>(at),
            4 => cell::<4, T>(at),
            5 => cell::<5, T>(at),
            6 => cell::<6, T>(at),
            _ => cell::<8, T>(at),
        }
    }
}

/// Integer sums of a group, less the offset times the sum of the activations.
///
/// # Safety
/// AVX2 is here; `at` is as for [`cell`]; the groups may be read.
#[inline(always)]
unsafe fn plain<F: Codes, const C: usize>(at: *const u8, groups: [*const Group; C]) -> [__m256i; C] {
    // SAFETY: the caller's promise.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let zero = _mm256_setzero_si256();
        let mut pairs = [zero; C];
        let mut wholes = [zero; C];
        macro_rules! widen {
            () => {
                for c in 0..C {
                    wholes[c] = _mm256_add_epi32(wholes[c], _mm256_madd_epi16(pairs[c], ones));
                }
            };
        }
        match F::BITS {
            4 => {
                cells!(F, at, groups, pairs, [0 4 1 5 2 6 3 7]);
                widen!();
            }
            5 => {
                cells!(F, at, groups, pairs, [0 4 1 5]);
                widen!();
                cells!(F, at, groups, pairs, [2 6 3 7]);
                widen!();
            }
            _ => {
                macro_rules! each {
                    ($($t:literal)+) => {
                        $(
                            cells!(F, at, groups, pairs, [$t]);
                            widen!();
                        )+
                    };
                }
                each!(0 1 2 3 4 5 6 7);
            }
        }
        if F::OFFSET > 0 {
            for c in 0..C {
                let sum = _mm256_set1_epi32((*groups[c]).sum);
                wholes[c] = _mm256_sub_epi32(wholes[c], _mm256_sll_epi32(sum, _mm_cvtsi32_si128(F::OFFSET)));
            }
        }
        wholes
    }
}

/// Integer sums of a group, each half times its scale.
///
/// # Safety
/// AVX2 is here; `at` is as for [`cell`]; the groups may be read.
#[inline(always)]
unsafe fn scaled<F: Codes, const C: usize>(
    at: *const u8,
    groups: [*const Group; C],
    scales: [__m256i; 2],
    both: __m256i,
) -> [__m256i; C] {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = _mm256_setzero_si256();
        let mut pairs = [zero; C];
        let mut wholes = [zero; C];
        macro_rules! widen {
            ($half:literal) => {
                for c in 0..C {
                    wholes[c] = _mm256_add_epi32(wholes[c], _mm256_madd_epi16(pairs[c], scales[$half]));
                }
            };
        }
        if F::BITS == 6 {
            // Two pairs of 6 bits fit 16 bits, four do not.
            cells!(F, at, groups, pairs, [0 1]);
            widen!(0);
            cells!(F, at, groups, pairs, [2 3]);
            widen!(0);
            cells!(F, at, groups, pairs, [4 5]);
            widen!(1);
            cells!(F, at, groups, pairs, [6 7]);
            widen!(1);
        } else {
            cells!(F, at, groups, pairs, [0 1 2 3]);
            widen!(0);
            cells!(F, at, groups, pairs, [4 5 6 7]);
            widen!(1);
        }
        if F::OFFSET > 0 {
            for c in 0..C {
                let sum = _mm256_madd_epi16(both, halves(groups[c]));
                wholes[c] = _mm256_sub_epi32(wholes[c], _mm256_sll_epi32(sum, _mm_cvtsi32_si128(F::OFFSET)));
            }
        }
        wholes
    }
}
