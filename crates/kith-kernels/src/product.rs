//! Products of a matrix with columns: which panels and columns are worked on together, on which thread, with which instructions.
//!
//! None of these choices can be seen in the result: see the crate's page for what one element is.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;

use crate::{Activations, Format, Group, Matrix, PANEL_ROWS, Pool, Set, panel::GROUP, pool::Parts, sets::Kind};
use std::ops::Range;

/// Columns that the widest tile takes.
const TILE: usize = 8;
/// Columns up to which weights are what a product waits for.
const FEW: usize = 4;
/// Bytes of weights that a thread takes at a time when there are few columns: enough to hide the taking, and not so much that others wait at the
/// end. Between these, a matrix is cut into [`SHARES`] parts per thread.
const GRAIN: std::ops::RangeInclusive<usize> = 16 * 1024..=256 * 1024;
/// See [`GRAIN`].
const SHARES: usize = 8;
/// Columns up to which fetching the weights still takes a good part of the time.
const SOME: usize = 64;
/// Bytes of a part's weights that are asked for before its products begin when there are few columns.
const BEGINNING: usize = 3072;
/// Panels that a thread takes at a time when there are more.
const PANELS: usize = 2;

/// One matrix and where its product goes.
pub struct Product<'a> {
    /// The weights.
    pub matrix: &'a Matrix,
    /// Per column, one after another, as many values as the matrix has rows.
    pub out: &'a mut [f32],
}

/// Panels that the highest tile takes.
const HEIGHT: usize = 2;

/// Results of a tile: for each panel 16 rows per column, a line of a cache each.
#[repr(align(64))]
struct Tile([[[f32; PANEL_ROWS]; TILE]; HEIGHT]);

/// Multiplies every matrix with every column. Matrices of one call share one job of the pool: give those that take the same inputs together.
///
/// # Panics
/// If a matrix has another depth than the columns, or an output has another length than rows times columns.
pub fn multiply(pool: &Pool, set: Set, columns: &Activations, products: &mut [Product<'_>]) {
    let count = columns.count();
    for product in products.iter() {
        assert_eq!(product.matrix.depth(), columns.depth(), "columns as deep as the matrix");
        assert_eq!(product.out.len(), product.matrix.rows() * count, "rows times columns");
    }
    let works: [Option<Work<'_>>; MOST] = {
        assert!(products.len() <= MOST, "at most {MOST} products");
        let mut given = products.iter_mut();
        std::array::from_fn(|_| {
            given.next().map(|product| {
                let panels = product.matrix.panel_count();
                let per_part = match few_columns(product.matrix, pool.threads()) {
                    few if count <= FEW => few,
                    few if count <= SOME => few.next_multiple_of(HEIGHT),
                    _ => PANELS,
                };
                Work {
                    matrix: product.matrix,
                    panels: product.matrix.panels(),
                    out: Parts::new(product.out),
                    per_part,
                    parts: panels.div_ceil(per_part),
                }
            })
        })
    };
    let parts = works.iter().flatten().map(|work| work.parts).sum();
    pool.run(parts, &|part| {
        let mut part = part;
        for work in works.iter().flatten() {
            if part < work.parts {
                work.part(set, columns, part);
                return;
            }
            part -= work.parts;
        }
    });
}

/// Products of one call at most.
pub const MOST: usize = 8;

/// One product, cut into parts.
struct Work<'a> {
    matrix: &'a Matrix,
    /// The matrix's panels, one after another.
    panels: &'a [u8],
    out: Parts<'a, f32>,
    per_part: usize,
    parts: usize,
}

