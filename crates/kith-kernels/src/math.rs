//! Scalar functions with one result everywhere: exponential, tanh, sigmoid and the gates made of them, and sums in a fixed order.
//!
//! They are written without branches, so that a loop over them becomes vector code, and with nothing but operations that IEEE 754
//! rounds in one way (add, multiply, fused multiply-add, divide), so that the vector code has the same bits.

/// 1.5 * 2^23: added to an f32 below 2^22 in size, it rounds to the nearest integer, ties to even, and leaves it in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// e^x. Relative error below 2 units in the last place; 0 below -104, infinity above 88.8, NaN for NaN, exactly 1 for 0.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // ln 2 in two parts: the first has so few bits that its product with the exponent is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let exponent = n.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let n = n - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    // The series to the seventh power: |r| <= ln 2 / 2 leaves 5e-9.
    let p = r.mul_add(1.0 / 5040.0, 1.0 / 720.0);
    let p = r.mul_add(p, 1.0 / 120.0);
    let p = r.mul_add(p, 1.0 / 24.0);
    let p = r.mul_add(p, 1.0 / 6.0);
    let p = r.mul_add(p, 0.5);
    let p = r.mul_add(p, 1.0);
    let p = r.mul_add(p, 1.0);
    // In two steps, so that results below the normal range are rounded once and those above become infinity.
    let half = exponent >> 1;
    p * power_of_two(half) * power_of_two(exponent.wrapping_sub(half))
}

/// 2^n for -126 <= n <= 127; anything for other n.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// The hyperbolic tangent, from [`exp`]; absolute error below 2e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let t = exp(-2.0 * x.abs());
    ((1.0 - t) / (1.0 + t)).copysign(x)
}

/// x / (1 + e^-x), also called swish.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The Gaussian error linear unit in its tanh form: x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let inner = (x * x).mul_add(0.044_715 * x, x) * SQRT_2_OVER_PI;
    let half = 0.5 * x;
    half.mul_add(tanh(inner), half)
}

/// 16 lanes brought together as a tree: lanes i and i+8, then i+4, i+2, i+1. Level by level into arrays of their own, which become vectors.
#[inline(always)]
fn tree(lanes: [f32; 16], join: impl Fn(f32, f32) -> f32) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| join(lanes[i], lanes[i + 8]));
    let four: [f32; 4] = std::array::from_fn(|i| join(eight[i], eight[i + 4]));
    let two: [f32; 2] = std::array::from_fn(|i| join(four[i], four[i + 2]));
    join(two[0], two[1])
}

/// The sum of 16 partial sums as a tree: lanes i and i+8, then i+4, i+2, i+1.
#[inline(always)]
pub fn tree_sum(lanes: [f32; 16]) -> f32 {
    tree(lanes, |low, high| low + high)
}

/// The largest of 16, as a tree like [`tree_sum`]'s.
#[inline(always)]
pub(crate) fn tree_max(lanes: [f32; 16]) -> f32 {
    tree(lanes, |low, high| if high > low { high } else { low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_near_the_true_one_over_its_whole_range() {
        let mut worst = 0.0f64;
        for i in 0..2_000_000 {
            let x = -103.0 + i as f32 * (191.5 / 2_000_000.0);
            let truth = f64::from(x).exp();
            let got = f64::from(exp(x));
            if truth > f64::from(f32::MIN_POSITIVE) && truth < f64::from(f32::MAX) {
                worst = worst.max(((got - truth) / truth).abs());
            } else {
                assert!((got - truth).abs() <= 1.5e-45 || got.is_infinite(), "{x}: {got} for {truth}");
            }
        }
        assert!(worst < 2.4e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gates_are_near_their_definitions() {
        for i in -2000..2000 {
            let x = i as f32 * 0.01;
            let d = f64::from(x);
            assert!((f64::from(tanh(x)) - d.tanh()).abs() < 2e-7, "tanh {x}");
            assert!((f64::from(silu(x)) - d / (1.0 + (-d).exp())).abs() < 2e-6, "silu {x}");
            let truth = 0.5 * d * (1.0 + (0.797_884_560_802_865_4 * (d + 0.044715 * d * d * d)).tanh());
            assert!((f64::from(gelu(x)) - truth).abs() < 4e-6, "gelu {x}");
        }
    }

    #[test]
    fn a_tree_adds_all_lanes() {
        assert_eq!(tree_sum(std::array::from_fn(|i| i as f32)), 120.0);
        assert_eq!(tree_max(std::array::from_fn(|i| ((i * 7) % 16) as f32)), 15.0);
    }
}
