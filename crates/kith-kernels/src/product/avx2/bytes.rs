//! Signed bytes with four columns, with all registers given out by hand: a loop that needs all sixteen, in which a compiler moves values to the
//! stack and back (107 cycles a group instead of 97 on Zen 3).

use crate::{Group, PANEL_ROWS};
use std::{
    arch::{asm, x86_64::_mm256_set1_epi16},
    mem::offset_of,
};

/// Bytes of a group's codes, and of the whole group with its scales.
const CODES: usize = 64 * 8;
const BYTES: usize = CODES + 2 * PANEL_ROWS;

/// Cell `$cell` of all rows with one column: pairs of products are widened at once, since no two pairs fit 16 bits. Cell 0 begins the sums.
macro_rules! column {
    ("0", $group:literal, $low:literal, $high:literal) => {
        concat!(
            column!(@products "0", $group),
            "vpmaddwd {", $low, "}, {x}, {ones}\n",
            "vpmaddwd {", $high, "}, {y}, {ones}\n",
        )
    };
    ($cell:literal, $group:literal, $low:literal, $high:literal) => {
        concat!(
            column!(@products $cell, $group),
            "vpmaddwd {x}, {x}, {ones}\n",
            "vpmaddwd {y}, {y}, {ones}\n",
            "vpaddd {", $low, "}, {", $low, "}, {x}\n",
            "vpaddd {", $high, "}, {", $high, "}, {y}\n",
        )
    };
    (@products $cell:literal, $group:literal) => {
        concat!(
            "vpbroadcastd {v}, dword ptr [{", $group, "} + 4 * ", $cell, "]\n",
            "vpsignb {x}, {v}, {a}\n",
            "vpsignb {y}, {v}, {b}\n",
            "vpmaddubsw {x}, {c}, {x}\n",
            "vpmaddubsw {y}, {d}, {y}\n",
        )
    };
}

/// Cell `$cell` with all columns.
macro_rules! cell {
    ($cell:tt) => {
        concat!(
            "vmovdqu {a}, ymmword ptr [{at} + 64 * ",
            $cell,
            "]\n",
            "vmovdqu {b}, ymmword ptr [{at} + 64 * ",
            $cell,
            " + 32]\n",
            "vpabsb {c}, {a}\n",
            "vpabsb {d}, {b}\n",
            column!($cell, "g0", "s0", "s1"),
            column!($cell, "g1", "s2", "s3"),
            column!($cell, "g2", "s4", "s5"),
            column!($cell, "g3", "s6", "s7"),
        )
    };
}

/// One link of the chain of a column: `y = fma(I, d * s, y)`, `y` being in the results.
macro_rules! link {
    ($column:literal, $group:literal, $low:literal, $high:literal) => {
        concat!(
            "vbroadcastss {v}, dword ptr [{",
            $group,
            "} + {scale}]\n",
            "vcvtdq2ps {",
            $low,
            "}, {",
            $low,
            "}\n",
            "vcvtdq2ps {",
            $high,
            "}, {",
            $high,
            "}\n",
            "vmulps {x}, {a}, {v}\n",
            "vmulps {y}, {b}, {v}\n",
            "vfmadd213ps {",
            $low,
            "}, {x}, ymmword ptr [{results} + 64 * ",
            $column,
            "]\n",
            "vfmadd213ps {",
            $high,
            "}, {y}, ymmword ptr [{results} + 64 * ",
            $column,
            " + 32]\n",
            "vmovups ymmword ptr [{results} + 64 * ",
            $column,
            "], {",
            $low,
            "}\n",
            "vmovups ymmword ptr [{results} + 64 * ",
            $column,
            " + 32], {",
            $high,
            "}\n",
        )
    };
}

/// One panel of Q8_0 with four columns.
///
/// # Safety
/// AVX2, FMA and F16C are here; `panel` is a whole panel of Q8_0, as deep as each of the four columns; there are four results.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn four(panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
    let count = inputs[0].len();
    debug_assert!(panel.len() == count * BYTES && inputs.len() == 4 && tile.len() == 4);
    tile.fill([0.0; PANEL_ROWS]);
    if count == 0 {
        return;
    }
    // SAFETY: the caller's promise: the panel and each column have `count` groups, and the results are four times 16 values.
    unsafe {
        asm!(
            "2:",
            cell!("0"), cell!("1"), cell!("2"), cell!("3"), cell!("4"), cell!("5"), cell!("6"), cell!("7"),
            "vcvtph2ps {a}, xmmword ptr [{at} + {codes}]",
            "vcvtph2ps {b}, xmmword ptr [{at} + {codes} + 16]",
            link!("0", "g0", "s0", "s1"),
            link!("1", "g1", "s2", "s3"),
            link!("2", "g2", "s4", "s5"),
            link!("3", "g3", "s6", "s7"),
            "add {at}, {bytes}",
            "add {g0}, {group}",
            "add {g1}, {group}",
            "add {g2}, {group}",
            "add {g3}, {group}",
            "dec {count}",
            "jnz 2b",
            at = inout(reg) panel.as_ptr() => _,
            g0 = inout(reg) inputs[0].as_ptr() => _,
            g1 = inout(reg) inputs[1].as_ptr() => _,
            g2 = inout(reg) inputs[2].as_ptr() => _,
            g3 = inout(reg) inputs[3].as_ptr() => _,
            count = inout(reg) count => _,
            results = in(reg) tile.as_mut_ptr(),
            ones = in(ymm_reg) _mm256_set1_epi16(1),
            codes = const CODES,
            bytes = const BYTES,
            group = const size_of::<Group>(),
            scale = const offset_of!(Group, scale),
            s0 = out(ymm_reg) _,
            s1 = out(ymm_reg) _,
            s2 = out(ymm_reg) _,
            s3 = out(ymm_reg) _,
            s4 = out(ymm_reg) _,
            s5 = out(ymm_reg) _,
            s6 = out(ymm_reg) _,
            s7 = out(ymm_reg) _,
            v = out(ymm_reg) _,
            a = out(ymm_reg) _,
            b = out(ymm_reg) _,
            c = out(ymm_reg) _,
            d = out(ymm_reg) _,
            x = out(ymm_reg) _,
            y = out(ymm_reg) _,
            options(nostack)
        );
    }
    const { assert!(offset_of!(Group, codes) == 0) };
}
