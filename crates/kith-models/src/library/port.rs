//! Who must let go of a model before its bytes are removed: implemented where models are loaded.

use async_trait::async_trait;
use kith_types::Blake3;

/// Told that bytes are about to be removed.
#[async_trait]
pub trait InUse: Send + Sync + 'static {
    /// Lets go of the model with these bytes: closes its file, frees its memory. Returns when that is done.
    async fn release(&self, blob: &Blake3);
}

/// For a library whose models nobody loads.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyUses;

#[async_trait]
impl InUse for NobodyUses {
    async fn release(&self, _blob: &Blake3) {}
}
