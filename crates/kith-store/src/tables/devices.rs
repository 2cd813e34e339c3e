//! Paired devices: each is a bearer, and what is known of the device that holds it.

use crate::{Bearer, Store, StoreError};
use kith_types::{DeviceKind, Timestamp};
use sqlx::{Row, sqlite::SqliteRow};

/// A paired device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its bearer's id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What sort of thing it is.
    pub kind: DeviceKind,
    /// When it was paired.
    pub paired: Timestamp,
    /// When it last called, to the minute.
    pub last_seen: Option<Timestamp>,
    /// The address it last called from.
    pub address: String,
}

fn device(row: &SqliteRow) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: row.try_get::<&str, _>("kind")?.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?,
        paired: Timestamp::from_ms(row.try_get("created")?),
        last_seen: row.try_get::<Option<i64>, _>("last_used")?.map(Timestamp::from_ms),
        address: row.try_get("address")?,
    })
}

impl Store {
    /// Adds a device and its bearer: both or neither. An id or a hash that is already there is an error.
    pub async fn device_insert(&self, bearer: &Bearer, kind: DeviceKind, address: &str) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
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
        .execute(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO devices (id, kind, address) VALUES (?1, ?2, ?3)")
            .bind(&bearer.id)
            .bind(kind.as_str())
            .bind(address)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Every device, the newest first.
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.id, b.name, d.kind, b.created, b.last_used, d.address FROM devices d JOIN bearers b ON b.id = d.id
             ORDER BY b.created DESC, d.id",
        )
        .fetch_all(self.reads())
        .await?;
        rows.iter().map(device).collect()
    }

    /// How many devices there are.
    pub async fn device_count(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM devices").fetch_one(self.reads()).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Gives a device another name; says whether it was there.
    pub async fn device_rename(&self, id: &str, name: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE bearers SET name = ?2 WHERE id = ?1 AND id IN (SELECT id FROM devices)")
            .bind(id)
            .bind(name)
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a device called at `now` from `address`. An unknown id is no error: it may just have been revoked.
    pub async fn device_seen(&self, id: &str, now: Timestamp, address: &str) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        sqlx::query("UPDATE bearers SET last_used = ?2 WHERE id = ?1").bind(id).bind(now.ms()).execute(&mut *transaction).await?;
        sqlx::query("UPDATE devices SET address = ?2 WHERE id = ?1").bind(id).bind(address).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BearerKind, store::tests::temporary};
    use kith_types::Scope;

    fn bearer(id: &str, byte: u8) -> Bearer {
        Bearer {
            id: id.to_owned(),
            name: format!("{id}'s name"),
            kind: BearerKind::Device,
            scope: Scope::User,
            hash: [byte; 32],
            created: Timestamp::from_ms(i64::from(byte)),
            expires: None,
            last_used: None,
        }
    }

    #[tokio::test]
    async fn a_device_is_listed_as_it_was_paired_and_goes_with_its_bearer() {
        let (_folder, store) = temporary().await;
        store.device_insert(&bearer("a", 1), DeviceKind::Phone, "10.0.0.2").await.unwrap();
        store.device_insert(&bearer("b", 2), DeviceKind::Tablet, "10.0.0.3").await.unwrap();
        let listed = store.devices().await.unwrap();
        assert_eq!(listed.iter().map(|device| device.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let expected = DeviceRow {
            id: "a".into(),
            name: "a's name".into(),
            kind: DeviceKind::Phone,
            paired: Timestamp::from_ms(1),
            last_seen: None,
            address: "10.0.0.2".into(),
        };
        assert_eq!(listed[1], expected);
        assert!(store.bearer_delete("a").await.unwrap());
        assert_eq!(store.device_count().await.unwrap(), 1);
        assert_eq!(store.bearer_by_hash(&[1; 32]).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_device_whose_id_is_taken_leaves_nothing_behind() {
        let (_folder, store) = temporary().await;
        store.device_insert(&bearer("a", 1), DeviceKind::Phone, "").await.unwrap();
        assert!(store.device_insert(&bearer("a", 2), DeviceKind::Phone, "").await.is_err());
        assert_eq!((store.device_count().await.unwrap(), store.bearers().await.unwrap().len()), (1, 1));
    }

    #[tokio::test]
    async fn only_devices_are_renamed_this_way_and_an_unknown_one_says_so() {
        let (_folder, store) = temporary().await;
        store.device_insert(&bearer("a", 1), DeviceKind::Phone, "").await.unwrap();
        store.bearer_insert(&Bearer { kind: BearerKind::ApiKey, ..bearer("key", 2) }).await.unwrap();
        assert!(store.device_rename("a", "Ann's phone").await.unwrap());
        assert!(!store.device_rename("key", "x").await.unwrap());
        assert!(!store.device_rename("gone", "x").await.unwrap());
        assert_eq!(store.devices().await.unwrap()[0].name, "Ann's phone");
    }

    #[tokio::test]
    async fn a_call_is_noted_with_its_address_and_an_unknown_id_is_no_error() {
        let (_folder, store) = temporary().await;
        store.device_insert(&bearer("a", 1), DeviceKind::Phone, "10.0.0.2").await.unwrap();
        store.device_seen("a", Timestamp::from_ms(77), "10.0.0.9").await.unwrap();
        store.device_seen("gone", Timestamp::from_ms(77), "10.0.0.9").await.unwrap();
        let device = &store.devices().await.unwrap()[0];
        assert_eq!((device.last_seen, device.address.as_str()), (Some(Timestamp::from_ms(77)), "10.0.0.9"));
    }
}
