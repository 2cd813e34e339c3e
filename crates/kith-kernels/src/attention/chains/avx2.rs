//! Chains with AVX2: as many lanes at once as keep eight or so chains in registers.

use super::Rows;
use std::{arch::x86_64::*, ops::Range};

/// How rows are read.
trait Read {
    /// Bytes of a value.
    const BYTES: usize;

    /// Eight values as f32.
    ///
    /// # Safety
    /// AVX2 and F16C are here; eight values may be read at `at`.
    unsafe fn eight(at: *const u8) -> __m256;
}

struct Single;
struct Half;

impl Read for Single {
    const BYTES: usize = 4;

    #[inline(always)]
    unsafe fn eight(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(at.cast()) }
    }
}

impl Read for Half {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn eight(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
    }
}

/// # Safety
/// AVX2, FMA and F16C are here; what [`super::run`] checks holds.
pub(super) unsafe fn run(rows: &Rows<'_>, range: Range<usize>, factors: &[&[f32]], out: &mut [f32]) {
    // SAFETY: the caller's promise; there are as many chains as the number says.
    unsafe {
        match rows {
            Rows::Single(values, lanes) => chains::<Single>(values.as_ptr().cast(), *lanes, range, factors, out),
            Rows::Half(bytes, lanes) => chains::<Half>(bytes.as_ptr(), *lanes, range, factors, out),
        }
    }
}

/// # Safety
/// As [`run`], for rows at `at`.
unsafe fn chains<R: Read>(at: *const u8, lanes: usize, range: Range<usize>, factors: &[&[f32]], out: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe {
        match factors.len() {
            0 => {}
            1 => together::<R, 1, 8>(at, lanes, range, factors, out),
            2 => together::<R, 2, 4>(at, lanes, range, factors, out),
            3 => together::<R, 3, 4>(at, lanes, range, factors, out),
            _ => together::<R, 4, 2>(at, lanes, range, factors, out),
        }
    }
}

/// Q chains, V vectors of lanes at a time while there are so many, then one at a time.
///
/// # Safety
/// As [`run`], for Q chains over rows at `at`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn together<R: Read, const Q: usize, const V: usize>(
    at: *const u8,
    lanes: usize,
    range: Range<usize>,
    factors: &[&[f32]],
    out: &mut [f32],
) {
    let factors: [*const f32; Q] = std::array::from_fn(|q| factors[q].as_ptr());
    let out = out.as_mut_ptr();
    let mut lane = 0;
    while lane + 8 * V <= lanes {
        // SAFETY: the lanes lie within rows and output.
        unsafe { some::<R, Q, V>(at, lanes, lane, range.clone(), factors, out) };
        lane += 8 * V;
    }
    while lane < lanes {
        // SAFETY: lanes are a multiple of 8: eight more lie within rows and output.
        unsafe { some::<R, Q, 1>(at, lanes, lane, range.clone(), factors, out) };
        lane += 8;
    }
}

/// # Safety
/// As [`run`]; `lane + 8 * V` is at most `lanes`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn some<R: Read, const Q: usize, const V: usize>(
    at: *const u8,
    lanes: usize,
    lane: usize,
    range: Range<usize>,
    factors: [*const f32; Q],
    out: *mut f32,
) {
    let mut sums = [[_mm256_setzero_ps(); V]; Q];
    // SAFETY: rows, factors and output reach as far as the caller promises.
    unsafe {
        for row in range {
            let values: [__m256; V] = std::array::from_fn(|v| R::eight(at.add((row * lanes + lane + 8 * v) * R::BYTES)));
            for q in 0..Q {
                let factor = _mm256_set1_ps(*factors[q].add(row));
                for v in 0..V {
                    sums[q][v] = _mm256_fmadd_ps(factor, values[v], sums[q][v]);
                }
            }
        }
        for q in 0..Q {
            for v in 0..V {
                _mm256_storeu_ps(out.add(q * lanes + lane + 8 * v), sums[q][v]);
            }
        }
    }
}
