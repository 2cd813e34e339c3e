//! The 16-bit floating-point formats: conversions to and from f32.

use crate::sets::per_set;

/// An IEEE half as f32, exactly; a NaN stays a NaN.
#[inline(always)]
pub fn from_f16(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let sign = u32::from(bits & 0x8000) << 16;
    // 2^112 moves the exponent from a bias of 15 to one of 127, for numbers below the normal range too.
    let scaled = f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23);
    let special = magnitude | 0x7f80_0000;
    let value = if magnitude >= 0x0f80_0000 { special } else { scaled.to_bits() };
    f32::from_bits(value | sign)
}

/// An f32 as the nearest IEEE half, ties to even; what is too large becomes infinity, NaN becomes the quiet NaN 0x7e00 with its sign.
#[inline(always)]
pub fn to_f16(value: f32) -> u16 {
    let sign = (value.to_bits() >> 16) & 0x8000;
    let magnitude = value.to_bits() & 0x7fff_ffff;
    // Below 2^-14 the sum with 0.5 has the spacing of halves there: the addition does the rounding.
    let small = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let odd = (magnitude >> 13) & 1;
    let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + odd) >> 13;
    let finite = if magnitude < 0x3880_0000 { small } else { normal };
    let finite = if magnitude >= 0x4780_0000 { 0x7c00 } else { finite };
    let bits = if magnitude > 0x7f80_0000 { 0x7e00 } else { finite };
    (sign | bits) as u16
}

/// A bfloat16 as f32, exactly.
#[inline(always)]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[inline(always)]
fn widen_body(from: &[u16], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "as many floats as halves");
    for (to, from) in to.iter_mut().zip(from) {
        *to = from_f16(*from);
    }
}

per_set! {
    /// Halves as f32.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn widen(from: &[u16], to: &mut [f32]) = widen_body;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_goes_to_f32_and_back() {
        for bits in 0..=u16::MAX {
            let value = from_f16(bits);
            if bits & 0x7fff > 0x7c00 {
                assert!(value.is_nan());
            } else {
                assert_eq!(to_f16(value), bits, "{value}");
            }
        }
        assert_eq!(from_f16(0x3c00), 1.0);
        assert_eq!(from_f16(0x0001), 2.0f32.powi(-24));
        assert_eq!(from_f16(0xfc00), f32::NEG_INFINITY);
        assert_eq!(from_f16(0x7bff), 65504.0);
    }

    #[test]
    fn rounding_to_a_half_is_to_the_nearest_with_ties_to_even() {
        assert_eq!(to_f16(1.0 + 2.0f32.powi(-11)), 0x3c00);
        assert_eq!(to_f16(1.0 + 3.0 * 2.0f32.powi(-11)), 0x3c02);
        assert_eq!(to_f16(2.0f32.powi(-25)), 0);
        assert_eq!(to_f16(1.5 * 2.0f32.powi(-24)), 2);
        assert_eq!(to_f16(65519.0), 0x7bff);
        assert_eq!(to_f16(65520.0), 0x7c00);
        assert_eq!(to_f16(f32::NEG_INFINITY), 0xfc00);
        assert_eq!(to_f16(f32::NAN) & 0x7fff, 0x7e00);
    }
}
