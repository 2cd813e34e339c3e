//! Writing panels, and reading a row of one back, value by value.

use super::{Form, GROUP, PANEL_ROWS};
use crate::{
    Format,
    format::{SUPER_BLOCK, Unpacked, unpack},
};

/// A line of a cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([u8; 64]);

/// Bytes that begin on a line of a cache.
pub(super) struct Lines {
    lines: Vec<Line>,
    len: usize,
}

impl Lines {
    pub fn new(len: usize) -> Self {
        Self { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `lines` are at least `len` initialised bytes in a row, and a byte needs no alignment.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as in `bytes_mut`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

/// Where the code of depth `k` (0..32) and row `row` lies within a group's codes: up to two pieces as (byte, shift, bits).
/// The pieces make up the code from the low bits on.
const fn pieces(bits: usize, row: usize, k: usize) -> [(usize, usize, usize); 2] {
    let (cell, byte) = (k / 4, row * 4 + k % 4);
    let nibble = ((cell % 4) * 64 + byte, 4 * (cell / 4), 4);
    let pair = ((cell / 4) * 64 + byte, 2 * (cell % 4), 2);
    match bits {
        2 => [pair, (0, 0, 0)],
        3 => [pair, (128 + byte, cell, 1)],
        4 => [nibble, (0, 0, 0)],
        5 => [nibble, (256 + byte, cell, 1)],
        6 => [nibble, (256 + pair.0, pair.1, 2)],
        _ => [(cell * 64 + byte, 0, 8), (0, 0, 0)],
    }
}

/// Whether a group has two scales of a byte (and two minima, if any) per row.
const fn by_sixteen(format: Format) -> bool {
    matches!(format, Format::Q2_K | Format::Q3_K | Format::Q6_K)
}

/// Packs up to 16 rows into a panel of zeros.
pub(super) fn pack(format: Format, depth: usize, rows: &[u8], panel: &mut [u8]) {
    let row_bytes = depth / format.block_len() * format.block_bytes();
    let Some(form) = Form::of(format) else {
        let size = format.block_bytes();
        for (row, bytes) in rows.chunks_exact(row_bytes).enumerate() {
            for (k, value) in bytes.chunks_exact(size).enumerate() {
                panel[(k * PANEL_ROWS + row) * size..][..size].copy_from_slice(value);
            }
        }
        return;
    };
    let mut block = Unpacked::default();
    let groups = format.block_len() / GROUP;
    for (row, bytes) in rows.chunks_exact(row_bytes).enumerate() {
        for (index, bytes) in bytes.chunks_exact(format.block_bytes()).enumerate() {
            unpack(format, bytes, &mut block);
            for group in 0..groups {
                write(format, &form, panel, index * groups + group, row, &block, group);
            }
        }
    }
}

/// Writes one row of one group of a panel of zeros: group `part` of a block.
fn write(format: Format, form: &Form, panel: &mut [u8], index: usize, row: usize, block: &Unpacked, part: usize) {
    let start = form.start(index);
    let codes = &mut panel[start..start + form.codes];
    for k in 0..GROUP {
        let mut code = block.codes[part * GROUP + k];
        for (byte, shift, bits) in pieces(form.bits, row, k) {
            if bits > 0 {
                codes[byte] |= (code & (0xff >> (8 - bits))) << shift;
                code = code.checked_shr(bits as u32).unwrap_or(0);
            }
        }
    }
    let scales = start + form.codes;
    let (d, m) = (block.d.to_le_bytes(), block.m.to_le_bytes());
    if form.head == 0 {
        panel[scales + 2 * row..][..2].copy_from_slice(&d);
        if form.scales == 64 {
            panel[scales + 32 + 2 * row..][..2].copy_from_slice(&m);
        }
        return;
    }
    if part == 0 {
        panel[start - form.head + 2 * row..][..2].copy_from_slice(&d);
        if form.head == 64 {
            panel[start - 32 + 2 * row..][..2].copy_from_slice(&m);
        }
    }
    if by_sixteen(format) {
        for i in 0..2 {
            panel[scales + 16 * i + row] = block.scales[2 * part + i];
            if form.scales == 64 {
                panel[scales + 32 + 16 * i + row] = block.minima[2 * part + i];
            }
        }
    } else {
        panel[scales + row] = block.scales[part];
        panel[scales + 16 + row] = block.minima[part];
    }
}

/// Reads back what [`write`] wrote.
pub(super) fn read(format: Format, form: &Form, panel: &[u8], index: usize, row: usize, block: &mut Unpacked, part: usize) {
    let start = form.start(index);
    let codes = &panel[start..start + form.codes];
    for k in 0..GROUP {
        let mut code = 0;
        let mut at = 0;
        for (byte, shift, bits) in pieces(form.bits, row, k) {
            if bits > 0 {
                code |= (codes[byte] >> shift & (0xff >> (8 - bits))) << at;
                at += bits;
            }
        }
        block.codes[part * GROUP + k] = code;
    }
    let scales = start + form.codes;
    let half = |at: usize| u16::from_le_bytes([panel[at + 2 * row], panel[at + 2 * row + 1]]);
    if form.head == 0 {
        block.d = half(scales);
        if form.scales == 64 {
            block.m = half(scales + 32);
        }
        return;
    }
    let head = form.start(index / 8 * 8) - form.head;
    block.d = half(head);
    if form.head == 64 {
        block.m = half(head + 32);
    }
    if by_sixteen(format) {
        for i in 0..2 {
            block.scales[2 * part + i] = panel[scales + 16 * i + row];
            if form.scales == 64 {
                block.minima[2 * part + i] = panel[scales + 32 + 16 * i + row];
            }
        }
    } else {
        block.scales[part] = panel[scales + row];
        block.minima[part] = panel[scales + 16 + row];
    }
}

/// Group `index` of row `row`, as the first group of a block: what the plain product works on.
pub(crate) fn group_of_row(format: Format, form: &Form, panel: &[u8], index: usize, row: usize, block: &mut Unpacked) {
    read(format, form, panel, index, row, block, 0);
    const { assert!(SUPER_BLOCK >= GROUP) };
}
