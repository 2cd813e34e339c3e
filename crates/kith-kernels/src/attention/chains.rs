//! Several chains of fused multiply-adds over the rows of a small matrix: scores (rows are a head's values, lanes are positions) and weighted
//! sums (rows are positions, lanes are a head's values).

#[cfg(target_arch = "x86_64")]
mod avx2;

use crate::{Set, float::from_f16, sets::Kind};
use std::ops::Range;

/// Chains that run together, at most.
pub(super) const MOST: usize = 4;

/// Rows of `lanes` values each; `lanes` is a multiple of 8.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// As f32.
    Single(&'a [f32], usize),
    /// As halves, little-endian.
    Half(&'a [u8], usize),
}

impl Rows<'_> {
    fn lanes(&self) -> usize {
        match self {
            Self::Single(_, lanes) | Self::Half(_, lanes) => *lanes,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Single(values, lanes) => values.len() / lanes,
            Self::Half(bytes, lanes) => bytes.len() / 2 / lanes,
        }
    }
}

/// `out[q][lane]` is the chain `fma(factors[q][row], rows[row][lane], out)` over `range` in ascending order, from 0. `out` has the lanes of one
/// chain after another.
///
/// # Panics
/// If the range does not lie within rows and factors, `out` is too short, there are more than [`MOST`] chains, or lanes are no multiple of 8.
pub(super) fn run(set: Set, rows: &Rows<'_>, range: Range<usize>, factors: &[&[f32]], out: &mut [f32]) {
    let lanes = rows.lanes();
    assert!(lanes.is_multiple_of(8) && factors.len() <= MOST && out.len() >= factors.len() * lanes, "room for the chains");
    assert!(range.end <= rows.count() && factors.iter().all(|factors| range.end <= factors.len()), "rows and factors");
    match set.kind() {
        Kind::Scalar => plain(rows, range, factors, out),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => plain(rows, range, factors, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Set` of this kind exists only where its instructions do; ranges and lengths were checked above.
        Kind::Avx2 | Kind::Avx512 => unsafe { avx2::run(rows, range, factors, out) },
    }
}

fn plain(rows: &Rows<'_>, range: Range<usize>, factors: &[&[f32]], out: &mut [f32]) {
    let lanes = rows.lanes();
    for (factors, out) in factors.iter().zip(out.chunks_exact_mut(lanes)) {
        out.fill(0.0);
        for row in range.clone() {
            let factor = factors[row];
            match rows {
                Rows::Single(values, _) => {
                    for (out, value) in out.iter_mut().zip(&values[row * lanes..]) {
                        *out = factor.mul_add(*value, *out);
                    }
                }
                Rows::Half(bytes, _) => {
                    for (out, value) in out.iter_mut().zip(bytes[2 * row * lanes..].as_chunks().0) {
                        *out = factor.mul_add(from_f16(u16::from_le_bytes(*value)), *out);
                    }
                }
            }
        }
    }
}
