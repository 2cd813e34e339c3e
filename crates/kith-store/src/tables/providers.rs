//! Cloud providers: their sealed keys and addresses. Knows neither keys nor how they are sealed.

use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `providers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRow {
    /// The provider's name.
    pub name: String,
    /// The sealed key.
    pub sealed: Option<Vec<u8>>,
    /// The address the key is for; `None` is the provider's own.
    pub base_url: Option<String>,
    /// When the row was last changed.
    pub updated: Timestamp,
}

fn provider(row: &SqliteRow) -> Result<ProviderRow, StoreError> {
    Ok(ProviderRow {
        name: row.try_get("name")?,
        sealed: row.try_get("sealed")?,
        base_url: row.try_get("base_url")?,
        updated: Timestamp::from_ms(row.try_get("updated")?),
    })
}

impl Store {
    /// All rows, by name.
    pub async fn providers(&self) -> Result<Vec<ProviderRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM providers ORDER BY name").fetch_all(self.reads()).await?;
        rows.iter().map(provider).collect()
    }

    /// Replaces these rows, all or none. A row with neither key nor address is removed.
    pub async fn providers_put(&self, rows: &[ProviderRow]) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        for row in rows {
            sqlx::query("DELETE FROM providers WHERE name = ?1").bind(&row.name).execute(&mut *transaction).await?;
            if row.sealed.is_none() && row.base_url.is_none() {
                continue;
            }
            sqlx::query("INSERT INTO providers (name, sealed, base_url, updated) VALUES (?1, ?2, ?3, ?4)")
                .bind(&row.name)
                .bind(row.sealed.as_deref())
                .bind(row.base_url.as_deref())
                .bind(row.updated.ms())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn row(name: &str, sealed: Option<&[u8]>, base_url: Option<&str>) -> ProviderRow {
        let updated = Timestamp::from_ms(7);
        ProviderRow { name: name.into(), sealed: sealed.map(<[u8]>::to_vec), base_url: base_url.map(str::to_owned), updated }
    }

    #[tokio::test]
    async fn rows_are_replaced_by_name_and_empty_ones_removed() {
        let (_folder, store) = temporary().await;
        let first = [row("b", Some(b"1"), None), row("a", None, Some("https://a.example"))];
        store.providers_put(&first).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), [first[1].clone(), first[0].clone()]);
        store.providers_put(&[row("a", None, None), row("b", Some(b"2"), None)]).await.unwrap();
        assert_eq!(store.providers().await.unwrap(), [row("b", Some(b"2"), None)]);
    }

    #[tokio::test]
    async fn a_change_that_fails_changes_nothing() {
        let (_folder, store) = temporary().await;
        store.providers_put(&[row("a", Some(b"1"), None)]).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(store.writes()).await.unwrap();
        let large = vec![0; 1 << 20];
        assert!(store.providers_put(&[row("a", None, None), row("b", Some(&large), None)]).await.is_err());
        assert_eq!(store.providers().await.unwrap(), [row("a", Some(b"1"), None)]);
    }
}
