//! Models: one row per name; several names may share one blob of bytes.

use super::bytes32;
use crate::{Store, StoreError};
use kith_types::{Blake3, Sha256, Timestamp};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::collections::HashSet;

/// One row of `models`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// The name in lower case with its tag: what names are compared by.
    pub key: String,
    /// The name as it was given.
    pub name: String,
    /// The file's bytes in the blob store.
    pub blob: Blake3,
    /// The same bytes' digest as hubs and registries write it.
    pub sha256: Sha256,
    /// The file's length in bytes; at most 2^63 - 1.
    pub size: u64,
    /// The file's format, such as `gguf`.
    pub format: String,
    /// What was read from the file's header, as JSON.
    pub metadata: String,
    /// A chat template that replaces the file's own.
    pub template: Option<String>,
    /// A system prompt for chats that bring none.
    pub system: Option<String>,
    /// Default options, a JSON object.
    pub parameters: String,
    /// The licence's text or name.
    pub license: Option<String>,
    /// Where the file came from.
    pub source: String,
    /// When this row was last written.
    pub modified: Timestamp,
    /// Messages that open its conversations, a JSON list of `{"role", "content"}`.
    pub messages: String,
    /// The model it was made from.
    pub parent: Option<String>,
    /// The release that it asks for.
    pub requires: Option<String>,
}

fn model(row: &SqliteRow) -> Result<ModelRow, StoreError> {
    let size: i64 = row.try_get("size")?;
    Ok(ModelRow {
        key: row.try_get("key")?,
        name: row.try_get("name")?,
        blob: Blake3::from_bytes(bytes32(row, "blob")?),
        sha256: Sha256::from_bytes(bytes32(row, "sha256")?),
        size: u64::try_from(size).map_err(|_| StoreError::Corrupt(format!("a model's size is {size}")))?,
        format: row.try_get("format")?,
        metadata: row.try_get("metadata")?,
        template: row.try_get("template")?,
        system: row.try_get("system")?,
        parameters: row.try_get("parameters")?,
        license: row.try_get("license")?,
        source: row.try_get("source")?,
        modified: Timestamp::from_ms(row.try_get("modified")?),
        messages: row.try_get("messages")?,
        parent: row.try_get("parent")?,
        requires: row.try_get("requires")?,
    })
}

async fn by_key(connection: &mut SqliteConnection, key: &str) -> Result<Option<ModelRow>, StoreError> {
    let row = sqlx::query("SELECT * FROM models WHERE key = ?1").bind(key).fetch_optional(connection).await?;
    row.as_ref().map(model).transpose()
}

impl Store {
    /// Writes a row under its key and returns the row that was there before, if any.
    pub async fn model_put(&self, row: &ModelRow) -> Result<Option<ModelRow>, StoreError> {
        let size = i64::try_from(row.size).map_err(|error| StoreError::Other(error.into()))?;
        let mut transaction = self.transaction().await?;
        let replaced = by_key(&mut transaction, &row.key).await?;
        sqlx::query(
            "INSERT OR REPLACE INTO models (key, name, blob, sha256, size, format, metadata, template, system, parameters, license, \
             source, modified, messages, parent, requires) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )
        .bind(&row.key)
        .bind(&row.name)
        .bind(row.blob.as_bytes().as_slice())
        .bind(row.sha256.as_bytes().as_slice())
        .bind(size)
        .bind(&row.format)
        .bind(&row.metadata)
        .bind(&row.template)
        .bind(&row.system)
        .bind(&row.parameters)
        .bind(&row.license)
        .bind(&row.source)
        .bind(row.modified.ms())
        .bind(&row.messages)
        .bind(&row.parent)
        .bind(&row.requires)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(replaced)
    }

    /// The row under `key`.
    pub async fn model(&self, key: &str) -> Result<Option<ModelRow>, StoreError> {
        let mut connection = self.reads().acquire().await.map_err(StoreError::from)?;
        by_key(&mut connection, key).await
    }

    /// Every row, the most recently modified first.
    pub async fn models(&self) -> Result<Vec<ModelRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM models ORDER BY modified DESC, key").fetch_all(self.reads()).await?;
        rows.iter().map(model).collect()
    }

    /// Deletes the row under `key` and returns it.
    pub async fn model_delete(&self, key: &str) -> Result<Option<ModelRow>, StoreError> {
        let row = sqlx::query("DELETE FROM models WHERE key = ?1 RETURNING *").bind(key).fetch_optional(self.writes()).await?;
        row.as_ref().map(model).transpose()
    }

    /// The blobs that some row names, of models and of adapters.
    pub async fn model_blobs(&self) -> Result<HashSet<Blake3>, StoreError> {
        let rows = sqlx::query("SELECT blob FROM models UNION SELECT blob FROM adapters").fetch_all(self.reads()).await?;
        rows.iter().map(|row| Ok(Blake3::from_bytes(bytes32(row, "blob")?))).collect()
    }

