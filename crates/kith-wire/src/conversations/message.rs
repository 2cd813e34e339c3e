//! One message of a conversation.

use super::{ConversationSummary, given};
use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ConversationRole)]
pub enum MessageRole {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Standing instructions.
    System,
    /// The outcome of a tool call.
    Tool,
}

/// One message of a conversation. Messages with the same parent are variants of each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConversationMessage {
    /// Its id, unique in its conversation.
    pub id: String,
    /// The message it follows; null for one that begins.
    pub parent: Option<String>,
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: String,
    /// What the model thought before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The images it shows, without their `data`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<MessageImage>,
    /// Files whose text goes with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<MessageAttachment>,
    /// Tools the model called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<MessageToolCall>,
    /// For a tool's message: the call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The model that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that model is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Tokens it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<MessageUsage>,
    /// Time it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<MessageTimings>,
    /// Why the model ended: `stop`, `length`, `tool_calls`. Left out while it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Why it could not be written to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether somebody stopped it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// When it was added, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
    /// When it was last changed, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub updated_at_ms: Timestamp,
}

/// `POST /api/v1/conversations/{id}/messages` and `PUT /api/v1/conversations/{id}/messages/{message}`. At most 8 MiB of text in all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConversationMessage {
    /// An id of the client's choice (a UUID or ULID), so that sending twice adds one: 1 to 64 letters, digits, `-` or `_`. With PUT
    /// the one in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The message it follows. Left out: the conversation's head. Null: none, it begins.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub parent: Option<Option<String>>,
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    #[serde(default)]
    pub content: String,
    /// What the model thought before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// At most 16 images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<MessageImage>,
    /// At most 32 files whose text goes with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<MessageAttachment>,
    /// At most 128 tools the model called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<MessageToolCall>,
    /// For a tool's message: the call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The model that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that model is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Tokens it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<MessageUsage>,
    /// Time it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<MessageTimings>,
    /// Why the model ended: `stop`, `length`, `tool_calls`. Left out while it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Why it could not be written to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether somebody stopped it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

impl NewConversationMessage {
    /// A message of text alone, after the conversation's head.
    pub fn text(role: MessageRole, content: impl Into<String>) -> Self {
        Self {
            id: None,
            parent: None,
            role,
            content: content.into(),
            reasoning: None,
            images: Vec::new(),
            attachments: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            model: None,
            provider: None,
            usage: None,
            timings: None,
            finish: None,
            error: None,
            stopped: false,
        }
    }
}

/// An image of a message. It is sent with its `data`, or with the `digest` of one that is on the node already; it is told without
/// `data`, and its bytes are at `GET /api/v1/conversations/{id}/images/{digest}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MessageImage {
    /// Only when sent: a PNG, JPEG, WebP or GIF of at most 20 MiB, in base64 or as a `data:` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The BLAKE3 digest of its bytes, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// `image/png`, `image/jpeg`, `image/webp` or `image/gif`; found out by the node, not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its length in bytes; found out by the node, not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its file's name, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// A small form of it: a `data:` URL in base64 of at most 48 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

/// A file whose text goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageAttachment {
    /// Its name, at most 256 characters.
    pub name: String,
    /// What it is: `text`, `pdf`, a media type.
    pub kind: String,
    /// Its text.
    pub text: String,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageToolCall {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it was given: JSON, as the model wrote it.
    pub arguments: String,
}

/// Tokens of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageUsage {
    /// Tokens of what was asked.
    pub prompt: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

/// How long an answer took. What was not measured is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct MessageTimings {
    /// Milliseconds until the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_ms: Option<f64>,
    /// Milliseconds from the first token to the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_ms: Option<f64>,
    /// Tokens of the answer a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_s: Option<f64>,
}

/// A message that was written, and its conversation as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageWritten {
    /// The conversation.
    pub conversation: ConversationSummary,
    /// The message.
    pub message: ConversationMessage,
}
