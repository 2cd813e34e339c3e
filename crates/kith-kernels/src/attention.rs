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
mod pass;
mod steps;

pub use page::{CacheShape, Stored};

use crate::{Pool, Set, pool::Parts};
use pass::{Pass, Tile, visible};
use std::cell::{Cell, RefCell};
use steps::join;

/// Positions of a page.
pub const PAGE: usize = 64;
/// Queries that a thread takes through the pages together, at most.
const TOGETHER: usize = 96;
/// Queries of a tile for which it pays to work on pages apart, at most.
const FEW: usize = 16;
/// Pages for which it pays, at least.
const LONG: usize = 6;

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
    let cut = Cut::new(shape, spans, pool.threads(), group);
    let out = Parts::new(out);
    if cut.pieces == 1 {
        pool.run(cut.parts, &|index| {
            let tile = cut.tile(spans, index);
            PASS.with_borrow_mut(|pass| {
                let mut joined = pass.begin(shape, &tile);
                let pages = tile.pages(shape);
                for page in pages.clone() {
                    pass.page(set, shape, &tile, page..pages.end, queries, |page| {
                        join(set, &mut joined, page.first, page.said, page.vectors, shape.cache.head());
                    });
                }
                joined.finish(&tile, shape, &out);
                pass.end(joined);
            });
        });
        return;
    }
    // Few tiles and many pages: pages are worked on apart, and joined in their order afterwards.
    let head = shape.cache.head();
    let mut partials = PARTIALS.take();
    let record = head + 2;
    let per_tile = cut.pages * cut.queries * record;
    if partials.len() < cut.parts * per_tile {
        partials.resize(cut.parts * per_tile, 0.0);
    }
    let shared = Parts::new(&mut partials);
    pool.run(cut.parts * cut.pieces, &|index| {
        let (index, piece) = (index / cut.pieces, index % cut.pieces);
        let tile = cut.tile(spans, index);
        let pages = tile.pages(shape);
        let (first, count) = (pages.start, pages.len());
        PASS.with_borrow_mut(|pass| {
            let pages = first + count * piece / cut.pieces..first + count * (piece + 1) / cut.pieces;
            for page in pages.clone() {
                pass.page(set, shape, &tile, page..pages.end, queries, |partial| {
                    for (i, (said, vector)) in partial.said.iter().zip(partial.vectors.chunks_exact(head)).enumerate() {
                        let at = index * per_tile + ((page - first) * cut.queries + partial.first + i) * record;
                        // SAFETY: a tile's page belongs to one piece, a piece to one part, and each of its queries is given once.
                        let record = unsafe { shared.slice(at, record) };
                        record[..head].copy_from_slice(vector);
                        (record[head], record[head + 1]) = said.unwrap_or_default();
                    }
                });
            }
        });
    });
    let partials_now: &[f32] = &partials;
    pool.run(cut.parts, &|index| {
        let tile = cut.tile(spans, index);
        let pages = tile.pages(shape);
        PASS.with_borrow_mut(|pass| {
            let mut joined = pass.begin(shape, &tile);
            for page in pages.clone() {
                for query in 0..tile.queries() {
                    let (from, to) = visible(shape, tile.position(query), page);
                    if from < to {
                        let at = index * per_tile + ((page - pages.start) * cut.queries + query) * record;
                        let record = &partials_now[at..at + record];
                        join(set, &mut joined, query, &[Some((record[head], record[head + 1]))], &record[..head], head);
                    }
                }
            }
            joined.finish(&tile, shape, &out);
            pass.end(joined);
        });
    });
    PARTIALS.set(partials);
}

thread_local! {
    static PASS: RefCell<Pass> = RefCell::default();
    static PARTIALS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// How the work is cut.
struct Cut<'a> {
    shape: &'a AttentionShape,
    group: usize,
    /// Tokens of a tile at most.
    tokens: usize,
    /// Tiles: some tokens of a span and one head of the cache.
    parts: usize,
    /// Pieces into which the pages of a tile are cut.
    pieces: usize,
    /// Queries of a tile, and pages of a span, at most.
    queries: usize,
    pages: usize,
}

impl<'a> Cut<'a> {
    /// Tiles for all threads; where there are too few, and few queries in each, their pages are cut too.
    fn new(shape: &'a AttentionShape, spans: &[Span<'_>], threads: usize, group: usize) -> Self {
        let tokens = (TOGETHER / group).max(1);
        let parts = spans.iter().map(|span| span.tokens.div_ceil(tokens) * shape.cache.heads()).sum();
        let queries = spans.iter().map(|span| span.tokens.min(tokens)).max().unwrap_or(0) * group;
        let pages = spans.iter().map(|span| (span.first + span.tokens).div_ceil(PAGE)).max().unwrap_or(0);
        let wanted = 3 * threads;
        let apart = threads > 1 && parts > 0 && parts < wanted && queries <= FEW && pages >= LONG;
        let pieces = if apart { wanted.div_ceil(parts).min(pages / 2) } else { 1 };
        Self { shape, group, tokens, parts, pieces, queries, pages }
    }

    /// Tile `index`.
    fn tile<'s>(&self, spans: &'s [Span<'s>], index: usize) -> Tile<'s> {
        let mut index = index;
        let mut before = 0;
        for span in spans {
            let parts = span.tokens.div_ceil(self.tokens) * self.shape.cache.heads();
            if index < parts {
                let (cache_head, tile) = (index % self.shape.cache.heads(), index / self.shape.cache.heads());
                let first = tile * self.tokens;
                return Tile {
                    pages: span.pages,
                    position: span.first + first,
                    token: before + first,
                    tokens: self.tokens.min(span.tokens - first),
                    cache_head,
                    group: self.group,
                    heads: self.shape.heads,
                };
            }
            index -= parts;
            before += span.tokens;
        }
        unreachable!("there are as many tiles as were counted")
    }
}

#[cfg(test)]
mod tests;
