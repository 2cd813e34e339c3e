//! Adapters (LoRA) to models.

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /api/admin/adapters`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RegisterAdapterRequest {
    /// What requests will ask for it by: 1 to 64 letters, digits, `.`, `_`, `-`. A UUID is made if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name for people; the id if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model it was made for, `family:tag`. It must be in the library.
    pub base_model: String,
    /// Its rank; refused if the file's is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub rank: Option<u64>,
    /// Its alpha; refused if the file, or the `adapter_config.json` beside it, tells another. The rank if nobody tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub alpha: Option<f32>,
    /// The file, safetensors (as PEFT saves it) or GGUF: an absolute path, or one relative to the folder `adapters` of the node's data.
    pub path: String,
}

/// A registered adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdapterInfo {
    /// What requests ask for it by, as `lora_adapter`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The model it was made for.
    pub base_model: String,
    /// Its rank; the largest, where matrices differ.
    pub rank: u32,
    /// Its alpha: over the rank, how strongly it is applied.
    pub alpha: f32,
    /// Where its file lay when it was registered. The node keeps a copy.
    pub path: String,
    /// `safetensors` or `gguf`.
    pub format: String,
    /// The kinds of matrices it changes.
    pub target_modules: Vec<String>,
    /// The file's length in bytes.
    pub size: u64,
    /// The file's SHA-256.
    pub digest: String,
    /// When it was registered, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
}

/// The adapters, the last registered first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdapterList {
    /// The adapters.
    pub adapters: Vec<AdapterInfo>,
}

/// An adapter just registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RegisteredAdapter {
    /// `ok`.
    pub status: String,
    /// The adapter.
    pub adapter: AdapterInfo,
}

/// An adapter just removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RemovedAdapter {
    /// `ok`.
    pub status: String,
    /// A sentence that names it.
    pub message: String,
}
