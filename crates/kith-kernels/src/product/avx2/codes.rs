//! Quantised weights: integer sums per group, then the links of the chain.

use super::forms::{Codes, cell};
use crate::{Group, PANEL_ROWS};
use std::arch::{asm, x86_64::*};

/// Bytes ahead of the reading that are asked for when one or two columns wait for memory.
pub(super) const AHEAD: usize = 1536;

/// Per column, a value for either half of a panel.
pub(super) type Halves<const C: usize> = [[__m256i; 2]; C];

/// One panel with 1 to 4 columns.
///
/// # Safety
/// As [`super::codes`], for this form.
pub(super) unsafe fn tile<F: Codes>(panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says.
    unsafe {
        match inputs.len() {
            1 => rows::<F, 1>(panel, inputs, tile),
            2 => rows::<F, 2>(panel, inputs, tile),
            3 => rows::<F, 3>(panel, inputs, tile),
            _ if F::BITS == 8 => super::bytes::four(panel, inputs, tile),
            _ => rows::<F, 4>(panel, inputs, tile),
        }
    }
}

/// A function for 16 rows with C columns, with the given instructions and the given ways to integer sums.
macro_rules! rows_with {
    ($name:ident, $features:literal, $plain:ident, $scaled:ident) => {
        /// 16 rows with C columns.
        ///
        /// # Safety
        /// As the product of one panel, with C columns, for this form and these instructions.
        #[target_feature(enable = $features)]
        unsafe fn $name<F: Codes, const C: usize>(panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
            let count = inputs[0].len();
            let group_bytes = F::CODES + F::SCALES;
            debug_assert_eq!(panel.len(), count * group_bytes + count / 8 * F::HEAD);
            let columns: [*const Group; C] = std::array::from_fn(|c| inputs[c].as_ptr());
            let mut sums = [[_mm256_setzero_ps(); 2]; C];
            let mut at = panel.as_ptr();
            let mut head = at;
            for index in 0..count {
                // SAFETY: the panel has `count` groups, a head before every eight, the columns as many. A prefetch may point anywhere.
                unsafe {
                    if F::HEAD > 0 && index % 8 == 0 {
                        head = at;
                        at = at.add(F::HEAD);
                    }
                    if C <= 2 {
                        for line in 0..group_bytes.div_ceil(64) {
                            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD + 64 * line).cast());
                        }
                    }
                    let groups: [*const Group; C] = std::array::from_fn(|c| columns[c].add(index));
                    let scales = [F::scales(head, at.add(F::CODES), 0), F::scales(head, at.add(F::CODES), 1)];
                    let wholes = if F::BY_SIXTEEN {
                        $scaled::<F, C>(at, groups, [scales[0].pairs, scales[1].pairs], [scales[0].both, scales[1].both])
                    } else {
                        $plain::<F, C>(at, groups)
                    };
                    for c in 0..C {
                        let scale = _mm256_set1_ps((*groups[c]).scale);
                        for h in 0..2 {
                            let mut sum = sums[c][h];
                            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(wholes[c][h]), _mm256_mul_ps(scales[h].d, scale), sum);
                            if F::MINIMA && F::BY_SIXTEEN {
                                let minima = _mm256_madd_epi16(scales[h].minima, super::codes::halves(groups[c]));
                                sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(minima), _mm256_mul_ps(scales[h].m, scale), sum);
                            } else if F::MINIMA {
                                sum = _mm256_fmadd_ps(scales[h].m, _mm256_set1_ps((*groups[c]).scaled_sum), sum);
                            }
                            sums[c][h] = sum;
                        }
                    }
                    at = at.add(group_bytes);
                }
            }
            for (sums, results) in sums.iter().zip(tile) {
                // SAFETY: a tile's column has 16 values.
                unsafe {
                    _mm256_storeu_ps(results.as_mut_ptr(), sums[0]);
                    _mm256_storeu_ps(results.as_mut_ptr().add(8), sums[1]);
                }
            }
        }
    };
}
pub(super) use rows_with;

rows_with!(rows, "avx2,fma,f16c", plain, scaled);

/// The sums of a group's two halves, in every 32-bit lane.
///
/// # Safety
/// AVX2 is here; `group` may be read.
#[inline(always)]
pub(super) unsafe fn halves(group: *const Group) -> __m256i {
    // SAFETY: the caller's promise; two 16-bit integers are 32 bits.
    unsafe { _mm256_set1_epi32((&raw const (*group).halves).cast::<i32>().read_unaligned()) }
}

/// Keeps a value in a register at this point. Without it the compiler, free to reorder integer sums, goes through the cells column by column, for
/// which there are too few registers.
macro_rules! hold {
    ($value:expr) => {
        // SAFETY: an empty instruction.
        asm!("/* {0} */", inout(ymm_reg) $value, options(nomem, nostack, preserves_flags))
    };
}

