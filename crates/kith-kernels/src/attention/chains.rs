//! Several chains of fused multiply-adds over the rows of a small matrix: scores (rows are a head's values, lanes are positions) and weighted
//! sums (rows are positions, lanes are a head's values).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::{Set, float::from_f16, sets::Kind};
use std::ops::Range;

/// Values in 8 bits that share a scale.
pub(super) const SHARING: usize = 32;
/// Chains that run together, at most.
pub(super) const MOST: usize = 6;

/// Rows of `lanes` values each; `lanes` is a multiple of 8.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "what is read afterwards is asked for there alone"))]
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// As f32.
    Single(&'a [f32], usize),
    /// As halves, little-endian, and what will be read after them.
    Half(&'a [u8], usize, &'a [u8]),
    /// In 8 bits; 32 rows share a scale per lane.
    Turned(Bytes<'a>),
    /// In 8 bits; 32 lanes of a row share a scale.
    Straight(Bytes<'a>),
}

/// Codes, scales (f32, little-endian) and the number of lanes.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    pub codes: &'a [u8],
    pub scales: &'a [u8],
    pub lanes: usize,
}

impl Bytes<'_> {
    /// A value whose scale is number `scale`.
    fn value(&self, row: usize, lane: usize, scale: usize) -> f32 {
        let bytes = &self.scales[4 * scale..][..4];
        f32::from(self.codes[row * self.lanes + lane] as i8) * f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

impl Rows<'_> {
    fn lanes(&self) -> usize {
        match self {
            Self::Single(_, lanes) | Self::Half(_, lanes, _) => *lanes,
            Self::Turned(bytes) | Self::Straight(bytes) => bytes.lanes,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Single(values, lanes) => values.len() / lanes,
            Self::Half(bytes, lanes, _) => bytes.len() / 2 / lanes,
            Self::Turned(bytes) => {
                let scaled = bytes.scales.len() / 4 / bytes.lanes * SHARING;
                scaled.min(bytes.codes.len() / bytes.lanes)
            }
            Self::Straight(bytes) => {
                let scaled = bytes.scales.len() / 4 / bytes.lanes.div_ceil(SHARING);
                scaled.min(bytes.codes.len() / bytes.lanes)
            }
        }
    }
}

/// `out[q][lane]` is the chain `fma(factors[q][row], rows[row][lane], out)` over `range` in ascending order, from 0. `out` has the lanes of one
/// chain after another; those from `wanted` on may be left as they were.
///
/// # Panics
/// If the range does not lie within rows and factors, `out` is too short, there are more than [`MOST`] chains, or lanes are no multiple of 8.
pub(super) fn run(set: Set, rows: &Rows<'_>, range: Range<usize>, wanted: usize, factors: &[&[f32]], out: &mut [f32]) {
    let lanes = rows.lanes();
    let wanted = wanted.min(lanes);
    assert!(lanes.is_multiple_of(8) && factors.len() <= MOST && out.len() >= factors.len() * lanes, "room for the chains");
    assert!(range.end <= rows.count() && factors.iter().all(|factors| range.end <= factors.len()), "rows and factors");
    match set.kind() {
        Kind::Scalar => plain(rows, range, wanted, factors, out),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon | Kind::NeonI8mm => plain(rows, range, wanted, factors, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Set` of this kind exists only where its instructions do; ranges and lengths were checked above.
        Kind::Avx2 | Kind::AvxVnni => unsafe { avx2::run(rows, range, wanted, factors, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kind::Avx512 => unsafe { avx512::run(rows, range, wanted, factors, out) },
    }
}

fn plain(rows: &Rows<'_>, range: Range<usize>, wanted: usize, factors: &[&[f32]], out: &mut [f32]) {
    let lanes = rows.lanes();
    for (factors, out) in factors.iter().zip(out.chunks_exact_mut(lanes)) {
        let out = &mut out[..wanted];
        out.fill(0.0);
        for row in range.clone() {
            let factor = factors[row];
            match rows {
                Rows::Single(values, _) => {
                    for (out, value) in out.iter_mut().zip(&values[row * lanes..]) {
                        *out = factor.mul_add(*value, *out);
                    }
                }
                Rows::Half(bytes, ..) => {
                    for (out, value) in out.iter_mut().zip(bytes[2 * row * lanes..].as_chunks().0) {
                        *out = factor.mul_add(from_f16(u16::from_le_bytes(*value)), *out);
                    }
                }
                Rows::Turned(bytes) => {
                    for (lane, out) in out.iter_mut().enumerate() {
                        *out = factor.mul_add(bytes.value(row, lane, row / SHARING * lanes + lane), *out);
                    }
                }
                Rows::Straight(bytes) => {
                    for (lane, out) in out.iter_mut().enumerate() {
                        *out = factor.mul_add(bytes.value(row, lane, row * lanes.div_ceil(SHARING) + lane / SHARING), *out);
                    }
                }
            }
        }
    }
}
