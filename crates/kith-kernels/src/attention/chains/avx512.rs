//! Chains with AVX-512: twice the lanes of AVX2 and twice the registers, so that six chains go through four vectors of lanes together.

use super::{
    Bytes, Rows, SHARING,
    avx2::{self, ByLanes, ByRows, Half, Read, Single, by_rows},
};
use std::{arch::x86_64::*, ops::Range};

/// How rows are read.
trait Wide: Read {
    /// Sixteen values from `lane` on, a multiple of 16, as f32.
    ///
    /// # Safety
    /// AVX-512 F is here; the rows reach to `row`, and to sixteen lanes from `lane` on.
    unsafe fn sixteen(self, row: usize, lane: usize) -> __m512;

    /// Asks for what will be read some time after this.
    #[inline(always)]
    fn ahead(self, _row: usize, _lane: usize) {}
}

/// Bytes ahead of the reading that are asked for: keys and values in halves are read once for each token, and come from memory.
const AHEAD: usize = 4096;

impl Wide for Single {
    #[inline(always)]
    unsafe fn sixteen(self, row: usize, lane: usize) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(self.0.add(row * self.1 + lane)) }
    }
}

impl Wide for Half {
    #[inline(always)]
    unsafe fn sixteen(self, row: usize, lane: usize) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(self.0.add(2 * (row * self.1 + lane)).cast())) }
    }

    #[inline(always)]
    fn ahead(self, row: usize, lane: usize) {
        let Self(rows, lanes, count, after) = self;
        let row = row + AHEAD / (2 * lanes);
        let (from, row) = if row < count { (rows, row) } else { (after, row - count) };
        // SAFETY: a prefetch may point anywhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(2 * (row * lanes + lane)).cast()) };
    }
}

/// Sixteen signed bytes as f32.
///
/// # Safety
/// AVX-512 F is here; sixteen bytes may be read.
#[inline(always)]
unsafe fn bytes(at: *const u8) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()))) }
}

impl Wide for ByRows {
    #[inline(always)]
    unsafe fn sixteen(self, row: usize, lane: usize) -> __m512 {
        // SAFETY: the caller's promise; 32 rows share a row of scales.
        unsafe {
            let scales = _mm512_loadu_ps(self.1.add(4 * (row / SHARING * self.2 + lane)).cast());
            _mm512_mul_ps(bytes(self.0.add(row * self.2 + lane)), scales)
        }
    }
}

impl Wide for ByLanes {
    #[inline(always)]
    unsafe fn sixteen(self, row: usize, lane: usize) -> __m512 {
        // SAFETY: the caller's promise; 32 lanes share a scale, and sixteen from a multiple of 16 on lie within one 32.
        unsafe {
            let scale = self.1.add(4 * (row * self.2.div_ceil(SHARING) + lane / SHARING)).cast::<f32>();
            _mm512_mul_ps(bytes(self.0.add(row * self.2 + lane)), _mm512_set1_ps(scale.read_unaligned()))
        }
    }
}

/// # Safety
/// AVX2, FMA, F16C and AVX-512 F are here; what [`super::run`] checks holds.
pub(super) unsafe fn run(rows: &Rows<'_>, range: Range<usize>, wanted: usize, factors: &[&[f32]], out: &mut [f32]) {
    let lanes = [rows.lanes(), wanted];
    // SAFETY: the caller's promise.
    unsafe { by_rows!(rows, chains(lanes, range, factors, out)) }
}

/// Lanes are given as there are and as are wanted.
///
/// # Safety
/// As [`run`], for these rows.
unsafe fn chains<R: Wide>(rows: R, lanes: [usize; 2], range: Range<usize>, factors: &[&[f32]], out: &mut [f32]) {
    // SAFETY: the caller's promise; there are as many chains as the number says.
    unsafe {
        match factors.len() {
            0 => {}
            1 => together::<R, 1>(rows, lanes, range, factors, out),
            2 => together::<R, 2>(rows, lanes, range, factors, out),
            3 => together::<R, 3>(rows, lanes, range, factors, out),
            4 => together::<R, 4>(rows, lanes, range, factors, out),
            5 => together::<R, 5>(rows, lanes, range, factors, out),
            _ => together::<R, 6>(rows, lanes, range, factors, out),
        }
    }
}

/// Q chains, four vectors of lanes at a time while so many are there and more than half of them wanted, then two, then one, then half of one.
///
/// # Safety
/// As [`run`], for Q chains over these rows.
#[target_feature(enable = "avx2,fma,f16c,avx512f")]
unsafe fn together<R: Wide, const Q: usize>(
    rows: R,
    [lanes, wanted]: [usize; 2],
    range: Range<usize>,
    factors: &[&[f32]],
    out: &mut [f32],
) {
    let factors: [*const f32; Q] = std::array::from_fn(|q| factors[q].as_ptr());
    let out = out.as_mut_ptr();
    let mut lane = 0;
    while lane < wanted {
        let range = range.clone();
        // SAFETY: the lanes lie within rows and output, which have a multiple of 8.
        unsafe {
            lane += if lane + 64 <= lanes && lane + 32 < wanted {
                some::<R, Q, 4>(rows, lanes, lane, range, factors, out)
            } else if lane + 32 <= lanes && lane + 16 < wanted {
                some::<R, Q, 2>(rows, lanes, lane, range, factors, out)
            } else if lane + 16 <= lanes {
                some::<R, Q, 1>(rows, lanes, lane, range, factors, out)
            } else {
                avx2::some::<R, Q, 1>(rows, lanes, lane, range, factors, out);
                8
            };
        }
    }
}

/// How many lanes were worked on.
///
/// # Safety
/// As [`run`]; `lane + 16 * V` is at most `lanes`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f")]
unsafe fn some<R: Wide, const Q: usize, const V: usize>(
    rows: R,
    lanes: usize,
    lane: usize,
    range: Range<usize>,
    factors: [*const f32; Q],
    out: *mut f32,
) -> usize {
    let mut sums = [[_mm512_setzero_ps(); V]; Q];
    // SAFETY: rows, factors and output reach as far as the caller promises.
    unsafe {
        for row in range {
            let values: [__m512; V] = std::array::from_fn(|v| rows.sixteen(row, lane + 16 * v));
            for v in (0..V).step_by(2) {
                rows.ahead(row, lane + 16 * v);
            }
            for q in 0..Q {
                let factor = _mm512_set1_ps(*factors[q].add(row));
                for v in 0..V {
                    sums[q][v] = _mm512_fmadd_ps(factor, values[v], sums[q][v]);
                }
            }
        }
        for q in 0..Q {
            for v in 0..V {
                _mm512_storeu_ps(out.add(q * lanes + lane + 16 * v), sums[q][v]);
            }
        }
    }
    16 * V
}
