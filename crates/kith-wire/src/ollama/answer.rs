//! The lines of an answer. The last has `done: true` and the figures.

use super::ToolCall;
use serde::{Deserialize, Serialize};

/// One line of a generated answer, or the whole of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaGenerateResponse)]
pub struct GenerateResponse {
    /// The model that answers.
    pub model: String,
    /// When this line was written, RFC 3339.
    pub created_at: String,
    /// More text; in a whole answer all of it.
    pub response: String,
    /// More of the model's reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Whether this is the last line.
    pub done: bool,
    /// Why the answer ended: `stop`, `length`, `load`, `unload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_reason: Option<String>,
    /// Tokens of prompt and answer: send them back as `context` to go on. In the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<u32>>,
    /// The figures, in the last line.
    #[serde(flatten)]
    pub metrics: Option<Metrics>,
    /// Log-probabilities of the tokens in this line, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
}

/// One line of a chat's answer, or the whole of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaChatResponse)]
pub struct ChatResponse {
    /// The model that answers.
    pub model: String,
    /// When this line was written, RFC 3339.
    pub created_at: String,
    /// What is added to the message; in a whole answer all of it.
    pub message: AnswerMessage,
    /// Whether this is the last line.
    pub done: bool,
    /// Why the answer ended: `stop`, `length`, `load`, `unload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_reason: Option<String>,
    /// The figures, in the last line.
    #[serde(flatten)]
    pub metrics: Option<Metrics>,
    /// Log-probabilities of the tokens in this line, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
}

/// What the model wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaAnswerMessage)]
pub struct AnswerMessage {
    /// `assistant`.
    pub role: String,
    /// The text; may be empty.
    pub content: String,
    /// The model's reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// The calls the model asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
}

impl Default for AnswerMessage {
    fn default() -> Self {
        Self { role: "assistant".to_owned(), content: String::new(), thinking: None, tool_calls: None }
    }
}

/// Where time and tokens went. Durations are nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaMetrics)]
pub struct Metrics {
    /// From the request's arrival to its end, waiting and loading included.
    pub total_duration: u64,
    /// Loading the model for this request.
    pub load_duration: u64,
    /// Tokens of the prompt.
    pub prompt_eval_count: u64,
    /// Reading the prompt.
    pub prompt_eval_duration: u64,
    /// Tokens of the answer.
    pub eval_count: u64,
    /// Writing the answer.
    pub eval_duration: u64,
}

/// One token of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaTokenLogprob)]
pub struct TokenLogprob {
    /// Its text; lossy where it is no whole UTF-8.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<u8>,
    /// The likeliest tokens at this place, likeliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_logprobs: Vec<TopLogprob>,
}

/// One of the likeliest tokens at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaTopLogprob)]
pub struct TopLogprob {
    /// Its text; lossy where it is no whole UTF-8.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<u8>,
}
