//! Lists of conversations: pinned ones first, then the last talked in; all, or those with certain words in title or messages.

use super::conversations::{COLUMNS, conversation};
use crate::{ConversationRow, Store, StoreError};
use kith_types::Timestamp;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

/// Where a page of the list ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationPlace {
    /// Whether the last conversation was pinned.
    pub pinned: bool,
    /// When it was last talked in.
    pub updated: Timestamp,
    /// Its id.
    pub id: String,
}

/// What the title, or one message, of a conversation must have. At least one of the two is to be given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationWords {
    /// A query of the full-text index.
    pub words: Option<String>,
    /// Texts that must occur letter by letter, ASCII letters of either case; found without the index.
    pub letters: Vec<String>,
}

/// A conversation that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationHit {
    /// The conversation.
    pub row: ConversationRow,
    /// A piece of the last message with the words; `None` if only the title has them.
    pub snippet: Option<String>,
}

/// Tokens of a snippet by the index.
const SNIPPET_TOKENS: u32 = 16;
/// Characters of a snippet before what was found letter by letter, and in all.
const SNIPPET_LEAD: u32 = 40;
const SNIPPET_LENGTH: u32 = 160;

/// `text` as a pattern that stands for itself anywhere.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The conditions on the texts in `column`; ?1 is the query of the index, the patterns are ?6 and on.
fn conditions(sought: &ConversationWords, index: &str, column: &str) -> String {
    let words = sought.words.iter().map(|_| format!("{index} MATCH ?1"));
    let letters = (0..sought.letters.len()).map(|at| format!("{column} LIKE ?{} ESCAPE '\\'", at + 6));
    words.chain(letters).collect::<Vec<_>>().join(" AND ")
}

fn statement(sought: &ConversationWords) -> String {
    let (titles, messages) = match sought.words {
        Some(_) => (
            "conversation_titles JOIN conversations AS t ON t.seq = conversation_titles.rowid",
            "conversation_words JOIN conversation_messages AS m ON m.seq = conversation_words.rowid",
        ),
        None => ("conversations AS t", "conversation_messages AS m"),
    };
    format!(
        "WITH titled (conversation) AS (SELECT t.seq FROM {titles} WHERE {}), \
         said (conversation, message) AS (SELECT m.conversation, max(m.seq) FROM {messages} WHERE {} GROUP BY m.conversation) \
         SELECT said.message, {COLUMNS} FROM conversations AS c LEFT JOIN said ON said.conversation = c.seq \
         WHERE c.deleted IS NULL AND (said.message IS NOT NULL OR c.seq IN (SELECT conversation FROM titled)) \
         AND (?3 IS NULL OR (c.pinned, c.updated, c.id) < (?3, ?4, ?5)) \
         ORDER BY c.pinned DESC, c.updated DESC, c.id DESC LIMIT ?2",
        conditions(sought, "conversation_titles", "t.title"),
        conditions(sought, "conversation_words", "m.content"),
    )
}

async fn snippet(
    connection: &mut SqliteConnection,
    sought: &ConversationWords,
    message: i64,
) -> Result<Option<String>, StoreError> {
    let query = match (&sought.words, sought.letters.first()) {
        (Some(words), _) => sqlx::query_scalar(
            "SELECT snippet(conversation_words, 0, '', '', '…', ?3) FROM conversation_words \
             WHERE conversation_words MATCH ?1 AND rowid = ?2",
        )
        .bind(words)
        .bind(message)
        .bind(SNIPPET_TOKENS),
        (None, Some(letters)) => sqlx::query_scalar(
            "SELECT substr(content, max(1, instr(lower(content), lower(?1)) - ?3), ?4) FROM conversation_messages WHERE seq = ?2",
        )
        .bind(letters)
        .bind(message)
        .bind(SNIPPET_LEAD)
        .bind(SNIPPET_LENGTH),
        (None, None) => return Ok(None),
    };
    Ok(query.fetch_optional(connection).await?)
}

impl Store {
    /// At most `limit` conversations after `after`: those thrown away if `deleted`, else those that were not.
    pub async fn conversations_page(
        &self,
        deleted: bool,
        after: Option<&ConversationPlace>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        let which = if deleted { "IS NOT NULL" } else { "IS NULL" };
        let beyond = if after.is_some() { "AND (c.pinned, c.updated, c.id) < (?2, ?3, ?4)" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS} FROM conversations AS c WHERE c.deleted {which} {beyond} \
             ORDER BY c.pinned DESC, c.updated DESC, c.id DESC LIMIT ?1"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(limit);
        if let Some(after) = after {
            query = query.bind(after.pinned).bind(after.updated.ms()).bind(&after.id);
        }
        let rows = query.fetch_all(self.reads()).await?;
        rows.iter().map(conversation).collect()
    }

    /// At most `limit` conversations after `after` whose title, or one of whose messages, has all that is sought.
    pub async fn conversations_search(
        &self,
        sought: &ConversationWords,
        after: Option<&ConversationPlace>,
        limit: u32,
    ) -> Result<Vec<ConversationHit>, StoreError> {
        if sought.words.is_none() && sought.letters.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = sqlx::query(AssertSqlSafe(statement(sought)))
            .bind(sought.words.as_deref())
            .bind(limit)
            .bind(after.map(|place| place.pinned))
            .bind(after.map(|place| place.updated.ms()))
            .bind(after.map(|place| place.id.as_str()));
        for letters in &sought.letters {
            query = query.bind(pattern(letters));
        }
        let mut connection = self.reads().acquire().await?;
        let rows = query.fetch_all(&mut *connection).await?;
        let mut hits = Vec::with_capacity(rows.len());
        for row in &rows {
            let snippet = match row.try_get::<Option<i64>, _>("message")? {
                Some(message) => snippet(&mut connection, sought, message).await?,
                None => None,
            };
            hits.push(ConversationHit { row: conversation(row)?, snippet });
        }
        Ok(hits)
    }
}

#[cfg(test)]
mod tests;
