//! The request for a chat completion.

use super::Message;
use crate::{KeepAlive, union::by_kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `POST /v1/chat/completions`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatCompletionRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// The conversation so far, at least one message. If it ends with an assistant's message, that message is continued.
    pub messages: Vec<Message>,
    /// Functions the model may ask for, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// `auto` (default), `none`, `required`, or the one function that must be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether one answer may call several functions. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The shape of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// 0 takes the likeliest token; higher is more varied. 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach this. Above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// How many answers to write. 1 to 8; with a `seed`, answer `i` uses `seed + i`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8)]
    pub n: Option<i64>,
    /// Texts that end the answer and are not part of it: one, or a list of at most 16, each at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The most tokens of the answer (the older name). Default: the rest of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_tokens: Option<i64>,
    /// The most tokens of the answer; wins over `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_completion_tokens: Option<i64>,
    /// The same seed, prompt and options give the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Lowers a token's logit for each time the answer has it. -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// Lowers the logit of every token the answer has. -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
    /// Token ids (as text) and what is added to their logits, -100 to 100. At most 1024 entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// Report the log-probability of each token of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many of the likeliest alternatives to report with each token. 0 to 20; needs `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Send the answer in chunks, as server-sent events. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Options of the stream; only with `stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// A name for the person on the client's side; taken and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For models that can reason aloud: `none` turns it off; `minimal`, `low`, `medium`, `high`, `xhigh` turn it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Extra: keep the k likeliest tokens; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub top_k: Option<i64>,
    /// Extra: keep tokens at least this fraction as likely as the likeliest. At least 0, below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, exclusive_maximum = 1)]
    pub min_p: Option<f32>,
    /// Extra: weakens tokens seen lately; 1 is off. Above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub repetition_penalty: Option<f32>,
    /// Extra: the answer is text of this Lark grammar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// Extra: the answer is text that this regular expression matches whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Extra: how long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Extra: the id of a registered adapter (LoRA) that the model answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora_adapter: Option<String>,
    /// The deprecated form of `tools`; refused, because its answers have another shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<Value>,
    /// The deprecated form of `tool_choice`; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<Value>,
    /// The kinds of answer wanted; only `["text"]` is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modalities: Option<Vec<String>>,
    /// Spoken answers; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Value>,
    /// A search of the web before the answer; refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search_options: Option<Value>,
}

/// Texts that end an answer: one, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Stop {
    /// One text.
    One(String),
    /// Several.
    Many(Vec<String>),
}

by_kind!(Stop, "a string or a list of strings",
    text => |t| Ok(Stop::One(t)),
    list => |l| Ok(Stop::Many(l)),
);

impl Stop {
    /// The texts as a list.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// Options of a streamed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StreamOptions {
    /// Send one more chunk before the end, with no choices and the counts of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
}

/// A function the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiTool)]
pub struct Tool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Function>,
}

/// A function's name, purpose and arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiFunction)]
pub struct Function {
    /// Letters, digits, `_`, `-`, `.`; at most 64.
    pub name: String,
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

/// Whether the model must call a function: `auto`, `none`, `required`, or an object that names it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = OpenAiToolChoice)]
pub enum ToolChoice {
    /// `auto`, `none` or `required`.
    Mode(String),
    /// This function.
    Named(NamedTool),
}

by_kind!(ToolChoice, "\"auto\", \"none\", \"required\", or an object that names a function",
    text => |t| Ok(ToolChoice::Mode(t)),
    object => |o| Ok(ToolChoice::Named(o)),
);

/// The function that must be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NamedTool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<NamedFunction>,
}

/// A function by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NamedFunction {
    /// The name.
    pub name: String,
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With `json_schema`: the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchema>,
    /// Extra, with `json_object`: a schema the object must follow (as llama.cpp takes it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// A named JSON Schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JsonSchema {
    /// Letters, digits, `_`, `-`; at most 64.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema, an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Taken and not needed: answers always follow the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}
