//! Who belongs to a network, or did.

use crate::{
    Store, StoreError,
    tables::networks::{number, unsigned},
};
use kith_types::Timestamp;
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};

/// One row of `network_members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The network.
    pub network: String,
    /// The node.
    pub node: String,
    /// What it is called.
    pub name: String,
    /// `admin` or `member`, by its certificate.
    pub role: String,
    /// Its certificate and those behind it; empty while only others' word tells of it.
    pub chain: String,
    /// The certificate's number.
    pub serial: String,
    /// When the certificate was issued, by its issuer's clock.
    pub issued: Timestamp,
    /// The epoch in which it was.
    pub epoch: u64,
    /// The invite by which it came in, where this node let it in.
    pub invite: Option<String>,
    /// The epoch that shut it out.
    pub removed: Option<u64>,
    /// The last epoch whose rotation listed it.
    pub vouched: Option<u64>,
    /// As what.
    pub vouched_role: Option<String>,
    /// When this node first heard of it.
    pub joined: Timestamp,
    /// When this node last met it.
    pub last_seen: Option<Timestamp>,
}

/// What a rotation says of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouch {
    /// It belongs to the network at that epoch, with that role.
    Listed {
        /// The node.
        node: String,
        /// `admin` or `member`.
        role: String,
        /// The rotation's epoch.
        epoch: u64,
    },
    /// It is shut out since that epoch.
    Removed {
        /// The node.
        node: String,
        /// Since when.
        epoch: u64,
    },
    /// What all rotations say of it together, in the place of what was kept.
    Exactly {
        /// The node.
        node: String,
        /// Since when it is shut out.
        removed: Option<u64>,
        /// The last epoch at which it is listed, and its role there: `admin` or `member`.
        listed: Option<(u64, String)>,
    },
}

fn optional(row: &SqliteRow, column: &str) -> Result<Option<u64>, StoreError> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.and_then(|value| u64::try_from(value).ok()))
}

fn member(row: &SqliteRow) -> Result<MemberRow, StoreError> {
    Ok(MemberRow {
        network: row.try_get("network")?,
        node: row.try_get("node")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        chain: row.try_get("chain")?,
        serial: row.try_get("serial")?,
        issued: Timestamp::from_ms(row.try_get("issued")?),
        epoch: unsigned(row, "epoch")?,
        invite: row.try_get("invite")?,
        removed: optional(row, "removed")?,
        vouched: optional(row, "vouched")?,
        vouched_role: row.try_get("vouched_role")?,
        joined: Timestamp::from_ms(row.try_get("joined")?),
        last_seen: row.try_get::<Option<i64>, _>("last_seen")?.map(Timestamp::from_ms),
    })
}

/// Adds a member, or exchanges its certificate. What rotations said of it, the invite and the first meeting stay.
pub(crate) async fn put(transaction: &mut Transaction<'static, Sqlite>, row: &MemberRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO network_members (network, node, name, role, chain, serial, issued, epoch, invite, removed, vouched, vouched_role,
         joined, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (network, node) DO UPDATE SET name = excluded.name, role = excluded.role, chain = excluded.chain,
         serial = excluded.serial, issued = excluded.issued, epoch = excluded.epoch, invite = coalesce(excluded.invite, invite),
         last_seen = coalesce(excluded.last_seen, last_seen)",
    )
    .bind(&row.network)
    .bind(&row.node)
    .bind(&row.name)
    .bind(&row.role)
    .bind(&row.chain)
    .bind(&row.serial)
    .bind(row.issued.ms())
    .bind(number(row.epoch))
    .bind(&row.invite)
    .bind(row.removed.map(number))
    .bind(row.vouched.map(number))
    .bind(&row.vouched_role)
    .bind(row.joined.ms())
    .bind(row.last_seen.map(Timestamp::ms))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Keeps what a rotation says of a node. Epochs only grow; of two roles at one epoch the greater holds. [`Vouch::Exactly`] takes the
/// place of both.
pub(crate) async fn vouch(
    transaction: &mut Transaction<'static, Sqlite>,
    network: &str,
    vouch: &Vouch,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Vouch::Listed { node, .. } | Vouch::Removed { node, .. } | Vouch::Exactly { node, .. }) = vouch;
    sqlx::query(
        "INSERT INTO network_members (network, node, name, role, chain, serial, issued, epoch, joined)
         VALUES (?1, ?2, '', 'member', '', '', 0, 0, ?3) ON CONFLICT (network, node) DO NOTHING",
    )
    .bind(network)
    .bind(node)
    .bind(now.ms())
    .execute(&mut **transaction)
    .await?;
    let statement = match vouch {
        Vouch::Listed { role, epoch, .. } => sqlx::query(
            "UPDATE network_members SET vouched = ?3, vouched_role = ?4 WHERE network = ?1 AND node = ?2
             AND (coalesce(vouched, -1) < ?3 OR (vouched = ?3 AND ?4 = 'admin'))",
        )
        .bind(network)
        .bind(node)
        .bind(number(*epoch))
        .bind(role),
        Vouch::Removed { epoch, .. } => {
            sqlx::query("UPDATE network_members SET removed = ?3 WHERE network = ?1 AND node = ?2 AND coalesce(removed, -1) < ?3")
                .bind(network)
                .bind(node)
                .bind(number(*epoch))
        }
        Vouch::Exactly { removed, listed, .. } => sqlx::query(
            "UPDATE network_members SET removed = ?3, vouched = ?4, vouched_role = ?5 WHERE network = ?1 AND node = ?2",
        )
        .bind(network)
        .bind(node)
        .bind(removed.map(number))
        .bind(listed.as_ref().map(|(epoch, _)| number(*epoch)))
        .bind(listed.as_ref().map(|(_, role)| role)),
    };
    statement.execute(&mut **transaction).await?;
    Ok(())
}

