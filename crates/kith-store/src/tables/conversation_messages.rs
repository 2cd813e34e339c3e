//! Messages of conversations: a tree for each, by their parents; and the pictures they show.

use super::{bytes32, conversations::kept};
use crate::{ConversationRow, Store, StoreError};
use kith_types::{Blake3, Timestamp};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};
use std::collections::HashSet;

/// One row of `conversation_messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its id, unique in its conversation.
    pub id: String,
    /// The message it follows; `None` for one that begins.
    pub parent: Option<String>,
    /// Who speaks, a word of the caller's.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Everything else of it, a JSON object.
    pub details: String,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// One row of `conversation_pictures`, without its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureRow {
    /// The picture's bytes in the blob store.
    pub blob: Blake3,
    /// Their number; at most 2^63 - 1.
    pub size: u64,
    /// What they are: `image/png`.
    pub media_type: String,
}

/// A message that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct MessageNew<'a> {
    /// Its id.
    pub id: &'a str,
    /// The message it follows: `None` is the conversation's head, an inner `None` none at all.
    pub parent: Option<Option<&'a str>>,
    /// Who speaks.
    pub role: &'a str,
    /// What is said.
    pub content: &'a str,
    /// Everything else of it, a JSON object.
    pub details: &'a str,
    /// Its pictures, each blob once.
    pub pictures: &'a [PictureRow],
    /// A title for a conversation that has none and was given none.
    pub title: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

impl MessageNew<'_> {
    fn bytes(&self) -> u64 {
        (self.content.len() + self.details.len()) as u64
    }

    fn picture_bytes(&self) -> u64 {
        self.pictures.iter().fold(0, |sum, picture| sum.saturating_add(picture.size))
    }
}

/// How much one conversation may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageBounds {
    /// Messages.
    pub messages: u64,
    /// Bytes of their texts together.
    pub bytes: u64,
    /// Bytes of their pictures together.
    pub picture_bytes: u64,
}

/// What writing a message did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessagePut {
    /// It was written: the conversation and the message as they stand now.
    Done(ConversationRow, MessageRow),
    /// There is one of that id: the conversation and the message as they are. Nothing was done.
    Exists(ConversationRow, MessageRow),
    /// There is none of that id. Nothing was done.
    NoMessage,
    /// There is no such conversation.
    NoConversation,
    /// The parent is none of the conversation's messages. Nothing was done.
    NoParent,
    /// The message there is has another role or another parent. Nothing was done.
    Differs,
    /// The conversation has as many messages as it may.
    TooMany,
    /// The conversation's texts would be larger than they may.
    TooLarge,
    /// The conversation's pictures would be larger than they may.
    TooLargePictures,
}

const COLUMNS: &str = "m.id, m.parent, m.role, m.content, m.details, m.created, m.updated";

fn message(row: &SqliteRow) -> Result<MessageRow, StoreError> {
    Ok(MessageRow {
        id: row.try_get("id")?,
        parent: row.try_get("parent")?,
        role: row.try_get("role")?,
        content: row.try_get("content")?,
        details: row.try_get("details")?,
        created: Timestamp::from_ms(row.try_get("created")?),
        updated: Timestamp::from_ms(row.try_get("updated")?),
    })
}

/// The message with this id, its number and its bytes.
async fn found(connection: &mut SqliteConnection, seq: i64, id: &str) -> Result<Option<(i64, u64, MessageRow)>, StoreError> {
    let sql = format!("SELECT m.seq, m.bytes, {COLUMNS} FROM conversation_messages AS m WHERE m.conversation = ?1 AND m.id = ?2");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(seq).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(|row| Ok((row.try_get("seq")?, row.try_get::<i64, _>("bytes")?.unsigned_abs(), message(row)?))).transpose()
}

/// Whether the conversation has a message with this id.
pub(super) async fn has(connection: &mut SqliteConnection, seq: i64, id: &str) -> Result<bool, StoreError> {
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM conversation_messages WHERE conversation = ?1 AND id = ?2")
        .bind(seq)
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(there > 0)
}

/// A number as the file keeps it.
fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|error| StoreError::Other(error.into()))
}

