//! The request for a response.

use super::InputItem;
use crate::{KeepAlive, union::by_kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `POST /v1/responses`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponsesRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// A text, or a list of at most 8192 items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<ResponseInput>,
    /// Standing instructions of this response alone; those of the response it continues are not taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The stored response that this one continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_response_id: Option<String>,
    /// Keep the response for 30 days. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Answer at once with a queued response, and go on without the client. Needs `store`. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// Send the response as server-sent events. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Functions the model may ask for, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ResponseTool>>,
    /// `auto` (default), `none`, `required`, the one function that must be called, or those that may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ResponseToolChoice>,
    /// Whether one response may call several functions. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The most calls of built-in tools, of which there are none; taken and told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tool_calls: Option<i64>,
    /// The shape of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// Whether a model that can reason aloud should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// 0 takes the likeliest token; higher is more varied. 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach this. Above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// The most tokens of the response, reasoning included. Default: the rest of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_output_tokens: Option<i64>,
    /// How many of the likeliest alternatives to report with each token. 0 to 20; needs `message.output_text.logprobs` in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// What else to tell: `message.output_text.logprobs`. Reasoning and images are always told as they are, so that
    /// `reasoning.encrypted_content` and `message.input_image.image_url` are taken and change nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// At most 16 pairs, with keys of at most 64 and values of at most 512 characters; kept and told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// `disabled` (default) refuses input that exceeds the window; `auto` leaves its oldest items out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<String>,
    /// A name for the person on the client's side; told again and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The newer word for `user`; told again and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// A hint for caches; told again and not needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// `auto` or `default`; there is one tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Extra: the same seed, input and options give the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Extra: keep the k likeliest tokens; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub top_k: Option<i64>,
    /// Extra: how long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Conversations kept apart from responses; refused: send `previous_response_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Value>,
    /// Prompt templates kept elsewhere; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Value>,
    /// Compaction of long conversations; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_management: Option<Value>,
    /// Moderation by another model; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Value>,
}

/// What is asked: a text, or a list of items.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ResponseInput {
    /// What the person says.
    Text(String),
    /// Items in order.
    Items(Vec<InputItem>),
}

by_kind!(ResponseInput, "a string or a list of items",
    text => |t| Ok(ResponseInput::Text(t)),
    list => |l| Ok(ResponseInput::Items(l)),
);

/// A tool the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseTool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Letters, digits, `_`, `-`, `.`; at most 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments, an object. None means no arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must follow the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether the model must call a function: `auto`, `none`, `required`, or an object.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ResponseToolChoice {
    /// `auto`, `none` or `required`.
    Mode(String),
    /// A function that must be called, or those that may be.
    Named(NamedChoice),
}

by_kind!(ResponseToolChoice, "\"auto\", \"none\", \"required\", or an object",
    text => |t| Ok(ResponseToolChoice::Mode(t)),
    object => |o| Ok(ResponseToolChoice::Named(o)),
);

/// A choice among the tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NamedChoice {
    /// `function`, or `allowed_tools`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With `function`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With `allowed_tools`: `auto` or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// With `allowed_tools`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<AllowedTool>>,
}

/// A tool by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AllowedTool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The shape of the text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TextConfig {
    /// Its format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<TextFormat>,
    /// `medium`; others are refused: models here have no degrees of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

/// The format of the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TextFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With `json_schema`: letters, digits, `_`, `-`; at most 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With `json_schema`: what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// With `json_schema`: the schema, an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Taken and not needed: answers always follow the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether a model that can reason aloud should.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reasoning {
    /// `none` turns it off; `minimal`, `low`, `medium`, `high`, `xhigh` turn it on.
    pub effort: Option<String>,
    /// Taken and told again; the reasoning itself is given instead of a summary.
    pub summary: Option<String>,
}
