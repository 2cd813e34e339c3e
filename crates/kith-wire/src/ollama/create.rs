//! Making and copying models.

use super::{Message, either};
use crate::openai::Stop;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `POST /api/create`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreateRequest {
    /// The name it shall have, `family:tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model of the library that it is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Or the uploaded files it is made from: names and `sha256:…` digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub files: Option<BTreeMap<String, String>>,
    /// Uploaded adapters to fold in: names and `sha256:…` digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub adapters: Option<BTreeMap<String, String>>,
    /// Its chat template, in Jinja or in Go's templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Its licence, or several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<Stop>,
    /// Its own system text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Its own parameters, laid over those of the model it is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Map<String, Value>>,
    /// Messages that open every conversation with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
    /// How its weights shall be stored: `q8_0`, `q6_K`, `q5_K_M`, `q5_K_S`, `q5_1`, `q5_0`, `q4_K_M`, `q4_K_S`, `q4_1`, `q4_0`.
    #[serde(alias = "quantization", skip_serializing_if = "Option::is_none")]
    pub quantize: Option<String>,
    /// The release of Ollama it asks for; shown, and without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Whether to answer line by line. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Older clients: a Modelfile's text in place of the fields above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modelfile: Option<String>,
    /// Oldest clients: a Modelfile's path on the node. Refused: the text is taken in `modelfile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl CreateRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

/// One line of a long work's progress; the last has the status `success`, or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OllamaProgress)]
pub struct ProgressResponse {
    /// What is being done.
    pub status: String,
    /// Of which bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Bytes done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
}

impl ProgressResponse {
    /// A status without figures.
    pub fn status(status: impl Into<String>) -> Self {
        Self { status: status.into(), ..Self::default() }
    }
}

/// `POST /api/copy`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CopyRequest {
    /// The model's name, `family:tag`.
    pub source: String,
    /// The name it shall have as well.
    pub destination: String,
}
