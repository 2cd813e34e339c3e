//! The private networks this node knows; at most one of them is active.

use crate::{MemberRow, RotationRow, Store, StoreError, tables::network_members, tables::network_rotations};
use kith_types::Timestamp;
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `networks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRow {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What its members call it.
    pub name: String,
    /// The node that founded it.
    pub founder: String,
    /// What the id is made of besides the founder.
    pub salt: [u8; 16],
    /// When it came to this node.
    pub created: Timestamp,
    /// What this node is called in it.
    pub own_name: String,
    /// The number of its present key.
    pub epoch: u64,
    /// Which of the keys of that number.
    pub key_id: String,
    /// This node's membership; `None` before it was let in.
    pub chain: Option<String>,
    /// The sealed claim of an invite; `None` once it has served.
    pub claim: Option<Vec<u8>>,
    /// The node that gave the invite.
    pub claim_from: Option<String>,
    /// Addresses at which members are looked for, a JSON list.
    pub bootstrap: String,
    /// Whether it is the one that is used.
    pub active: bool,
    /// Whether it is to be connected; only the active one can be.
    pub connected: bool,
}

/// What became of a network that was to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkForget {
    /// It is gone with everything that belongs to it.
    Forgotten,
    /// It is connected, and stays.
    Connected,
    /// It was not there.
    Unknown,
}

const SELECT: &str =
    "SELECT id, name, founder, salt, created, own_name, epoch, key_id, chain, claim, claim_from, bootstrap, active,
    connected FROM networks";

/// Numbers are kept as SQLite has them, 63 bits.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("column `{column}` is negative")))
}

fn network(row: &SqliteRow) -> Result<NetworkRow, StoreError> {
    let salt: &[u8] = row.try_get("salt")?;
    Ok(NetworkRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        founder: row.try_get("founder")?,
        salt: salt.try_into().map_err(|_| StoreError::Corrupt("column `salt` has not 16 bytes".to_owned()))?,
        created: Timestamp::from_ms(row.try_get("created")?),
        own_name: row.try_get("own_name")?,
        epoch: unsigned(row, "epoch")?,
        key_id: row.try_get("key_id")?,
        chain: row.try_get("chain")?,
        claim: row.try_get("claim")?,
        claim_from: row.try_get("claim_from")?,
        bootstrap: row.try_get("bootstrap")?,
        active: row.try_get("active")?,
        connected: row.try_get("connected")?,
    })
}

impl Store {
    /// Adds a network with its key and, where this node is in it already, its first member: all or nothing. With `most` networks
    /// there, or with one of the same id, nothing is done; says whether it was added.
    pub async fn network_insert(
        &self,
        row: &NetworkRow,
        key: &RotationRow,
        member: Option<&MemberRow>,
        most: u32,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.transaction().await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM networks").fetch_one(&mut *transaction).await?;
        if count >= i64::from(most) {
            return Ok(false);
        }
        let done = sqlx::query(
            "INSERT INTO networks (id, name, founder, salt, created, own_name, epoch, key_id, chain, claim, claim_from, bootstrap,
             active, connected) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.founder)
        .bind(row.salt.as_slice())
        .bind(row.created.ms())
        .bind(&row.own_name)
        .bind(number(row.epoch))
        .bind(&row.key_id)
        .bind(&row.chain)
        .bind(&row.claim)
        .bind(&row.claim_from)
        .bind(&row.bootstrap)
        .bind(row.active)
        .bind(row.connected)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        network_rotations::put(&mut transaction, key).await?;
        if let Some(member) = member {
            network_members::put(&mut transaction, member).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// All networks, by name.
    pub async fn networks(&self) -> Result<Vec<NetworkRow>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} ORDER BY name COLLATE NOCASE, id")))
            .fetch_all(self.reads())
            .await?;
        rows.iter().map(network).collect()
    }

    /// The network with this id.
    pub async fn network(&self, id: &str) -> Result<Option<NetworkRow>, StoreError> {
        let row =
            sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} WHERE id = ?1"))).bind(id).fetch_optional(self.reads()).await?;
        row.as_ref().map(network).transpose()
    }

    /// The active network.
    pub async fn network_active(&self) -> Result<Option<NetworkRow>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} WHERE active = 1"))).fetch_optional(self.reads()).await?;
        row.as_ref().map(network).transpose()
    }

    /// Makes this network the active and connected one, and no other; says whether it was there.
    pub async fn network_connect(&self, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.transaction().await?;
        let there: i64 =
            sqlx::query_scalar("SELECT count(*) FROM networks WHERE id = ?1").bind(id).fetch_one(&mut *transaction).await?;
        if there == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE networks SET active = 0, connected = 0 WHERE id <> ?1").bind(id).execute(&mut *transaction).await?;
        sqlx::query("UPDATE networks SET active = 1, connected = 1 WHERE id = ?1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// No network is connected from now on; says whether one was.
    pub async fn network_disconnect(&self) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE networks SET connected = 0 WHERE connected = 1").execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Forgets a network and all that belongs to it, unless it is connected.
    pub async fn network_forget(&self, id: &str) -> Result<NetworkForget, StoreError> {
        let done = sqlx::query("DELETE FROM networks WHERE id = ?1 AND connected = 0").bind(id).execute(self.writes()).await?;
        if done.rows_affected() > 0 {
            return Ok(NetworkForget::Forgotten);
        }
        Ok(if self.network(id).await?.is_some() { NetworkForget::Connected } else { NetworkForget::Unknown })
    }

    /// Replaces the addresses; says whether the network was there.
    pub async fn network_bootstrap_put(&self, id: &str, bootstrap: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE networks SET bootstrap = ?2 WHERE id = ?1")
            .bind(id)
            .bind(bootstrap)
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Keeps the membership this node was given, and gives up its claim; says whether the network was there.
    pub async fn network_admitted(&self, id: &str, name: &str, chain: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE networks SET name = ?2, chain = ?3, claim = NULL, claim_from = NULL WHERE id = ?1")
            .bind(id)
            .bind(name)
            .bind(chain)
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes another invite to a network that is known already: the claim, and the key that came with it as one to listen on.
    /// Says whether the network was there.
    pub async fn network_claim_put(&self, id: &str, claim: &[u8], from: &str, bootstrap: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE networks SET claim = ?2, claim_from = ?3, bootstrap = ?4 WHERE id = ?1")
            .bind(id)
            .bind(claim)
            .bind(from)
            .bind(bootstrap)
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::tests::temporary;

    pub(crate) fn row(id: &str) -> NetworkRow {
        NetworkRow {
            id: id.into(),
            name: format!("{id}'s name"),
            founder: "f".into(),
            salt: [7; 16],
            created: Timestamp::from_ms(1),
            own_name: "me".into(),
            epoch: 0,
            key_id: "k0".into(),
            chain: None,
            claim: Some(vec![1, 2]),
            claim_from: Some("f".into()),
            bootstrap: "[]".into(),
            active: false,
            connected: false,
        }
    }

    pub(crate) fn key(network: &str) -> RotationRow {
        RotationRow {
            network: network.into(),
            epoch: 0,
            key_id: "k0".into(),
            token: String::new(),
            shares: "{}".into(),
            psk: Some(vec![9]),
            applied: Timestamp::from_ms(1),
            retired: None,
        }
    }

    #[tokio::test]
    async fn a_network_is_added_once_with_its_key_and_listed_as_it_was() {
        let (_folder, store) = temporary().await;
        assert!(store.network_insert(&row("a"), &key("a"), None, 2).await.unwrap());
        assert!(!store.network_insert(&NetworkRow { name: "other".into(), ..row("a") }, &key("a"), None, 2).await.unwrap());
        assert!(store.network_insert(&row("b"), &key("b"), None, 2).await.unwrap());
        assert!(!store.network_insert(&row("c"), &key("c"), None, 2).await.unwrap(), "as many as may be");
        assert_eq!(store.networks().await.unwrap(), [row("a"), row("b")]);
        assert_eq!(store.network("a").await.unwrap(), Some(row("a")));
        assert_eq!(store.network("c").await.unwrap(), None);
        assert_eq!(store.network_rotations("a").await.unwrap(), [key("a")]);
    }

    #[tokio::test]
    async fn one_network_at_most_is_active_and_a_connected_one_is_not_forgotten() {
        let (_folder, store) = temporary().await;
        for id in ["a", "b"] {
            store.network_insert(&row(id), &key(id), None, 9).await.unwrap();
        }
        assert_eq!(store.network_active().await.unwrap(), None);
        assert!(store.network_connect("a").await.unwrap());
        assert!(store.network_connect("b").await.unwrap());
        assert!(!store.network_connect("gone").await.unwrap());
        assert_eq!(store.network_active().await.unwrap().unwrap().id, "b");
        assert_eq!(store.network_forget("b").await.unwrap(), NetworkForget::Connected);
        assert!(store.network_disconnect().await.unwrap());
        assert!(!store.network_disconnect().await.unwrap());
        assert!(store.network_active().await.unwrap().unwrap().active, "it stays the active one");
        assert_eq!(store.network_forget("b").await.unwrap(), NetworkForget::Forgotten);
        assert_eq!(store.network_forget("b").await.unwrap(), NetworkForget::Unknown);
        assert_eq!(store.network_rotations("b").await.unwrap(), [], "its keys went with it");
    }

    #[tokio::test]
    async fn addresses_claim_and_membership_are_replaced() {
        let (_folder, store) = temporary().await;
        store.network_insert(&row("a"), &key("a"), None, 9).await.unwrap();
        assert!(store.network_bootstrap_put("a", "[1]").await.unwrap());
        assert!(!store.network_bootstrap_put("gone", "[1]").await.unwrap());
        assert!(store.network_admitted("a", "Home", "chain").await.unwrap());
        let admitted = store.network("a").await.unwrap().unwrap();
        assert_eq!((admitted.chain.as_deref(), admitted.claim, admitted.bootstrap.as_str()), (Some("chain"), None, "[1]"));
        assert!(store.network_claim_put("a", &[5], "g", "[2]").await.unwrap());
        let again = store.network("a").await.unwrap().unwrap();
        assert_eq!((again.claim, again.claim_from.as_deref(), again.chain.is_some()), (Some(vec![5]), Some("g"), true));
    }
}
