//! Products with NEON and its dot products: a vector is four rows, a panel four vectors.
//!
//! `sdot` adds four products of signed bytes to 32 bits, exactly; unsigned codes have at most 6 bits, so they are signed bytes too. `smmla` does so
//! for eight depths of two rows and two columns at once.

use crate::{Format, Group, PANEL_ROWS, panel::Form};
use std::arch::{aarch64::*, asm};

/// Chooses the form of a format.
macro_rules! by_format {
    ($(#[$meta:meta])* $name:ident, $tile:ident) => {
        $(#[$meta])*
        pub(super) unsafe fn $name(format: Format, panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
            // SAFETY: the caller's promise, unchanged; each arm's number is the format's.
            unsafe {
                match format {
                    Format::Q4_0 => $tile::<2>(panel, inputs, out),
                    Format::Q4_1 => $tile::<3>(panel, inputs, out),
                    Format::Q5_0 => $tile::<6>(panel, inputs, out),
                    Format::Q5_1 => $tile::<7>(panel, inputs, out),
                    Format::Q8_0 => $tile::<8>(panel, inputs, out),
                    Format::Q2_K => $tile::<10>(panel, inputs, out),
                    Format::Q3_K => $tile::<11>(panel, inputs, out),
                    Format::Q4_K => $tile::<12>(panel, inputs, out),
                    Format::Q5_K => $tile::<13>(panel, inputs, out),
                    Format::Q6_K => $tile::<14>(panel, inputs, out),
                    Format::F32 | Format::F16 | Format::BF16 => {}
                }
            }
        }
    };
}

by_format!(
    /// Quantised weights with 1 to 4 columns.
    ///
    /// # Safety
    /// NEON and dot products are here; `panel` is a whole panel of `format`, no float format; all columns are as deep as it.
    codes, tile
);
by_format!(
    /// As [`codes`], with products of small matrices.
    ///
    /// # Safety
    /// As [`codes`], and I8MM is here too.
    codes_i8mm, tile_i8mm
);

/// The form of the format with this number in GGUF; the caller gives numbers of quantised formats alone.
const fn form(number: u32) -> Form {
    match Format::from_gguf(number) {
        Some(format) => match Form::of(format) {
            Some(form) => form,
            None => panic!("a quantised format"),
        },
        None => panic!("a format"),
    }
}

/// # Safety
/// As [`codes`], for the format of this number.
unsafe fn tile<const NUMBER: u32>(panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says.
    unsafe {
        match inputs.len() {
            1 => rows::<NUMBER, 1>(panel, inputs, out),
            2 => rows::<NUMBER, 2>(panel, inputs, out),
            3 => rows::<NUMBER, 3>(panel, inputs, out),
            _ => rows::<NUMBER, 4>(panel, inputs, out),
        }
    }
}

/// # Safety
/// As [`codes_i8mm`], for the format of this number.
unsafe fn tile_i8mm<const NUMBER: u32>(panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise; there are as many columns as the number says. A column alone makes no small matrix.
    unsafe {
        match inputs.len() {
            1 => rows::<NUMBER, 1>(panel, inputs, out),
            2 => rows_i8mm::<NUMBER, 2>(panel, inputs, out),
            3 => rows_i8mm::<NUMBER, 3>(panel, inputs, out),
            _ => rows_i8mm::<NUMBER, 4>(panel, inputs, out),
        }
    }
}

/// A function for 16 rows with C columns, with the given instructions and the given way to integer sums.
macro_rules! rows_with {
    ($name:ident, $features:literal, $cells:ident) => {
        /// 16 rows with C columns.
        ///
        /// # Safety
        /// As the product of one panel, with C columns, for this format and these instructions.
        #[target_feature(enable = $features)]
        unsafe fn $name<const NUMBER: u32, const C: usize>(panel: &[u8], inputs: &[&[Group]], out: &mut [[f32; PANEL_ROWS]]) {
            let form = const { form(NUMBER) };
            let by_sixteen = matches!(NUMBER, 10 | 11 | 14);
            let count = inputs[0].len();
            debug_assert_eq!(panel.len(), count * form.group() + count / 8 * form.head);
            let mut sums = [[vdupq_n_f32(0.0); 4]; C];
            for index in 0..count {
                let start = form.start(index);
                // SAFETY: the panel has `count` groups, a head before every eight, the columns as many; quad `quad` of a group's lines begins 16 bytes per
                // quad into each.
                unsafe {
                    let at = panel.as_ptr().add(start);
                    let head = panel.as_ptr().add(form.start(index / 8 * 8) - form.head);
                    let groups: [&Group; C] = std::array::from_fn(|c| inputs[c].get_unchecked(index));
                    for quad in 0..4 {
                        let halves = $cells::<NUMBER, C>(at.add(16 * quad), &groups);
                        let scales = Scales::read::<NUMBER>(head, at.add(form.codes), quad);
                        for c in 0..C {
                            let group = groups[c];
                            let [low, high] = halves[c];
                            let [first, second] = group.halves.map(i32::from);
                            let whole = if by_sixteen {
                                let low = vsubq_s32(low, vdupq_n_s32(form.offset * first));
                                let high = vsubq_s32(high, vdupq_n_s32(form.offset * second));
                                vmlaq_s32(vmulq_s32(low, scales.scales[0]), high, scales.scales[1])
                            } else {
                                vsubq_s32(vaddq_s32(low, high), vdupq_n_s32(form.offset * group.sum))
                            };
                            let mut sum = vfmaq_f32(sums[c][quad], vcvtq_f32_s32(whole), vmulq_n_f32(scales.d, group.scale));
                            if NUMBER == 10 {
                                let minima = vmlaq_n_s32(vmulq_n_s32(scales.minima[0], first), scales.minima[1], second);
                                sum = vfmaq_f32(sum, vcvtq_f32_s32(minima), vmulq_n_f32(scales.m, group.scale));
                            } else if matches!(NUMBER, 3 | 7 | 12 | 13) {
                                sum = vfmaq_f32(sum, scales.m, vdupq_n_f32(group.scaled_sum));
                            }
                            sums[c][quad] = sum;
                        }
                    }
                }
            }
            for (sums, results) in sums.iter().zip(out) {
                for (quad, sum) in sums.iter().enumerate() {
                    // SAFETY: a tile's column has 16 values.
                    unsafe { vst1q_f32(results.as_mut_ptr().add(4 * quad), *sum) };
                }
            }
        }
    };
}

rows_with!(rows, "neon,dotprod", cells);
rows_with!(rows_i8mm, "neon,dotprod,i8mm", cells_i8mm);

/// Scales and minima of four rows for one group.
struct Scales {
    d: float32x4_t,
    m: float32x4_t,
    scales: [int32x4_t; 2],
    minima: [int32x4_t; 2],
}

impl Scales {
    /// # Safety
    /// NEON is here; as many bytes as the form has may be read at `head` and `scales`.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn read<const NUMBER: u32>(head: *const u8, scales: *const u8, quad: usize) -> Self {
        let none = [vdupq_n_s32(0); 2];
        // SAFETY: the caller's promise.
        unsafe {
            let halves = |at: *const u8| {
                let bits: [u16; 4] = at.add(8 * quad).cast::<[u16; 4]>().read_unaligned();
                vld1q_f32(bits.map(crate::float::from_f16).as_ptr())
            };
            let bytes = |at: *const u8| at.add(4 * quad).cast::<[u8; 4]>().read_unaligned();
            let unsigned = |at: *const u8| vld1q_s32(bytes(at).map(i32::from).as_ptr());
            let signed = |at: *const u8| vld1q_s32(bytes(at).map(|byte| i32::from(byte as i8)).as_ptr());
            let nothing = vdupq_n_f32(0.0);
            match NUMBER {
                3 | 7 => Self { d: halves(scales), m: halves(scales.add(32)), scales: none, minima: none },
                12 | 13 => Self {
                    d: vmulq_f32(halves(head), vcvtq_f32_s32(unsigned(scales))),
                    m: vmulq_f32(vnegq_f32(halves(head.add(32))), vcvtq_f32_s32(unsigned(scales.add(16)))),
                    scales: none,
                    minima: none,
                },
                10 => Self {
                    d: halves(head),
                    m: vnegq_f32(halves(head.add(32))),
                    scales: [unsigned(scales), unsigned(scales.add(16))],
                    minima: [unsigned(scales.add(32)), unsigned(scales.add(48))],
                },
                11 | 14 => Self { d: halves(head), m: nothing, scales: [signed(scales), signed(scales.add(16))], minima: none },
                _ => Self { d: halves(scales), m: nothing, scales: none, minima: none },
            }
        }
    }
}

/// The integer sums of cells 0 to 3 and 4 to 7.
///
/// # Safety
/// NEON and dot products are here; `at` is the beginning of a group's codes, plus 16 bytes per quad.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn cells<const NUMBER: u32, const C: usize>(at: *const u8, groups: &[&Group; C]) -> [[int32x4_t; 2]; C] {
    let mut sums = [[vdupq_n_s32(0); 2]; C];
    for t in 0..8 {
        // SAFETY: the caller's promise; there are eight cells.
        unsafe {
            let weights = vreinterpretq_s8_u8(cell::<NUMBER>(at, t));
            for c in 0..C {
                let values =
                    vreinterpretq_s8_s32(vdupq_n_s32(groups[c].codes.as_ptr().add(4 * t).cast::<i32>().read_unaligned()));
                sums[c][t / 4] = dot(sums[c][t / 4], weights, values);
            }
        }
    }
    sums
}

