//! Adapters that are folded into the weights of models made with them.

use crate::{
    ModelError,
    lora::{self, Lora, LoraFormat},
};
use std::path::Path;

/// Reads the adapter at `adapter`. Blocks.
///
/// # Errors
/// [`ModelError::BadFile`] for what is no adapter, [`ModelError::Unsupported`] for one whose strength stands in another file.
pub(super) fn read(adapter: &Path) -> Result<Lora, ModelError> {
    let lora = lora::read(adapter)?;
    if lora.format == LoraFormat::Safetensors {
        // Its strength stands in a file of its own, which does not come with it here.
        return Err(ModelError::Unsupported(
            "adapters in safetensors are registered with their adapter_config.json (POST /api/admin/adapters) and asked for by \
             `lora_adapter`; into a model, adapters in GGUF can be folded"
                .to_owned(),
        ));
    }
    Ok(lora)
}
