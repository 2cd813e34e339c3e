//! Bytes that are verified already come under a name: nothing is copied.

use super::Library;
use crate::{Model, ModelError, Overrides};
use kith_blobs::{BlobError, Put};
use kith_types::{ModelName, Sha256};
use std::sync::Arc;

impl Library {
    /// Bytes with this digest that a model of the library has, kept from removal while the answer lives. They are read: damaged ones
    /// are none. Dropping the future stops the reading.
    pub async fn holding(&self, sha256: &Sha256) -> Result<Option<Put>, ModelError> {
        // Other rows of this digest name the same bytes.
        let row = self.inner.store.models().await?.into_iter().find(|row| row.sha256 == *sha256);
        let Some(row) = row else { return Ok(None) };
        let held = async {
            let pin = self.inner.blobs.pin(&row.blob).await?;
            Ok::<_, BlobError>((pin, self.inner.blobs.verify(&row.blob).await?))
        };
        match held.await {
            Ok((pin, true)) => Ok(Some(Put { hash: row.blob, sha256: *sha256, size: row.size, pin, mended: false })),
            // Damaged bytes are no bytes, nor are those that the disk does not give back: they are replaced by what comes.
            Ok((_, false)) | Err(BlobError::NotFound(_) | BlobError::Io(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Names bytes that were stored and verified; a model of that name is replaced. Bytes that are no model are removed.
    ///
    /// Once begun it completes by itself, whether or not its caller still waits.
    pub async fn adopt(&self, put: Put, name: ModelName, overrides: Overrides, source: String) -> Result<Model, ModelError> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.add(put, name, overrides, source).await }).await?
    }
}
