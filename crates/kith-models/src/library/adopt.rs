//! Bytes that are verified already come under a name: nothing is copied.

use super::Library;
use crate::{Model, ModelError, Overrides};
use kith_blobs::{BlobError, Put};
use kith_types::{ModelName, Sha256};
use std::sync::Arc;

impl Library {
    /// Bytes with this digest that a model of the library has, kept from removal while the answer lives.
    pub async fn holding(&self, sha256: &Sha256) -> Result<Option<Put>, ModelError> {
        for row in self.inner.store.models().await?.into_iter().filter(|row| row.sha256 == *sha256) {
            let held = async {
                let pin = self.inner.blobs.pin(&row.blob).await?;
                Ok::<_, BlobError>((pin, self.inner.blobs.size(&row.blob).await?))
            };
            match held.await {
                Ok((pin, size)) if size == row.size => return Ok(Some(Put { hash: row.blob, sha256: *sha256, size, pin })),
                // Damaged bytes are no bytes: they are replaced by what comes.
                Ok(_) | Err(BlobError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Names bytes that were stored and verified; a model of that name is replaced. Bytes that are no model are removed.
    ///
    /// Once begun it completes by itself, whether or not its caller still waits.
    pub async fn adopt(&self, put: Put, name: ModelName, overrides: Overrides, source: String) -> Result<Model, ModelError> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.add(put, name, overrides, source).await }).await?
    }
}