/// As [`cells`]: columns two by two, a last one alone.
///
/// # Safety
/// As [`cells`], and I8MM is here too.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn cells_i8mm<const NUMBER: u32, const C: usize>(at: *const u8, groups: &[&Group; C]) -> [[int32x4_t; 2]; C] {
    let mut sums = [[vdupq_n_s32(0); 2]; C];
    for half in 0..2 {
        // Per pair of columns, rows 0 and 1, and rows 2 and 3: row by row the sums of either column.
        let mut pairs = [[vdupq_n_s32(0); 2]; C];
        for t in [4 * half, 4 * half + 2] {
            // SAFETY: the caller's promise; there are eight cells.
            unsafe {
                let [first, second] = [cell::<NUMBER>(at, t), cell::<NUMBER>(at, t + 1)].map(|cell| vreinterpretq_s32_u8(cell));
                // Depths 4t to 4t+7 of rows 0 and 1, and of rows 2 and 3.
                let weights = [vzip1q_s32(first, second), vzip2q_s32(first, second)].map(|rows| vreinterpretq_s8_s32(rows));
                for (pair, columns) in groups.chunks_exact(2).enumerate() {
                    let values = |column: usize| vld1_s8(columns[column].codes.as_ptr().add(4 * t));
                    let values = vcombine_s8(values(0), values(1));
                    pairs[pair] = [0, 1].map(|rows| matrix(pairs[pair][rows], weights[rows], values));
                }
                if C % 2 == 1 {
                    let last = groups[C - 1];
                    for (t, cell) in [(t, first), (t + 1, second)] {
                        let values = vdupq_n_s32(last.codes.as_ptr().add(4 * t).cast::<i32>().read_unaligned());
                        sums[C - 1][half] = dot(sums[C - 1][half], vreinterpretq_s8_s32(cell), vreinterpretq_s8_s32(values));
                    }
                }
            }
        }
        for pair in 0..C / 2 {
            let [upper, lower] = pairs[pair];
            sums[2 * pair][half] = vuzp1q_s32(upper, lower);
            sums[2 * pair + 1][half] = vuzp2q_s32(upper, lower);
        }
    }
    sums
}

