//! Two panels with eight columns: an activation that was brought to all lanes meets both, since a load for every product would take as long as the
//! products. The sums of the chains lie in the results, those of a group in registers.

use super::{COLUMNS, Scales, cell};
use crate::{
    Group, PANEL_ROWS,
    product::{avx2::forms::Codes, fetch},
};
use std::arch::{asm, x86_64::*};

/// A sum for each column.
type Sums = [__m512i; COLUMNS];

/// 32 rows with eight columns; `then` are bytes that are asked for meanwhile, a few for each group, since more at once would be waited for.
///
/// # Safety
/// As [`super::codes`], for both panels and this form.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn pair<F: Codes>(
    panels: [&[u8]; 2],
    inputs: &[&[Group]; COLUMNS],
    mut out: [&mut [[f32; PANEL_ROWS]; COLUMNS]; 2],
    then: &[u8],
) {
    let count = inputs[0].len();
    let group_bytes = F::CODES + F::SCALES;
    debug_assert!(panels.iter().all(|panel| panel.len() == count * group_bytes + count / 8 * F::HEAD));
    let columns = inputs.map(<[Group]>::as_ptr);
    let mut at = panels.map(<[u8]>::as_ptr);
    let mut head = at;
    out.iter_mut().for_each(|out| out.fill([0.0; PANEL_ROWS]));
    let results = out.map(|out| out.as_mut_ptr().cast::<f32>());
    let asked = then.len().div_ceil(count.max(1)).next_multiple_of(64);
    for index in 0..count {
        fetch(then.get(index * asked..((index + 1) * asked).min(then.len())).unwrap_or_default());
        // SAFETY: the panels have `count` groups, a head before every eight, the columns as many, and the results 16 values for each column.
        unsafe {
            if F::HEAD > 0 && index % 8 == 0 {
                head = at;
                at = at.map(|at| at.add(F::HEAD));
            }
            let groups = columns.map(|column| column.add(index));
            let scales = |panel: usize| Scales::read::<F>(head[panel], at[panel].add(F::CODES));
            // Written out, since a compiler that keeps this as a loop puts all sums into memory first.
            macro_rules! links {
                ($scales:expr, $sums:expr, $panel:expr; $($column:literal)+) => {
                    $(
                        let y = results[$panel].add($column * PANEL_ROWS);
                        let sums = $sums.map(|sums| sums[$column]);
                        _mm512_storeu_ps(y, $scales.link::<F>(sums, &*groups[$column], _mm512_loadu_ps(y)));
                    )+
                };
            }
            if F::BY_SIXTEEN {
                // Sums of either half of a group: one panel after the other.
                for panel in 0..2 {
                    let (scales, sums) = (scales(panel), halves::<F>(at[panel], groups));
                    links!(scales, sums, panel; 0 1 2 3 4 5 6 7);
                }
            } else {
                let sums = wholes::<F>(at, groups);
                let scales = [scales(0), scales(1)];
                macro_rules! both_links {
                    ($($column:literal)+) => {
                        $(
                            links!(scales[0], [sums[0], sums[0]], 0; $column);
                            links!(scales[1], [sums[1], sums[1]], 1; $column);
                        )+
                    };
                }
                both_links!(0 1 2 3 4 5 6 7);
            }
            at = at.map(|at| at.add(group_bytes));
        }
    }
}

/// Per panel, the sums of all cells.
///
/// # Safety
/// AVX-512 F, BW and VNNI are here; `at` are the beginnings of a group's codes; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn wholes<F: Codes>(at: [*const u8; 2], groups: [*const Group; COLUMNS]) -> [Sums; 2] {
    let mut sums = [[_mm512_setzero_si512(); COLUMNS]; 2];
    macro_rules! cells {
        ($($t:literal)+) => {
            $( both::<$t>(at.map(|at| cell::<F, $t>(at)), groups, &mut sums); )+
        };
    }
    // SAFETY: the caller's promise. Cells in the same lines follow each other.
    unsafe {
        cells!(0 4 1 5 2 6 3 7);
    }
    sums
}

/// The sums of cells 0 to 3, and of cells 4 to 7.
///
/// # Safety
/// AVX-512 F, BW and VNNI are here; `at` is the beginning of a group's codes; the groups may be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vnni")]
unsafe fn halves<F: Codes>(at: *const u8, groups: [*const Group; COLUMNS]) -> [Sums; 2] {
    let mut sums = [[_mm512_setzero_si512(); COLUMNS]; 2];
    macro_rules! cells {
        ($($t:literal)+) => {
            $( one::<$t>(cell::<F, $t>(at), groups, &mut sums[$t / 4]); )+
        };
    }
    // SAFETY: the caller's promise. Cells in the same lines follow each other.
    unsafe {
        cells!(0 4 1 5 2 6 3 7);
    }
    sums
}

