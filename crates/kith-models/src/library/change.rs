//! Changes of rows and bytes together. Each runs under one lock and to its end, whether or not its caller still waits.

use super::{Inner, policy};
use crate::{
    Details, Model, ModelError, Overrides,
    convert::Packed,
    gguf::Gguf,
    model::{GGUF, SAFETENSORS},
};
use kith_blobs::Put;
use kith_store::ModelRow;
use kith_types::{Blake3, ModelName};
use tokio::task::spawn_blocking;

impl Inner {
    /// Names bytes that were just stored; or removes them, if they are no model.
    pub(super) async fn add(&self, put: Put, name: ModelName, overrides: Overrides, source: String) -> Result<Model, ModelError> {
        self.renewed(&put).await;
        let details = self.details(&put.hash).await;
        let changing = self.changes.lock().await;
        let (details, format) = match details {
            Ok(found) => found,
            Err(error) => {
                let hash = put.hash;
                drop(put);
                self.free(&hash).await;
                return Err(error);
            }
        };
        let row = ModelRow {
            key: name.key(),
            name: name.to_string(),
            blob: put.hash,
            sha256: put.sha256,
            size: put.size,
            format: format.to_owned(),
            metadata: serde_json::to_string(&details)?,
            template: overrides.template,
            system: overrides.system,
            parameters: serde_json::to_string(&overrides.parameters.unwrap_or_default())?,
            license: overrides.license.or_else(|| details.license.clone()),
            source,
            modified: self.clock.now(),
            messages: serde_json::to_string(&overrides.messages.unwrap_or_default())?,
            parent: overrides.parent,
            requires: overrides.requires,
        };
        let written = self.write(&row).await;
        drop(put);
        if written.is_err() {
            self.free(&row.blob).await;
        }
        drop(changing);
        written?;
        Model::of_row(row, &self.blobs)
    }

    /// Deletes the row under `key` and then the bytes that only it named.
    pub(super) async fn remove(&self, key: &str) -> Result<Option<ModelRow>, ModelError> {
        let _changing = self.changes.lock().await;
        let removed = self.store.model_delete(key).await?;
        if let Some(row) = &removed {
            self.free(&row.blob).await;
            // What was set for it goes with it; left behind by a crash it harms nobody.
            self.store.setting_delete(&policy::setting(key)).await?;
        }
        Ok(removed)
    }

    /// Writes the row under `from` again as `to`.
    pub(super) async fn copy(&self, from: &str, to: &ModelName) -> Result<Option<ModelRow>, ModelError> {
        let _changing = self.changes.lock().await;
        let Some(original) = self.store.model(from).await? else { return Ok(None) };
        if original.key == to.key() {
            return Ok(Some(original));
        }
        let row = ModelRow { key: to.key(), name: to.to_string(), modified: self.clock.now(), ..original };
        self.write(&row).await?;
        Ok(Some(row))
    }

    /// What the file says of its model, and its format.
    pub(super) async fn details(&self, blob: &Blake3) -> Result<(Details, &'static str), ModelError> {
        let mut file = self.blobs.open_blob(blob).await?;
        let size = self.blobs.size(blob).await?;
        spawn_blocking(move || {
            if let Some(packed) = Packed::at(&mut file, size)? {
                return Ok((packed.details()?, SAFETENSORS));
            }
            Ok((Details::of(&Gguf::read(file)?)?, GGUF))
        })
        .await?
    }

    /// Writes a row and frees the bytes of the one it replaces.
    async fn write(&self, row: &ModelRow) -> Result<(), ModelError> {
        if let Some(replaced) = self.store.model_put(row).await? {
            self.free(&replaced.blob).await;
        }
        Ok(())
    }

    /// Sound bytes came in the place of damaged ones: who has those open lets go of them.
    pub(super) async fn renewed(&self, put: &Put) {
        if put.mended {
            tracing::warn!(blob = %put.hash, "bytes on the disk were damaged; sound ones came in their place");
            self.in_use.release(&put.hash).await;
        }
    }

    /// Removes bytes that no row names. Failing is no reason to fail the change: it is written, and the next clean-up tries again.
    pub(super) async fn free(&self, blob: &Blake3) {
        let freed = async {
            let uploaded = self.store.uploads().await?.iter().any(|upload| upload.blob == *blob);
            let adapts = self.store.adapter_has(blob).await?;
            if uploaded || adapts || !self.store.models_by_blob(blob).await?.is_empty() {
                return Ok(());
            }
            self.in_use.release(blob).await;
            if !self.blobs.remove(blob).await? {
                tracing::debug!(%blob, "bytes stay for now: they are pinned, or were gone already");
            }
            Ok::<_, ModelError>(())
        };
        if let Err(error) = freed.await {
            tracing::warn!(%blob, %error, "bytes that nobody names could not be removed; the next clean-up will try again");
        }
    }
}
