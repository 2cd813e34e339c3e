//! The keys of networks: the present one, and those kept for members who were away.

use crate::{
    Store, StoreError, Vouch,
    tables::{
        network_members,
        networks::{number, unsigned},
    },
};
use kith_types::Timestamp;
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};

/// One row of `network_rotations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationRow {
    /// The network.
    pub network: String,
    /// The key's number.
    pub epoch: u64,
    /// Which of the keys of that number.
    pub key_id: String,
    /// The signed rotation; empty for the first key.
    pub token: String,
    /// The key sealed to each member, a JSON object.
    pub shares: String,
    /// The key, sealed; `None` where it was not sealed to this node.
    pub psk: Option<Vec<u8>>,
    /// When it came to this node.
    pub applied: Timestamp,
    /// When another took its place; `None` for the present one.
    pub retired: Option<Timestamp>,
}

/// A rotation that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationNew {
    /// The key. With `retired` it is kept beside the present one, else it takes its place.
    pub row: RotationRow,
    /// What it says of who belongs to the network.
    pub vouches: Vec<Vouch>,
    /// Whether this node's open invites end with it.
    pub revoke_invites: bool,
}

fn rotation(row: &SqliteRow) -> Result<RotationRow, StoreError> {
    Ok(RotationRow {
        network: row.try_get("network")?,
        epoch: unsigned(row, "epoch")?,
        key_id: row.try_get("key_id")?,
        token: row.try_get("token")?,
        shares: row.try_get("shares")?,
        psk: row.try_get("psk")?,
        applied: Timestamp::from_ms(row.try_get("applied")?),
        retired: row.try_get::<Option<i64>, _>("retired")?.map(Timestamp::from_ms),
    })
}

