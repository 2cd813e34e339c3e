//! The answer to a chat completion, whole and in chunks.

use super::{ChatLogprobs, FunctionCall, ToolCall};
use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OpenAiFinishReason)]
pub enum FinishReason {
    /// The model ended it, or a stop text came up.
    Stop,
    /// The limit of tokens or the window was reached.
    Length,
    /// The answer is one or more tool calls.
    ToolCalls,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatCompletion {
    /// `chatcmpl-…`.
    pub id: String,
    /// `chat.completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The answers, in the order of their index.
    pub choices: Vec<ChatChoice>,
    /// Counts of tokens.
    pub usage: Usage,
    /// Names the software that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatChoice {
    /// Its place among the `n` answers.
    pub index: u32,
    /// The answer.
    pub message: AnswerMessage,
    /// Log-probabilities, if asked for; else null.
    pub logprobs: Option<ChatLogprobs>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// The message the model wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: String,
    /// The text; null if there are only tool calls.
    pub content: Option<String>,
    /// Always null: the model's words are never replaced.
    pub refusal: Option<String>,
    /// Extra: the model's reasoning, if it reasoned aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The calls the model asks for; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiUsage)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer; of all of them, if there are several.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
    /// More on the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokensDetails>,
}

/// More on the tokens of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PromptTokensDetails {
    /// How many were taken from the prefix cache.
    pub cached_tokens: u64,
}

/// A piece of an answer; one server-sent event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatCompletionChunk {
    /// `chatcmpl-…`, the same in all chunks of an answer.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: String,
    /// Seconds since 1970, the same in all chunks of an answer.
    pub created: i64,
    /// The model that answers.
    pub model: String,
    /// Names the software that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// One piece of one answer; empty in the chunk with the counts of tokens.
    pub choices: Vec<ChunkChoice>,
    /// Absent unless `include_usage` was asked for; then null in all chunks but the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<Usage>>,
}

/// A piece of one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChunkChoice {
    /// Its place among the `n` answers.
    pub index: u32,
    /// What is added to the message.
    pub delta: Delta,
    /// Log-probabilities of the tokens in this piece, if asked for; else null.
    pub logprobs: Option<ChatLogprobs>,
    /// Null until the answer's last piece.
    pub finish_reason: Option<FinishReason>,
}

/// What a chunk adds to its message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Delta {
    /// `assistant`, in the first chunk of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Extra: more of the model's reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// A tool call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<DeltaToolCall>>,
}

/// A tool call in a chunk, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeltaToolCall {
    /// Its place among the message's calls.
    pub index: u32,
    /// The call's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function and its arguments.
    pub function: FunctionCall,
}
