//! Events, and work on the node's models.

use crate::KeepAlive;
use kith_types::{Code, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One event of `GET /api/v1/events/stream`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = EventEnvelope)]
pub struct Envelope {
    /// What happened, `model_loaded`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's number; later events have higher ones.
    pub id: u64,
    /// When, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub ts_ms: Timestamp,
    /// The particulars, by kind.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Takes a model file on the node's own disk into the library.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportRequest {
    /// The absolute path of a GGUF file, or of a folder with an encoder's safetensors.
    pub path: String,
    /// The name it shall have, `family:tag`.
    pub name: String,
    /// Replaces the file's own chat template (Jinja).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The model's own system text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The model's own parameters, by Ollama's names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Map<String, Value>>,
}

/// One line of an import's progress; the last has `model` or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportProgress {
    /// What is being done: `reading`, `verifying`, `success`, `error`.
    pub status: String,
    /// Bytes done.
    pub completed: u64,
    /// Bytes in all.
    pub total: u64,
    /// The model's full name, when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it failed, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Loads a model ahead of its first prompt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoadRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// How long it stays loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// The context window to load it with, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u32>,
}

/// Takes a model out of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UnloadRequest {
    /// The model's name, `family:tag`.
    pub model: String,
}