    /// The bytes of this SHA-256 that some row names: their name here, and their number.
    pub async fn model_bytes(&self, sha256: &Sha256) -> Result<Option<(Blake3, u64)>, StoreError> {
        let row = sqlx::query("SELECT * FROM models WHERE sha256 = ?1 LIMIT 1")
            .bind(sha256.as_bytes().as_slice())
            .fetch_optional(self.reads())
            .await?;
        Ok(row.as_ref().map(model).transpose()?.map(|row| (row.blob, row.size)))
    }

    /// Every row that names `blob`, in the order of their keys.
    pub async fn models_by_blob(&self, blob: &Blake3) -> Result<Vec<ModelRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM models WHERE blob = ?1 ORDER BY key")
            .bind(blob.as_bytes().as_slice())
            .fetch_all(self.reads())
            .await?;
        rows.iter().map(model).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn sample(key: &str, byte: u8) -> ModelRow {
        ModelRow {
            key: key.to_owned(),
            name: key.to_uppercase(),
            blob: Blake3::from_bytes([byte; 32]),
            sha256: Sha256::from_bytes([byte.wrapping_add(1); 32]),
            size: 1 << 40,
            format: "gguf".to_owned(),
            metadata: r#"{"a":1}"#.to_owned(),
            template: Some("{{ .Prompt }}".to_owned()),
            system: None,
            parameters: "{}".to_owned(),
            license: Some("Apache-2.0".to_owned()),
            source: "/tmp/a.gguf".to_owned(),
            modified: Timestamp::from_ms(i64::from(byte)),
            messages: r#"[{"role":"user","content":"hi"}]"#.to_owned(),
            parent: Some("b:latest".to_owned()),
            requires: None,
        }
    }

    #[tokio::test]
    async fn a_row_is_read_as_it_was_put() {
        let (_folder, store) = temporary().await;
        assert_eq!(store.model_put(&sample("a:latest", 1)).await.unwrap(), None);
        assert_eq!(store.model("a:latest").await.unwrap(), Some(sample("a:latest", 1)));
        assert_eq!(store.model("b:latest").await.unwrap(), None);
    }

    #[tokio::test]
    async fn putting_again_replaces_and_returns_the_former_row() {
        let (_folder, store) = temporary().await;
        store.model_put(&sample("a:latest", 1)).await.unwrap();
        assert_eq!(store.model_put(&sample("a:latest", 2)).await.unwrap(), Some(sample("a:latest", 1)));
        assert_eq!(store.models().await.unwrap(), [sample("a:latest", 2)]);
    }

    #[tokio::test]
    async fn a_size_beyond_the_files_integers_is_refused_and_not_wrapped() {
        let (_folder, store) = temporary().await;
        let row = ModelRow { size: u64::MAX, ..sample("a:latest", 1) };
        assert!(store.model_put(&row).await.is_err());
        assert_eq!(store.models().await.unwrap(), []);
    }

    #[tokio::test]
    async fn rows_are_listed_most_recently_modified_first() {
        let (_folder, store) = temporary().await;
        for (key, byte) in [("b:x", 2), ("c:x", 3), ("a:x", 1)] {
            store.model_put(&sample(key, byte)).await.unwrap();
        }
        let keys: Vec<_> = store.models().await.unwrap().into_iter().map(|row| row.key).collect();
        assert_eq!(keys, ["c:x", "b:x", "a:x"]);
    }

    #[tokio::test]
    async fn deleting_returns_the_row_once() {
        let (_folder, store) = temporary().await;
        store.model_put(&sample("a:latest", 1)).await.unwrap();
        assert_eq!(store.model_delete("a:latest").await.unwrap(), Some(sample("a:latest", 1)));
        assert_eq!(store.model_delete("a:latest").await.unwrap(), None);
    }

    #[tokio::test]
    async fn bytes_are_found_by_the_digest_hubs_know_them_by() {
        let (_folder, store) = temporary().await;
        store.model_put(&sample("a:x", 1)).await.unwrap();
        let found = store.model_bytes(&Sha256::from_bytes([2; 32])).await.unwrap();
        assert_eq!(found, Some((Blake3::from_bytes([1; 32]), 1 << 40)));
        assert_eq!(store.model_bytes(&Sha256::from_bytes([1; 32])).await.unwrap(), None);
    }

    #[tokio::test]
    async fn blobs_are_in_use_while_any_row_names_them() {
        let (_folder, store) = temporary().await;
        store.model_put(&sample("a:x", 1)).await.unwrap();
        store.model_put(&sample("b:x", 1)).await.unwrap();
        store.model_put(&sample("c:x", 2)).await.unwrap();
        let [one, two] = [Blake3::from_bytes([1; 32]), Blake3::from_bytes([2; 32])];
        assert_eq!(store.model_blobs().await.unwrap(), HashSet::from([one, two]));
        let keys: Vec<_> = store.models_by_blob(&one).await.unwrap().into_iter().map(|row| row.key).collect();
        assert_eq!(keys, ["a:x", "b:x"]);
        store.model_delete("c:x").await.unwrap();
        assert_eq!(store.model_blobs().await.unwrap(), HashSet::from([one]));
    }
}
