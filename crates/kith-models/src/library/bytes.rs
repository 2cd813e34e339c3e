//! Bytes by the digest that clients know them by: uploads, and what making models needs of the blobs.

use super::Library;
use crate::{Model, ModelError, Overrides, create::Held};
use kith_blobs::{BlobError, Blobs, Put};
use kith_store::UploadRow;
use kith_types::{Blake3, ModelName, Sha256};
use std::{fs::File, path::PathBuf, sync::Arc};
use tokio::{io::AsyncRead, sync::OwnedSemaphorePermit};

/// How long an upload is kept without a model that names it, in milliseconds: a day.
pub(super) const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// What an upload leaves free on the disk, in bytes: the database needs room to say so.
const SPARED: u64 = 64 << 20;

/// The disk that models lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written.
    pub available: u64,
    /// Bytes it holds in all.
    pub total: u64,
}

/// The turn to write weights anew. It is over when the last clone of it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Library {
    /// Whether bytes of this digest are here, uploaded or of a model.
    pub async fn has_bytes(&self, sha256: &Sha256) -> Result<bool, ModelError> {
        match self.bytes(sha256).await? {
            Some((hash, _)) => Ok(self.inner.blobs.exists(&hash).await?),
            None => Ok(false),
        }
    }

    /// Takes the bytes that `reader` yields, if they have this digest, and keeps them for a day at least. Says whether they are new;
    /// if they are not, and still have their digest, nothing is read.
    ///
    /// Dropping the future before it returns keeps nothing.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] for bytes of another digest and for a sender that breaks off, [`ModelError::Full`] for more bytes than
    /// the disk has room for.
    pub async fn upload(&self, sha256: Sha256, reader: impl AsyncRead + Send + Unpin) -> Result<bool, ModelError> {
        // Bytes that were damaged since are no reason to refuse sound ones.
        if self.sound(&sha256).await? {
            if let Some(row) = self.inner.store.upload(&sha256).await? {
                self.inner.store.upload_put(&UploadRow { received: self.inner.clock.now(), ..row }).await?;
            }
            return Ok(false);
        }
        let room = self.inner.blobs.unpromised().await?.saturating_sub(SPARED);
        let put = self.inner.blobs.put(reader, Some(sha256), room.min(i64::MAX as u64), |_| {}).await.map_err(received)?;
        self.renewed(&put).await;
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let _changing = inner.changes.lock().await;
            let row = UploadRow { sha256, blob: put.hash, size: put.size, received: inner.clock.now() };
            inner.store.upload_put(&row).await
        })
        .await??;
        Ok(true)
    }

    /// Whether bytes of this digest are here and still have it: they are read.
    async fn sound(&self, sha256: &Sha256) -> Result<bool, ModelError> {
        let Some((hash, _)) = self.bytes(sha256).await? else { return Ok(false) };
        match self.inner.blobs.verify(&hash).await {
            Err(BlobError::NotFound(_) | BlobError::Io(_)) => Ok(false),
            sound => Ok(sound?),
        }
    }

    /// Keeps bytes for a day although no model names them yet.
    pub(crate) async fn keep_for_a_day(&self, put: &Put) -> Result<(), ModelError> {
        let _changing = self.inner.changes.lock().await;
        let row = UploadRow { sha256: put.sha256, blob: put.hash, size: put.size, received: self.inner.clock.now() };
        Ok(self.inner.store.upload_put(&row).await?)
    }

    /// Whether bytes of this digest are kept without a model's name.
    pub(crate) async fn is_upload(&self, sha256: &Sha256) -> Result<bool, ModelError> {
        Ok(self.inner.store.upload(sha256).await?.is_some())
    }

    /// The disk that models lie on.
    pub async fn space(&self) -> Result<Space, ModelError> {
        let (available, total) = self.inner.blobs.space().await?;
        Ok(Space { available, total })
    }

    /// Where bytes of this digest lie under their own name, and their number.
    pub(crate) async fn bytes(&self, sha256: &Sha256) -> Result<Option<(Blake3, u64)>, ModelError> {
        if let Some(row) = self.inner.store.upload(sha256).await? {
            return Ok(Some((row.blob, row.size)));
        }
        Ok(self.inner.store.model_bytes(sha256).await?)
    }

    /// Holds bytes, if they are there and whole.
    pub(crate) async fn hold(&self, hash: Blake3, sha256: Sha256, size: u64) -> Result<Option<Held>, ModelError> {
        let pin = match self.inner.blobs.pin(&hash).await {
            Ok(pin) => pin,
            Err(BlobError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let whole = self.inner.blobs.size(&hash).await? == size;
        Ok(whole.then_some(Held { hash, sha256, size, pin }))
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(crate) fn blob_path(&self, hash: &Blake3) -> PathBuf {
        self.inner.blobs.path(hash)
    }

    pub(crate) async fn open_blob(&self, hash: &Blake3) -> Result<File, ModelError> {
        Ok(self.inner.blobs.open_blob(hash).await?)
    }

    /// The turn to write weights anew, of which there is one.
    pub(crate) fn turn(&self) -> Result<Turn, ModelError> {
        let permit = Arc::clone(&self.inner.writing).try_acquire_owned().map_err(|_| ModelError::Busy)?;
        Ok(Turn { _permit: Arc::new(permit) })
    }

    /// Writes the row that makes bytes a model. Completes by itself once it is begun.
    pub(crate) async fn name_bytes(
        &self,
        put: Put,
        name: ModelName,
        overrides: Overrides,
        source: String,
    ) -> Result<Model, ModelError> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.add(put, name, overrides, source).await }).await?
    }

    /// An upload that a model names needs no day of grace: from now on the model keeps it.
    pub(crate) async fn settle_upload(&self, sha256: &Sha256) {
        let _changing = self.inner.changes.lock().await;
        if let Err(error) = self.inner.store.upload_delete(sha256).await {
            tracing::warn!(%sha256, %error, "an upload stays noted for a day although a model names it");
        }
    }

    /// Sound bytes came in the place of damaged ones: who has those open lets go of them.
    pub(crate) async fn renewed(&self, put: &Put) {
        self.inner.renewed(put).await;
    }

    /// Removes bytes that nothing names.
    pub(crate) async fn let_go(&self, hash: &Blake3) {
        let _changing = self.inner.changes.lock().await;
        self.inner.free(hash).await;
    }
}

/// What went wrong with bytes that a client sends.
fn received(error: BlobError) -> ModelError {
    let invalid = |message: String| ModelError::Invalid { field: "digest", message };
    match error {
        error @ BlobError::WrongDigest { .. } => invalid(error.to_string()),
        BlobError::TooLarge { .. } => ModelError::Full,
        // The reader's own errors; those of the disk have other kinds.
        BlobError::Io(error) if matches!(error.kind(), std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::TimedOut) => {
            invalid(error.to_string())
        }
        error => error.into(),
    }
}
