//! A low-rank adapter (LoRA) that a request brings: two small matrices beside some of the model's.
//!
//! Where the model multiplies with `W` (outputs x inputs), a request with an adapter is answered with `W + scale * B * A`. The port carries
//! what tells adapters apart; their numbers are read only when an engine needs them. Paper: arXiv 2106.09685.

use crate::EngineError;
use std::{fmt, sync::Arc};

/// What an adapter adds to one of the model's matrices: `scale * B * A`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterMatrices {
    /// The model's tensor, by the name it has in the model's file (`blk.0.attn_q.weight`).
    pub target: String,
    /// Rows of A and columns of B.
    pub rank: usize,
    /// Columns of A: the inputs of the model's matrix.
    pub inputs: usize,
    /// Rows of B: the outputs of the model's matrix, in the order of the model's file.
    pub outputs: usize,
    /// A, row after row: `rank * inputs` finite numbers.
    pub a: Vec<f32>,
    /// B, row after row: `outputs * rank` finite numbers.
    pub b: Vec<f32>,
    /// How strongly the product is added, before the request's own [`Adapter::scale`].
    pub scale: f32,
}

/// All matrices of an adapter, one after another.
pub type AdapterReading<'a> = Box<dyn Iterator<Item = Result<AdapterMatrices, EngineError>> + Send + 'a>;

/// Where an adapter's numbers are read.
pub trait AdapterSource: Send + Sync + 'static {
    /// Begins to read. Blocks as long as the disk does: not to be called on a thread of the runtime.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] in `adapter` for one that cannot be applied, from here or from the reading.
    fn read(&self) -> Result<AdapterReading<'_>, EngineError>;
}

/// An adapter to be applied to one answer. Clones share the source.
#[derive(Clone)]
pub struct Adapter {
    /// Tells it apart: two adapters with the same id and scale have the same numbers, and what was worked out with one of them (their
    /// matrices, keys and values) serves the other.
    pub id: Arc<str>,
    /// How strongly it is applied, as a multiple of its own strength; a finite number.
    pub scale: f32,
    /// Where its numbers are.
    pub source: Arc<dyn AdapterSource>,
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("id", &self.id).field("scale", &self.scale).finish_non_exhaustive()
    }
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.scale.to_bits() == other.scale.to_bits()
    }
}
