//! A message: one of a tree, and what may be in it.

use crate::{ConversationsError, Details, Picture, Summary, id};
use kith_store::MessageRow;
use kith_types::Timestamp;

/// The most bytes of one message's texts together: words, reasoning, attachments, thumbnails and all.
pub const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Standing instructions.
    System,
    /// The outcome of a tool call.
    Tool,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::User, Self::Assistant, Self::System, Self::Tool];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
        }
    }

    /// The role of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id, unique in its conversation.
    pub id: String,
    /// The message it follows; `None` for one that begins. Messages with the same parent are variants of each other.
    pub parent: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// Everything else.
    pub details: Details,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl TryFrom<MessageRow> for Message {
    type Error = ConversationsError;

    fn try_from(row: MessageRow) -> Result<Self, ConversationsError> {
        let role = Role::parse(&row.role).ok_or_else(|| ConversationsError::internal(format!("a role `{}`", row.role)))?;
        let details = serde_json::from_str(&row.details).map_err(ConversationsError::internal)?;
        let MessageRow { id, parent, content, created, updated, .. } = row;
        Ok(Self { id, parent, role, content, details, created, updated })
    }
}

/// A message that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its id; made here without one.
    pub id: Option<String>,
    /// The message it follows: `None` is the conversation's head, an inner `None` none at all.
    pub parent: Option<Option<String>>,
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// Everything else but pictures.
    pub details: Details,
    /// Its pictures.
    pub pictures: Vec<Picture>,
}

impl Draft {
    /// Checks all that can be checked without the conversation.
    pub(crate) fn check(&self) -> Result<(), ConversationsError> {
        if let Some(id) = &self.id {
            id::check("id", id)?;
        }
        if let Some(Some(parent)) = &self.parent {
            id::check("parent", parent)?;
        }
        self.details.check()
    }
}

/// A message that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its conversation as it stands now.
    pub conversation: Summary,
    /// The message as it stands now.
    pub message: Message,
    /// Whether it was not there before.
    pub new: bool,
}
