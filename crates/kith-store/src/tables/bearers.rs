//! Bearers: the hashes of the secrets that open the node, and what each may do.

use super::bytes32;
use crate::{Store, StoreError};
use kith_types::{Scope, Timestamp};
use sqlx::{Row, sqlite::SqliteRow};

/// What a bearer's secret was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BearerKind {
    /// A long-lived `kith_…` key for a program.
    ApiKey,
    /// A token from signing in with the password.
    Login,
    /// The session of a window on this machine.
    Window,
    /// A paired device.
    Device,
}

impl BearerKind {
    /// The word in the file: `api_key`, `login`, `window` or `device`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Login => "login",
            Self::Window => "window",
            Self::Device => "device",
        }
    }

    fn from_stored(text: &str) -> Result<Self, StoreError> {
        [Self::ApiKey, Self::Login, Self::Window, Self::Device]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| StoreError::Corrupt(format!("unknown kind of bearer `{text}`")))
    }
}

/// One row of `bearers`. The secret itself is known only to its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The public id, by which a bearer is listed and revoked.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it was made for.
    pub kind: BearerKind,
    /// What it may do.
    pub scope: Scope,
    /// The hash of the secret; no two bearers share one.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is void; `None` means never.
    pub expires: Option<Timestamp>,
    /// When it was last shown, as far as noted.
    pub last_used: Option<Timestamp>,
}

fn bearer(row: &SqliteRow) -> Result<Bearer, StoreError> {
    Ok(Bearer {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: BearerKind::from_stored(row.try_get("kind")?)?,
        scope: row.try_get::<&str, _>("scope")?.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?,
        hash: bytes32(row, "hash")?,
        created: Timestamp::from_ms(row.try_get("created")?),
        expires: row.try_get::<Option<i64>, _>("expires")?.map(Timestamp::from_ms),
        last_used: row.try_get::<Option<i64>, _>("last_used")?.map(Timestamp::from_ms),
    })
}

