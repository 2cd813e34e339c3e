//! Float weights: a broadcast input, a fused multiply-add, nothing else.

use crate::PANEL_ROWS;
use std::arch::x86_64::*;

/// How 8 weights are read.
pub(super) trait Weight {
    /// Bytes of one.
    const BYTES: usize;

    /// Eight of them as f32.
    ///
    /// # Safety
    /// AVX2 and F16C are here; `at` may be read for eight weights.
    unsafe fn eight(at: *const u8) -> __m256;
}

/// 32 bits.
pub(super) struct Single;
/// An IEEE half.
pub(super) struct Half;
/// A bfloat16.
pub(super) struct Brain;

impl Weight for Single {
    const BYTES: usize = 4;

    #[inline(always)]
    unsafe fn eight(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(at.cast()) }
    }
}

impl Weight for Half {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn eight(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
    }
}

impl Weight for Brain {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn eight(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast())))) }
    }
}

/// One panel with 1 to 4 columns.
///
/// # Safety
/// As [`super::floats`], for this weight.
pub(super) unsafe fn tile<W: Weight>(panel: &[u8], inputs: &[&[f32]], tile: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says.
    unsafe {
        match inputs.len() {
            1 => columns::<W, 1>(panel, inputs, tile),
            2 => columns::<W, 2>(panel, inputs, tile),
            3 => columns::<W, 3>(panel, inputs, tile),
            _ => columns::<W, 4>(panel, inputs, tile),
        }
    }
}

/// # Safety
/// As [`super::floats`], with C columns.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn columns<W: Weight, const C: usize>(panel: &[u8], inputs: &[&[f32]], tile: &mut [[f32; PANEL_ROWS]]) {
    let depth = inputs[0].len();
    debug_assert_eq!(panel.len(), depth * PANEL_ROWS * W::BYTES);
    let columns: [*const f32; C] = std::array::from_fn(|c| inputs[c].as_ptr());
    let mut sums = [[_mm256_setzero_ps(); 2]; C];
    let mut at = panel.as_ptr();
    for k in 0..depth {
        // SAFETY: the panel has 16 weights per depth, the columns a value.
        unsafe {
            let low = W::eight(at);
            let high = W::eight(at.add(8 * W::BYTES));
            for c in 0..C {
                let value = _mm256_set1_ps(*columns[c].add(k));
                sums[c][0] = _mm256_fmadd_ps(low, value, sums[c][0]);
                sums[c][1] = _mm256_fmadd_ps(high, value, sums[c][1]);
            }
            at = at.add(16 * W::BYTES);
        }
    }
    for c in 0..C {
        // SAFETY: a tile's column has 16 values.
        unsafe {
            _mm256_storeu_ps(tile[c].as_mut_ptr(), sums[c][0]);
            _mm256_storeu_ps(tile[c].as_mut_ptr().add(8), sums[c][1]);
        }
    }
}
