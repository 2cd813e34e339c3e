//! The library's bodies: tags, show, ps, delete; and the version.

use super::{Message, either};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /api/tags`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TagsResponse {
    /// The models in the library.
    pub models: Vec<ModelSummary>,
}

/// One model of the library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelSummary {
    /// Its name, `family:tag`.
    pub name: String,
    /// The same.
    pub model: String,
    /// When it last changed, RFC 3339.
    pub modified_at: String,
    /// Bytes on disk.
    pub size: u64,
    /// SHA-256 of the weights, 64 hexadecimal digits.
    pub digest: String,
    /// What kind of model it is.
    pub details: Details,
    /// Extra: `available`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// What kind of model it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ModelDetails)]
pub struct Details {
    /// The model it was made from; empty if none is known.
    #[serde(default)]
    pub parent_model: String,
    /// `gguf` or `safetensors`.
    pub format: String,
    /// The architecture, `llama`.
    pub family: String,
    /// All architectures in the file.
    pub families: Option<Vec<String>>,
    /// How many parameters, `135M`.
    pub parameter_size: String,
    /// How the weights are stored, `Q4_1`.
    pub quantization_level: String,
}

/// `POST /api/show`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShowRequest {
    /// The model's name, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With long lists (the vocabulary) and the tensors. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose: Option<bool>,
}

impl ShowRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

/// Everything known of a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShowResponse {
    /// Its licence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// The Modelfile that would make it again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub modelfile: String,
    /// Its own parameters, one `name value` a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameters: String,
    /// Its chat template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// Its own system text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// What kind of model it is.
    pub details: Details,
    /// Messages that open every conversation with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// The release of Ollama its maker asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// The metadata of its file; long lists are null unless `verbose`.
    #[schema(value_type = Object)]
    pub model_info: Map<String, Value>,
    /// Its tensors, with `verbose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors: Option<Vec<Tensor>>,
    /// What it can do: `completion`, `tools`, `vision`, `thinking`, `embedding`, `insert`.
    pub capabilities: Vec<String>,
    /// When it last changed, RFC 3339.
    pub modified_at: String,
}

/// One tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// How it is stored, `Q4_1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its dimensions, innermost first.
    pub shape: Vec<u64>,
}

/// `GET /api/ps`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PsResponse {
    /// The models in memory.
    pub models: Vec<RunningModel>,
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunningModel {
    /// Its name, `family:tag`.
    pub name: String,
    /// The same.
    pub model: String,
    /// Bytes of memory it holds.
    pub size: u64,
    /// SHA-256 of the weights, 64 hexadecimal digits.
    pub digest: String,
    /// What kind of model it is.
    pub details: Details,
    /// When it will be unloaded if nothing asks for it, RFC 3339; far in the future if never.
    pub expires_at: String,
    /// Bytes of memory it holds on a GPU.
    pub size_vram: u64,
    /// The window it was loaded with, in tokens.
    pub context_length: u32,
    /// Extra: the engine that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
}

/// `DELETE /api/delete`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeleteRequest {
    /// The model's name, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl DeleteRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

/// `GET /api/version` and `GET /api/v1/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionResponse {
    /// The version of the program.
    pub version: String,
    /// The day it was built, `YYYY-MM-DD`, or `unknown`.
    pub build_date: String,
    /// The commit it was built from, or `unknown`.
    pub git_commit: String,
    /// The compiler it was built with.
    pub rust_version: String,
    /// The version of the API, `v1`.
    pub api: String,
}
