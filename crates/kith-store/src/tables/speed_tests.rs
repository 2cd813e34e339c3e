//! Measured ways to other nodes.

use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::Row;

/// Tests kept of one node.
pub const KEPT: i64 = 100;

/// One row of `speed_tests`.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedTestRow {
    /// The other node.
    pub node: String,
    /// When the test began.
    pub at: Timestamp,
    /// The median round trip.
    pub rtt_ms: f64,
    /// The mean step from one round trip to the next.
    pub jitter_ms: f64,
    /// Bytes per second to the other node.
    pub up: f64,
    /// Bytes per second from it.
    pub down: f64,
    /// Bytes sent both ways.
    pub bytes: i64,
}

impl Store {
    /// Keeps a test, and forgets the oldest over [`KEPT`] of that node.
    pub async fn speed_test_put(&self, row: &SpeedTestRow) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        sqlx::query("INSERT INTO speed_tests (node, at, rtt_ms, jitter_ms, up, down, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .bind(&row.node)
            .bind(row.at.ms())
            .bind(row.rtt_ms)
            .bind(row.jitter_ms)
            .bind(row.up)
            .bind(row.down)
            .bind(row.bytes)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM speed_tests WHERE node = ?1 AND id NOT IN \
             (SELECT id FROM speed_tests WHERE node = ?1 ORDER BY id DESC LIMIT ?2)",
        )
        .bind(&row.node)
        .bind(KEPT)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// The tests with a node, the newest first.
    pub async fn speed_tests(&self, node: &str) -> Result<Vec<SpeedTestRow>, StoreError> {
        let rows =
            sqlx::query("SELECT node, at, rtt_ms, jitter_ms, up, down, bytes FROM speed_tests WHERE node = ?1 ORDER BY id DESC")
                .bind(node)
                .fetch_all(self.reads())
                .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(SpeedTestRow {
                node: row.try_get("node")?,
                at: Timestamp::from_ms(row.try_get("at")?),
                rtt_ms: row.try_get("rtt_ms")?,
                jitter_ms: row.try_get("jitter_ms")?,
                up: row.try_get("up")?,
                down: row.try_get("down")?,
                bytes: row.try_get("bytes")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn row(node: &str, at: i64) -> SpeedTestRow {
        let node = node.to_owned();
        SpeedTestRow { node, at: Timestamp::from_ms(at), rtt_ms: 0.5, jitter_ms: 0.1, up: 1e9, down: 2e9, bytes: 7 }
    }

    #[tokio::test]
    async fn tests_are_told_newest_first_and_only_so_many_are_kept_of_each_node() {
        let (_folder, store) = temporary().await;
        store.speed_test_put(&row("other", 1)).await.unwrap();
        for at in 0..KEPT + 5 {
            store.speed_test_put(&row("node", at)).await.unwrap();
        }
        let kept = store.speed_tests("node").await.unwrap();
        assert_eq!(kept.len() as i64, KEPT);
        assert_eq!(kept.first(), Some(&row("node", KEPT + 4)));
        assert_eq!(store.speed_tests("other").await.unwrap(), [row("other", 1)]);
    }
}
