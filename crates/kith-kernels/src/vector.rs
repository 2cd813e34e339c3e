//! What is done to whole vectors between products: norms, gates, softmax, sums.

use crate::{
    math::{gelu, silu, tree_max, tree_sum},
    sets::per_set,
};

#[inline(always)]
fn rms_norm_body(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == out.len(), "vectors of one length");
    let mut lanes = [0.0f32; 16];
    let (whole, rest) = x.as_chunks::<16>();
    for chunk in whole {
        for i in 0..16 {
            lanes[i] = chunk[i].mul_add(chunk[i], lanes[i]);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = value.mul_add(*value, *lane);
    }
    let scale = 1.0 / (tree_sum(lanes) / x.len() as f32 + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = (x * scale) * weight;
    }
}

#[inline(always)]
fn swiglu_body(gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "vectors of one length");
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = silu(*gate) * up;
    }
}

#[inline(always)]
fn geglu_body(gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "vectors of one length");
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = gelu(*gate) * up;
    }
}

#[inline(always)]
fn add_body(to: &mut [f32], what: &[f32]) {
    assert_eq!(to.len(), what.len(), "vectors of one length");
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}

#[inline(always)]
fn add_scaled_body(to: &mut [f32], what: &[f32], factor: f32) {
    assert_eq!(to.len(), what.len(), "vectors of one length");
    for (to, what) in to.iter_mut().zip(what) {
        *to = what.mul_add(factor, *to);
    }
}

#[inline(always)]
fn soft_cap_body(values: &mut [f32], cap: f32) {
    for value in values {
        *value = cap * crate::math::tanh(*value / cap);
    }
}

#[inline(always)]
fn softmax_body(values: &mut [f32]) {
    let largest = largest(values);
    let mut lanes = [0.0f32; 16];
    let (whole, rest) = values.as_chunks_mut::<16>();
    for chunk in whole {
        for i in 0..16 {
            chunk[i] = crate::math::exp(chunk[i] - largest);
            lanes[i] += chunk[i];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *value = crate::math::exp(*value - largest);
        *lane += *value;
    }
    let sum = tree_sum(lanes);
    for value in values {
        *value /= sum;
    }
}

/// The largest value; minus infinity for none.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for i in 0..16 {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = if *value > *lane { *value } else { *lane };
    }
    tree_max(lanes)
}

per_set! {
    /// RMSNorm: `out = (x / sqrt(mean of squares + epsilon)) * weight`, for one vector.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = rms_norm_body;
}

per_set! {
    /// SwiGLU: `gate = silu(gate) * up`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn swiglu(gate: &mut [f32], up: &[f32]) = swiglu_body;
}

per_set! {
    /// GeGLU: `gate = gelu(gate) * up`, with the tanh form of GELU.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn geglu(gate: &mut [f32], up: &[f32]) = geglu_body;
}

per_set! {
    /// `to += what`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add(to: &mut [f32], what: &[f32]) = add_body;
}

per_set! {
    /// `to = fma(what, factor, to)`, for instance an expert's answer with its weight.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add_scaled(to: &mut [f32], what: &[f32], factor: f32) = add_scaled_body;
}

per_set! {
    /// `value = cap * tanh(value / cap)`.
    pub fn soft_cap(values: &mut [f32], cap: f32) = soft_cap_body;
}

per_set! {
    /// Softmax in place: e to the (value - largest), divided by the sum of all.
    pub fn softmax(values: &mut [f32]) = softmax_body;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Set;

    #[test]
    fn a_norm_makes_the_mean_of_squares_one() {
        let x: Vec<f32> = (0..50).map(|i| i as f32 - 20.0).collect();
        let mut out = vec![0.0; 50];
        rms_norm(Set::best(), &x, &[1.0; 50], 0.0, &mut out);
        let mean = out.iter().map(|value| value * value).sum::<f32>() / 50.0;
        assert!((mean - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_softmax_sums_to_one_and_ignores_what_is_impossible() {
        let mut values = [1.0, 2.0, f32::NEG_INFINITY, 3.0];
        softmax(Set::best(), &mut values);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(values[2], 0.0);
        assert!((values[3] / values[1] - std::f32::consts::E).abs() < 1e-5);
    }

    #[test]
    fn a_cap_holds() {
        let mut values = [1e9, -1e9, 0.0, 1.0];
        soft_cap(Set::best(), &mut values, 30.0);
        assert_eq!(values[..3], [30.0, -30.0, 0.0]);
        assert!((values[3] - 0.99963).abs() < 1e-4);
    }
}
