//! Weights laid out for the products: panels of 16 rows, interleaved so that a vector's lanes are rows.
//!
//! A panel holds 16 rows (missing ones are zeros). Along the depth it is a row of groups of 32; per group, with a 4-byte cell per row
//! (the four values of depths 4t to 4t+3 are "cell t", t = 0..8) and 64 bytes per 16 cells:
//!
//! | codes of | bytes per group |
//! |---|---|
//! | 4, 5, 6 bits | 4 lines of 64: low nibbles of cell t in the low half of line t, of cell t+4 in its high half |
//! | 5 bits | then a line: bit t of a byte is the fifth bit of that byte's value in cell t |
//! | 6 bits | then 2 lines: bits 2(t%4), 2(t%4)+1 in line t/4 are the upper bits of cell t |
//! | 2, 3 bits | those same 2 lines |
//! | 3 bits | then a line of third bits, as the fifth |
//! | 8 bits | 8 lines |
//!
//! then the group's scales, each kind for 16 rows: halves d (and m) for blocks of 32, bytes for K-quants (one scale and minimum per 32, or
//! two of each per 32 where the format has them per 16). K-quants have, before every eight groups, 16 halves d and, if any, 16 halves m.
//! Float formats are rows of 16 values, one line per depth. All numbers are little-endian.

mod pack;

use crate::{Format, Pool, format::Unpacked};
use pack::Line;
use std::sync::Arc;

/// Rows of a panel.
pub const PANEL_ROWS: usize = 16;
/// Depth of a group: values that share one activation scale.
pub const GROUP: usize = 32;

/// Why bytes are no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMatrix {
    /// Rows of this depth are no whole number of the format's blocks, or too long to count.
    Depth,
    /// There are more or fewer bytes than the shape needs.
    Length {
        /// Bytes that the shape needs.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
}

impl std::fmt::Display for BadMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Depth => f.write_str("rows of this length are no whole number of blocks"),
            Self::Length { needed, given } => write!(f, "the shape needs {needed} bytes, there are {given}"),
        }
    }
}

impl std::error::Error for BadMatrix {}

/// How the codes and scales of a format lie in its panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Bits of a code: 2, 3, 4, 5, 6 or 8 (signed).
    pub bits: usize,
    /// What is subtracted from a code.
    pub offset: i32,
    /// Bytes before every eight groups.
    pub head: usize,
    /// Bytes of a group's codes.
    pub codes: usize,
    /// Bytes of a group's scales.
    pub scales: usize,
}

impl Form {
    /// None for float formats.
    pub const fn of(format: Format) -> Option<Self> {
        let (bits, offset, head, scales) = match format {
            Format::Q4_0 => (4, 8, 0, 32),
            Format::Q4_1 => (4, 0, 0, 64),
            Format::Q5_0 => (5, 16, 0, 32),
            Format::Q5_1 => (5, 0, 0, 64),
            Format::Q8_0 => (8, 0, 0, 32),
            Format::Q2_K => (2, 0, 64, 64),
            Format::Q3_K => (3, 4, 32, 32),
            Format::Q4_K => (4, 0, 64, 32),
            Format::Q5_K => (5, 0, 64, 32),
            Format::Q6_K => (6, 32, 32, 32),
            Format::F32 | Format::F16 | Format::BF16 => return None,
        };
        Some(Self { bits, offset, head, codes: 64 * bits, scales })
    }

    /// Bytes of one group.
    pub const fn group(&self) -> usize {
        self.codes + self.scales
    }

    /// Where group `index` begins in a panel.
    pub const fn start(&self, index: usize) -> usize {
        index * self.group() + if self.head > 0 { (index / 8 + 1) * self.head } else { 0 }
    }
}

/// Bytes of one panel of `depth`; none as for [`Format::row_bytes`].
fn panel_bytes(format: Format, depth: usize) -> Option<usize> {
    format.row_bytes(depth)?;
    match Form::of(format) {
        None => depth.checked_mul(PANEL_ROWS * format.block_bytes()),
        Some(form) => {
            let heads = if form.head > 0 { depth / crate::format::SUPER_BLOCK } else { 0 };
            (depth / GROUP).checked_mul(form.group())?.checked_add(heads.checked_mul(form.head)?)
        }
    }
}

/// A matrix of weights, `rows` outputs by `depth` inputs, in panels. Cloning it shares the bytes.
#[derive(Clone)]
pub struct Matrix {
    format: Format,
    rows: usize,
    depth: usize,
    panel: usize,
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
}

