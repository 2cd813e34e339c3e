//! Conversations: lists, trees of messages, and what is told of their changes.

mod message;

pub use message::{
    ConversationMessage, MessageAttachment, MessageImage, MessageRole, MessageTimings, MessageToolCall, MessageUsage,
    MessageWritten, NewConversationMessage,
};

use kith_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Tells `null`, which takes away, from a field that is not there, which leaves.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// `GET /api/v1/conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConversationList {
    /// Pinned ones first, then the last talked in.
    pub conversations: Vec<ConversationSummary>,
    /// The `cursor` of the next page; null on the last.
    pub next: Option<String>,
}

/// A conversation without its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConversationSummary {
    /// Its id.
    pub id: String,
    /// Its title; empty before the user has said anything.
    pub title: String,
    /// Whether somebody gave it that title; else it is the user's first line.
    pub named: bool,
    /// Whether it stands before the others.
    pub pinned: bool,
    /// The model it is held with; null if none was chosen.
    pub model: Option<String>,
    /// The last message of the branch that is shown; null without messages.
    pub head: Option<String>,
    /// How many messages it has, on all branches.
    pub message_count: u64,
    /// When it was begun, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
    /// When it was last talked in, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub updated_at_ms: Timestamp,
    /// When it was deleted, in milliseconds since 1970; null if it was not. It can be restored for 30 days.
    #[schema(value_type = Option<i64>)]
    pub deleted_at_ms: Option<Timestamp>,
    /// In a search: a piece of the last message with the words; null if only the title has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

/// `GET /api/v1/conversations/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Its title; empty before the user has said anything.
    pub title: String,
    /// Whether somebody gave it that title; else it is the user's first line.
    pub named: bool,
    /// Whether it stands before the others.
    pub pinned: bool,
    /// The model it is held with; null if none was chosen.
    pub model: Option<String>,
    /// Its system prompt; null without one.
    pub system: Option<String>,
    /// Its options, as they were given; null without any.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// The last message of the branch that is shown; null without messages.
    pub head: Option<String>,
    /// How many messages it has, on all branches.
    pub message_count: u64,
    /// Its messages on all branches, a parent before its children; empty where they were not asked for.
    pub messages: Vec<ConversationMessage>,
    /// When it was begun, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
    /// When it was last talked in, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub updated_at_ms: Timestamp,
}

/// `POST /api/v1/conversations`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewConversation {
    /// An id of the client's choice (a UUID or ULID), so that sending twice begins one: 1 to 64 letters, digits, `-` or `_`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// At most 200 characters; else the title is taken from the user's first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The model it is to be held with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its system prompt, at most 256 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Its options, kept as they are; at most 16 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
}

/// `PATCH /api/v1/conversations/{id}`. What is left out stays as it is; null takes away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConversationUpdate {
    /// At most 200 characters; with null it is taken from the user's first message again.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
    /// Whether it stands before the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// The model it is held with.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub model: Option<Option<String>>,
    /// Its system prompt, at most 256 KiB.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub system: Option<Option<String>>,
    /// All of its options; at most 16 KiB.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Option<Map<String, Value>>>,
    /// The last message of the branch that is to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// `POST /api/v1/conversations/{id}/fork`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForkRequest {
    /// The last message to be copied; the head if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// An id of the client's choice for the new conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A title for it; that of the first one if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The `data` of the events `conversation.created`, `conversation.changed` and `conversation.deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ConversationEvent {
    /// The conversation.
    pub id: String,
    /// What changed: `title`, `pinned`, `model`, `system`, `options`, `head`, `messages`, or `deleted` for one that was restored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The message that was written. While an answer is written that is told at most once a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it is gone for good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forever: bool,
}

#[cfg(test)]
mod tests;
