//! Putting right what a crash or a foreign hand left, and a short memory of what was removed unasked.

use super::{Inner, Library, bytes::KEPT_MS, missing};
use crate::{Model, ModelError};
use kith_blobs::Collected;
use kith_store::ModelRow;
use kith_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The setting that holds what was removed.
const HISTORY: &str = "models.pruned";
/// The most removals remembered; the oldest go first.
const REMEMBERED: usize = 100;

/// What a clean-up did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Models whose bytes are gone, which were taken out of the library.
    pub removed: Vec<String>,
    /// Models whose description was read anew from their files.
    pub mended: Vec<String>,
    /// Uploads that no model had named within a day.
    pub expired: u64,
    /// Bytes that nothing named.
    pub collected: Collected,
}

/// One removal that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// When.
    pub at: Timestamp,
    /// Why: `expired_uploads`, `unnamed_bytes`, `missing_bytes`.
    pub reason: String,
    /// The models that went, by name.
    pub models: Vec<String>,
    /// Files that went.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Library {
    /// Puts right what a crash or a foreign hand left: rows without bytes go, and so do bytes that no row names and uploads that no
    /// model named within a day. Safe at any time.
    pub async fn rescan(&self) -> Result<Cleaned, ModelError> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.clean(Ghosts::Remove).await }).await?
    }

    /// As [`Library::rescan`], but models whose bytes cannot be found stay: a disk may only be missing for now.
    pub async fn clean(&self) -> Result<Collected, ModelError> {
        let inner = Arc::clone(&self.inner);
        Ok(tokio::spawn(async move { inner.clean(Ghosts::Keep).await }).await??.collected)
    }

    /// What was removed unasked, the latest first; at most 100 removals.
    pub async fn pruned(&self) -> Result<Vec<Pruned>, ModelError> {
        self.inner.pruned().await
    }
}

/// What becomes of models without bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ghosts {
    Keep,
    Remove,
}

impl Inner {
    async fn clean(&self, ghosts: Ghosts) -> Result<Cleaned, ModelError> {
        let _changing = self.changes.lock().await;
        let mut cleaned = Cleaned::default();
        for row in self.store.models().await? {
            match self.whole(row.clone()).await {
                Ok(_) => continue,
                Err(ModelError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            match self.mended(row.clone()).await {
                Ok(row) => {
                    self.store.model_put(&row).await?;
                    cleaned.mended.push(row.name);
                }
                Err(ModelError::Damaged { .. } | ModelError::BadName(_) | ModelError::BadFile { .. })
                    if ghosts == Ghosts::Keep =>
                {
                    tracing::warn!(
                        name = row.name,
                        "a model's bytes are missing or damaged; it is not listed until they are back"
                    );
                }
                Err(ModelError::Damaged { .. } | ModelError::BadName(_) | ModelError::BadFile { .. }) => {
                    tracing::warn!(name = row.name, "a model's bytes are missing or damaged; it is removed from the library");
                    self.store.model_delete(&row.key).await?;
                    cleaned.removed.push(row.name);
                }
                Err(error) => return Err(error),
            }
        }
        let now = self.clock.now();
        let mut in_use = self.store.model_blobs().await?;
        for upload in self.store.uploads().await? {
            let there = self.blobs.size(&upload.blob).await.is_ok_and(|size| size == upload.size);
            if there && upload.received.plus_ms(KEPT_MS) > now {
                in_use.insert(upload.blob);
            } else {
                self.store.upload_delete(&upload.sha256).await?;
                cleaned.expired += 1;
            }
        }
        cleaned.collected = self.blobs.collect(&in_use).await?;
        self.remember(&cleaned).await?;
        Ok(cleaned)
    }

    /// The row with its description read anew from its bytes.
    async fn mended(&self, row: ModelRow) -> Result<ModelRow, ModelError> {
        let damaged = || ModelError::Damaged { name: row.name.clone() };
        if self.blobs.size(&row.blob).await.map_err(|error| missing(error, &row.name))? != row.size {
            return Err(damaged());
        }
        let metadata = serde_json::to_string(&self.details(&row.blob).await?.0)?;
        let row = ModelRow { metadata, ..row };
        Model::of_row(row.clone(), &self.blobs)?;
        Ok(row)
    }

    async fn pruned(&self) -> Result<Vec<Pruned>, ModelError> {
        let text = self.store.setting(HISTORY).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    async fn remember(&self, cleaned: &Cleaned) -> Result<(), ModelError> {
        let Cleaned { removed, expired, collected, .. } = cleaned;
        let reason = match (removed.is_empty(), expired, collected.files) {
            (false, ..) => "missing_bytes",
            (true, 1.., _) => "expired_uploads",
            (true, 0, 1..) => "unnamed_bytes",
            (true, 0, 0) => return Ok(()),
        };
        let mut history = self.pruned().await?;
        let (files, bytes) = (collected.files, collected.bytes);
        history.insert(0, Pruned { at: self.clock.now(), reason: reason.to_owned(), models: removed.clone(), files, bytes });
        history.truncate(REMEMBERED);
        Ok(self.store.setting_put(HISTORY, &serde_json::to_string(&history)?).await?)
    }
}
