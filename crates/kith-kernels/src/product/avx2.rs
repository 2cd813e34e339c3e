//! Products with AVX2, FMA and F16C: a vector is 8 rows, half a panel.
//!
//! Unsigned codes meet signed activations in `vpmaddubsw`, whose pairs of products fit 16 bits; as many pairs are added in 16 bits as must
//! fit (8 for 4 bits: 8 * 2 * 15 * 127 = 30,480), then widened. Signed bytes go in as their magnitude, with their sign given to the activation.

mod bytes;
mod codes;
mod floats;
pub(super) mod forms;
mod vnni;

use crate::{Format, Group, PANEL_ROWS};
use forms::{K2, K3, K4, K5, K6, Simple};

/// Chooses the form of a format.
macro_rules! by_format {
    ($(#[$meta:meta])* $name:ident, $tiles:ident) => {
        $(#[$meta])*
        pub(super) unsafe fn $name(format: Format, panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
            // SAFETY: the caller's promise, unchanged; each arm's form is the one that panels of its format have.
            unsafe {
                match format {
                    Format::Q4_0 => $tiles::tile::<Simple<4, 3, false>>(panel, inputs, tile),
                    Format::Q4_1 => $tiles::tile::<Simple<4, 0, true>>(panel, inputs, tile),
                    Format::Q5_0 => $tiles::tile::<Simple<5, 4, false>>(panel, inputs, tile),
                    Format::Q5_1 => $tiles::tile::<Simple<5, 0, true>>(panel, inputs, tile),
                    Format::Q8_0 => $tiles::tile::<Simple<8, 0, false>>(panel, inputs, tile),
                    Format::Q2_K => $tiles::tile::<K2>(panel, inputs, tile),
                    Format::Q3_K => $tiles::tile::<K3>(panel, inputs, tile),
                    Format::Q4_K => $tiles::tile::<K4>(panel, inputs, tile),
                    Format::Q5_K => $tiles::tile::<K5>(panel, inputs, tile),
                    Format::Q6_K => $tiles::tile::<K6>(panel, inputs, tile),
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
    /// AVX2, FMA and F16C are here; `panel` is a whole panel of `format`, no float format; all columns are as deep as it.
    codes, codes
);
by_format!(
    /// As [`codes`], with the dot products of AVX-VNNI.
    ///
    /// # Safety
    /// As [`codes`], and AVX-VNNI is here too.
    codes_vnni, vnni
);

/// Float weights with 1 to 4 columns.
///
/// # Safety
/// AVX2, FMA and F16C are here; `panel` is a whole panel of `format`, a float format; all columns are as deep as it.
pub(super) unsafe fn floats(format: Format, panel: &[u8], inputs: &[&[f32]], tile: &mut [[f32; PANEL_ROWS]]) {
    // SAFETY: the caller's promise, unchanged.
    unsafe {
        match format {
            Format::F32 => floats::tile::<floats::Single>(panel, inputs, tile),
            Format::F16 => floats::tile::<floats::Half>(panel, inputs, tile),
            Format::BF16 => floats::tile::<floats::Brain>(panel, inputs, tile),
            _ => {}
        }
    }
}
