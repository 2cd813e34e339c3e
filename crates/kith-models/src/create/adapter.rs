//! Folding adapters into weights: the port through which it is done, and the one place where it is wired.

use crate::ModelError;
use std::{fs::File, path::Path};

/// Folds a LoRA adapter into a model's weights.
pub trait MergeAdapter: Send + Sync + 'static {
    /// Writes the model at `base`, with the adapter at `adapter` folded in at `scale`, to `out`, which is empty. Blocks.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] for an adapter that does not belong to this model.
    fn merge(&self, base: &Path, adapter: &Path, scale: f32, out: &mut File) -> Result<(), ModelError>;
}

/// Who folds adapters in. Without anybody, recipes with adapters are refused.
pub(super) fn merger() -> Option<&'static dyn MergeAdapter> {
    None
}
