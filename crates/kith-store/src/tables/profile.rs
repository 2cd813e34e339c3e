//! The profile: how the owner shows themselves. One row at most.

use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::Row;

/// The one row of `profile`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileRow {
    /// The name shown to others; may be empty.
    pub display_name: String,
    /// The picture's bytes.
    pub avatar: Option<Vec<u8>>,
    /// Where pushes go.
    pub push_endpoint: Option<String>,
    /// Whether the connection is paid by volume.
    pub metered: bool,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Store {
    /// The profile, if one was ever put.
    pub async fn profile(&self) -> Result<Option<ProfileRow>, StoreError> {
        let row = sqlx::query("SELECT display_name, avatar, push_endpoint, metered, updated FROM profile WHERE id = 1")
            .fetch_optional(self.reads())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ProfileRow {
            display_name: row.try_get("display_name")?,
            avatar: row.try_get("avatar")?,
            push_endpoint: row.try_get("push_endpoint")?,
            metered: row.try_get("metered")?,
            updated: Timestamp::from_ms(row.try_get("updated")?),
        }))
    }

    /// Puts the profile in place of what was there.
    pub async fn profile_put(&self, row: &ProfileRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO profile (id, display_name, avatar, push_endpoint, metered, updated) VALUES (1, ?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, avatar = excluded.avatar,
                 push_endpoint = excluded.push_endpoint, metered = excluded.metered, updated = excluded.updated",
        )
        .bind(&row.display_name)
        .bind(row.avatar.as_deref())
        .bind(row.push_endpoint.as_deref())
        .bind(row.metered)
        .bind(row.updated.ms())
        .execute(self.writes())
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    #[tokio::test]
    async fn there_is_no_profile_until_one_is_put_and_then_the_last() {
        let (_folder, store) = temporary().await;
        assert_eq!(store.profile().await.unwrap(), None);
        let first = ProfileRow { display_name: "Ann".into(), avatar: Some(vec![1, 2]), metered: true, ..ProfileRow::default() };
        store.profile_put(&first).await.unwrap();
        assert_eq!(store.profile().await.unwrap(), Some(first));
        let second = ProfileRow { push_endpoint: Some("https://push.example/x".into()), ..ProfileRow::default() };
        store.profile_put(&second).await.unwrap();
        assert_eq!(store.profile().await.unwrap(), Some(second));
    }
}
