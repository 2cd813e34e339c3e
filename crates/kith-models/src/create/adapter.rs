//! Folding adapters into weights, for models that are made with them.

use crate::{
    ModelError,
    lora::{self, LoraFormat},
};
use std::{fs::File, io::BufWriter, io::Write, path::Path};

/// Writes the model at `base`, with the adapter at `adapter` folded in at `scale`, to `out`, which is empty. Blocks.
///
/// # Errors
/// [`ModelError::BadFile`] for an adapter that does not belong to this model.
pub(super) fn merge(base: &Path, adapter: &Path, scale: f32, out: &mut File) -> Result<(), ModelError> {
    let lora = lora::read(adapter)?;
    if lora.format == LoraFormat::Safetensors {
        // Its strength stands in a file of its own, which does not come with it here.
        return Err(ModelError::Unsupported(
            "adapters in safetensors are registered with their adapter_config.json (POST /api/admin/adapters) and asked for by \
             `lora_adapter`; into a model, adapters in GGUF can be folded"
                .to_owned(),
        ));
    }
    let mut out = BufWriter::with_capacity(1 << 20, out);
    lora::merge(base, &lora, scale, &mut out)?;
    out.flush().map_err(lora::failed)
}
