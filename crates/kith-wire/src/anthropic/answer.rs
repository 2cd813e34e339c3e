//! The message the model writes, whole and in events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AnthropicStopReason)]
pub enum StopReason {
    /// The model ended it.
    EndTurn,
    /// The limit of tokens or the window was reached.
    MaxTokens,
    /// One of the stop sequences came up.
    StopSequence,
    /// The answer is one or more calls.
    ToolUse,
}

/// The message the model wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicMessage)]
pub struct Message {
    /// `msg_…`.
    pub id: String,
    /// `message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `assistant`.
    pub role: String,
    /// The model that answered.
    pub model: String,
    /// What it says, in order.
    pub content: Vec<AnswerBlock>,
    /// Why it ended; null at the start of a stream.
    pub stop_reason: Option<StopReason>,
    /// The stop sequence that came up.
    pub stop_sequence: Option<String>,
    /// Counts of tokens.
    pub usage: Usage,
}

/// One block of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = AnthropicAnswerBlock)]
pub enum AnswerBlock {
    /// The model's reasoning.
    Thinking {
        /// The text.
        thinking: String,
        /// Always empty: reasoning is not sent back to the model.
        signature: String,
    },
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A call the model asks for.
    ToolUse {
        /// `toolu_…`.
        id: String,
        /// The function.
        name: String,
        /// The arguments, an object.
        input: Value,
    },
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicUsage)]
pub struct Usage {
    /// Tokens of the prompt, but for those taken from the prefix cache.
    pub input_tokens: u64,
    /// Tokens of the prompt taken from the prefix cache; at the start of a stream still 0.
    pub cache_read_input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// One event of a streamed message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = AnthropicStreamEvent)]
pub enum StreamEvent {
    /// The message begins.
    MessageStart {
        /// It, still empty.
        message: Message,
    },
    /// A block begins.
    ContentBlockStart {
        /// Its place.
        index: usize,
        /// It, still empty.
        content_block: AnswerBlock,
    },
    /// More of a block.
    ContentBlockDelta {
        /// The block's place.
        index: usize,
        /// What is added.
        delta: BlockDelta,
    },
    /// A block is whole.
    ContentBlockStop {
        /// Its place.
        index: usize,
    },
    /// Why the message ends, and its counts of tokens.
    MessageDelta {
        /// Why.
        delta: MessageDelta,
        /// Counts of tokens of the whole message.
        usage: DeltaUsage,
    },
    /// The message is whole.
    MessageStop,
    /// The stream lives.
    Ping,
    /// The message breaks off.
    Error {
        /// Why.
        error: ErrorDetail,
    },
}

impl StreamEvent {
    /// Its type: the name of the server-sent event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
            Self::Ping => "ping",
            Self::Error { .. } => "error",
        }
    }
}

/// What is added to a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = AnthropicBlockDelta)]
pub enum BlockDelta {
    /// Text.
    TextDelta {
        /// The text.
        text: String,
    },
    /// A call's arguments.
    InputJsonDelta {
        /// A stretch of their JSON.
        partial_json: String,
    },
    /// Reasoning.
    ThinkingDelta {
        /// The text.
        thinking: String,
    },
    /// The end of the reasoning.
    SignatureDelta {
        /// Always empty.
        signature: String,
    },
}

/// Why a message ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicMessageDelta)]
pub struct MessageDelta {
    /// Why.
    pub stop_reason: StopReason,
    /// The stop sequence that came up.
    pub stop_sequence: Option<String>,
}

/// Counts of tokens at the end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicDeltaUsage)]
pub struct DeltaUsage {
    /// Tokens of the prompt, but for those taken from the prefix cache.
    pub input_tokens: u64,
    /// Tokens of the prompt taken from the prefix cache.
    pub cache_read_input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// The answer to a count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicTokenCount)]
pub struct TokenCount {
    /// Tokens of the prompt as the model would read it.
    pub input_tokens: u64,
}

/// Why a request failed, in the Anthropic form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicErrorBody)]
pub struct ErrorBody {
    /// `error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The error.
    pub error: ErrorDetail,
}

/// The error itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicErrorDetail)]
pub struct ErrorDetail {
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `request_too_large`,
    /// `rate_limit_error`, `api_error` or `overloaded_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence.
    pub message: String,
}