impl Store {
    /// Adds a bearer. An id or a hash that is already there is an error.
    pub async fn bearer_insert(&self, bearer: &Bearer) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO bearers (id, name, kind, scope, hash, created, expires, last_used) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(&bearer.id)
        .bind(&bearer.name)
        .bind(bearer.kind.as_str())
        .bind(bearer.scope.as_str())
        .bind(bearer.hash.as_slice())
        .bind(bearer.created.ms())
        .bind(bearer.expires.map(Timestamp::ms))
        .bind(bearer.last_used.map(Timestamp::ms))
        .execute(self.writes())
        .await?;
        Ok(())
    }

    /// The bearer whose secret has this hash, expired or not.
    pub async fn bearer_by_hash(&self, hash: &[u8; 32]) -> Result<Option<Bearer>, StoreError> {
        let row = sqlx::query("SELECT * FROM bearers WHERE hash = ?1").bind(hash.as_slice()).fetch_optional(self.reads()).await?;
        row.as_ref().map(bearer).transpose()
    }

    /// The bearer with this id, expired or not.
    pub async fn bearer(&self, id: &str) -> Result<Option<Bearer>, StoreError> {
        let row = sqlx::query("SELECT * FROM bearers WHERE id = ?1").bind(id).fetch_optional(self.reads()).await?;
        row.as_ref().map(bearer).transpose()
    }

    /// Revokes a bearer by its id; says whether it was there.
    pub async fn bearer_delete(&self, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM bearers WHERE id = ?1").bind(id).execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Revokes the bearer whose secret has this hash; says whether it was there.
    pub async fn bearer_delete_by_hash(&self, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM bearers WHERE hash = ?1").bind(hash.as_slice()).execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Every bearer, the newest first.
    pub async fn bearers(&self) -> Result<Vec<Bearer>, StoreError> {
        let rows = sqlx::query("SELECT * FROM bearers ORDER BY created DESC, id").fetch_all(self.reads()).await?;
        rows.iter().map(bearer).collect()
    }

    /// Notes that a bearer was used at `now`. An unknown id is no error: it may just have been revoked.
    pub async fn bearer_touch(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE bearers SET last_used = ?2 WHERE id = ?1").bind(id).bind(now.ms()).execute(self.writes()).await?;
        Ok(())
    }

    /// Deletes every bearer that is void at `now`; returns how many.
    pub async fn bearers_prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM bearers WHERE expires <= ?1").bind(now.ms()).execute(self.writes()).await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn sample(id: &str, byte: u8) -> Bearer {
        Bearer {
            id: id.to_owned(),
            name: format!("{id}'s name"),
            kind: BearerKind::ApiKey,
            scope: Scope::User,
            hash: [byte; 32],
            created: Timestamp::from_ms(i64::from(byte)),
            expires: None,
            last_used: None,
        }
    }

    #[tokio::test]
    async fn a_bearer_is_found_by_its_hash_as_it_was_inserted() {
        let (_folder, store) = temporary().await;
        for (byte, kind) in
            [BearerKind::ApiKey, BearerKind::Login, BearerKind::Window, BearerKind::Device].into_iter().enumerate()
        {
            let byte = u8::try_from(byte).unwrap();
            let one = Bearer {
                kind,
                scope: Scope::Admin,
                expires: Some(Timestamp::from_ms(5)),
                last_used: Some(Timestamp::from_ms(-1)),
                ..sample(kind.as_str(), byte)
            };
            store.bearer_insert(&one).await.unwrap();
            assert_eq!(store.bearer(kind.as_str()).await.unwrap().as_ref(), Some(&one));
            assert_eq!(store.bearer_by_hash(&[byte; 32]).await.unwrap(), Some(one));
        }
        assert_eq!(store.bearer_by_hash(&[9; 32]).await.unwrap(), None);
        assert_eq!(store.bearer("none").await.unwrap(), None);
    }

    #[tokio::test]
    async fn neither_an_id_nor_a_hash_is_taken_twice() {
        let (_folder, store) = temporary().await;
        store.bearer_insert(&sample("a", 1)).await.unwrap();
        assert!(store.bearer_insert(&sample("a", 2)).await.is_err());
        assert!(store.bearer_insert(&sample("b", 1)).await.is_err());
        assert_eq!(store.bearers().await.unwrap(), [sample("a", 1)]);
    }

    #[tokio::test]
    async fn a_bearer_is_revoked_by_id_or_by_hash_once() {
        let (_folder, store) = temporary().await;
        store.bearer_insert(&sample("a", 1)).await.unwrap();
        store.bearer_insert(&sample("b", 2)).await.unwrap();
        assert!(store.bearer_delete("a").await.unwrap());
        assert!(!store.bearer_delete("a").await.unwrap());
        assert!(store.bearer_delete_by_hash(&[2; 32]).await.unwrap());
        assert!(!store.bearer_delete_by_hash(&[2; 32]).await.unwrap());
        assert_eq!(store.bearers().await.unwrap(), []);
    }

    #[tokio::test]
    async fn bearers_are_listed_newest_first() {
        let (_folder, store) = temporary().await;
        for byte in [2, 3, 1] {
            store.bearer_insert(&sample(&byte.to_string(), byte)).await.unwrap();
        }
        let ids: Vec<_> = store.bearers().await.unwrap().into_iter().map(|bearer| bearer.id).collect();
        assert_eq!(ids, ["3", "2", "1"]);
    }

    #[tokio::test]
    async fn a_use_is_noted_and_an_unknown_id_is_no_error() {
        let (_folder, store) = temporary().await;
        store.bearer_insert(&sample("a", 1)).await.unwrap();
        store.bearer_touch("a", Timestamp::from_ms(77)).await.unwrap();
        store.bearer_touch("gone", Timestamp::from_ms(77)).await.unwrap();
        let found = store.bearer_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(found.last_used, Some(Timestamp::from_ms(77)));
    }

    #[tokio::test]
    async fn pruning_deletes_the_expired_and_keeps_the_rest() {
        let (_folder, store) = temporary().await;
        store.bearer_insert(&sample("forever", 1)).await.unwrap();
        for (id, byte, expires) in [("past", 2, 9), ("now", 3, 10), ("later", 4, 11)] {
            let one = Bearer { expires: Some(Timestamp::from_ms(expires)), ..sample(id, byte) };
            store.bearer_insert(&one).await.unwrap();
        }
        assert_eq!(store.bearers_prune(Timestamp::from_ms(10)).await.unwrap(), 2);
        let ids: Vec<_> = store.bearers().await.unwrap().into_iter().map(|bearer| bearer.id).collect();
        assert_eq!(ids, ["later", "forever"]);
    }
}