/// Adds a key. One that is there gains what it lacked: its rotation, its shares, the key itself.
pub(crate) async fn put(transaction: &mut Transaction<'static, Sqlite>, row: &RotationRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO network_rotations (network, epoch, key_id, token, shares, psk, applied, retired)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (network, epoch, key_id) DO UPDATE SET
         token = CASE WHEN token = '' THEN excluded.token ELSE token END,
         shares = CASE WHEN length(excluded.shares) > length(shares) THEN excluded.shares ELSE shares END,
         psk = coalesce(psk, excluded.psk)",
    )
    .bind(&row.network)
    .bind(number(row.epoch))
    .bind(&row.key_id)
    .bind(&row.token)
    .bind(&row.shares)
    .bind(&row.psk)
    .bind(row.applied.ms())
    .bind(row.retired.map(Timestamp::ms))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Every key of a network, the newest first; at most a thousand.
    pub async fn network_rotations(&self, network: &str) -> Result<Vec<RotationRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT network, epoch, key_id, token, shares, psk, applied, retired FROM network_rotations WHERE network = ?1
             ORDER BY epoch DESC, key_id DESC LIMIT 1000",
        )
        .bind(network)
        .fetch_all(self.reads())
        .await?;
        rows.iter().map(rotation).collect()
    }

    /// Keeps a rotation with all it says, or nothing of it.
    pub async fn network_rotation_apply(&self, new: &RotationNew) -> Result<(), StoreError> {
        let (row, now) = (&new.row, new.row.applied);
        let mut transaction = self.transaction().await?;
        put(&mut transaction, row).await?;
        if row.retired.is_none() {
            sqlx::query(
                "UPDATE network_rotations SET retired = CASE WHEN epoch = ?2 AND key_id = ?3 THEN NULL ELSE coalesce(retired, ?4) END
                 WHERE network = ?1",
            )
            .bind(&row.network)
            .bind(number(row.epoch))
            .bind(&row.key_id)
            .bind(now.ms())
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE networks SET epoch = ?2, key_id = ?3 WHERE id = ?1")
                .bind(&row.network)
                .bind(number(row.epoch))
                .bind(&row.key_id)
                .execute(&mut *transaction)
                .await?;
        }
        for vouch in &new.vouches {
            network_members::vouch(&mut transaction, &row.network, vouch, now).await?;
        }
        if new.revoke_invites {
            sqlx::query("UPDATE network_invites SET revoked = ?2 WHERE network = ?1 AND revoked IS NULL AND expires > ?2")
                .bind(&row.network)
                .bind(now.ms())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Keeps a key that is not the present one, to be listened on.
    pub async fn network_key_put(&self, row: &RotationRow) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        put(&mut transaction, row).await?;
        Ok(transaction.commit().await?)
    }

    /// Deletes keys that another replaced before `before`; says how many.
    pub async fn network_rotations_prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done =
            sqlx::query("DELETE FROM network_rotations WHERE retired < ?1").bind(before.ms()).execute(self.writes()).await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        InviteRow,
        store::tests::temporary,
        tables::{network_members::tests::row as member, networks::tests as networks},
    };

    fn row(epoch: u64, key_id: &str, applied: i64) -> RotationRow {
        RotationRow {
            epoch,
            key_id: key_id.into(),
            token: format!("token {key_id}"),
            applied: Timestamp::from_ms(applied),
            ..networks::key("a")
        }
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let (folder, store) = temporary().await;
        store.network_insert(&networks::row("a"), &networks::key("a"), Some(&member("m")), 9).await.unwrap();
        (folder, store)
    }

    fn new(row: RotationRow) -> RotationNew {
        RotationNew { row, vouches: Vec::new(), revoke_invites: false }
    }

    #[tokio::test]
    async fn a_new_key_retires_the_one_before_and_is_kept_with_what_it_says() {
        let (_folder, store) = store().await;
        let vouches = vec![Vouch::Removed { node: "m".into(), epoch: 1 }];
        store.network_rotation_apply(&RotationNew { vouches, ..new(row(1, "k1", 50)) }).await.unwrap();
        let keys = store.network_rotations("a").await.unwrap();
        assert_eq!(
            keys.iter().map(|key| (key.epoch, key.retired)).collect::<Vec<_>>(),
            [(1, None), (0, Some(Timestamp::from_ms(50)))]
        );
        let network = store.network("a").await.unwrap().unwrap();
        assert_eq!((network.epoch, network.key_id.as_str()), (1, "k1"));
        assert_eq!(store.network_members("a").await.unwrap()[0].removed, Some(1));
        store.network_rotation_apply(&new(row(1, "k1", 99))).await.unwrap();
        assert_eq!(store.network_rotations("a").await.unwrap(), keys, "a second time changes nothing");
    }

    #[tokio::test]
    async fn a_key_beside_the_present_one_is_kept_retired_and_gains_what_it_lacked() {
        let (_folder, store) = store().await;
        let beside = RotationRow { psk: None, token: String::new(), retired: Some(Timestamp::from_ms(3)), ..row(0, "other", 3) };
        store.network_key_put(&beside).await.unwrap();
        store
            .network_rotation_apply(&new(RotationRow { retired: Some(Timestamp::from_ms(9)), ..row(0, "other", 9) }))
            .await
            .unwrap();
        let keys = store.network_rotations("a").await.unwrap();
        assert_eq!(keys[0], RotationRow { retired: Some(Timestamp::from_ms(3)), ..row(0, "other", 3) });
        assert_eq!(store.network("a").await.unwrap().unwrap().key_id, "k0");
    }

    #[tokio::test]
    async fn open_invites_end_with_a_rotation_that_says_so() {
        let (_folder, store) = store().await;
        let invite = InviteRow {
            id: "i".into(),
            network: "a".into(),
            label: String::new(),
            role: "member".into(),
            for_node: None,
            proof_key: vec![1],
            uses: 1,
            used: 0,
            created: Timestamp::from_ms(1),
            expires: Timestamp::from_ms(1000),
            revoked: None,
        };
        store.network_invite_insert(&invite, Timestamp::from_ms(0), 9).await.unwrap();
        store.network_rotation_apply(&new(row(1, "k1", 50))).await.unwrap();
        assert_eq!(store.network_invites("a").await.unwrap()[0].revoked, None);
        store.network_rotation_apply(&RotationNew { revoke_invites: true, ..new(row(2, "k2", 60)) }).await.unwrap();
        assert_eq!(store.network_invites("a").await.unwrap()[0].revoked, Some(Timestamp::from_ms(60)));
    }

    #[tokio::test]
    async fn keys_replaced_long_ago_are_deleted_and_the_present_one_never() {
        let (_folder, store) = store().await;
        store.network_rotation_apply(&new(row(1, "k1", 50))).await.unwrap();
        assert_eq!(store.network_rotations_prune(Timestamp::from_ms(50)).await.unwrap(), 0);
        assert_eq!(store.network_rotations_prune(Timestamp::from_ms(51)).await.unwrap(), 1);
        assert_eq!(store.network_rotations("a").await.unwrap().len(), 1);
        assert_eq!(store.network_rotations_prune(Timestamp::from_ms(i64::MAX)).await.unwrap(), 0);
    }
}