impl Matrix {
    /// Bytes that the panels of a matrix take.
    ///
    /// # Errors
    /// [`BadMatrix::Depth`], also where the whole would be longer than memory.
    pub fn bytes_needed(format: Format, rows: usize, depth: usize) -> Result<usize, BadMatrix> {
        let bytes = panel_bytes(format, depth).and_then(|panel| rows.div_ceil(PANEL_ROWS).checked_mul(panel));
        bytes.filter(|bytes| isize::try_from(*bytes).is_ok()).ok_or(BadMatrix::Depth)
    }

    /// Lays a tensor of a GGUF file out anew: `rows` rows of `depth` values one after another, on all threads of the pool.
    ///
    /// # Errors
    /// [`BadMatrix`] where `bytes` are not that tensor.
    pub fn repack(pool: &Pool, format: Format, rows: usize, depth: usize, bytes: &[u8]) -> Result<Self, BadMatrix> {
        let row = format.row_bytes(depth).ok_or(BadMatrix::Depth)?;
        let needed = row.checked_mul(rows).ok_or(BadMatrix::Depth)?;
        if needed != bytes.len() {
            return Err(BadMatrix::Length { needed, given: bytes.len() });
        }
        let panel = panel_bytes(format, depth).ok_or(BadMatrix::Depth)?;
        let mut lines = pack::Lines::new(Self::bytes_needed(format, rows, depth)?);
        if panel > 0 {
            pool.for_chunks(lines.bytes_mut(), panel, |index, panel| {
                let first = index * PANEL_ROWS;
                let rows = PANEL_ROWS.min(rows - first);
                pack::pack(format, depth, &bytes[first * row..(first + rows) * row], panel);
            });
        }
        Ok(Self { format, rows, depth, panel, bytes: Arc::new(lines), start: 0 })
    }

    /// Takes panels that [`Matrix::panels`] gave before: `bytes` from `start` on, for instance of a mapped file. Best aligned to 64 bytes.
    ///
    /// # Errors
    /// [`BadMatrix`] where there are too few bytes.
    pub fn from_panels(
        format: Format,
        rows: usize,
        depth: usize,
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        start: usize,
    ) -> Result<Self, BadMatrix> {
        let needed = Self::bytes_needed(format, rows, depth)?;
        let given = (*bytes).as_ref().len().saturating_sub(start);
        if given < needed {
            return Err(BadMatrix::Length { needed, given });
        }
        let panel = panel_bytes(format, depth).ok_or(BadMatrix::Depth)?;
        Ok(Self { format, rows, depth, panel, bytes, start })
    }

    /// The format of the weights.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Outputs.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The panels, one after another, to be kept and given to [`Matrix::from_panels`].
    pub fn panels(&self) -> &[u8] {
        &(*self.bytes).as_ref()[self.start..][..self.panel_count() * self.panel]
    }

    /// How many panels of [`PANEL_ROWS`] rows.
    pub(crate) const fn panel_count(&self) -> usize {
        self.rows.div_ceil(PANEL_ROWS)
    }

    /// Bytes of a panel.
    pub(crate) const fn panel_bytes(&self) -> usize {
        self.panel
    }

    /// The bytes of panel `index`.
    pub(crate) fn panel(&self, index: usize) -> &[u8] {
        &(*self.bytes).as_ref()[self.start + index * self.panel..][..self.panel]
    }

    /// Writes row `row` as f32, as [`Format::dequantise`] does: for embeddings.
    ///
    /// # Panics
    /// If there is no such row, or `values` is not `depth` long.
    pub fn row(&self, row: usize, values: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(values.len(), self.depth, "a row has `depth` values");
        let panel = self.panel(row / PANEL_ROWS);
        let row = row % PANEL_ROWS;
        let Some(form) = Form::of(self.format) else {
            let size = self.format.block_bytes();
            for (k, value) in values.iter_mut().enumerate() {
                self.format.dequantise(&panel[(k * PANEL_ROWS + row) * size..][..size], std::slice::from_mut(value));
            }
            return;
        };
        let mut block = Unpacked::default();
        for (index, values) in values.chunks_exact_mut(self.format.block_len()).enumerate() {
            for group in 0..values.len() / GROUP {
                pack::read(self.format, &form, panel, index * (values.len() / GROUP) + group, row, &mut block, group);
            }
            for (i, value) in values.iter_mut().enumerate() {
                *value = block.value(self.format, i);
            }
        }
    }
}

pub(crate) use pack::group_of_row;
const _: () = assert!(size_of::<Line>() == 64);

#[cfg(test)]
mod tests;
