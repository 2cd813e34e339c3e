//! Numbers of 16 bits and their way to `f32` and back. Formats: IEEE 754 binary16, and bfloat16 (the upper half of an `f32`).

/// The number whose binary16 bits these are. Exact.
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        // Subnormal: a whole number of 2^-24.
        (0, _) => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        // Infinity, or not a number.
        (0x1f, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The binary16 bits nearest to `value`; of two equally near the even one. What is too large becomes infinite.
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65520 and beyond round to infinity.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    // Below 2^-14 the result is subnormal: the fraction with its leading one, shifted to units of 2^-24.
    if magnitude < 0x3880_0000 {
        let exponent = magnitude >> 23;
        if exponent < 102 {
            return sign;
        }
        return sign | rounded(magnitude & 0x007f_ffff | 0x0080_0000, 126 - exponent);
    }
    sign | rounded(magnitude - 0x3800_0000, 13)
}

/// `value` without its lowest `shift` bits (1 to 24), to the nearest, halves to even. A carry runs into the exponent, as it should.
fn rounded(value: u32, shift: u32) -> u16 {
    let kept = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    (kept + u32::from(up)) as u16
}

/// The number whose bfloat16 bits these are. Exact.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_itself_after_a_round_trip() {
        for bits in 0..=u16::MAX {
            let value = f16_to_f32(bits);
            if value.is_nan() {
                assert!(f16_to_f32(f32_to_f16(value)).is_nan());
            } else {
                assert_eq!(f32_to_f16(value), bits, "{value}");
            }
        }
    }

    #[test]
    fn known_halves_have_their_values() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8), (0x0400, 6.103_515_6e-5)]
        {
            assert_eq!(f16_to_f32(bits), value);
        }
        assert_eq!((f16_to_f32(0x7c00), bf16_to_f32(0x3f80)), (f32::INFINITY, 1.0));
    }

    #[test]
    fn between_two_halves_the_nearer_is_taken_and_in_the_middle_the_even_one() {
        for bits in 0..0x7bff_u16 {
            let (low, high) = (f16_to_f32(bits), f16_to_f32(bits + 1));
            let middle = low + (high - low) / 2.0;
            let even = if bits & 1 == 0 { bits } else { bits + 1 };
            assert_eq!(f32_to_f16(middle), even, "{middle}");
            assert_eq!(f32_to_f16(middle.next_down()), bits);
            assert_eq!(f32_to_f16(middle.next_up()), bits + 1);
        }
        assert_eq!((f32_to_f16(65519.99), f32_to_f16(65520.0)), (0x7bff, 0x7c00));
        assert_eq!((f32_to_f16(-1e9), f32_to_f16(1e-9)), (0xfc00, 0));
    }
}