/// Four sums, two rows by two columns, each with eight products added.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn matrix(sums: int32x4_t, rows: int8x16_t, columns: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: one instruction on registers; the caller has I8MM.
    unsafe {
        asm!("smmla {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) rows, in(vreg) columns, options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// Four sums, each with four products added.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: one instruction on registers; the caller has dot products.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) a, in(vreg) b, options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// Cell `t` of four rows: 16 codes of 8 bits.
///
/// # Safety
/// As [`cells`]; `t` is below 8.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn cell<const NUMBER: u32>(at: *const u8, t: usize) -> uint8x16_t {
    // SAFETY: the lines read here are those that a form of so many bits has.
    let line = |line: usize| unsafe { vld1q_u8(at.add(64 * line)) };
    // Bits `from..` of each byte, moved to bit `to`; a negative shift is one to the right.
    let moved = |v: uint8x16_t, from: usize, to: usize| vshlq_u8(v, vdupq_n_s8(to as i8 - from as i8));
    let mask = |v: uint8x16_t, bits: u8| vandq_u8(v, vdupq_n_u8(bits));
    let nibble = || mask(moved(line(t % 4), 4 * (t / 4), 0), 15);
    let pair = |first: usize, to: usize| mask(moved(line(first + t / 4), 2 * (t % 4), to), 3 << to);
    let bit = |of: usize, to: usize| mask(moved(line(of), t, to), 1 << to);
    match const { form(NUMBER) }.bits {
        2 => pair(0, 0),
        3 => vorrq_u8(pair(0, 0), bit(2, 2)),
        4 => nibble(),
        5 => vorrq_u8(nibble(), bit(4, 4)),
        6 => vorrq_u8(nibble(), pair(4, 4)),
        _ => line(t),
    }
}
