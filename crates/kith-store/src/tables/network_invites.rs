//! Invites that this node gave out, how often they served, and the members that came in by them.

use crate::{
    MemberRow, Store, StoreError,
    tables::{
        network_members,
        networks::{number, unsigned},
    },
};
use kith_types::Timestamp;
use sqlx::{Row, sqlite::SqliteRow};

/// One row of `network_invites`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The network it leads into.
    pub network: String,
    /// What its giver notes about it.
    pub label: String,
    /// `admin` or `member`: what it makes of who comes in.
    pub role: String,
    /// The only node that may use it.
    pub for_node: Option<String>,
    /// What its secret is compared by, sealed.
    pub proof_key: Vec<u8>,
    /// How many may come in.
    pub uses: u64,
    /// How many have.
    pub used: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is void.
    pub expires: Timestamp,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

/// What came of letting a node in by an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteClaim {
    /// It is in, and the invite has one use less.
    Admitted,
    /// There is no such invite.
    Unknown,
    /// It has no use left.
    Used,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
    /// The network has as many members as it may.
    Full,
}

const SELECT: &str =
    "SELECT id, network, label, role, for_node, proof_key, uses, used, created, expires, revoked FROM network_invites";

fn invite(row: &SqliteRow) -> Result<InviteRow, StoreError> {
    Ok(InviteRow {
        id: row.try_get("id")?,
        network: row.try_get("network")?,
        label: row.try_get("label")?,
        role: row.try_get("role")?,
        for_node: row.try_get("for_node")?,
        proof_key: row.try_get("proof_key")?,
        uses: unsigned(row, "uses")?,
        used: unsigned(row, "used")?,
        created: Timestamp::from_ms(row.try_get("created")?),
        expires: Timestamp::from_ms(row.try_get("expires")?),
        revoked: row.try_get::<Option<i64>, _>("revoked")?.map(Timestamp::from_ms),
    })
}

impl Store {
    /// Adds an invite, and clears away those of the network that ended before `ended`. With `most` left nothing is added; says
    /// whether it was.
    pub async fn network_invite_insert(&self, row: &InviteRow, ended: Timestamp, most: u32) -> Result<bool, StoreError> {
        let mut transaction = self.transaction().await?;
        sqlx::query("DELETE FROM network_invites WHERE network = ?1 AND min(expires, coalesce(revoked, expires)) < ?2")
            .bind(&row.network)
            .bind(ended.ms())
            .execute(&mut *transaction)
            .await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM network_invites WHERE network = ?1")
            .bind(&row.network)
            .fetch_one(&mut *transaction)
            .await?;
        if count < i64::from(most) {
            sqlx::query(
                "INSERT INTO network_invites (id, network, label, role, for_node, proof_key, uses, used, created, expires, revoked)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )
            .bind(&row.id)
            .bind(&row.network)
            .bind(&row.label)
            .bind(&row.role)
            .bind(&row.for_node)
            .bind(&row.proof_key)
            .bind(number(row.uses))
            .bind(number(row.used))
            .bind(row.created.ms())
            .bind(row.expires.ms())
            .bind(row.revoked.map(Timestamp::ms))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(count < i64::from(most))
    }

    /// The invites of a network, the newest first.
    pub async fn network_invites(&self, network: &str) -> Result<Vec<InviteRow>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} WHERE network = ?1 ORDER BY created DESC, id LIMIT 1000")))
            .bind(network)
            .fetch_all(self.reads())
            .await?;
        rows.iter().map(invite).collect()
    }

