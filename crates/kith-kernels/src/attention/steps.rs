//! The two small steps between chains: scores to weights, and one page joined to those before. Both are done for several queries at once, since each
//! is a few long chains of operations that wait for each other.

use super::{PAGE, chains::MOST};
use crate::{
    math::{exp, tanh, tree_sum},
    sets::per_set,
    vector::largest,
};

/// What a page says to a query: its largest score, and the sum of its weights. None where the query sees nothing of it.
pub(super) type Said = Option<(f32, f32)>;

/// Scores of a page to weights, for queries that see slots `from..to` of it each. Slots before `from` get weight 0; those from `to` on mean nothing.
#[inline(always)]
fn soften_body(scores: &mut [[f32; PAGE]], seen: &[(usize, usize)], scale: f32, cap: Option<f32>) -> [Said; MOST] {
    let mut said = [None; MOST];
    for ((scores, (from, to)), said) in scores.iter_mut().zip(seen).zip(&mut said) {
        if from >= to {
            continue;
        }
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
        scores[..*from].fill(f32::NEG_INFINITY);
        scores[*to..].fill(f32::NEG_INFINITY);
        *said = Some((largest(scores), 0.0));
    }
    for ((scores, (_, to)), said) in scores.iter_mut().zip(seen).zip(&mut said) {
        let Some((largest, sum)) = said else { continue };
        let scores = &mut scores[..to.next_multiple_of(16).min(PAGE)];
        let mut lanes = [0.0f32; 16];
        for chunk in scores.as_chunks_mut::<16>().0 {
            for i in 0..16 {
                chunk[i] = exp(chunk[i] - *largest);
                lanes[i] += chunk[i];
            }
        }
        *sum = tree_sum(lanes);
    }
    said
}

/// Per query, the pages so far.
#[derive(Default)]
pub(super) struct Joined {
    pub largest: Vec<f32>,
    pub sums: Vec<f32>,
    /// A head's values per query.
    pub vectors: Vec<f32>,
}

/// Joins a page to those before it, for some queries from `first` on: what the page says to each, and its vectors one after another.
#[inline(always)]
fn join_body(joined: &mut Joined, first: usize, said: &[Said], page: &[f32], head: usize) {
    /// A power of two, for the vectors' sake.
    const ROOM: usize = MOST.next_power_of_two();
    let queries = first..first + said.len();
    let (largest, sums) = (&mut joined.largest[queries.clone()], &mut joined.sums[queries.clone()]);
    let mut before = [0.0; ROOM];
    let mut now = [0.0; ROOM];
    for (i, (largest, said)) in largest.iter_mut().zip(said).enumerate() {
        if let Some((page_largest, _)) = said {
            let new = if *page_largest > *largest { *page_largest } else { *largest };
            (before[i], now[i]) = (*largest - new, *page_largest - new);
            *largest = new;
        }
    }
    for i in 0..ROOM {
        before[i] = exp(before[i]);
        now[i] = exp(now[i]);
    }
    let vectors = joined.vectors[queries.start * head..queries.end * head].chunks_exact_mut(head);
    for (i, (((vector, page), sum), said)) in vectors.zip(page.chunks_exact(head)).zip(sums).zip(said).enumerate() {
        if let Some((_, page_sum)) = said {
            for (vector, page) in vector.iter_mut().zip(page) {
                *vector = vector.mul_add(before[i], page * now[i]);
            }
            *sum = sum.mul_add(before[i], page_sum * now[i]);
        }
    }
}

per_set! {
    pub(super) fn soften(scores: &mut [[f32; PAGE]], seen: &[(usize, usize)], scale: f32, cap: Option<f32>) -> [Said; MOST] = soften_body;
}
per_set! {
    pub(super) fn join(joined: &mut Joined, first: usize, said: &[Said], page: &[f32], head: usize) = join_body;
}