/// Cell T of two panels with all columns. Written by hand, as is [`one`]: a compiler, free to reorder integer sums, goes through the cells in an order
/// for which there are too few registers.
///
/// # Safety
/// AVX-512 F and VNNI are here; the groups may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn both<const T: usize>(weights: [__m512i; 2], groups: [*const Group; COLUMNS], [first, second]: &mut [Sums; 2]) {
    macro_rules! column {
        ($values:literal, $group:literal, $first:literal, $second:literal) => {
            concat!(
                "vpbroadcastd {",
                $values,
                "}, dword ptr [{",
                $group,
                "} + {cell}]\n",
                "vpdpbusd {",
                $first,
                "}, {w0}, {",
                $values,
                "}\n",
                "vpdpbusd {",
                $second,
                "}, {w1}, {",
                $values,
                "}\n",
            )
        };
    }
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            column!("a", "g0", "s0", "t0"),
            column!("b", "g1", "s1", "t1"),
            column!("a", "g2", "s2", "t2"),
            column!("b", "g3", "s3", "t3"),
            column!("a", "g4", "s4", "t4"),
            column!("b", "g5", "s5", "t5"),
            column!("a", "g6", "s6", "t6"),
            column!("b", "g7", "s7", "t7"),
            cell = const 4 * T,
            a = out(zmm_reg) _,
            b = out(zmm_reg) _,
            w0 = in(zmm_reg) weights[0],
            w1 = in(zmm_reg) weights[1],
            g0 = in(reg) groups[0],
            g1 = in(reg) groups[1],
            g2 = in(reg) groups[2],
            g3 = in(reg) groups[3],
            g4 = in(reg) groups[4],
            g5 = in(reg) groups[5],
            g6 = in(reg) groups[6],
            g7 = in(reg) groups[7],
            s0 = inout(zmm_reg) first[0],
            s1 = inout(zmm_reg) first[1],
            s2 = inout(zmm_reg) first[2],
            s3 = inout(zmm_reg) first[3],
            s4 = inout(zmm_reg) first[4],
            s5 = inout(zmm_reg) first[5],
            s6 = inout(zmm_reg) first[6],
            s7 = inout(zmm_reg) first[7],
            t0 = inout(zmm_reg) second[0],
            t1 = inout(zmm_reg) second[1],
            t2 = inout(zmm_reg) second[2],
            t3 = inout(zmm_reg) second[3],
            t4 = inout(zmm_reg) second[4],
            t5 = inout(zmm_reg) second[5],
            t6 = inout(zmm_reg) second[6],
            t7 = inout(zmm_reg) second[7],
            options(nostack, readonly, pure, preserves_flags)
        );
    }
}

/// Cell T of one panel with all columns.
///
/// # Safety
/// AVX-512 F and VNNI are here; the groups may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn one<const T: usize>(weights: __m512i, groups: [*const Group; COLUMNS], sums: &mut Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "vpdpbusd {s0}, {w}, dword ptr [{g0} + {cell}]{{1to16}}",
            "vpdpbusd {s1}, {w}, dword ptr [{g1} + {cell}]{{1to16}}",
            "vpdpbusd {s2}, {w}, dword ptr [{g2} + {cell}]{{1to16}}",
            "vpdpbusd {s3}, {w}, dword ptr [{g3} + {cell}]{{1to16}}",
            "vpdpbusd {s4}, {w}, dword ptr [{g4} + {cell}]{{1to16}}",
            "vpdpbusd {s5}, {w}, dword ptr [{g5} + {cell}]{{1to16}}",
            "vpdpbusd {s6}, {w}, dword ptr [{g6} + {cell}]{{1to16}}",
            "vpdpbusd {s7}, {w}, dword ptr [{g7} + {cell}]{{1to16}}",
            cell = const 4 * T,
            w = in(zmm_reg) weights,
            g0 = in(reg) groups[0],
            g1 = in(reg) groups[1],
            g2 = in(reg) groups[2],
            g3 = in(reg) groups[3],
            g4 = in(reg) groups[4],
            g5 = in(reg) groups[5],
            g6 = in(reg) groups[6],
            g7 = in(reg) groups[7],
            s0 = inout(zmm_reg) sums[0],
            s1 = inout(zmm_reg) sums[1],
            s2 = inout(zmm_reg) sums[2],
            s3 = inout(zmm_reg) sums[3],
            s4 = inout(zmm_reg) sums[4],
            s5 = inout(zmm_reg) sums[5],
            s6 = inout(zmm_reg) sums[6],
            s7 = inout(zmm_reg) sums[7],
            options(nostack, readonly, pure, preserves_flags)
        );
    }
}

const _: () = assert!(std::mem::offset_of!(Group, codes) == 0);
