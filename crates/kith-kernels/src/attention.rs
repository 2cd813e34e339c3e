//! Attention of queries over keys and values that lie in pages of 64 positions.
//!
//! Position p of a sequence is slot p mod 64 of its page p / 64, whoever put it there and when. For one query and one head:
//!
//! 1. In each page, for each position that the query may see, the score is the chain `fma(query, key, score)` over the head's values in
//!    ascending order from 0, times `scale`, then capped if there is a cap: `cap * tanh(score / cap)`.
//! 2. With the page's largest score M, weights are `exp(score - M)`; their sum L goes position p to partial sum p mod 16 ([`crate::math::tree_sum`]); the
//!    page's vector is the chain `fma(weight, value, vector)` over its visible positions in ascending order from 0.
//! 3. Pages are joined in ascending order, from largest = -infinity, sum = 0, vector = 0: with N the larger of the largest and M, `a = exp(largest - N)`,
//!    `b = exp(M - N)`: `sum = fma(sum, a, L * b)`, `vector = fma(vector, a, page's vector * b)`, largest = N.
//! 4. The result is the vector divided by the sum.
//!
//! A page without visible positions is left out. Nothing here depends on how many queries or sequences are worked on together.

mod chains;
mod page;
mod steps;

pub use page::{CacheShape, Stored};

use crate::{Pool, Set, pool::Parts};
use std::cell::RefCell;
use steps::{join, soften};

/// Positions of a page.
pub const PAGE: usize = 64;
/// Queries that a thread takes through the pages together, at most.
const TOGETHER: usize = 32;

/// Heads, and what is done to scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Keys and values.
    pub cache: CacheShape,
    /// Query heads: a multiple of the cache's heads; head h uses cache head h / (heads / cache heads).
    pub heads: usize,
    /// What scores are multiplied with, usually 1 / sqrt(head's values).
    pub scale: f32,
    /// Scores stay within plus and minus this, where there is one.
    pub cap: Option<f32>,
    /// A query sees so many positions, its own the last of them; all before it where there is none.
    pub window: Option<usize>,
}

/// Where the pages of a sequence are.
pub trait Pages: Sync {
    /// Page `index` of the sequence, for one layer: [`CacheShape::page_bytes`] bytes.
    fn page(&self, index: usize) -> &[u8];
}

impl<T: AsRef<[u8]> + Sync> Pages for Vec<T> {
    fn page(&self, index: usize) -> &[u8] {
        self[index].as_ref()
    }
}

impl<T: AsRef<[u8]> + Sync> Pages for &[T] {
    fn page(&self, index: usize) -> &[u8] {
        self[index].as_ref()
    }
}

/// Neighbouring tokens of one sequence.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    /// The position of the first of them.
    pub first: usize,
    /// How many.
    pub tokens: usize,
    /// The sequence's pages, holding keys and values of all positions up to the last of these tokens.
    pub pages: &'a dyn Pages,
}

/// Attention for the tokens of all spans, one span after another. `queries` and `out` have per token `heads` heads, one after another.
///
/// # Panics
/// If `queries` or `out` has another length than tokens * heads * values of a head, if heads are no multiple of the cache's, or if a page has the
/// wrong length.
pub fn attend(pool: &Pool, set: Set, shape: &AttentionShape, spans: &[Span<'_>], queries: &[f32], out: &mut [f32]) {
    let tokens: usize = spans.iter().map(|span| span.tokens).sum();
    let token = shape.heads * shape.cache.head();
    assert!(shape.cache.heads() > 0 && shape.heads.is_multiple_of(shape.cache.heads()), "query heads in groups");
    assert!(queries.len() == tokens * token && out.len() == tokens * token, "heads of all tokens");
    let group = shape.heads / shape.cache.heads();
    // Long spans are cut by tokens; where that gives too few parts, the heads of a group go apart.
    let per_part = (TOGETHER / group).max(1);
    let whole: usize = spans.iter().map(|span| span.tokens.div_ceil(per_part) * shape.cache.heads()).sum();
    let splits = if whole < 4 * pool.threads() { group.min(2) } else { 1 };
    let cut = Cut { shape, per_part, splits, group };
    let out = Parts::new(out);
    pool.run(whole * splits, &|part| {
        let mut part = part;
        let mut before = 0;
        for span in spans {
            let parts = cut.parts(span);
            if part < parts {
                cut.part(set, span, part, before, queries, &out);
                return;
            }
            part -= parts;
            before += span.tokens;
        }
    });
}

/// How the work is cut.
struct Cut<'a> {
    shape: &'a AttentionShape,
    per_part: usize,
    splits: usize,
    group: usize,
}

/// What a thread needs while it goes through pages, kept between uses.
#[derive(Default)]
struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<[f32; PAGE]>,
    partial: Vec<f32>,
    queries: Vec<Query>,
    vectors: Vec<f32>,
}

