//! Logarithm, exponential, sine and cosine in 64 bits, made of operations that have one result everywhere.
//! Errors are a few units in the last place: far below what is left after rounding to f32.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, LN_2, SQRT_2};

/// What FRAC_PI_2 lacks of half of pi.
const REST_OF_HALF_PI: f64 = 6.123_233_995_736_766e-17;
/// What LN_2 lacks of the logarithm of 2.
const REST_OF_LN_2: f64 = 2.319_046_813_846_299_6e-17;

/// The natural logarithm of a normal positive number.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 1023 << 52);
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), whose argument is below 0.172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..13).rev() {
        sum = sum * square + 1.0 / f64::from(2 * n + 1);
    }
    f64::from(exponent) * LN_2 + 2.0 * s * sum
}

/// e^x for |x| below 700.
pub(super) fn exp(x: f64) -> f64 {
    let n = (x / LN_2).round_ties_even();
    let r = (-n).mul_add(REST_OF_LN_2, (-n).mul_add(LN_2, x));
    let mut sum = 1.0;
    for k in (1..18).rev() {
        sum = sum * r / f64::from(k) + 1.0;
    }
    sum * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

/// Sine and cosine of 0 <= x < 2^31.
pub(super) fn sin_cos(x: f64) -> (f64, f64) {
    let n = (x * FRAC_2_PI).round_ties_even();
    let r = (-n).mul_add(REST_OF_HALF_PI, (-n).mul_add(FRAC_PI_2, x));
    let square = r * r;
    let (mut sin, mut cos) = (1.0, 1.0);
    for k in (1..10).rev() {
        let k = f64::from(2 * k);
        sin = 1.0 - sin * square / (k * (k + 1.0));
        cos = 1.0 - cos * square / (k * (k - 1.0));
    }
    sin *= r;
    match n as i64 & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_near_the_true_ones() {
        for i in 1..20_000 {
            let x = f64::from(i) * 0.731;
            assert!((ln(x) - x.ln()).abs() < 4e-15, "ln {x}");
            let y = -f64::from(i) * 0.001;
            assert!((exp(y) / y.exp() - 1.0).abs() < 1e-15, "exp {y}");
            let angle = f64::from(i) * 53.17;
            let (sin, cos) = sin_cos(angle);
            assert!((sin - angle.sin()).abs() < 1e-15 && (cos - angle.cos()).abs() < 1e-15, "angle {angle}");
        }
        assert_eq!(sin_cos(0.0), (0.0, 1.0));
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
    }
}