impl Work<'_> {
    fn part(&self, set: Set, columns: &Activations, part: usize) {
        let panels = part * self.per_part..self.matrix.panel_count().min((part + 1) * self.per_part);
        let mut room = Tile([[[0.0; PANEL_ROWS]; TILE]; HEIGHT]);
        if columns.count() <= FEW {
            // What follows is asked for in time; of the first nothing was.
            let bytes = self.bytes(panels.clone());
            fetch(&bytes[..bytes.len().min(BEGINNING)]);
        }
        if columns.count() <= FEW || columns.count() > SOME {
            // A tile's columns meet all panels of the part, which stay in the first-level cache.
            for tile in tiles(set, 0..columns.count()) {
                let inputs = Inputs::new(self.matrix, columns, tile.clone());
                for panels in self.blocks(set, panels.clone(), tile.len()) {
                    self.tile(set, panels, tile.clone(), &inputs, &[], &mut room);
                }
            }
            return;
        }
        // A panel (or two) meets all columns, and the next one is fetched meanwhile, piece by piece.
        let mut all: Tiles<'_> = std::array::from_fn(|_| None);
        for (place, tile) in all.iter_mut().zip(tiles(set, 0..columns.count())) {
            *place = Some((tile.clone(), Inputs::new(self.matrix, columns, tile)));
        }
        let count = all.iter().flatten().count();
        for block in self.blocks(set, panels, TILE) {
            let next = self.bytes(block.end..(block.end + block.len()).min(self.matrix.panel_count()));
            let mut pieces = next.chunks(next.len().div_ceil(count).max(1));
            for (tile, inputs) in all.iter().flatten() {
                let mut then = pieces.next().unwrap_or_default();
                for panels in self.blocks(set, block.clone(), tile.len()) {
                    self.tile(set, panels, tile.clone(), inputs, std::mem::take(&mut then), &mut room);
                }
            }
        }
    }

    /// Panels that are taken together with so many columns, one block after another.
    fn blocks(&self, set: Set, panels: Range<usize>, columns: usize) -> impl Iterator<Item = Range<usize>> {
        let height = height(set, self.matrix.format(), columns);
        panels.clone().step_by(height).map(move |panel| panel..(panel + height).min(panels.end))
    }

    /// The bytes of some panels.
    fn bytes(&self, panels: Range<usize>) -> &[u8] {
        let bytes = self.matrix.panel_bytes();
        &self.panels[panels.start * bytes..panels.end * bytes]
    }

    /// One panel, or two, with some columns; `then` are bytes that are asked for meanwhile, `room` is for the results.
    fn tile(&self, set: Set, panels: Range<usize>, columns: Range<usize>, inputs: &Inputs<'_>, then: &[u8], room: &mut Tile) {
        // Outputs lie far apart: by the time they are written, their lines are here.
        for panel in panels.clone() {
            for column in columns.clone() {
                self.out.fetch(column * self.matrix.rows() + panel * PANEL_ROWS);
            }
        }
        fill(set, self.matrix, self.bytes(panels.clone()), inputs, columns.len(), then, room);
        for (panel, results) in panels.zip(&room.0) {
            let row = panel * PANEL_ROWS;
            let rows = PANEL_ROWS.min(self.matrix.rows() - row);
            for (results, column) in results.iter().zip(columns.clone()) {
                // SAFETY: a panel belongs to one part, and a part is done once: nobody else has these rows of this column.
                let out = unsafe { self.out.slice(column * self.matrix.rows() + row, rows) };
                match out.as_chunks_mut::<PANEL_ROWS>() {
                    ([out], []) => *out = *results,
                    (_, out) => out.copy_from_slice(&results[..rows]),
                }
            }
        }
    }
}

/// The tiles of up to [`SOME`] columns.
type Tiles<'a> = [Option<(Range<usize>, Inputs<'a>)>; SOME / FEW];

/// Columns that are taken together, one tile after another.
fn tiles(set: Set, columns: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut next = columns.start;
    std::iter::from_fn(move || {
        let first = next;
        next += width(set, columns.end - first);
        (first < columns.end).then_some(first..next)
    })
}