/// One query on its way through the pages.
#[derive(Clone, Copy)]
struct Query {
    /// Where it begins in the queries, and its result in the output.
    at: usize,
    position: usize,
    largest: f32,
    sum: f32,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Cut<'_> {
    fn parts(&self, span: &Span<'_>) -> usize {
        span.tokens.div_ceil(self.per_part) * self.shape.cache.heads() * self.splits
    }

    /// One head of the cache (or a split of its queries) for some tokens of a span, of which `before` tokens lie before it.
    fn part(&self, set: Set, span: &Span<'_>, part: usize, before: usize, queries: &[f32], out: &Parts<'_, f32>) {
        let head = self.shape.cache.head();
        let (split, part) = (part % self.splits, part / self.splits);
        let (cache_head, tile) = (part % self.shape.cache.heads(), part / self.shape.cache.heads());
        let heads = self.group * split / self.splits..self.group * (split + 1) / self.splits;
        let tokens = tile * self.per_part..span.tokens.min((tile + 1) * self.per_part);
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.queries.clear();
            for token in tokens.clone() {
                for in_group in heads.clone() {
                    let at = ((before + token) * self.shape.heads + cache_head * self.group + in_group) * head;
                    let position = span.first + token;
                    scratch.queries.push(Query { at, position, largest: f32::NEG_INFINITY, sum: 0.0 });
                }
            }
            scratch.vectors.clear();
            scratch.vectors.resize(scratch.queries.len() * head, 0.0);
            let first = self.sees_from(span.first + tokens.start) / PAGE;
            let last = (span.first + tokens.end - 1) / PAGE;
            for page in first..=last {
                scratch.page(set, self.shape, span.pages.page(page), page, cache_head, queries);
            }
            for (query, vector) in scratch.queries.iter().zip(scratch.vectors.chunks_exact(head)) {
                // SAFETY: a query's head and token belong to one part, and a part is done once.
                let out = unsafe { out.slice(query.at, head) };
                for (out, value) in out.iter_mut().zip(vector) {
                    *out = value / query.sum;
                }
            }
        });
    }

    fn sees_from(&self, position: usize) -> usize {
        self.shape.window.map_or(0, |window| (position + 1).saturating_sub(window.max(1)))
    }
}

impl Scratch {
    /// Takes all queries through one page.
    fn page(&mut self, set: Set, shape: &AttentionShape, page: &[u8], index: usize, cache_head: usize, queries: &[f32]) {
        let head = shape.cache.head();
        let rows = shape.cache.rows(set, page, cache_head, self.queries.len() > chains::MOST, &mut self.keys, &mut self.values);
        self.scores.resize(chains::MOST, [0.0; PAGE]);
        self.partial.resize(chains::MOST * head, 0.0);
        let count = self.queries.len();
        for start in (0..count).step_by(chains::MOST) {
            let several = start..count.min(start + chains::MOST);
            let width = several.len();
            let mut seen = [(0, 0); chains::MOST];
            for (seen, query) in seen.iter_mut().zip(&self.queries[several.clone()]) {
                *seen = visible(shape, query.position, index);
            }
            let vectors: [&[f32]; chains::MOST] =
                std::array::from_fn(|i| &queries[self.queries[start + i.min(width - 1)].at..][..head]);
            chains::run(set, &rows.keys, 0..head, &vectors[..width], self.scores[..width].as_flattened_mut());
            let mut sums = [(0.0, 0.0); chains::MOST];
            for i in 0..width {
                let (from, to) = seen[i];
                if from < to {
                    sums[i] = soften(set, &mut self.scores[i], from, to, shape.scale, shape.cap);
                }
            }
            let weights: [&[f32]; chains::MOST] = std::array::from_fn(|i| self.scores[i].as_slice());
            let mut i = 0;
            while i < width {
                // Queries that see the same slots go together.
                let (from, to) = seen[i];
                let end = (i..width).find(|j| seen[*j] != seen[i]).unwrap_or(width);
                if from < to {
                    chains::run(set, &rows.values, from..to, &weights[i..end], &mut self.partial[i * head..end * head]);
                }
                i = end;
            }
            for i in 0..width {
                if seen[i].0 < seen[i].1 {
                    let query = &mut self.queries[start + i];
                    let vector = &mut self.vectors[(start + i) * head..][..head];
                    let (largest, sum) = (query.largest, query.sum);
                    (query.largest, query.sum) =
                        join(set, largest, sum, vector, sums[i].0, sums[i].1, &self.partial[i * head..][..head]);
                }
            }
        }
    }
}

/// The slots of page `index` that a query at `position` may see.
fn visible(shape: &AttentionShape, position: usize, index: usize) -> (usize, usize) {
    let from = shape.window.map_or(0, |window| (position + 1).saturating_sub(window.max(1)));
    let start = index * PAGE;
    (from.saturating_sub(start).min(PAGE), (position + 1).saturating_sub(start).min(PAGE))
}

#[cfg(test)]
mod tests;
