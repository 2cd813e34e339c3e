//! Making models from others: a base, what is set beside it, adapters folded in, other storage of the weights.
//!
//! A recipe is first planned: what it names is found and held, and what is wrong with it is told. Then it is made: bytes that must be
//! written anew go through the blob store like any others, and the model is there when its row is.

mod adapter;
mod assemble;
mod make;
mod parts;
mod pipe;
mod plan;

pub(crate) use assemble::join;
pub(crate) use parts::{at, in_order, open};
pub(crate) use pipe::written;
pub(crate) use plan::Held;
pub use plan::Plan;

use crate::Overrides;
use kith_types::Sha256;

/// The most files of one model, and the most adapters.
pub const MAX_FILES: usize = 1024;

/// What a model is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A model of the library, by any name it answers to.
    Model(String),
    /// Uploaded files: their names and digests. One GGUF file, or all parts of one.
    Files(Vec<(String, Sha256)>),
}

/// How a model is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What it is made from.
    pub base: Base,
    /// Uploaded adapters, folded into the weights in this order: their names and digests.
    pub adapters: Vec<(String, Sha256)>,
    /// What it has in place of its base's. Parameters are laid over the base's, a licence goes after it.
    pub overrides: Overrides,
    /// How its matrices shall be stored, `q8_0`.
    pub quantize: Option<String>,
}

/// What is being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bytes that are there are used.
    Using(Sha256),
    /// An adapter is being folded in.
    Merging(String),
    /// Weights are being written.
    Writing {
        /// What is done to them, for people: `quantizing F16 model to Q8_0`.
        what: String,
        /// Bytes of weights done.
        completed: u64,
        /// Bytes of weights in all.
        total: u64,
    },
    /// Bytes were written.
    Created(Sha256),
    /// The model's row is being written.
    Naming,
}

#[cfg(test)]
mod tests;
