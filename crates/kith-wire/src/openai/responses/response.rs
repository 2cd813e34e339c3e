//! The response, and what is told of stored ones.

use super::{InputItem, OutputItem, Reasoning, ResponseTool, ResponseToolChoice, TextConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStatus {
    /// It waits for its turn.
    Queued,
    /// It is being answered.
    InProgress,
    /// It was answered.
    Completed,
    /// Its answer reached a limit; `incomplete_details` says which.
    Incomplete,
    /// It could not be answered; `error` says why.
    Failed,
    /// It was stopped.
    Cancelled,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiResponse)]
pub struct Response {
    /// `resp_…`.
    pub id: String,
    /// `response`.
    pub object: String,
    /// When it was asked for, in seconds since 1970.
    pub created_at: i64,
    /// How far it has come.
    pub status: ResponseStatus,
    /// Whether it goes on without its client.
    pub background: bool,
    /// When it was answered, in seconds since 1970; null unless `completed`.
    pub completed_at: Option<i64>,
    /// Why it failed.
    pub error: Option<ResponseFault>,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails>,
    /// As asked.
    pub instructions: Option<String>,
    /// As asked.
    pub max_output_tokens: Option<u32>,
    /// As asked.
    pub max_tool_calls: Option<i64>,
    /// The model that answers.
    pub model: String,
    /// What it says, in order.
    pub output: Vec<OutputItem>,
    /// As asked; default true.
    pub parallel_tool_calls: bool,
    /// The response this one continues.
    pub previous_response_id: Option<String>,
    /// As asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// As asked.
    pub reasoning: Reasoning,
    /// As asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// `default`.
    pub service_tier: String,
    /// Whether it is kept.
    pub store: bool,
    /// As asked; null is the model's own.
    pub temperature: Option<f32>,
    /// As asked.
    pub text: TextConfig,
    /// As asked; default `auto`.
    pub tool_choice: ResponseToolChoice,
    /// As asked.
    pub tools: Vec<ResponseTool>,
    /// As asked; default 0.
    pub top_logprobs: u8,
    /// As asked; null is the model's own.
    pub top_p: Option<f32>,
    /// As asked; default `disabled`.
    pub truncation: String,
    /// Counts of tokens; null until it ends.
    pub usage: Option<ResponseUsage>,
    /// As asked.
    pub user: Option<String>,
    /// As asked.
    pub metadata: BTreeMap<String, String>,
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseFault {
    /// `server_error`, `rate_limit_exceeded` or `invalid_prompt`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IncompleteDetails {
    /// `max_output_tokens`: the limit of tokens or the window was reached.
    pub reason: String,
}

/// Counts of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseUsage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// More on them.
    pub input_tokens_details: InputTokensDetails,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// More on them.
    pub output_tokens_details: OutputTokensDetails,
    /// Both together.
    pub total_tokens: u64,
}

/// More on the tokens of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InputTokensDetails {
    /// How many were taken from the prefix cache.
    pub cached_tokens: u64,
}

/// More on the tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OutputTokensDetails {
    /// How many were reasoning: exact where all or nothing was, else reckoned by the reasoning's share of the text.
    pub reasoning_tokens: u64,
}

/// The answer to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeletedResponse {
    /// The response that was.
    pub id: String,
    /// `response`.
    pub object: String,
    /// `true`.
    pub deleted: bool,
}

/// `GET /v1/responses/{id}/input_items`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InputItemList {
    /// `list`.
    pub object: String,
    /// The items.
    pub data: Vec<InputItem>,
    /// The id of the first; null if there is none.
    pub first_id: Option<String>,
    /// The id of the last; null if there is none.
    pub last_id: Option<String>,
    /// Whether there are more in this direction.
    pub has_more: bool,
}

/// What the list of stored responses tells of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseSummary {
    /// `resp_…`.
    pub id: String,
    /// How far it has come.
    pub status: ResponseStatus,
    /// The model that was asked.
    pub model: String,
    /// Whether it goes on without its client.
    pub background: bool,
    /// Whether it was asked for as a stream.
    pub streamed: bool,
    /// The response it continues.
    pub previous_response_id: Option<String>,
    /// When it was asked for, RFC 3339.
    pub created_at: String,
    /// When it came to its end, RFC 3339.
    pub ended_at: Option<String>,
    /// Bytes it takes in the database.
    pub bytes: u64,
}

/// `GET /api/admin/responses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseSummaryList {
    /// Newest first.
    pub responses: Vec<ResponseSummary>,
}
