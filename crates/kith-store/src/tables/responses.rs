//! Stored responses: one row each, with the events of those that were streamed.

use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

/// What is known of a response without its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The response's id.
    pub id: String,
    /// Its status, a word of the caller's.
    pub status: String,
    /// The response it continues.
    pub previous: Option<String>,
    /// The model that was asked.
    pub model: String,
    /// Whether it goes on without its client.
    pub background: bool,
    /// Whether its events are kept.
    pub streamed: bool,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it came to its end; `None` while it runs.
    pub ended: Option<Timestamp>,
    /// Bytes of its texts.
    pub bytes: u64,
}

/// One row of `responses`, without its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRow {
    /// The small columns.
    pub head: ResponseHead,
    /// What was asked, as the caller wrote it.
    pub input: String,
    /// The answer so far, as the caller wrote it.
    pub body: String,
}

/// The end of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseEnd<'a> {
    /// Its last status.
    pub status: &'a str,
    /// The whole answer.
    pub body: &'a str,
    /// Its events, where they are kept.
    pub events: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

const HEAD: &str = "id, status, previous, model, background, streamed, created, ended, bytes";

fn head(row: &SqliteRow) -> Result<ResponseHead, StoreError> {
    let bytes: i64 = row.try_get("bytes")?;
    Ok(ResponseHead {
        id: row.try_get("id")?,
        status: row.try_get("status")?,
        previous: row.try_get("previous")?,
        model: row.try_get("model")?,
        background: row.try_get("background")?,
        streamed: row.try_get("streamed")?,
        created: Timestamp::from_ms(row.try_get("created")?),
        ended: row.try_get::<Option<i64>, _>("ended")?.map(Timestamp::from_ms),
        bytes: u64::try_from(bytes).map_err(|_| StoreError::Corrupt(format!("a response has {bytes} bytes")))?,
    })
}

