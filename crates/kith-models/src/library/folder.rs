//! Taking a folder of safetensors into the library, as the one file that it makes.

use super::Library;
use crate::{
    Model, ModelError, Overrides,
    convert::{Conversion, piped},
};
use kith_types::ModelName;
use std::{path::Path, sync::Arc};
use tokio::task::spawn_blocking;

impl Library {
    /// Takes the model in the folder `path`, which came from `source`, on the terms of [`Library::import`].
    pub(crate) async fn import_folder(
        &self,
        path: &Path,
        name: ModelName,
        overrides: Overrides,
        source: String,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Model, ModelError> {
        let folder = path.to_owned();
        let conversion = spawn_blocking(move || Conversion::of(&folder)).await??;
        let size = conversion.size();
        let put = self.inner.blobs.put(piped(conversion), None, size, progress).await?;
        if put.size != size {
            let hash = put.hash;
            drop(put);
            self.inner.blobs.remove(&hash).await?;
            return Err(ModelError::BadFile { reason: format!("{} changed while it was read", path.display()) });
        }
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.add(put, name, overrides, source).await }).await?
    }
}