    /// The invite of a network with this id.
    pub async fn network_invite(&self, network: &str, id: &str) -> Result<Option<InviteRow>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} WHERE network = ?1 AND id = ?2")))
            .bind(network)
            .bind(id)
            .fetch_optional(self.reads())
            .await?;
        row.as_ref().map(invite).transpose()
    }

    /// Takes an invite back, unless it was before; says whether it holds no longer because of this.
    pub async fn network_invite_revoke(&self, network: &str, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE network_invites SET revoked = ?3 WHERE network = ?1 AND id = ?2 AND revoked IS NULL")
            .bind(network)
            .bind(id)
            .bind(now.ms())
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets `member` in by the invite it names: one use less and one member more, or neither. At most `most` members that are not
    /// removed.
    pub async fn network_invite_claim(
        &self,
        id: &str,
        member: &MemberRow,
        now: Timestamp,
        most: u32,
    ) -> Result<InviteClaim, StoreError> {
        let mut transaction = self.transaction().await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{SELECT} WHERE network = ?1 AND id = ?2")))
            .bind(&member.network)
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else { return Ok(InviteClaim::Unknown) };
        let row = invite(&row)?;
        if row.revoked.is_some() {
            return Ok(InviteClaim::Revoked);
        }
        if row.used >= row.uses {
            return Ok(InviteClaim::Used);
        }
        if row.expires <= now {
            return Ok(InviteClaim::Expired);
        }
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM network_members WHERE network = ?1 AND node <> ?2 AND (removed IS NULL OR epoch >= removed)",
        )
        .bind(&member.network)
        .bind(&member.node)
        .fetch_one(&mut *transaction)
        .await?;
        if others >= i64::from(most) {
            return Ok(InviteClaim::Full);
        }
        sqlx::query("UPDATE network_invites SET used = used + 1 WHERE id = ?1").bind(id).execute(&mut *transaction).await?;
        network_members::put(&mut transaction, member).await?;
        transaction.commit().await?;
        Ok(InviteClaim::Admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::tests::temporary,
        tables::{network_members::tests::row as member, networks::tests as networks},
    };

    fn row(id: &str, created: i64) -> InviteRow {
        InviteRow {
            id: id.into(),
            network: "a".into(),
            label: "for Ann".into(),
            role: "member".into(),
            for_node: None,
            proof_key: vec![1, 2, 3],
            uses: 2,
            used: 0,
            created: Timestamp::from_ms(created),
            expires: Timestamp::from_ms(created + 100),
            revoked: None,
        }
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let (folder, store) = temporary().await;
        store.network_insert(&networks::row("a"), &networks::key("a"), Some(&member("f")), 9).await.unwrap();
        (folder, store)
    }

    const LONG_AGO: Timestamp = Timestamp::from_ms(0);

    #[tokio::test]
    async fn invites_are_listed_as_they_were_made_and_those_long_over_go() {
        let (_folder, store) = store().await;
        assert!(store.network_invite_insert(&row("i1", 1), LONG_AGO, 2).await.unwrap());
        assert!(store.network_invite_insert(&row("i2", 2), LONG_AGO, 2).await.unwrap());
        assert!(!store.network_invite_insert(&row("i3", 3), LONG_AGO, 2).await.unwrap(), "as many as may be");
        assert_eq!(store.network_invites("a").await.unwrap(), [row("i2", 2), row("i1", 1)]);
        assert!(store.network_invite_insert(&row("i3", 3), Timestamp::from_ms(102), 2).await.unwrap());
        assert_eq!(store.network_invite("a", "i1").await.unwrap(), None);
        assert_eq!(store.network_invite("a", "i3").await.unwrap(), Some(row("i3", 3)));
        assert_eq!(store.network_invite("b", "i3").await.unwrap(), None, "it leads into its own network only");
    }

    #[tokio::test]
    async fn an_invite_lets_in_as_many_as_it_says_until_its_end() {
        let (_folder, store) = store().await;
        store.network_invite_insert(&row("i", 1), LONG_AGO, 9).await.unwrap();
        let claim = async |node: &str, now: i64, most| {
            store.network_invite_claim("i", &member(node), Timestamp::from_ms(now), most).await.unwrap()
        };
        assert_eq!(claim("m1", 101, 9).await, InviteClaim::Expired);
        assert_eq!(claim("m1", 50, 1).await, InviteClaim::Full);
        assert_eq!(claim("m1", 50, 9).await, InviteClaim::Admitted);
        assert_eq!(claim("m2", 50, 9).await, InviteClaim::Admitted);
        assert_eq!(claim("m3", 50, 9).await, InviteClaim::Used);
        assert_eq!(store.network_members("a").await.unwrap().len(), 3);
        let unknown = store.network_invite_claim("x", &member("m3"), LONG_AGO, 9).await.unwrap();
        assert_eq!(unknown, InviteClaim::Unknown);
    }

    #[tokio::test]
    async fn a_revoked_invite_lets_nobody_in() {
        let (_folder, store) = store().await;
        store.network_invite_insert(&row("i", 1), LONG_AGO, 9).await.unwrap();
        assert!(store.network_invite_revoke("a", "i", Timestamp::from_ms(7)).await.unwrap());
        assert!(!store.network_invite_revoke("a", "i", Timestamp::from_ms(8)).await.unwrap());
        let claim = store.network_invite_claim("i", &member("m"), Timestamp::from_ms(9), 9).await.unwrap();
        assert_eq!(claim, InviteClaim::Revoked);
        assert_eq!(store.network_invites("a").await.unwrap()[0].revoked, Some(Timestamp::from_ms(7)));
    }

    #[tokio::test]
    async fn many_claims_at_once_let_in_no_more_than_the_invite_says() {
        let (_folder, store) = store().await;
        store.network_invite_insert(&row("i", 1), LONG_AGO, 9).await.unwrap();
        let claims = (0..20).map(|index| {
            let store = store.clone();
            let node = format!("m{index}");
            tokio::spawn(async move { store.network_invite_claim("i", &member(&node), Timestamp::from_ms(5), 99).await })
        });
        let mut admitted = 0;
        for claim in claims.collect::<Vec<_>>() {
            admitted += u32::from(claim.await.unwrap().unwrap() == InviteClaim::Admitted);
        }
        assert_eq!(admitted, 2);
    }
}