/// Asks for bytes to be brought near.
fn fetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        // SAFETY: SSE is part of x86-64, and a prefetch has no effect that can be seen.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// The columns of a tile, as the matrix wants them; nothing beyond its width.
enum Inputs<'a> {
    Floats([&'a [f32]; TILE]),
    Codes([&'a [Group]; TILE]),
}

impl<'a> Inputs<'a> {
    fn new(matrix: &Matrix, columns: &'a Activations, tile: Range<usize>) -> Self {
        if matrix.format().is_float() {
            Self::Floats(each(columns.values(tile), matrix.depth()))
        } else {
            Self::Codes(each(columns.groups(tile), matrix.depth() / GROUP))
        }
    }
}

/// The columns of a tile, of `depth` items each.
fn each<T>(mut columns: &[T], depth: usize) -> [&[T]; TILE] {
    std::array::from_fn(|_| {
        let (column, others) = columns.split_at_checked(depth).unwrap_or_default();
        columns = others;
        column
    })
}

/// Panels that a thread takes at a time when there are few columns.
fn few_columns(matrix: &Matrix, threads: usize) -> usize {
    let (bytes, panels) = (matrix.panels().len().max(1), matrix.panel_count());
    let grain = (bytes / (threads * SHARES)).clamp(*GRAIN.start(), *GRAIN.end());
    (grain * panels / bytes).max(1)
}

/// Columns to take together where `left` are left: 8 where there are 32 vector registers, else up to 4.
fn width(set: Set, left: usize) -> usize {
    if set.is_wide() && left >= TILE { TILE } else { left.min(FEW) }
}

/// Panels to take together with so many columns.
fn height(set: Set, format: Format, columns: usize) -> usize {
    if set.is_wide() && columns == TILE && !format.is_float() { HEIGHT } else { 1 }
}

/// The products of one panel with the first `count` (1 to 4, or 8) columns of `inputs`, or of two as [`height`] says.
fn fill(set: Set, matrix: &Matrix, panels: &[u8], inputs: &Inputs<'_>, count: usize, then: &[u8], room: &mut Tile) {
    let format = matrix.format();
    #[cfg(target_arch = "x86_64")]
    if let (Kind::Avx512, Inputs::Codes(inputs)) = (set.kind(), inputs)
        && count == TILE
        && panels.len() > matrix.panel_bytes()
    {
        let (first, second) = panels.split_at(matrix.panel_bytes());
        // SAFETY: a `Set` of this kind exists only where its instructions do. The panels are whole, of this format and as deep as each column; two
        // are given with as many columns as a tile has.
        return unsafe { avx512::pair(format, [first, second], inputs, room.0.each_mut(), then) };
    }
    fetch(then);
    let tiles = room.0[0][..count].chunks_mut(FEW);
    match inputs {
        Inputs::Floats(inputs) => {
            for (inputs, tile) in inputs[..count].chunks(FEW).zip(tiles) {
                match set.kind() {
                    Kind::Scalar => plain::floats(format, panels, inputs, tile),
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Kind::Avx2 | Kind::AvxVnni | Kind::Avx512 => unsafe { avx2::floats(format, panels, inputs, tile) },
                    #[cfg(target_arch = "aarch64")]
                    Kind::Neon | Kind::NeonI8mm => plain::floats(format, panels, inputs, tile),
                }
            }
        }
        Inputs::Codes(inputs) => {
            for (inputs, tile) in inputs[..count].chunks(FEW).zip(tiles) {
                match set.kind() {
                    Kind::Scalar => plain::codes(format, panels, inputs, tile),
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Kind::Avx2 => unsafe { avx2::codes(format, panels, inputs, tile) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Kind::AvxVnni => unsafe { avx2::codes_vnni(format, panels, inputs, tile) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Kind::Avx512 => unsafe { avx512::codes(format, panels, inputs, tile) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "aarch64")]
                    Kind::Neon => unsafe { neon::codes(format, panels, inputs, tile) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "aarch64")]
                    Kind::NeonI8mm => unsafe { neon::codes_i8mm(format, panels, inputs, tile) },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
