//! The request for a message.

use crate::{KeepAlive, union::by_kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/messages`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessagesRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// The most tokens of the answer, reasoning included. At least 1.
    #[schema(minimum = 1)]
    pub max_tokens: i64,
    /// The conversation so far, at least one message. If it ends with an assistant's message, that message is continued.
    pub messages: Vec<InputMessage>,
    /// Standing instructions: a text, or blocks of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Content>,
    /// Texts that end the answer and are not part of it: at most 16, each at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    /// 0 takes the likeliest token; higher is more varied. 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub temperature: Option<f32>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach this. Above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// Keep the k likeliest tokens; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub top_k: Option<i64>,
    /// Functions the model may ask for, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Whether the model must call one. Default `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Send the answer as server-sent events. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// For models that can reason aloud: whether they should. Default no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// The shape of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// A name for the person on the client's side; taken and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// `auto` or `standard_only`; there is one tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Extra: the same seed, prompt and options give the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Extra: how long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Containers for code that runs at the server; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Value>,
    /// Tool servers that the server calls; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<Value>,
    /// Editing of long conversations; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_management: Option<Value>,
}

/// `POST /v1/messages/count_tokens`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CountTokensRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// The conversation so far, at least one message.
    pub messages: Vec<InputMessage>,
    /// Standing instructions: a text, or blocks of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Content>,
    /// Functions the model may ask for, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Whether the model must call one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// For models that can reason aloud: whether they should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicInputMessage)]
pub struct InputMessage {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// A text, or a list of blocks.
    pub content: Content,
}

/// A text, or a list of blocks.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = AnthropicContent)]
pub enum Content {
    /// A text.
    Text(String),
    /// Blocks in order.
    Blocks(Vec<Block>),
}

by_kind!(Content, "a string or a list of content blocks",
    text => |t| Ok(Content::Text(t)),
    list => |b| Ok(Content::Blocks(b)),
);

/// One block of a message. Which fields belong to it follows from its type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicBlock)]
pub struct Block {
    /// `text`, `image`, `document`, `tool_use`, `tool_result`, `thinking` or `redacted_thinking`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// In `image` and `document`: the bytes or the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<BlockSource>,
    /// In `document`: its title, told to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// In `tool_use`: the call's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// In `tool_use`: the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In `tool_use`: the arguments, an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// In `tool_result`: which call this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// In `tool_result`: a text, or blocks of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub content: Option<Content>,
    /// In `tool_result`: whether the call failed; the model is told so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// In `thinking`: an earlier answer's reasoning; not shown to the model again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// In `thinking`: taken as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Where a block's bytes are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicBlockSource)]
pub struct BlockSource {
    /// `base64` for images, `text` for documents. Nothing is fetched from elsewhere: `url` and `file` are refused.
    #[serde(rename = "type")]
    pub kind: String,
    /// `image/png`, `image/jpeg`, `image/gif`, `image/webp`; `text/plain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The bytes in Base64, or the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// A function the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicTool)]
pub struct Tool {
    /// `custom`, or absent. Tools that run at the server are refused.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Letters, digits, `_`, `-`, `.`; at most 64.
    pub name: String,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments, an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
}

/// Whether the model must call a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicToolChoice)]
pub struct ToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With `tool`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most one call in the answer. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

/// Whether a model that can reason aloud should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicThinking)]
pub struct Thinking {
    /// `enabled`, `disabled`, or `adaptive` (the model decides).
    #[serde(rename = "type")]
    pub kind: String,
    /// With `enabled`: at least 1024 and below `max_tokens`. Checked; the answer's own limit is what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<i64>,
}

/// The shape of the answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicOutputConfig)]
pub struct OutputConfig {
    /// Its format; default any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
    /// `low`, `medium`, `high`, `xhigh` or `max`; taken: models here have no degrees of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
}

/// The format of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnthropicOutputFormat)]
pub struct OutputFormat {
    /// `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The schema, an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}
