//! Folding adapters into weights, for models that are made with them.

use crate::{ModelError, lora};
use std::{fs::File, io::BufWriter, io::Write, path::Path};

/// Writes the model at `base`, with the adapter at `adapter` folded in at `scale`, to `out`, which is empty. Blocks.
///
/// # Errors
/// [`ModelError::BadFile`] for an adapter that does not belong to this model.
pub(super) fn merge(base: &Path, adapter: &Path, scale: f32, out: &mut File) -> Result<(), ModelError> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    lora::merge(base, &lora::read(adapter)?, scale, &mut out)?;
    out.flush().map_err(lora::failed)
}
