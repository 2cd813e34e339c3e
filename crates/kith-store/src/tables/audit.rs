//! The audit ring: records in order, each with a hash over the one before, and the anchor of what has left.

use super::bytes32;
use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::{Row, Sqlite, SqliteExecutor, Transaction, sqlite::SqliteRow};

/// A place in the chain: the number of a record and its hash. Before the first record it is 0 and zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditEnd {
    /// The record's number.
    pub seq: u64,
    /// The record's hash.
    pub hash: [u8; 32],
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, a dotted word.
    pub kind: String,
    /// The particulars, a JSON object.
    pub data: String,
}

/// One row of `audit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Grows by one with each record, over the life of the database.
    pub seq: u64,
    /// What was recorded.
    pub entry: AuditEntry,
    /// Covers the record and the hash before it.
    pub hash: [u8; 32],
}

fn number(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(format!("column `{column}` is negative")))
}

/// Numbers are SQLite's: 63 bits.
fn bound(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn end(row: &SqliteRow) -> Result<AuditEnd, StoreError> {
    Ok(AuditEnd { seq: number(row, "seq")?, hash: bytes32(row, "hash")? })
}

fn audit(row: &SqliteRow) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: number(row, "seq")?,
        entry: AuditEntry { at: Timestamp::from_ms(row.try_get("at")?), kind: row.try_get("kind")?, data: row.try_get("data")? },
        hash: bytes32(row, "hash")?,
    })
}

async fn anchor_in(executor: impl SqliteExecutor<'_>) -> Result<AuditEnd, StoreError> {
    let row = sqlx::query("SELECT seq, hash FROM audit_anchor WHERE id = 1").fetch_optional(executor).await?;
    row.as_ref().map_or(Ok(AuditEnd::default()), end)
}

async fn head_in(transaction: &mut Transaction<'static, Sqlite>) -> Result<AuditEnd, StoreError> {
    let last = sqlx::query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetch_optional(&mut **transaction).await?;
    match last {
        Some(row) => end(&row),
        None => anchor_in(&mut **transaction).await,
    }
}

/// Drops what is over `keep` and remembers the hash of the last one dropped.
async fn trim(transaction: &mut Transaction<'static, Sqlite>, head: u64, keep: u64) -> Result<(), StoreError> {
    let last_out = bound(head.saturating_sub(keep));
    let row = sqlx::query("SELECT seq, hash FROM audit WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1")
        .bind(last_out)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let anchor = end(&row)?;
    sqlx::query(
        "INSERT INTO audit_anchor (id, seq, hash) VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
    )
    .bind(bound(anchor.seq))
    .bind(anchor.hash.as_slice())
    .execute(&mut **transaction)
    .await?;
    sqlx::query("DELETE FROM audit WHERE seq <= ?1").bind(last_out).execute(&mut **transaction).await?;
    Ok(())
}

