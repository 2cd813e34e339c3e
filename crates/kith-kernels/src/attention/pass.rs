//! Some queries on their way through the pages of one head of the cache.

use super::{
    AttentionShape, PAGE, Pages, chains,
    steps::{Joined, Said, soften},
};
use crate::{Set, pool::Parts};
use std::ops::Range;

/// Neighbouring tokens of a span, and the query heads that use one head of the cache. Queries are numbered token by token.
pub(super) struct Tile<'a> {
    pub pages: &'a dyn Pages,
    /// The first token's position in its sequence.
    pub position: usize,
    /// The first token's number among the tokens of all spans.
    pub token: usize,
    pub tokens: usize,
    pub cache_head: usize,
    /// Query heads per head of the cache.
    pub group: usize,
    /// Query heads of a token.
    pub heads: usize,
}

impl Tile<'_> {
    /// How many queries.
    pub fn queries(&self) -> usize {
        self.tokens * self.group
    }

    /// The position of a query.
    pub fn position(&self, query: usize) -> usize {
        self.position + query / self.group
    }

    /// Where a query begins among the queries of all tokens, and its result in the output.
    fn at(&self, query: usize, head: usize) -> usize {
        ((self.token + query / self.group) * self.heads + self.cache_head * self.group + query % self.group) * head
    }

    /// The pages in which any query sees anything.
    pub fn pages(&self, shape: &AttentionShape) -> Range<usize> {
        sees_from(shape, self.position) / PAGE..(self.position + self.tokens - 1) / PAGE + 1
    }
}

/// The first position that a query at `position` sees.
fn sees_from(shape: &AttentionShape, position: usize) -> usize {
    shape.window.map_or(0, |window| (position + 1).saturating_sub(window.max(1)))
}

/// The slots of page `index` that a query at `position` sees.
pub(super) fn visible(shape: &AttentionShape, position: usize, index: usize) -> (usize, usize) {
    let start = index * PAGE;
    (sees_from(shape, position).saturating_sub(start).min(PAGE), (position + 1).saturating_sub(start).min(PAGE))
}

/// What one page says to some queries.
#[derive(Clone, Copy)]
pub(super) struct Partial<'a> {
    /// The first query.
    pub first: usize,
    pub said: &'a [Said],
    /// Vectors of a head's values, one after another; they mean nothing for queries that see nothing.
    pub vectors: &'a [f32],
}

/// What a thread needs while it goes through pages, kept between uses.
#[derive(Default)]
pub(super) struct Pass {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<[f32; PAGE]>,
    partial: Vec<f32>,
    joined: Joined,
}

impl Joined {
    /// Writes the results of a tile.
    pub fn finish(&self, tile: &Tile<'_>, shape: &AttentionShape, out: &Parts<'_, f32>) {
        let head = shape.cache.head();
        for query in 0..tile.queries() {
            // SAFETY: a query belongs to one tile, and each tile is finished once, by one thread.
            let out = unsafe { out.slice(tile.at(query, head), head) };
            for (out, value) in out.iter_mut().zip(&self.vectors[query * head..][..head]) {
                *out = value / self.sums[query];
            }
        }
    }
}

impl Pass {
    /// Nothing joined yet.
    pub fn begin(&mut self, shape: &AttentionShape, tile: &Tile<'_>) -> Joined {
        let mut joined = std::mem::take(&mut self.joined);
        let (count, head) = (tile.queries(), shape.cache.head());
        for (values, len, value) in [
            (&mut joined.largest, count, f32::NEG_INFINITY),
            (&mut joined.sums, count, 0.0),
            (&mut joined.vectors, count * head, 0.0),
        ] {
            values.clear();
            values.resize(len, value);
        }
        joined
    }

    /// Keeps what was allocated.
    pub fn end(&mut self, joined: Joined) {
        self.joined = joined;
    }

    /// Takes all queries of a tile through the first of some pages; `each` is told what it says to them, some at a time.
    pub fn page(
        &mut self,
        set: Set,
        shape: &AttentionShape,
        tile: &Tile<'_>,
        pages: Range<usize>,
        queries: &[f32],
        mut each: impl FnMut(Partial<'_>),
    ) {
        let head = shape.cache.head();
        let count = tile.queries();
        let often = count > chains::MOST;
        let index = pages.start;
        let then = if index + 1 < pages.end { tile.pages.page(index + 1) } else { &[] };
        let rows = [tile.pages.page(index), then];
        let rows = shape.cache.rows(set, rows, tile.cache_head, often, &mut self.keys, &mut self.values);
        self.scores.resize(chains::MOST, [0.0; PAGE]);
        self.partial.resize(chains::MOST * head, 0.0);
        for start in (0..count).step_by(chains::MOST) {
            let width = chains::MOST.min(count - start);
            let seen: [_; chains::MOST] = std::array::from_fn(|i| visible(shape, tile.position(start + i.min(width - 1)), index));
            let vectors: [&[f32]; chains::MOST] =
                std::array::from_fn(|i| &queries[tile.at(start + i.min(width - 1), head)..][..head]);
            let last = seen.iter().map(|(_, to)| *to).max().unwrap_or(PAGE);
            chains::run(set, &rows.keys, 0..head, last, &vectors[..width], self.scores[..width].as_flattened_mut());
            let said = soften(set, &mut self.scores[..width], &seen[..width], shape.scale, shape.cap);
            let weights: [&[f32]; chains::MOST] = std::array::from_fn(|i| self.scores[i].as_slice());
            let mut i = 0;
            while i < width {
                // Queries that see the same slots go together.
                let (from, to) = seen[i];
                let end = (i..width).find(|j| seen[*j] != seen[i]).unwrap_or(width);
                if from < to {
                    chains::run(set, &rows.values, from..to, head, &weights[i..end], &mut self.partial[i * head..end * head]);
                }
                i = end;
            }
            each(Partial { first: start, said: &said[..width], vectors: &self.partial[..width * head] });
        }
    }
}
