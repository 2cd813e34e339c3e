//! The two small steps between chains: scores to weights, and one page joined to those before.

use super::PAGE;
use crate::{
    math::{exp, tanh, tree_sum},
    sets::per_set,
    vector::largest,
};

/// Scores of a page to weights: gives the largest score and the sum of weights. Slots before `from` get weight 0; those from `to` on mean nothing.
#[inline(always)]
fn soften_body(scores: &mut [f32; PAGE], from: usize, to: usize, scale: f32, cap: Option<f32>) -> (f32, f32) {
    // Whole partial sums: more slots would add zeros.
    let scores = &mut scores[..to.next_multiple_of(16).min(PAGE)];
    for score in scores.iter_mut() {
        *score *= scale;
    }
    if let Some(cap) = cap {
        for score in scores.iter_mut() {
            *score = cap * tanh(*score / cap);
        }
    }
    scores[..from].fill(f32::NEG_INFINITY);
    scores[to..].fill(f32::NEG_INFINITY);
    let largest = largest(scores);
    let mut lanes = [0.0f32; 16];
    for chunk in scores.as_chunks_mut::<16>().0 {
        for i in 0..16 {
            chunk[i] = exp(chunk[i] - largest);
            lanes[i] += chunk[i];
        }
    }
    (largest, tree_sum(lanes))
}

/// Joins a page to those before it: gives the new largest score and sum.
#[inline(always)]
fn join_body(largest: f32, sum: f32, vector: &mut [f32], page_largest: f32, page_sum: f32, page: &[f32]) -> (f32, f32) {
    let new = if page_largest > largest { page_largest } else { largest };
    let (before, now) = (exp(largest - new), exp(page_largest - new));
    for (vector, page) in vector.iter_mut().zip(page) {
        *vector = vector.mul_add(before, page * now);
    }
    (new, sum.mul_add(before, page_sum * now))
}

per_set! {
    pub(super) fn soften(scores: &mut [f32; PAGE], from: usize, to: usize, scale: f32, cap: Option<f32>) -> (f32, f32) = soften_body;
}
per_set! {
    pub(super) fn join(largest: f32, sum: f32, vector: &mut [f32], page_largest: f32, page_sum: f32, page: &[f32]) -> (f32, f32) = join_body;
}
