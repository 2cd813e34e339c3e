//! Adapters: one row per registered adapter; several may share one blob of bytes.

use super::bytes32;
use crate::{Store, StoreError};
use kith_types::{Blake3, Sha256, Timestamp};
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `adapters`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterRow {
    /// What it is asked for by; compared without regard to case.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The key of the model it was made for.
    pub base_key: String,
    /// That model's name.
    pub base_model: String,
    /// That model's bytes at the time.
    pub base_blob: Blake3,
    /// The adapter's bytes in the blob store.
    pub blob: Blake3,
    /// The same bytes' digest as hubs write it.
    pub sha256: Sha256,
    /// The file's length in bytes; at most 2^63 - 1.
    pub size: u64,
    /// Its rank.
    pub rank: u32,
    /// Its alpha.
    pub alpha: f64,
    /// What else was read from the file and beside it, as JSON.
    pub metadata: String,
    /// Where the file came from.
    pub source: String,
    /// When it was registered.
    pub created: Timestamp,
}

fn adapter(row: &SqliteRow) -> Result<AdapterRow, StoreError> {
    let size: i64 = row.try_get("size")?;
    Ok(AdapterRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        base_key: row.try_get("base_key")?,
        base_model: row.try_get("base_model")?,
        base_blob: Blake3::from_bytes(bytes32(row, "base_blob")?),
        blob: Blake3::from_bytes(bytes32(row, "blob")?),
        sha256: Sha256::from_bytes(bytes32(row, "sha256")?),
        size: u64::try_from(size).map_err(|_| StoreError::Corrupt(format!("an adapter's size is {size}")))?,
        rank: row.try_get("rank")?,
        alpha: row.try_get("alpha")?,
        metadata: row.try_get("metadata")?,
        source: row.try_get("source")?,
        created: Timestamp::from_ms(row.try_get("created")?),
    })
}

impl Store {
    /// Writes a row unless its id is taken. Tells whether it was written.
    pub async fn adapter_add(&self, row: &AdapterRow) -> Result<bool, StoreError> {
        let size = i64::try_from(row.size).map_err(|error| StoreError::Other(error.into()))?;
        let added = sqlx::query(
            "INSERT INTO adapters (id, name, base_key, base_model, base_blob, blob, sha256, size, rank, alpha, metadata, source, \
             created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.base_key)
        .bind(&row.base_model)
        .bind(row.base_blob.as_bytes().as_slice())
        .bind(row.blob.as_bytes().as_slice())
        .bind(row.sha256.as_bytes().as_slice())
        .bind(size)
        .bind(row.rank)
        .bind(row.alpha)
        .bind(&row.metadata)
        .bind(&row.source)
        .bind(row.created.ms())
        .execute(self.writes())
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// The adapter with this id.
    pub async fn adapter(&self, id: &str) -> Result<Option<AdapterRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM adapters WHERE id = ?1").bind(id).fetch_optional(self.reads()).await?;
        row.as_ref().map(adapter).transpose()
    }

    /// Every adapter, the last registered first.
    pub async fn adapters(&self) -> Result<Vec<AdapterRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM adapters ORDER BY created DESC, id").fetch_all(self.reads()).await?;
        rows.iter().map(adapter).collect()
    }

    /// How many adapters there are.
    pub async fn adapter_count(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM adapters").fetch_one(self.reads()).await?;
        Ok(count.unsigned_abs())
    }

    /// Deletes the adapter with this id and returns its row.
    pub async fn adapter_delete(&self, id: &str) -> Result<Option<AdapterRow>, StoreError> {
        let row = sqlx::query("DELETE FROM adapters WHERE id = ?1 RETURNING *").bind(id).fetch_optional(self.writes()).await?;
        row.as_ref().map(adapter).transpose()
    }

    /// Whether some adapter's bytes are this blob.
    pub async fn adapter_has(&self, blob: &Blake3) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM adapters WHERE blob = ?1")
            .bind(blob.as_bytes().as_slice())
            .fetch_one(self.reads())
            .await?;
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn sample(id: &str, byte: u8) -> AdapterRow {
        AdapterRow {
            id: id.to_owned(),
            name: "My adapter".to_owned(),
            base_key: "base:1b".to_owned(),
            base_model: "Base:1b".to_owned(),
            base_blob: Blake3::from_bytes([9; 32]),
            blob: Blake3::from_bytes([byte; 32]),
            sha256: Sha256::from_bytes([byte.wrapping_add(1); 32]),
            size: 1 << 40,
            rank: 16,
            alpha: 32.0,
            metadata: "{}".to_owned(),
            source: "/tmp/a.safetensors".to_owned(),
            created: Timestamp::from_ms(i64::from(byte)),
        }
    }

    #[tokio::test]
    async fn a_row_is_read_as_it_was_added() {
        let (_folder, store) = temporary().await;
        assert!(store.adapter_add(&sample("a", 1)).await.unwrap());
        assert_eq!(store.adapter("a").await.unwrap(), Some(sample("a", 1)));
        assert_eq!(store.adapter("b").await.unwrap(), None);
        assert_eq!(store.adapter_count().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_id_is_taken_whatever_its_case() {
        let (_folder, store) = temporary().await;
        assert!(store.adapter_add(&sample("a", 1)).await.unwrap());
        assert!(!store.adapter_add(&sample("A", 2)).await.unwrap());
        assert_eq!(store.adapters().await.unwrap(), [sample("a", 1)]);
        assert_eq!(store.adapter("A").await.unwrap(), Some(sample("a", 1)));
    }

    #[tokio::test]
    async fn rows_are_listed_last_registered_first() {
        let (_folder, store) = temporary().await;
        for (id, byte) in [("b", 2), ("c", 3), ("a", 1)] {
            store.adapter_add(&sample(id, byte)).await.unwrap();
        }
        let ids: Vec<_> = store.adapters().await.unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["c", "b", "a"]);
    }

    #[tokio::test]
    async fn deleting_returns_the_row_once() {
        let (_folder, store) = temporary().await;
        store.adapter_add(&sample("a", 1)).await.unwrap();
        assert_eq!(store.adapter_delete("a").await.unwrap(), Some(sample("a", 1)));
        assert_eq!(store.adapter_delete("a").await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_adapters_bytes_are_in_use_as_a_models_are() {
        let (_folder, store) = temporary().await;
        store.adapter_add(&sample("a", 1)).await.unwrap();
        let blob = Blake3::from_bytes([1; 32]);
        assert!(store.model_blobs().await.unwrap().contains(&blob));
        assert!(store.adapter_has(&blob).await.unwrap());
        assert!(!store.adapter_has(&Blake3::from_bytes([2; 32])).await.unwrap());
    }
}