/// Cell T of 16 rows times the same cell of each column: pairs of products in 16 bits, set or added.
macro_rules! cells {
    ($form:ty, $at:expr, $groups:expr, $sums:expr, [$($t:literal)+]) => {
        let mut fresh = true;
        $(
            let weights = [cell_of::<$form, $t>($at), cell_of::<$form, $t>($at.add(32))];
            for (sums, group) in $sums.iter_mut().zip($groups) {
                let values = _mm256_set1_epi32((*group).codes.as_ptr().add(4 * $t).cast::<i32>().read_unaligned());
                for h in 0..2 {
                    let products = _mm256_maddubs_epi16(weights[h], values);
                    sums[h] = if fresh { products } else { _mm256_add_epi16(sums[h], products) };
                }
            }
            for sums in $sums.iter_mut() {
                hold!(sums[0]);
                hold!(sums[1]);
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
pub(super) unsafe fn cell_of<F: Codes, const T: usize>(at: *const u8) -> __m256i {
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

/// Cell T of signed bytes: pairs of products are widened at once, since no two pairs fit 16 bits.
///
/// # Safety
/// AVX2 is here; `at` is as for [`cell`]; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn bytes<F: Codes, const C: usize, const T: usize>(
    at: *const u8,
    groups: [*const Group; C],
    wholes: &mut Halves<C>,
    ones: __m256i,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let weights = [cell_of::<F, T>(at), cell_of::<F, T>(at.add(32))];
        let sizes = weights.map(|weights| _mm256_abs_epi8(weights));
        for (sums, group) in wholes.iter_mut().zip(groups) {
            let values = _mm256_set1_epi32((*group).codes.as_ptr().add(4 * T).cast::<i32>().read_unaligned());
            for h in 0..2 {
                let products = _mm256_maddubs_epi16(sizes[h], _mm256_sign_epi8(values, weights[h]));
                sums[h] = _mm256_add_epi32(sums[h], _mm256_madd_epi16(products, ones));
                hold!(sums[h]);
            }
        }
    }
}

/// Times what is subtracted from a form's codes, which is a power of two.
///
/// # Safety
/// AVX2 is here.
#[inline(always)]
unsafe fn times_offset<F: Codes>(sums: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        match F::OFFSET {
            2 => _mm256_slli_epi32::<2>(sums),
            3 => _mm256_slli_epi32::<3>(sums),
            4 => _mm256_slli_epi32::<4>(sums),
            5 => _mm256_slli_epi32::<5>(sums),
            _ => _mm256_sll_epi32(sums, _mm_cvtsi32_si128(F::OFFSET)),
        }
    }
}

/// Integer sums of a group, less the offset times the sum of the activations.
///
/// # Safety
/// AVX2 is here; `at` is as for [`cell`]; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn plain<F: Codes, const C: usize>(at: *const u8, groups: [*const Group; C]) -> Halves<C> {
    // SAFETY: the caller's promise.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut pairs = [[_mm256_setzero_si256(); 2]; C];
        let mut wholes = pairs;
        macro_rules! widen {
            ($first:literal) => {
                for c in 0..C {
                    for h in 0..2 {
                        let sum = _mm256_madd_epi16(pairs[c][h], ones);
                        wholes[c][h] = if $first { sum } else { _mm256_add_epi32(wholes[c][h], sum) };
                    }
                }
            };
        }
        match F::BITS {
            4 => {
                cells!(F, at, groups, pairs, [0 4 1 5 2 6 3 7]);
                widen!(true);
            }
            5 => {
                cells!(F, at, groups, pairs, [0 4 1 5]);
                widen!(true);
                cells!(F, at, groups, pairs, [2 6 3 7]);
                widen!(false);
            }
            _ => {
                macro_rules! each {
                    ($($t:literal)+) => {
                        $(bytes::<F, C, $t>(at, groups, &mut wholes, ones);)+
                    };
                }
                each!(0 1 2 3 4 5 6 7);
            }
        }
        if F::OFFSET > 0 {
            for c in 0..C {
                let offset = times_offset::<F>(_mm256_set1_epi32((*groups[c]).sum));
                for h in 0..2 {
                    wholes[c][h] = _mm256_sub_epi32(wholes[c][h], offset);
                }
            }
        }
        wholes
    }
}

/// Integer sums of a group, each half of its depth times its scale.
///
/// # Safety
/// AVX2 is here; `at` is as for [`cell`]; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scaled<F: Codes, const C: usize>(
    at: *const u8,
    groups: [*const Group; C],
    scales: [[__m256i; 2]; 2],
    both: [__m256i; 2],
) -> Halves<C> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut pairs = [[_mm256_setzero_si256(); 2]; C];
        let mut wholes = pairs;
        macro_rules! widen {
            ($part:literal) => {
                for c in 0..C {
                    for h in 0..2 {
                        wholes[c][h] = _mm256_add_epi32(wholes[c][h], _mm256_madd_epi16(pairs[c][h], scales[h][$part]));
                    }
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
                for h in 0..2 {
                    let sum = _mm256_madd_epi16(both[h], halves(groups[c]));
                    wholes[c][h] = _mm256_sub_epi32(wholes[c][h], times_offset::<F>(sum));
                }
            }
        }
        wholes
    }
}