impl Store {
    /// Adds records in order, keeps the newest `keep`, and gives the new end of the chain. `hash` makes a record's hash from the one
    /// before, its number and its content. All or nothing, also beside another process.
    pub async fn audit_append(
        &self,
        entries: &[AuditEntry],
        keep: u64,
        hash: impl Fn(&[u8; 32], u64, &AuditEntry) -> [u8; 32] + Send + Sync,
    ) -> Result<AuditEnd, StoreError> {
        let mut transaction = self.transaction().await?;
        let mut head = head_in(&mut transaction).await?;
        for entry in entries {
            let seq = head.seq + 1;
            head = AuditEnd { seq, hash: hash(&head.hash, seq, entry) };
            sqlx::query("INSERT INTO audit (seq, at, kind, data, hash) VALUES (?1, ?2, ?3, ?4, ?5)")
                .bind(bound(seq))
                .bind(entry.at.ms())
                .bind(&entry.kind)
                .bind(&entry.data)
                .bind(head.hash.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        trim(&mut transaction, head.seq, keep).await?;
        transaction.commit().await?;
        Ok(head)
    }

    /// The anchor, and up to `limit` records after `after` (from the oldest kept one if `None`), oldest first; both as they stood at
    /// one moment.
    pub async fn audit_page(&self, after: Option<u64>, limit: u32) -> Result<(AuditEnd, Vec<AuditRow>), StoreError> {
        let mut transaction = self.reads().begin().await?;
        let anchor = anchor_in(&mut *transaction).await?;
        let rows = sqlx::query("SELECT seq, at, kind, data, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")
            .bind(bound(after.unwrap_or(anchor.seq)))
            .bind(limit)
            .fetch_all(&mut *transaction)
            .await?;
        Ok((anchor, rows.iter().map(audit).collect::<Result<_, _>>()?))
    }

    /// Up to `limit` records, newest first: not before `since`, with a number below `before`, and of these kinds. `kinds` has commas
    /// between full kinds (`access.login`) or their first words (`access`).
    pub async fn audit_search(
        &self,
        since: Timestamp,
        before: Option<u64>,
        kinds: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at, kind, data, hash FROM audit
             WHERE at >= ?1 AND seq < ?2
               AND (?3 IS NULL OR instr(?3, ',' || kind || ',') > 0
                    OR instr(?3, ',' || substr(kind, 1, max(instr(kind, '.') - 1, 0)) || ',') > 0)
             ORDER BY seq DESC LIMIT ?4",
        )
        .bind(since.ms())
        .bind(before.map_or(i64::MAX, bound))
        .bind(kinds.map(|kinds| format!(",{kinds},")))
        .bind(limit)
        .fetch_all(self.reads())
        .await?;
        rows.iter().map(audit).collect()
    }

    /// The end of the chain.
    pub async fn audit_head(&self) -> Result<AuditEnd, StoreError> {
        let row = sqlx::query(
            "SELECT seq, hash FROM (SELECT seq, hash FROM audit UNION ALL SELECT seq, hash FROM audit_anchor) ORDER BY seq DESC LIMIT 1",
        )
        .fetch_optional(self.reads())
        .await?;
        row.as_ref().map_or(Ok(AuditEnd::default()), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    /// Not a good hash, but one that shows what went into it.
    fn sum(before: &[u8; 32], seq: u64, entry: &AuditEntry) -> [u8; 32] {
        let mut hash = *before;
        hash[0] = hash[0].wrapping_add(u8::try_from(seq).unwrap());
        hash[1] = hash[1].wrapping_add(u8::try_from(entry.data.len()).unwrap());
        hash
    }

    fn entry(at: i64, kind: &str) -> AuditEntry {
        AuditEntry { at: Timestamp::from_ms(at), kind: kind.to_owned(), data: "{}".to_owned() }
    }

    #[tokio::test]
    async fn records_are_numbered_and_chained_in_order() {
        let (_folder, store) = temporary().await;
        assert_eq!(store.audit_head().await.unwrap(), AuditEnd::default());
        let head = store.audit_append(&[entry(1, "a"), entry(2, "b")], 10, sum).await.unwrap();
        assert_eq!((head.seq, head.hash[0], head.hash[1]), (2, 3, 4));
        let (anchor, rows) = store.audit_page(None, 10).await.unwrap();
        assert_eq!(anchor, AuditEnd::default());
        assert_eq!(rows.iter().map(|row| (row.seq, row.entry.kind.as_str())).collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
        assert_eq!(store.audit_page(Some(1), 10).await.unwrap().1.len(), 1);
        assert_eq!(store.audit_head().await.unwrap(), head);
    }

    #[tokio::test]
    async fn what_leaves_the_ring_leaves_its_hash_as_the_anchor() {
        let (_folder, store) = temporary().await;
        for at in 1..=5 {
            store.audit_append(&[entry(at, "a")], 2, sum).await.unwrap();
        }
        let (anchor, rows) = store.audit_page(None, 10).await.unwrap();
        assert_eq!((anchor.seq, rows.len(), rows[0].seq), (3, 2, 4));
        assert_eq!(sum(&anchor.hash, 4, &rows[0].entry), rows[0].hash);
        assert_eq!(store.audit_append(&[], 0, sum).await.unwrap().seq, 5);
        assert_eq!(store.audit_head().await.unwrap().seq, 5);
    }

    #[tokio::test]
    async fn records_are_found_by_time_number_and_kind() {
        let (_folder, store) = temporary().await;
        let entries = [entry(10, "access.login"), entry(20, "node.started"), entry(30, "access.key_minted"), entry(40, "plain")];
        store.audit_append(&entries, 10, sum).await.unwrap();
        let seqs = async |since, before, kinds, limit| {
            let rows = store.audit_search(Timestamp::from_ms(since), before, kinds, limit).await.unwrap();
            rows.iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        assert_eq!(seqs(0, None, None, 10).await, [4, 3, 2, 1]);
        assert_eq!(seqs(20, None, None, 2).await, [4, 3]);
        assert_eq!(seqs(20, Some(4), None, 10).await, [3, 2]);
        assert_eq!(seqs(0, None, Some("access"), 10).await, [3, 1]);
        assert_eq!(seqs(0, None, Some("access.login,plain"), 10).await, [4, 1]);
        assert_eq!(seqs(0, None, Some("acc"), 10).await, [0; 0]);
    }
}
