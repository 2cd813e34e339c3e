//! Conversations: one row each. Their messages have a table of their own.

use super::conversation_messages::has;
use crate::{Store, StoreError};
use kith_types::Timestamp;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};

/// The small columns of a row of `conversations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub id: String,
    /// Its title; empty before there is one.
    pub title: String,
    /// Whether somebody gave it that title.
    pub named: bool,
    /// Whether it stands before the others.
    pub pinned: bool,
    /// The model it is held with.
    pub model: Option<String>,
    /// The last message of the branch that is shown.
    pub head: Option<String>,
    /// How many messages it has; kept by the statements.
    pub messages: u64,
    /// Bytes of its messages' texts; kept by the statements.
    pub bytes: u64,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was last talked in.
    pub updated: Timestamp,
    /// When it was thrown away.
    pub deleted: Option<Timestamp>,
}

/// The large columns of a row of `conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationTexts {
    /// Its system prompt.
    pub system: Option<String>,
    /// Its options, a JSON object.
    pub options: Option<String>,
}

/// What adding a conversation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationPut {
    /// It is new.
    Added,
    /// There is one of that id; nothing was done.
    Exists,
    /// There are as many as may be; nothing was done.
    Full,
}

/// What is to change in a conversation; `None` leaves, an inner `None` takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConversationChange<'a> {
    /// A title, and whether somebody gave it.
    pub title: Option<(&'a str, bool)>,
    /// Whether it stands before the others.
    pub pinned: Option<bool>,
    /// The model it is held with.
    pub model: Option<Option<&'a str>>,
    /// Its system prompt.
    pub system: Option<Option<&'a str>>,
    /// Its options, a JSON object.
    pub options: Option<Option<&'a str>>,
    /// The last message of the branch that is to be shown.
    pub head: Option<&'a str>,
}

/// What changing a conversation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationChanged {
    /// It is changed.
    Done,
    /// There is no such conversation.
    NoConversation,
    /// The new head is none of its messages; nothing was done.
    NoMessage,
}

/// What copying a branch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationForked {
    /// The new conversation is there.
    Made,
    /// There is no such conversation.
    NoConversation,
    /// It has no such message.
    NoMessage,
    /// The new id is taken; nothing was done.
    Exists,
    /// There are as many as may be; nothing was done.
    Full,
}

pub(super) const COLUMNS: &str =
    "c.id, c.title, c.named, c.pinned, c.model, c.head, c.messages, c.bytes, c.created, c.updated, c.deleted";

fn count(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(|_| StoreError::Corrupt(format!("column `{column}` of a conversation is {count}")))
}

pub(super) fn conversation(row: &SqliteRow) -> Result<ConversationRow, StoreError> {
    Ok(ConversationRow {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        named: row.try_get("named")?,
        pinned: row.try_get("pinned")?,
        model: row.try_get("model")?,
        head: row.try_get("head")?,
        messages: count(row, "messages")?,
        bytes: count(row, "bytes")?,
        created: Timestamp::from_ms(row.try_get("created")?),
        updated: Timestamp::from_ms(row.try_get("updated")?),
        deleted: row.try_get::<Option<i64>, _>("deleted")?.map(Timestamp::from_ms),
    })
}

/// The number of the conversation with this id, thrown away or not.
pub(super) async fn number(connection: &mut SqliteConnection, id: &str) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar("SELECT seq FROM conversations WHERE id = ?1").bind(id).fetch_optional(connection).await?)
}

/// The row and number of the conversation with this id, unless it was thrown away.
pub(super) async fn kept(connection: &mut SqliteConnection, id: &str) -> Result<Option<(i64, ConversationRow)>, StoreError> {
    let sql = format!("SELECT c.seq, {COLUMNS} FROM conversations AS c WHERE c.id = ?1 AND c.deleted IS NULL");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(|row| Ok((row.try_get("seq")?, conversation(row)?))).transpose()
}

async fn add(
    connection: &mut SqliteConnection,
    row: &ConversationRow,
    texts: &ConversationTexts,
    most: u64,
) -> Result<ConversationPut, StoreError> {
    if number(connection, &row.id).await?.is_some() {
        return Ok(ConversationPut::Exists);
    }
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM conversations").fetch_one(&mut *connection).await?;
    if there.unsigned_abs() >= most {
        return Ok(ConversationPut::Full);
    }
    sqlx::query(
        "INSERT INTO conversations (id, title, named, pinned, model, messages, bytes, created, updated, options, system) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?7, ?8, ?9)",
    )
    .bind(&row.id)
    .bind(&row.title)
    .bind(row.named)
    .bind(row.pinned)
    .bind(&row.model)
    .bind(row.created.ms())
    .bind(row.updated.ms())
    .bind(&texts.options)
    .bind(&texts.system)
    .execute(connection)
    .await?;
    Ok(ConversationPut::Added)
}

impl Store {
    /// Adds a conversation without messages, of which there may be `most`. Head, counts and `deleted` of the row are not looked at.
    pub async fn conversation_add(
        &self,
        row: &ConversationRow,
        texts: &ConversationTexts,
        most: u64,
    ) -> Result<ConversationPut, StoreError> {
        let mut transaction = self.transaction().await?;
        let put = add(&mut transaction, row, texts, most).await?;
        transaction.commit().await?;
        Ok(put)
    }