impl Store {
    /// Everybody known of a network, by name; at most a thousand.
    pub async fn network_members(&self, network: &str) -> Result<Vec<MemberRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT network, node, name, role, chain, serial, issued, epoch, invite, removed, vouched, vouched_role, joined, last_seen
             FROM network_members WHERE network = ?1 ORDER BY name COLLATE NOCASE, node LIMIT 1000",
        )
        .bind(network)
        .fetch_all(self.reads())
        .await?;
        rows.iter().map(member).collect()
    }

    /// Adds a member, or exchanges its certificate for this one. With `most` rows of the network there, only known nodes are taken;
    /// says whether it was.
    pub async fn network_member_put(&self, row: &MemberRow, most: u32) -> Result<bool, StoreError> {
        let mut transaction = self.transaction().await?;
        let others: i64 = sqlx::query_scalar("SELECT count(*) FROM network_members WHERE network = ?1 AND node <> ?2")
            .bind(&row.network)
            .bind(&row.node)
            .fetch_one(&mut *transaction)
            .await?;
        if others >= i64::from(most) {
            return Ok(false);
        }
        put(&mut transaction, row).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that a member was met at `now`. An unknown one is no error.
    pub async fn network_member_seen(&self, network: &str, node: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE network_members SET last_seen = ?3 WHERE network = ?1 AND node = ?2")
            .bind(network)
            .bind(node)
            .bind(now.ms())
            .execute(self.writes())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{store::tests::temporary, tables::networks::tests as networks};

    pub(crate) fn row(node: &str) -> MemberRow {
        MemberRow {
            network: "a".into(),
            node: node.into(),
            name: format!("{node}'s name"),
            role: "member".into(),
            chain: "c".into(),
            serial: "1".into(),
            issued: Timestamp::from_ms(5),
            epoch: 0,
            invite: Some("i".into()),
            removed: None,
            vouched: None,
            vouched_role: None,
            joined: Timestamp::from_ms(6),
            last_seen: None,
        }
    }

    #[tokio::test]
    async fn a_member_gets_another_certificate_and_keeps_how_it_came_in() {
        let (_folder, store) = temporary().await;
        let founder = row("f");
        store.network_insert(&networks::row("a"), &networks::key("a"), Some(&founder), 9).await.unwrap();
        assert!(store.network_member_put(&row("m"), 2).await.unwrap());
        assert!(!store.network_member_put(&row("x"), 2).await.unwrap(), "as many as may be");
        let promoted =
            MemberRow { role: "admin".into(), serial: "2".into(), invite: None, joined: Timestamp::from_ms(99), ..row("m") };
        assert!(store.network_member_put(&promoted, 2).await.unwrap(), "a known one is taken over the bound");
        store.network_member_seen("a", "m", Timestamp::from_ms(70)).await.unwrap();
        store.network_member_seen("a", "gone", Timestamp::from_ms(70)).await.unwrap();
        let expected =
            MemberRow { role: "admin".into(), serial: "2".into(), last_seen: Some(Timestamp::from_ms(70)), ..row("m") };
        assert_eq!(store.network_members("a").await.unwrap(), [founder, expected]);
    }

    #[tokio::test]
    async fn what_rotations_say_of_a_node_only_grows_and_outlasts_a_new_certificate() {
        let (_folder, store) = temporary().await;
        store.network_insert(&networks::row("a"), &networks::key("a"), Some(&row("m")), 9).await.unwrap();
        let mut transaction = store.transaction().await.unwrap();
        let now = Timestamp::from_ms(8);
        let listed = |epoch, role: &str| Vouch::Listed { node: "m".into(), role: role.into(), epoch };
        for said in [
            listed(3, "member"),
            listed(3, "admin"),
            listed(3, "member"),
            listed(2, "member"),
            Vouch::Removed { node: "m".into(), epoch: 5 },
        ] {
            vouch(&mut transaction, "a", &said, now).await.unwrap();
        }
        vouch(&mut transaction, "a", &Vouch::Removed { node: "m".into(), epoch: 4 }, now).await.unwrap();
        vouch(&mut transaction, "a", &Vouch::Removed { node: "stranger".into(), epoch: 4 }, now).await.unwrap();
        transaction.commit().await.unwrap();
        store.network_member_put(&row("m"), 9).await.unwrap();
        let members = store.network_members("a").await.unwrap();
        let member = members.iter().find(|member| member.node == "m").unwrap();
        assert_eq!((member.vouched, member.vouched_role.as_deref(), member.removed), (Some(3), Some("admin"), Some(5)));
        let stranger = members.iter().find(|member| member.node == "stranger").unwrap();
        assert_eq!((stranger.chain.as_str(), stranger.removed), ("", Some(4)));
        let exactly = |removed, listed| Vouch::Exactly { node: "m".into(), removed, listed };
        for (removed, listed) in [(None, Some((1, "member".to_owned()))), (Some(2), None)] {
            let mut transaction = store.transaction().await.unwrap();
            vouch(&mut transaction, "a", &exactly(removed, listed.clone()), now).await.unwrap();
            transaction.commit().await.unwrap();
            let member = store.network_members("a").await.unwrap().into_iter().find(|member| member.node == "m").unwrap();
            assert_eq!((member.removed, member.vouched.zip(member.vouched_role)), (removed, listed));
        }
    }
}