impl Store {
    /// Writes a new response; `bytes` of its head is reckoned here.
    pub async fn response_insert(&self, row: &ResponseRow) -> Result<(), StoreError> {
        let bytes = i64::try_from(row.input.len() + row.body.len()).map_err(|error| StoreError::Other(error.into()))?;
        sqlx::query(
            "INSERT INTO responses (id, status, previous, model, background, streamed, created, ended, bytes, input, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .bind(&row.head.id)
        .bind(&row.head.status)
        .bind(&row.head.previous)
        .bind(&row.head.model)
        .bind(row.head.background)
        .bind(row.head.streamed)
        .bind(row.head.created.ms())
        .bind(row.head.ended.map(Timestamp::ms))
        .bind(bytes)
        .bind(&row.input)
        .bind(&row.body)
        .execute(self.writes())
        .await?;
        Ok(())
    }

    /// Changes status and body of a response that has not ended; says whether there is one.
    pub async fn response_update(&self, id: &str, status: &str, body: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE responses SET status = ?2, body = ?3, bytes = length(CAST(input AS BLOB)) + length(CAST(?3 AS BLOB)) \
             WHERE id = ?1 AND ended IS NULL",
        )
        .bind(id)
        .bind(status)
        .bind(body)
        .execute(self.writes())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a response that has not ended; says whether there is one.
    pub async fn response_end(&self, id: &str, end: &ResponseEnd<'_>) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE responses SET status = ?2, body = ?3, events = ?4, ended = ?5, bytes = length(CAST(input AS BLOB)) + \
             length(CAST(?3 AS BLOB)) + coalesce(length(CAST(?4 AS BLOB)), 0) WHERE id = ?1 AND ended IS NULL",
        )
        .bind(id)
        .bind(end.status)
        .bind(end.body)
        .bind(end.events)
        .bind(end.at.ms())
        .execute(self.writes())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// One response.
    pub async fn response(&self, id: &str) -> Result<Option<ResponseRow>, StoreError> {
        let sql = format!("SELECT {HEAD}, input, body FROM responses WHERE id = ?1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(self.reads()).await?;
        row.as_ref()
            .map(|row| Ok(ResponseRow { head: head(row)?, input: row.try_get("input")?, body: row.try_get("body")? }))
            .transpose()
    }

    /// The kept events of one response; `None` if there are none.
    pub async fn response_events(&self, id: &str) -> Result<Option<String>, StoreError> {
        let events: Option<Option<String>> =
            sqlx::query_scalar("SELECT events FROM responses WHERE id = ?1").bind(id).fetch_optional(self.reads()).await?;
        Ok(events.flatten())
    }

    /// The heads of the newest `limit` responses, newest first; only those of `status`, if given.
    pub async fn response_heads(&self, limit: u32, status: Option<&str>) -> Result<Vec<ResponseHead>, StoreError> {
        let sql = format!("SELECT {HEAD} FROM responses WHERE ?2 IS NULL OR status = ?2 ORDER BY created DESC, id DESC LIMIT ?1");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(limit).bind(status).fetch_all(self.reads()).await?;
        rows.iter().map(head).collect()
    }

    /// Deletes one response; says whether it was there.
    pub async fn response_delete(&self, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM responses WHERE id = ?1").bind(id).execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// The ids of responses that have not ended.
    pub async fn responses_unended(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM responses WHERE ended IS NULL").fetch_all(self.reads()).await?)
    }

    /// Ends a response whose work is gone, and leaves its body as it is; says whether it had not ended.
    pub async fn response_break_off(&self, id: &str, status: &str, at: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE responses SET status = ?2, ended = ?3 WHERE id = ?1 AND ended IS NULL")
            .bind(id)
            .bind(status)
            .bind(at.ms())
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes ended responses made before `before`, except those that a younger one continues, directly or through others.
    /// Says how many.
    pub async fn responses_expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "WITH RECURSIVE needed (id) AS ( \
               SELECT previous FROM responses WHERE previous IS NOT NULL AND created >= ?1 \
               UNION SELECT older.previous FROM responses AS older JOIN needed ON older.id = needed.id WHERE older.previous IS NOT NULL) \
             DELETE FROM responses WHERE created < ?1 AND ended IS NOT NULL AND id NOT IN (SELECT id FROM needed)",
        )
        .bind(before.ms())
        .execute(self.writes())
        .await?;
        Ok(done.rows_affected())
    }

    /// Deletes the oldest ended responses until at most `count` responses of at most `bytes` bytes together are left. Says how many.
    pub async fn responses_trim(&self, count: u64, bytes: u64) -> Result<u64, StoreError> {
        let bound = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let done = sqlx::query(
            "DELETE FROM responses WHERE ended IS NOT NULL AND id IN ( \
               SELECT id FROM (SELECT id, row_number() OVER newest AS place, sum(bytes) OVER newest AS total FROM responses \
                               WINDOW newest AS (ORDER BY created DESC, id DESC)) WHERE place > ?1 OR total > ?2)",
        )
        .bind(bound(count))
        .bind(bound(bytes))
        .execute(self.writes())
        .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    fn row(id: &str, created: i64, previous: Option<&str>) -> ResponseRow {
        ResponseRow {
            head: ResponseHead {
                id: id.to_owned(),
                status: "queued".to_owned(),
                previous: previous.map(str::to_owned),
                model: "m:1".to_owned(),
                background: true,
                streamed: true,
                created: Timestamp::from_ms(created),
                ended: None,
                bytes: 9,
            },
            input: "in".to_owned(),
            body: "{\"é\":1}".to_owned(),
        }
    }

    async fn put(store: &Store, id: &str, created: i64, previous: Option<&str>) {
        store.response_insert(&row(id, created, previous)).await.unwrap();
        let end = ResponseEnd { status: "completed", body: "12345678", events: None, at: Timestamp::from_ms(created) };
        assert!(store.response_end(id, &end).await.unwrap());
    }

    async fn ids(store: &Store) -> Vec<String> {
        store.response_heads(100, None).await.unwrap().into_iter().map(|head| head.id).collect()
    }

    #[tokio::test]
    async fn a_response_is_read_as_it_was_written_and_its_bytes_are_counted() {
        let (_folder, store) = temporary().await;
        let mut written = row("a", 5, Some("z"));
        store.response_insert(&written).await.unwrap();
        written.head.bytes = 10;
        assert_eq!(store.response("a").await.unwrap(), Some(written));
        assert_eq!(store.response("b").await.unwrap(), None);
        assert!(store.response_insert(&row("a", 5, None)).await.is_err());
    }

    #[tokio::test]
    async fn a_response_changes_until_it_ends_and_never_after() {
        let (_folder, store) = temporary().await;
        store.response_insert(&row("a", 5, None)).await.unwrap();
        assert!(store.response_update("a", "in_progress", "b").await.unwrap());
        assert_eq!(store.responses_unended().await.unwrap(), ["a"]);
        let end = ResponseEnd { status: "completed", body: "bod", events: Some("éé"), at: Timestamp::from_ms(8) };
        assert!(store.response_end("a", &end).await.unwrap());
        assert!(!store.response_end("a", &end).await.unwrap());
        assert!(!store.response_update("a", "queued", "x").await.unwrap());
        assert!(!store.response_break_off("a", "failed", Timestamp::from_ms(9)).await.unwrap());
        let head = store.response("a").await.unwrap().unwrap().head;
        assert_eq!((head.status.as_str(), head.ended, head.bytes), ("completed", Some(Timestamp::from_ms(8)), 2 + 3 + 4));
        assert_eq!(store.response_events("a").await.unwrap().as_deref(), Some("éé"));
        assert_eq!(store.response_events("b").await.unwrap(), None);
        assert_eq!(store.responses_unended().await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn what_broke_off_has_ended_with_the_body_it_had() {
        let (_folder, store) = temporary().await;
        store.response_insert(&row("a", 5, None)).await.unwrap();
        assert!(store.response_break_off("a", "failed", Timestamp::from_ms(9)).await.unwrap());
        let found = store.response("a").await.unwrap().unwrap();
        assert_eq!((found.head.status.as_str(), found.body.as_str()), ("failed", "{\"é\":1}"));
    }

    #[tokio::test]
    async fn heads_are_listed_newest_first_and_by_status() {
        let (_folder, store) = temporary().await;
        put(&store, "a", 1, None).await;
        put(&store, "c", 3, None).await;
        store.response_insert(&row("b", 2, None)).await.unwrap();
        assert_eq!(ids(&store).await, ["c", "b", "a"]);
        assert_eq!(store.response_heads(1, None).await.unwrap()[0].id, "c");
        let queued = store.response_heads(9, Some("queued")).await.unwrap();
        assert_eq!(queued.iter().map(|head| head.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[tokio::test]
    async fn deleting_says_whether_it_was_there() {
        let (_folder, store) = temporary().await;
        put(&store, "a", 1, None).await;
        assert!(store.response_delete("a").await.unwrap());
        assert!(!store.response_delete("a").await.unwrap());
    }

    #[tokio::test]
    async fn old_ones_expire_unless_a_younger_one_continues_them_or_they_still_run() {
        let (_folder, store) = temporary().await;
        put(&store, "grandmother", 1, None).await;
        put(&store, "mother", 2, Some("grandmother")).await;
        put(&store, "lonely", 3, None).await;
        store.response_insert(&row("running", 4, None)).await.unwrap();
        put(&store, "child", 100, Some("mother")).await;
        assert_eq!(store.responses_expire(Timestamp::from_ms(50)).await.unwrap(), 1);
        assert_eq!(ids(&store).await, ["child", "running", "mother", "grandmother"]);
        assert_eq!(store.responses_expire(Timestamp::from_ms(101)).await.unwrap(), 3);
        assert_eq!(ids(&store).await, ["running"]);
    }

    #[tokio::test]
    async fn the_oldest_ended_ones_leave_when_there_are_too_many_or_too_large_ones() {
        let (_folder, store) = temporary().await;
        for (id, created) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            put(&store, id, created, None).await;
        }
        assert_eq!(store.responses_trim(4, 40).await.unwrap(), 0);
        assert_eq!(store.responses_trim(3, 40).await.unwrap(), 1);
        assert_eq!(ids(&store).await, ["d", "c", "b"]);
        assert_eq!(store.responses_trim(3, 29).await.unwrap(), 1);
        assert_eq!(ids(&store).await, ["d", "c"]);
    }
}