    /// The conversation with this id, thrown away or not.
    pub async fn conversation(&self, id: &str) -> Result<Option<(ConversationRow, ConversationTexts)>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, c.system, c.options FROM conversations AS c WHERE c.id = ?1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(self.reads()).await?;
        row.as_ref()
            .map(|row| {
                let texts = ConversationTexts { system: row.try_get("system")?, options: row.try_get("options")? };
                Ok((conversation(row)?, texts))
            })
            .transpose()
    }

    /// Changes a conversation that was not thrown away: all of it or nothing.
    pub async fn conversation_change(
        &self,
        id: &str,
        change: &ConversationChange<'_>,
    ) -> Result<ConversationChanged, StoreError> {
        let mut transaction = self.transaction().await?;
        let Some((seq, _)) = kept(&mut transaction, id).await? else { return Ok(ConversationChanged::NoConversation) };
        if let Some(head) = change.head
            && !has(&mut transaction, seq, head).await?
        {
            return Ok(ConversationChanged::NoMessage);
        }
        sqlx::query(
            "UPDATE conversations SET title = coalesce(?2, title), named = coalesce(?3, named), pinned = coalesce(?4, pinned), \
             model = iif(?5, ?6, model), system = iif(?7, ?8, system), options = iif(?9, ?10, options), head = coalesce(?11, head) \
             WHERE seq = ?1",
        )
        .bind(seq)
        .bind(change.title.map(|(title, _)| title))
        .bind(change.title.map(|(_, named)| named))
        .bind(change.pinned)
        .bind(change.model.is_some())
        .bind(change.model.flatten())
        .bind(change.system.is_some())
        .bind(change.system.flatten())
        .bind(change.options.is_some())
        .bind(change.options.flatten())
        .bind(change.head)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(ConversationChanged::Done)
    }

    /// Throws a conversation away, or brings it back (`at` is `None`). Says whether there is one. What was thrown away before keeps
    /// its time.
    pub async fn conversation_mark(&self, id: &str, at: Option<Timestamp>) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE conversations SET deleted = iif(?2 IS NULL, NULL, coalesce(deleted, ?2)) WHERE id = ?1")
            .bind(id)
            .bind(at.map(Timestamp::ms))
            .execute(self.writes())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes a conversation with its messages; says whether it was there.
    pub async fn conversation_delete(&self, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM conversations WHERE id = ?1").bind(id).execute(self.writes()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes one conversation that was thrown away before `before`; says whether there was one.
    pub async fn conversation_expire(&self, before: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "DELETE FROM conversations WHERE seq = (SELECT seq FROM conversations WHERE deleted < ?1 ORDER BY deleted LIMIT 1)",
        )
        .bind(before.ms())
        .execute(self.writes())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Copies the branch of `source` that ends in `at` (its head, if `None`) into the new conversation `row`, which keeps the source's
    /// model, options and system prompt. The copies keep their ids and times. Of conversations there may be `most`.
    pub async fn conversation_fork(
        &self,
        source: &str,
        at: Option<&str>,
        row: &ConversationRow,
        most: u64,
    ) -> Result<ConversationForked, StoreError> {
        let mut transaction = self.transaction().await?;
        let Some((from, old)) = kept(&mut transaction, source).await? else { return Ok(ConversationForked::NoConversation) };
        match add(&mut transaction, row, &ConversationTexts::default(), most).await? {
            ConversationPut::Added => {}
            ConversationPut::Exists => return Ok(ConversationForked::Exists),
            ConversationPut::Full => return Ok(ConversationForked::Full),
        }
        let to = number(&mut transaction, &row.id).await?;
        let head = at.map(str::to_owned).or(old.head);
        let copied = sqlx::query(
            "WITH RECURSIVE path (seq, parent, depth) AS ( \
               SELECT seq, parent, 0 FROM conversation_messages WHERE conversation = ?1 AND id = ?2 \
               UNION ALL SELECT m.seq, m.parent, depth + 1 FROM path JOIN conversation_messages AS m \
                 ON m.conversation = ?1 AND m.id = path.parent) \
             INSERT INTO conversation_messages (conversation, id, parent, role, bytes, created, updated, content, details) \
             SELECT ?3, m.id, m.parent, m.role, m.bytes, m.created, m.updated, m.content, m.details \
             FROM path JOIN conversation_messages AS m ON m.seq = path.seq ORDER BY path.depth DESC",
        )
        .bind(from)
        .bind(&head)
        .bind(to)
        .execute(&mut *transaction)
        .await?;
        if copied.rows_affected() == 0 && at.is_some() {
            return Ok(ConversationForked::NoMessage);
        }
        sqlx::query(
            "INSERT INTO conversation_pictures (message, blob, size, media_type) \
             SELECT copy.seq, p.blob, p.size, p.media_type FROM conversation_messages AS copy \
             JOIN conversation_messages AS m ON m.conversation = ?1 AND m.id = copy.id \
             JOIN conversation_pictures AS p ON p.message = m.seq WHERE copy.conversation = ?2",
        )
        .bind(from)
        .bind(to)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE conversations SET head = ?3, (messages, bytes) = \
               (SELECT count(*), coalesce(sum(bytes), 0) FROM conversation_messages WHERE conversation = ?2), \
             (model, options, system) = (SELECT model, options, system FROM conversations WHERE seq = ?1) WHERE seq = ?2",
        )
        .bind(from)
        .bind(to)
        .bind(&head)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(ConversationForked::Made)
    }
}

#[cfg(test)]
pub(super) mod tests;
