//! A conversation: what is told of it, asked of it, and changed in it.

use crate::{ConversationsError, Message};
use kith_store::{ConversationPlace, ConversationRow};
use kith_types::Timestamp;
use serde_json::{Map, Value};

/// The longest name of a model, in characters.
pub const MAX_MODEL_CHARS: usize = 256;
/// The longest system prompt, in bytes.
pub const MAX_SYSTEM_BYTES: usize = 256 << 10;
/// The most bytes of a conversation's options as JSON.
pub const MAX_OPTIONS_BYTES: usize = 16 << 10;

/// A conversation without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its title; empty before the user has said anything.
    pub title: String,
    /// Whether somebody gave it that title.
    pub named: bool,
    /// Whether it stands before the others.
    pub pinned: bool,
    /// The model it is held with.
    pub model: Option<String>,
    /// The last message of the branch that is shown; `None` without messages.
    pub head: Option<String>,
    /// How many messages it has, on all branches.
    pub messages: u64,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was last talked in.
    pub updated: Timestamp,
    /// When it was thrown away.
    pub deleted: Option<Timestamp>,
}

impl From<ConversationRow> for Summary {
    fn from(row: ConversationRow) -> Self {
        Self {
            id: row.id,
            title: row.title,
            named: row.named,
            pinned: row.pinned,
            model: row.model,
            head: row.head,
            messages: row.messages,
            created: row.created,
            updated: row.updated,
            deleted: row.deleted,
        }
    }
}

/// A conversation with its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// All but its texts.
    pub summary: Summary,
    /// Its system prompt.
    pub system: Option<String>,
    /// Its options, which are passed through unread.
    pub options: Option<Map<String, Value>>,
    /// Its messages, a parent before its children.
    pub messages: Vec<Message>,
}

/// A conversation that is to be begun.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct New {
    /// Its id; made here without one.
    pub id: Option<String>,
    /// Its title; taken from the user's first message without one.
    pub title: Option<String>,
    /// The model it is to be held with.
    pub model: Option<String>,
    /// Its system prompt.
    pub system: Option<String>,
    /// Its options.
    pub options: Option<Map<String, Value>>,
}

/// What is to change in a conversation; `None` leaves, an inner `None` takes away.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// Its title; taken away, it is the user's first message's again.
    pub title: Option<Option<String>>,
    /// Whether it stands before the others.
    pub pinned: Option<bool>,
    /// The model it is held with.
    pub model: Option<Option<String>>,
    /// Its system prompt.
    pub system: Option<Option<String>>,
    /// Its options, all of them.
    pub options: Option<Option<Map<String, Value>>>,
    /// The last message of the branch that is to be shown.
    pub head: Option<String>,
}

/// Which conversations are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Words that the title or one message must have. Nothing but white space is no wish.
    pub query: Option<String>,
    /// Those that were thrown away, instead of those that were not. Not together with `query`.
    pub deleted: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// A conversation that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The conversation.
    pub summary: Summary,
    /// Where a message has the words, a piece of the last one that has.
    pub snippet: Option<String>,
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Pinned ones first, then the last talked in.
    pub conversations: Vec<Found>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// The place behind a conversation, as text for clients.
pub(crate) fn cursor(summary: &Summary) -> String {
    format!("{}.{}.{}", u8::from(summary.pinned), summary.updated.ms(), summary.id)
}

/// Reads what [`cursor`] wrote.
pub(crate) fn place(cursor: &str) -> Result<ConversationPlace, ConversationsError> {
    let read = || {
        let mut parts = cursor.splitn(3, '.');
        let pinned = match parts.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let updated = Timestamp::from_ms(parts.next()?.parse().ok()?);
        let id = parts.next()?.to_owned();
        crate::id::check("cursor", &id).ok()?;
        Some(ConversationPlace { pinned, updated, id })
    };
    read().ok_or_else(|| ConversationsError::invalid("cursor", "must be the `next` of a page before"))
}

/// Checks the name of a model.
pub(crate) fn check_model(model: &str) -> Result<(), ConversationsError> {
    if model.is_empty() || model.chars().nth(MAX_MODEL_CHARS).is_some() || model.chars().any(char::is_control) {
        let message = format!("must be 1 to {MAX_MODEL_CHARS} characters, none of them a control character");
        return Err(ConversationsError::invalid("model", message));
    }
    Ok(())
}

/// Checks a system prompt.
pub(crate) fn check_system(system: &str) -> Result<(), ConversationsError> {
    if system.len() > MAX_SYSTEM_BYTES {
        let limit = MAX_SYSTEM_BYTES as u64;
        return Err(ConversationsError::TooLarge { field: "system", what: "the system prompt", limit });
    }
    Ok(())
}

/// Options as they are kept.
pub(crate) fn options_text(options: &Map<String, Value>) -> Result<String, ConversationsError> {
    let text = serde_json::to_string(options).map_err(ConversationsError::internal)?;
    if text.len() > MAX_OPTIONS_BYTES {
        let limit = MAX_OPTIONS_BYTES as u64;
        return Err(ConversationsError::TooLarge { field: "options", what: "the options", limit });
    }
    Ok(text)
}

/// Options as they were kept.
pub(crate) fn options_read(text: &str) -> Result<Map<String, Value>, ConversationsError> {
    serde_json::from_str(text).map_err(ConversationsError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let summary = Summary {
            id: "a-b_c".into(),
            title: String::new(),
            named: false,
            pinned: true,
            model: None,
            head: None,
            messages: 0,
            created: Timestamp::from_ms(0),
            updated: Timestamp::from_ms(17),
            deleted: None,
        };
        let expected = ConversationPlace { pinned: true, updated: Timestamp::from_ms(17), id: "a-b_c".into() };
        assert_eq!(place(&cursor(&summary)).unwrap(), expected);
        for text in ["", "1", "1.17", "2.17.a", "1.x.a", "1.17.", "1.17.a b", "1.99999999999999999999.a"] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