/// Whether a conversation's pictures fit, those of one message (if any) left out and these put in.
async fn pictures_fit(
    connection: &mut SqliteConnection,
    (conversation, but): (i64, i64),
    new: &MessageNew<'_>,
    most: u64,
) -> Result<bool, StoreError> {
    if new.pictures.is_empty() {
        return Ok(true);
    }
    let there: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(p.size), 0) FROM conversation_messages AS m JOIN conversation_pictures AS p ON p.message = m.seq \
         WHERE m.conversation = ?1 AND m.seq <> ?2",
    )
    .bind(conversation)
    .bind(but)
    .fetch_one(connection)
    .await?;
    Ok(there.unsigned_abs().saturating_add(new.picture_bytes()) <= most)
}

async fn set_pictures(connection: &mut SqliteConnection, seq: i64, pictures: &[PictureRow]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM conversation_pictures WHERE message = ?1").bind(seq).execute(&mut *connection).await?;
    for picture in pictures {
        sqlx::query("INSERT INTO conversation_pictures (message, blob, size, media_type) VALUES (?1, ?2, ?3, ?4)")
            .bind(seq)
            .bind(picture.blob.as_bytes().as_slice())
            .bind(stored(picture.size)?)
            .bind(&picture.media_type)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The conversation and the message after a change.
async fn done(connection: &mut SqliteConnection, conversation: &str, id: &str) -> Result<MessagePut, StoreError> {
    let Some((seq, row)) = kept(connection, conversation).await? else { return Ok(MessagePut::NoConversation) };
    let Some((_, _, message)) = found(connection, seq, id).await? else { return Ok(MessagePut::NoMessage) };
    Ok(MessagePut::Done(row, message))
}

impl Store {
    /// Adds a message, which becomes the conversation's head.
    pub async fn message_add(
        &self,
        conversation: &str,
        new: &MessageNew<'_>,
        bounds: &MessageBounds,
    ) -> Result<MessagePut, StoreError> {
        let mut transaction = self.transaction().await?;
        let Some((seq, row)) = kept(&mut transaction, conversation).await? else { return Ok(MessagePut::NoConversation) };
        if let Some((_, _, there)) = found(&mut transaction, seq, new.id).await? {
            return Ok(MessagePut::Exists(row, there));
        }
        let parent = new.parent.map_or(row.head.as_deref(), |parent| parent);
        if let Some(parent) = parent
            && !has(&mut transaction, seq, parent).await?
        {
            return Ok(MessagePut::NoParent);
        }
        if row.messages >= bounds.messages {
            return Ok(MessagePut::TooMany);
        }
        if row.bytes.saturating_add(new.bytes()) > bounds.bytes {
            return Ok(MessagePut::TooLarge);
        }
        if !pictures_fit(&mut transaction, (seq, 0), new, bounds.picture_bytes).await? {
            return Ok(MessagePut::TooLargePictures);
        }
        let bytes = stored(new.bytes())?;
        let added: i64 = sqlx::query_scalar(
            "INSERT INTO conversation_messages (conversation, id, parent, role, bytes, created, updated, content, details) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) RETURNING seq",
        )
        .bind(seq)
        .bind(new.id)
        .bind(parent)
        .bind(new.role)
        .bind(bytes)
        .bind(new.at.ms())
        .bind(new.content)
        .bind(new.details)
        .fetch_one(&mut *transaction)
        .await?;
        set_pictures(&mut transaction, added, new.pictures).await?;
        sqlx::query(
            "UPDATE conversations SET head = ?2, messages = messages + 1, bytes = bytes + ?3, updated = max(updated, ?4), \
             title = iif(named = 0 AND title = '' AND ?5 IS NOT NULL, ?5, title) WHERE seq = ?1",
        )
        .bind(seq)
        .bind(new.id)
        .bind(bytes)
        .bind(new.at.ms())
        .bind(new.title)
        .execute(&mut *transaction)
        .await?;
        let put = done(&mut transaction, conversation, new.id).await?;
        transaction.commit().await?;
        Ok(put)
    }

    /// Replaces a message's content, details and pictures. Its place in the tree and its role stay; `parent` must be the one it has,
    /// if given.
    pub async fn message_replace(
        &self,
        conversation: &str,
        new: &MessageNew<'_>,
        bounds: &MessageBounds,
    ) -> Result<MessagePut, StoreError> {
        let mut transaction = self.transaction().await?;
        let Some((seq, row)) = kept(&mut transaction, conversation).await? else { return Ok(MessagePut::NoConversation) };
        let Some((message, bytes, there)) = found(&mut transaction, seq, new.id).await? else { return Ok(MessagePut::NoMessage) };
        if there.role != new.role || new.parent.is_some_and(|parent| parent != there.parent.as_deref()) {
            return Ok(MessagePut::Differs);
        }
        let total = row.bytes.saturating_sub(bytes).saturating_add(new.bytes());
        if total > bounds.bytes {
            return Ok(MessagePut::TooLarge);
        }
        if !pictures_fit(&mut transaction, (seq, message), new, bounds.picture_bytes).await? {
            return Ok(MessagePut::TooLargePictures);
        }
        sqlx::query("UPDATE conversation_messages SET content = ?2, details = ?3, bytes = ?4, updated = ?5 WHERE seq = ?1")
            .bind(message)
            .bind(new.content)
            .bind(new.details)
            .bind(stored(new.bytes())?)
            .bind(new.at.ms())
            .execute(&mut *transaction)
            .await?;
        set_pictures(&mut transaction, message, new.pictures).await?;
        sqlx::query("UPDATE conversations SET bytes = ?2, updated = max(updated, ?3) WHERE seq = ?1")
            .bind(seq)
            .bind(stored(total)?)
            .bind(new.at.ms())
            .execute(&mut *transaction)
            .await?;
        let put = done(&mut transaction, conversation, new.id).await?;
        transaction.commit().await?;
        Ok(put)
    }

    /// One message of a conversation, thrown away or not.
    pub async fn message(&self, conversation: &str, id: &str) -> Result<Option<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM conversations AS c JOIN conversation_messages AS m ON m.conversation = c.seq AND m.id = ?2 \
             WHERE c.id = ?1"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(conversation).bind(id).fetch_optional(self.reads()).await?;
        row.as_ref().map(message).transpose()
    }

    /// All messages of a conversation in the order in which they were added: a parent stands before its children.
    pub async fn messages(&self, conversation: &str) -> Result<Vec<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM conversation_messages AS m WHERE m.conversation = (SELECT seq FROM conversations WHERE id = ?1) \
             ORDER BY m.seq"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(conversation).fetch_all(self.reads()).await?;
        rows.iter().map(message).collect()
    }

    /// The first message of this role in a conversation.
    pub async fn message_first(&self, conversation: &str, role: &str) -> Result<Option<MessageRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM conversation_messages AS m WHERE m.conversation = (SELECT seq FROM conversations WHERE id = ?1) \
             AND m.role = ?2 ORDER BY m.seq LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(conversation).bind(role).fetch_optional(self.reads()).await?;
        row.as_ref().map(message).transpose()
    }

    /// A picture that some message of the conversation shows.
    pub async fn picture(&self, conversation: &str, blob: &Blake3) -> Result<Option<PictureRow>, StoreError> {
        let row = sqlx::query(
            "SELECT p.size, p.media_type FROM conversation_pictures AS p JOIN conversation_messages AS m ON m.seq = p.message \
             JOIN conversations AS c ON c.seq = m.conversation WHERE p.blob = ?2 AND c.id = ?1 LIMIT 1",
        )
        .bind(conversation)
        .bind(blob.as_bytes().as_slice())
        .fetch_optional(self.reads())
        .await?;
        row.map(|row| {
            let size: i64 = row.try_get("size")?;
            Ok(PictureRow { blob: *blob, size: size.unsigned_abs(), media_type: row.try_get("media_type")? })
        })
        .transpose()
    }

    /// The blobs of all pictures that some message shows.
    pub async fn picture_blobs(&self) -> Result<HashSet<Blake3>, StoreError> {
        let rows = sqlx::query("SELECT DISTINCT blob FROM conversation_pictures").fetch_all(self.reads()).await?;
        rows.iter().map(|row| Ok(Blake3::from_bytes(bytes32(row, "blob")?))).collect()
    }
}

#[cfg(test)]
mod tests;
