//! Uploads: bytes a client sent ahead of making a model of them, by the digest the client knows them by.

use super::bytes32;
use crate::{Store, StoreError};
use kith_types::{Blake3, Sha256, Timestamp};
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `uploads`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadRow {
    /// The digest the client named.
    pub sha256: Sha256,
    /// The bytes in the blob store.
    pub blob: Blake3,
    /// Their number; at most 2^63 - 1.
    pub size: u64,
    /// When they were last sent.
    pub received: Timestamp,
}

fn upload(row: &SqliteRow) -> Result<UploadRow, StoreError> {
    let size: i64 = row.try_get("size")?;
    Ok(UploadRow {
        sha256: Sha256::from_bytes(bytes32(row, "sha256")?),
        blob: Blake3::from_bytes(bytes32(row, "blob")?),
        size: u64::try_from(size).map_err(|_| StoreError::Corrupt(format!("an upload's size is {size}")))?,
        received: Timestamp::from_ms(row.try_get("received")?),
    })
}

impl Store {
    /// Writes a row, replacing the one of the same digest.
    pub async fn upload_put(&self, row: &UploadRow) -> Result<(), StoreError> {
        let size = i64::try_from(row.size).map_err(|error| StoreError::Other(error.into()))?;
        sqlx::query("INSERT OR REPLACE INTO uploads (sha256, blob, size, received) VALUES (?1, ?2, ?3, ?4)")
            .bind(row.sha256.as_bytes().as_slice())
            .bind(row.blob.as_bytes().as_slice())
            .bind(size)
            .bind(row.received.ms())
            .execute(self.writes())
            .await?;
        Ok(())
    }

    /// The upload of this digest.
    pub async fn upload(&self, sha256: &Sha256) -> Result<Option<UploadRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM uploads WHERE sha256 = ?1")
            .bind(sha256.as_bytes().as_slice())
            .fetch_optional(self.reads())
            .await?;
        row.as_ref().map(upload).transpose()
    }

    /// Every upload, the oldest first.
    pub async fn uploads(&self) -> Result<Vec<UploadRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM uploads ORDER BY received, sha256").fetch_all(self.reads()).await?;
        rows.iter().map(upload).collect()
    }

    /// Deletes the row of this digest; says whether it was there.
    pub async fn upload_delete(&self, sha256: &Sha256) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM uploads WHERE sha256 = ?1")
            .bind(sha256.as_bytes().as_slice())
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn sample(byte: u8, at: i64) -> UploadRow {
        UploadRow {
            sha256: Sha256::from_bytes([byte; 32]),
            blob: Blake3::from_bytes([byte.wrapping_add(1); 32]),
            size: 7,
            received: Timestamp::from_ms(at),
        }
    }

    #[tokio::test]
    async fn an_upload_is_read_as_it_was_put_and_put_again_is_younger() {
        let (_folder, store) = temporary().await;
        store.upload_put(&sample(1, 5)).await.unwrap();
        assert_eq!(store.upload(&sample(1, 0).sha256).await.unwrap(), Some(sample(1, 5)));
        store.upload_put(&sample(1, 9)).await.unwrap();
        store.upload_put(&sample(2, 6)).await.unwrap();
        assert_eq!(store.uploads().await.unwrap(), [sample(2, 6), sample(1, 9)]);
    }

    #[tokio::test]
    async fn deleting_says_whether_it_was_there() {
        let (_folder, store) = temporary().await;
        store.upload_put(&sample(1, 5)).await.unwrap();
        assert!(store.upload_delete(&sample(1, 0).sha256).await.unwrap());
        assert!(!store.upload_delete(&sample(1, 0).sha256).await.unwrap());
        assert_eq!(store.uploads().await.unwrap(), []);
    }
}
