//! Chains with AVX2: as many lanes at once as keep eight or so chains in registers.

use super::{Bytes, Rows, SHARING};
use std::{arch::x86_64::*, ops::Range};

/// How rows are read.
pub(super) trait Read: Copy {
    /// Eight values from `lane` on, a multiple of 8, as f32.
    ///
    /// # Safety
    /// AVX2 and F16C are here; the rows reach to `row`, and to eight lanes from `lane` on.
    unsafe fn eight(self, row: usize, lane: usize) -> __m256;
}

/// f32: where they begin, and how many to a row.
#[derive(Clone, Copy)]
pub(super) struct Single(pub *const f32, pub usize);
/// Halves: where they begin, how many to a row, how many rows, and where the reading goes on after them.
#[derive(Clone, Copy)]
pub(super) struct Half(pub *const u8, pub usize, pub usize, pub *const u8);
/// Bytes: codes, scales, lanes.
#[derive(Clone, Copy)]
pub(super) struct ByRows(pub *const u8, pub *const u8, pub usize);
#[derive(Clone, Copy)]
pub(super) struct ByLanes(pub *const u8, pub *const u8, pub usize);

impl Read for Single {
    #[inline(always)]
    unsafe fn eight(self, row: usize, lane: usize) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(self.0.add(row * self.1 + lane)) }
    }
}

impl Read for Half {
    #[inline(always)]
    unsafe fn eight(self, row: usize, lane: usize) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(self.0.add(2 * (row * self.1 + lane)).cast())) }
    }
}

/// Eight signed bytes as f32.
///
/// # Safety
/// AVX2 is here; eight bytes may be read.
#[inline(always)]
unsafe fn bytes(at: *const u8) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast()))) }
}

impl Read for ByRows {
    #[inline(always)]
    unsafe fn eight(self, row: usize, lane: usize) -> __m256 {
        // SAFETY: the caller's promise; 32 rows share a row of scales.
        unsafe {
            let scales = _mm256_loadu_ps(self.1.add(4 * (row / SHARING * self.2 + lane)).cast());
            _mm256_mul_ps(bytes(self.0.add(row * self.2 + lane)), scales)
        }
    }
}

impl Read for ByLanes {
    #[inline(always)]
    unsafe fn eight(self, row: usize, lane: usize) -> __m256 {
        // SAFETY: the caller's promise; 32 lanes share a scale, and eight from a multiple of 8 on lie within one 32.
        unsafe {
            let scale = self.1.add(4 * (row * self.2.div_ceil(SHARING) + lane / SHARING)).cast::<f32>();
            _mm256_mul_ps(bytes(self.0.add(row * self.2 + lane)), _mm256_set1_ps(scale.read_unaligned()))
        }
    }
}

/// Calls a function with the right kind of reader as its first argument.
macro_rules! by_rows {
    ($rows:expr, $chains:ident($($argument:expr),*)) => {
        match $rows {
            Rows::Single(values, each) => $chains(Single(values.as_ptr(), *each), $($argument),*),
            Rows::Half(bytes, each, after) => {
                $chains(Half(bytes.as_ptr(), *each, $rows.count(), after.as_ptr()), $($argument),*)
            }
            Rows::Turned(Bytes { codes, scales, lanes }) => {
                $chains(ByRows(codes.as_ptr(), scales.as_ptr(), *lanes), $($argument),*)
            }
            Rows::Straight(Bytes { codes, scales, lanes }) => {
                $chains(ByLanes(codes.as_ptr(), scales.as_ptr(), *lanes), $($argument),*)
            }
        }
    };
}
pub(super) use by_rows;

/// # Safety
/// AVX2, FMA and F16C are here; what [`super::run`] checks holds.
pub(super) unsafe fn run(rows: &Rows<'_>, range: Range<usize>, wanted: usize, factors: &[&[f32]], out: &mut [f32]) {
    let lanes = [rows.lanes(), wanted];
    // SAFETY: the caller's promise.
    unsafe { by_rows!(rows, chains(lanes, range, factors, out)) }
}

/// Lanes are given as there are and as are wanted.
///
/// # Safety
/// As [`run`], for these rows.
unsafe fn chains<R: Read>(rows: R, lanes: [usize; 2], range: Range<usize>, factors: &[&[f32]], out: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe {
        match factors.len() {
            0 => {}
            1 => together::<R, 1, 8>(rows, lanes, range, factors, out),
            2 => together::<R, 2, 4>(rows, lanes, range, factors, out),
            3 => together::<R, 3, 3>(rows, lanes, range, factors, out),
            4 => together::<R, 4, 2>(rows, lanes, range, factors, out),
            5 => together::<R, 5, 2>(rows, lanes, range, factors, out),
            _ => together::<R, 6, 2>(rows, lanes, range, factors, out),
        }
    }
}

/// Q chains, V vectors of lanes at a time while there are so many, then two, then one: sums, values and a factor fit the 16 registers, since a sum
/// that goes through memory makes its chain three times as long.
///
/// # Safety
/// As [`run`], for Q chains over these rows.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn together<R: Read, const Q: usize, const V: usize>(
    rows: R,
    [lanes, wanted]: [usize; 2],
    range: Range<usize>,
    factors: &[&[f32]],
    out: &mut [f32],
) {
    let factors: [*const f32; Q] = std::array::from_fn(|q| factors[q].as_ptr());
    let out = out.as_mut_ptr();
    let mut lane = 0;
    while lane + 8 * V <= lanes && lane < wanted {
        // SAFETY: the lanes lie within rows and output.
        unsafe { some::<R, Q, V>(rows, lanes, lane, range.clone(), factors, out) };
        lane += 8 * V;
    }
    while V > 2 && lane + 16 <= lanes && lane < wanted {
        // SAFETY: as above.
        unsafe { some::<R, Q, 2>(rows, lanes, lane, range.clone(), factors, out) };
        lane += 16;
    }
    while lane < wanted {
        // SAFETY: lanes are a multiple of 8: eight more lie within rows and output.
        unsafe { some::<R, Q, 1>(rows, lanes, lane, range.clone(), factors, out) };
        lane += 8;
    }
}

/// # Safety
/// As [`run`]; `lane + 8 * V` is at most `lanes`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn some<R: Read, const Q: usize, const V: usize>(
    rows: R,
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
            let values: [__m256; V] = std::array::from_fn(|v| rows.eight(row, lane + 8 * v));
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
