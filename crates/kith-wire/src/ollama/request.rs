//! The requests for an answer.

use super::{Options, either};
use crate::{KeepAlive, union::by_kind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST /api/generate`. An empty `prompt` only loads the model; with a `keep_alive` of zero it unloads it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaGenerateRequest)]
pub struct GenerateRequest {
    /// The model's name, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Text that comes after the answer. Refused: no model here can insert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Image files in Base64, for models that see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// Replaces the model's own system text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Replaces the model's own chat template (Jinja).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The `context` of an earlier answer, to go on from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<u32>>,
    /// Send the answer in lines as it is written. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Give the prompt to the model as it is, without template. Not with `template`, `system` or `context`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<bool>,
    /// The shape of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Options of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// How long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// For models that can reason aloud: whether they should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<Think>,
    /// Report the log-probability of each token of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many of the likeliest alternatives to report with each token. 0 to 20; only with `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Extra: the id of a registered adapter (LoRA) that the model answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora_adapter: Option<String>,
}

impl GenerateRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

/// `POST /api/chat`. Without messages it only loads the model; with a `keep_alive` of zero it unloads it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaChatRequest)]
pub struct ChatRequest {
    /// The model's name, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The conversation so far. If it ends with an assistant's message, that message is continued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
    /// Functions the model may ask for, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Send the answer in lines as it is written. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// The shape of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Options of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// How long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// For models that can reason aloud: whether they should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<Think>,
    /// Report the log-probability of each token of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many of the likeliest alternatives to report with each token. 0 to 20; only with `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Extra: the id of a registered adapter (LoRA) that the model answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora_adapter: Option<String>,
}

impl ChatRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

/// The shape of an answer: `"json"` for any JSON object, or a JSON Schema.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = OllamaFormat)]
pub enum Format {
    /// `json`; an empty text asks for nothing.
    Word(String),
    /// A JSON Schema.
    #[schema(value_type = Object)]
    Schema(Map<String, Value>),
}

by_kind!(Format, "\"json\" or a JSON Schema object",
    text => |t| Ok(Format::Word(t)),
    object => |o| Ok(Format::Schema(o)),
);

/// Whether to reason aloud: yes or no, or how much (`low`, `medium`, `high`), which counts as yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Think {
    /// Yes or no.
    Switch(bool),
    /// How much.
    Level(String),
}

by_kind!(Think, "true, false, \"low\", \"medium\" or \"high\"",
    boolean => |b| Ok(Think::Switch(b)),
    text => |t| Ok(Think::Level(t)),
);

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OllamaRole)]
pub enum Role {
    /// Standing instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The outcome of a tool call.
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaMessage)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The reasoning that came with an assistant's message; taken and not shown to the model again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Image files in Base64, for models that see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// Calls the assistant made in this message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// For a `tool` message: the tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// For a `tool` message: the call it answers, where calls have ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(content.into()),
            thinking: None,
            images: None,
            tool_calls: None,
            tool_name: None,
            tool_call_id: None,
        }
    }
}

/// A call the assistant asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaToolCall)]
pub struct ToolCall {
    /// The call's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function and its arguments.
    pub function: FunctionCall,
}

/// A function and the arguments to call it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaFunctionCall)]
pub struct FunctionCall {
    /// Its place among the message's calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The function's name.
    pub name: String,
    /// The arguments, a JSON object.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub arguments: Value,
}

/// A function the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaTool)]
pub struct Tool {
    /// `function`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function.
    pub function: Function,
}

/// A function's name, purpose and arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaFunction)]
pub struct Function {
    /// Letters, digits, `_`, `-`, `.`; at most 64.
    pub name: String,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments, an object. None means no arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}
