//! Numbers of sixteen bits: IEEE 754 binary16, and bfloat16.

/// The number that these bits mean in IEEE 754 binary16.
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from((bits >> 10) & 0x1F);
    let fraction = u32::from(bits & 0x3FF);
    match (exponent, fraction) {
        (0, 0) => f32::from_bits(sign),
        // Subnormal: a multiple of 2^-24, which is exact in f32.
        (0, fraction) => {
            let size = f32::from(u16::try_from(fraction).unwrap_or_default()) * f32::from_bits((127 - 24) << 23);
            f32::from_bits(sign | size.to_bits())
        }
        (0x1F, fraction) => f32::from_bits(sign | 0x7F80_0000 | (fraction << 13)),
        (exponent, fraction) => f32::from_bits(sign | ((exponent + 127 - 15) << 23) | (fraction << 13)),
    }
}

/// The nearest number of IEEE 754 binary16, ties to even; infinity beyond its range.
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = u16::try_from((bits >> 16) & 0x8000).unwrap_or_default();
    let size = bits & 0x7FFF_FFFF;
    let rounded = match size {
        // Not a number stays none, whatever its lower bits.
        0x7F80_0001.. => 0x7E00,
        // From 65520 on the nearest is infinity.
        0x477F_F000.. => 0x7C00,
        // Normal: 13 bits of the fraction go; a carry into the exponent is right.
        0x3880_0000.. => {
            let rebased = size - ((127 - 15) << 23);
            (rebased + 0xFFF + ((rebased >> 13) & 1)) >> 13
        }
        // Subnormal: rounded to a multiple of 2^-24 by adding a number whose last place that is.
        _ => {
            let magic = f32::from_bits((127 - 24 + 23) << 23);
            (f32::from_bits(size) + magic).to_bits() - magic.to_bits()
        }
    };
    sign | u16::try_from(rounded).unwrap_or(0x7C00)
}

/// The number that these bits mean in bfloat16: the upper half of an `f32`.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_sixteen_bits_survives_the_way_there_and_back() {
        for bits in 0..=u16::MAX {
            let value = f16_to_f32(bits);
            if value.is_nan() {
                assert!(f16_to_f32(f32_to_f16(value)).is_nan());
            } else {
                assert_eq!(f32_to_f16(value), bits, "{bits:#06x} {value}");
            }
        }
    }

    #[test]
    fn known_values_have_their_known_bits() {
        for (value, bits) in [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3C00),
            (-2.0, 0xC000),
            (65504.0, 0x7BFF),
            (65519.9, 0x7BFF),
            (65520.0, 0x7C00),
            (f32::INFINITY, 0x7C00),
            (0.000_060_975_55, 0x03FF),
            (0.000_061_035_156, 0x0400),
            (5.960_464_5e-8, 0x0001),
            // Half of the smallest is a tie, and goes to the even zero; anything above it does not.
            (2.980_232_2e-8, 0x0000),
            (2.980_233e-8, 0x0001),
            // Ties between neighbours go to the even one.
            (1.000_488_3, 0x3C00),
            (1.001_464_8, 0x3C02),
        ] {
            assert_eq!(f32_to_f16(value), bits, "{value}");
        }
        assert_eq!(bf16_to_f32(0x3F80), 1.0);
        assert_eq!(bf16_to_f32(0xC049), -3.140_625);
    }
}
