//! Settings changed at run time: key and value, both text.

use crate::{Store, StoreError};

impl Store {
    /// The value under `key`, or `None` where the default holds.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT value FROM settings WHERE key = ?1").bind(key).fetch_optional(self.reads()).await?)
    }

    /// Sets `key`, replacing what was there.
    pub async fn setting_put(&self, key: &str, value: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(key)
            .bind(value)
            .execute(self.writes())
            .await?;
        Ok(())
    }

    /// Sets some keys, and returns those without a value to their defaults: all of them or none.
    pub async fn settings_put(&self, changes: &[(&str, Option<String>)]) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        for (key, value) in changes {
            let statement = match value {
                Some(value) => sqlx::query(
                    "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                )
                .bind(*key)
                .bind(value),
                None => sqlx::query("DELETE FROM settings WHERE key = ?1").bind(*key),
            };
            statement.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Returns `key` to its default; says whether it was set.
    pub async fn setting_delete(&self, key: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM settings WHERE key = ?1").bind(key).execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::temporary;

    #[tokio::test]
    async fn a_setting_is_unset_until_put() {
        let (_folder, store) = temporary().await;
        assert_eq!(store.setting("auth.require_key").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_second_put_replaces_the_first() {
        let (_folder, store) = temporary().await;
        store.setting_put("auth.require_key", "true").await.unwrap();
        store.setting_put("auth.require_key", "false").await.unwrap();
        assert_eq!(store.setting("auth.require_key").await.unwrap().as_deref(), Some("false"));
    }

    #[tokio::test]
    async fn several_settings_are_set_and_unset_at_once() {
        let (_folder, store) = temporary().await;
        store.setting_put("a", "1").await.unwrap();
        store.settings_put(&[("a", None), ("b", Some("2".to_owned()))]).await.unwrap();
        assert_eq!(store.setting("a").await.unwrap(), None);
        assert_eq!(store.setting("b").await.unwrap().as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn a_deleted_setting_is_unset_and_deleting_it_again_says_so() {
        let (_folder, store) = temporary().await;
        store.setting_put("a", "1").await.unwrap();
        assert!(store.setting_delete("a").await.unwrap());
        assert!(!store.setting_delete("a").await.unwrap());
        assert_eq!(store.setting("a").await.unwrap(), None);
    }
}
