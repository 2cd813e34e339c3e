//! The arithmetic of a decoder on a CPU: products with quantised weights, norms, rotary positions, gates, attention over a paged cache,
//! and the threads for it. It knows no model, no file and no prompt.
//!
//! # Exactness
//!
//! A result's bits depend on the inputs alone: not on the number of threads, on what else is in the batch, on how a prompt is cut into
//! chunks, nor on the instruction set. All arithmetic is IEEE 754 in 32 bits, rounded to nearest, subnormals kept; `fma(a, b, c)` is a * b + c
//! rounded once. The order of every sum is this:
//!
//! 1. **Products, quantised weights.** Activations are quantised as [`activations`] says: per 32 values codes, scale `s`, integer sum `S` and
//!    `t = s * S`. An element starts at 0 and takes its groups of 32 in ascending order. A group's integer sum `I` of (code - offset) * activation
//!    is exact. The link is `y = fma(I, d * s, y)`, then, if the format has minima, `y = fma(m, t, y)`. For Q4_K and Q5_K `d` is the super-block's
//!    scale times the sub-block's and `m` is -(the scale of the minima times the minimum), both exact. For Q2_K, Q3_K and Q6_K, `I` is the sum of the
//!    two halves' integer sums, each times its integer scale, `d` the super-block's scale, and (Q2_K) the second link is
//!    `y = fma(J, -(scale of the minima) * s, y)` with the exact integer `J` of minima times sums of halves.
//! 2. **Products, float weights.** `y = fma(weight, activation, y)` in ascending order, from 0.
//! 3. **Sums over a vector** (norms, softmax): value i goes to partial sum i mod 16 in ascending order; the 16 are added as a tree
//!    ([`math::tree_sum`]).
//! 4. **Attention.** See [`attention`]: dot products and weighted sums are chains as in 2; pages of 64 positions, counted from the sequence's
//!    beginning, are joined in ascending order.
//! 5. **Functions.** Exponential, tanh, sigmoid, sine and cosine are those of [`math`] and [`rope`], made of operations that have one result.
//!
//! Which of several NaNs a result is, is left open: a NaN is a NaN.
//!
//! # Where it runs
//!
//! [`Set`] says which instructions are used; panels have one layout for all of them, so they can be kept in files. Nothing is allocated per call
//! once buffers have grown to the largest use.

#![allow(clippy::needless_range_loop, reason = "loops over lanes read several arrays at one index")]

pub mod activations;
pub mod attention;
pub mod float;
mod format;
pub mod math;
pub mod panel;
mod pool;
mod product;
pub mod rope;
mod sets;
mod trial;
pub mod vector;

pub use activations::{Activations, Group};
pub use format::{Format, SUPER_BLOCK};
pub use panel::{BadMatrix, GROUP, Matrix, PANEL_ROWS};
pub use pool::{Limit, MOST_THREADS, Pool};
pub use product::{MOST as MOST_PRODUCTS, Product, multiply};
pub use sets::Set;
