//! The last thing each node of a network said of itself.

use crate::{
    Store, StoreError,
    tables::networks::{number, unsigned},
};
use kith_types::Timestamp;
use sqlx::Row;

/// One row of `node_records`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecordRow {
    /// The network.
    pub network: String,
    /// The node that speaks.
    pub node: String,
    /// Grows with everything it says.
    pub seq: u64,
    /// When it said so, by its own clock.
    pub issued: Timestamp,
    /// When this node heard it.
    pub heard: Timestamp,
    /// What it said, signed.
    pub token: String,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRecordPut {
    /// It is new, or newer than the one before.
    Kept,
    /// What is known is as new or newer.
    Stale,
    /// There are as many nodes as may be.
    Full,
}

impl Store {
    /// Keeps a record if its sequence number is greater than that of the one before. At most `most` nodes of a network.
    pub async fn node_record_put(&self, row: &NodeRecordRow, most: u32) -> Result<NodeRecordPut, StoreError> {
        let mut transaction = self.transaction().await?;
        let before: Option<i64> = sqlx::query_scalar("SELECT seq FROM node_records WHERE network = ?1 AND node = ?2")
            .bind(&row.network)
            .bind(&row.node)
            .fetch_optional(&mut *transaction)
            .await?;
        match before {
            Some(before) if before >= number(row.seq) => return Ok(NodeRecordPut::Stale),
            Some(_) => {}
            None => {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM node_records WHERE network = ?1")
                    .bind(&row.network)
                    .fetch_one(&mut *transaction)
                    .await?;
                if count >= i64::from(most) {
                    return Ok(NodeRecordPut::Full);
                }
            }
        }
        sqlx::query(
            "INSERT INTO node_records (network, node, seq, issued, heard, token) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (network, node) DO UPDATE SET seq = excluded.seq, issued = excluded.issued, heard = excluded.heard,
             token = excluded.token",
        )
        .bind(&row.network)
        .bind(&row.node)
        .bind(number(row.seq))
        .bind(row.issued.ms())
        .bind(row.heard.ms())
        .bind(&row.token)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(NodeRecordPut::Kept)
    }

    /// The records of a network, by node; at most a thousand.
    pub async fn node_records(&self, network: &str) -> Result<Vec<NodeRecordRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT network, node, seq, issued, heard, token FROM node_records WHERE network = ?1 ORDER BY node LIMIT 1000",
        )
        .bind(network)
        .fetch_all(self.reads())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(NodeRecordRow {
                    network: row.try_get("network")?,
                    node: row.try_get("node")?,
                    seq: unsigned(row, "seq")?,
                    issued: Timestamp::from_ms(row.try_get("issued")?),
                    heard: Timestamp::from_ms(row.try_get("heard")?),
                    token: row.try_get("token")?,
                })
            })
            .collect()
    }

    /// Deletes the records last heard before `before`, and those of nodes that were removed; says how many.
    pub async fn node_records_prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM node_records WHERE heard < ?1 OR EXISTS (SELECT 1 FROM network_members m WHERE m.network =
             node_records.network AND m.node = node_records.node AND m.removed IS NOT NULL AND m.epoch < m.removed)",
        )
        .bind(before.ms())
        .execute(self.writes())
        .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MemberRow,
        store::tests::temporary,
        tables::{network_members::tests::row as member, networks::tests as networks},
    };

    fn row(node: &str, seq: u64) -> NodeRecordRow {
        let at = Timestamp::from_ms(10);
        NodeRecordRow { network: "a".into(), node: node.into(), seq, issued: at, heard: at, token: format!("{node} {seq}") }
    }

    #[tokio::test]
    async fn only_a_later_record_takes_the_place_of_one() {
        let (_folder, store) = temporary().await;
        store.network_insert(&networks::row("a"), &networks::key("a"), None, 9).await.unwrap();
        assert_eq!(store.node_record_put(&row("m", 5), 1).await.unwrap(), NodeRecordPut::Kept);
        for stale in [4, 5] {
            assert_eq!(store.node_record_put(&row("m", stale), 1).await.unwrap(), NodeRecordPut::Stale);
        }
        assert_eq!(store.node_record_put(&row("x", 1), 1).await.unwrap(), NodeRecordPut::Full);
        assert_eq!(store.node_record_put(&row("m", 6), 1).await.unwrap(), NodeRecordPut::Kept);
        assert_eq!(store.node_records("a").await.unwrap(), [row("m", 6)]);
    }

    #[tokio::test]
    async fn old_records_and_those_of_removed_nodes_go() {
        let (_folder, store) = temporary().await;
        let removed = MemberRow { removed: Some(1), ..member("x") };
        store.network_insert(&networks::row("a"), &networks::key("a"), Some(&removed), 9).await.unwrap();
        for kept in [NodeRecordRow { heard: Timestamp::from_ms(3), ..row("old", 1) }, row("m", 1), row("x", 1)] {
            store.node_record_put(&kept, 9).await.unwrap();
        }
        assert_eq!(store.node_records_prune(Timestamp::from_ms(4)).await.unwrap(), 2);
        assert_eq!(store.node_records("a").await.unwrap(), [row("m", 1)]);
    }
}
