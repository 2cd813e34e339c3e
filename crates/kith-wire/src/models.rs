//! The models on this node as their owner manages them, and as a code editor's assistant picks one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One model of `GET /api/admin/models`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminModel {
    /// Its name, `family:tag`.
    pub id: String,
    /// The same.
    pub name: String,
    /// The architecture, `llama`.
    pub architecture: String,
    /// How the weights are stored, `Q4_1`.
    pub quantization: String,
    /// How many parameters, `135M`.
    pub parameter_size: String,
    /// Layers, where the file tells.
    pub num_layers: Option<u64>,
    /// Bytes on disk.
    pub total_size_bytes: u64,
    /// BLAKE3 of the file, 64 hexadecimal digits.
    pub hash: String,
    /// Where it came from.
    pub source: String,
    /// The licence.
    pub license: Option<String>,
    /// Shards: one, since the model lies here whole.
    pub shard_count: u32,
    /// The shards.
    pub shards: Vec<AdminShard>,
    /// `loaded` in memory, or `ready` on disk.
    pub status: String,
    /// `complete`: all its bytes are here.
    pub acquisition: String,
    /// MiB of memory that it is expected to take: 1.15 times its size.
    pub estimated_vram_mb: u64,
    /// MiB of memory that it takes now, measured or reserved; none unless loaded.
    pub memory_mb: Option<u64>,
    /// How much of that lies on a GPU.
    pub vram_mb: Option<u64>,
    /// The image projector.
    pub mmproj: Projector,
    /// `Pinned`: its owner put it here, and nothing removes it unasked.
    pub trust_level: String,
    /// When it last changed, RFC 3339.
    pub modified_at: String,
}

/// A stretch of a model's layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminShard {
    /// Its place, from 0.
    pub index: u32,
    /// The first and the last layer, where the file tells.
    pub layer_range: Option<[u64; 2]>,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Whether it is on this node.
    pub local: bool,
    /// Whether it is in memory.
    pub loaded: bool,
}

/// The image projector of a model that sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Projector {
    /// Whether one is known.
    pub available: bool,
    /// Whether it is on this node.
    pub local: bool,
    /// Nodes that have it.
    pub holders: u32,
}

/// `DELETE /api/admin/models/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminRemoved {
    /// `removed`.
    pub status: String,
    /// The model's name.
    pub model_id: String,
    /// Bytes it named. They are free once no other model names them.
    pub size_bytes: u64,
    /// Whether another model still names the same bytes.
    pub shared: bool,
}

/// `POST /api/admin/models/{id}/unload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminUnloaded {
    /// `unloaded`, or `not_loaded`.
    pub status: String,
    /// The model's name.
    pub model_id: String,
    /// The model's name by its makers, or else the same.
    pub model_name: String,
    /// Parts of it that left memory.
    pub segments_removed: u32,
    /// MiB that it held.
    pub estimated_freed_mb: u64,
}

/// `GET /api/admin/models/{id}/metadata`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminMetadata {
    /// The model's name.
    pub model_id: String,
    /// Name, architecture, quantisation.
    #[schema(value_type = Object)]
    pub general: Map<String, Value>,
    /// The architecture's figures.
    #[schema(value_type = Object)]
    pub model: Map<String, Value>,
    /// The tokenizer's settings.
    #[schema(value_type = Object)]
    pub tokenizer: Map<String, Value>,
    /// How many tensors, and where their data begins.
    pub tensors: AdminTensors,
    /// All keys but the vocabulary's lists.
    pub raw: Vec<AdminEntry>,
}

/// What `AdminMetadata` tells of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminTensors {
    /// How many.
    pub count: u64,
    /// Where their data begins, in bytes from the file's start.
    pub data_offset: u64,
}

/// One key of a file's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminEntry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// `PUT /api/admin/models/{id}/auto-manage`. What is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutoManageRequest {
    /// Whether the node may fetch and place it by itself.
    #[serde(alias = "enabled", skip_serializing_if = "Option::is_none")]
    pub auto_manage: Option<bool>,
    /// Whether the node may remove it by itself.
    #[serde(alias = "prune_enabled", skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
}

/// `GET /api/admin/models/{id}/auto-manage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutoManage {
    /// The model's name.
    pub model_id: String,
    /// Whether the node may fetch and place it by itself.
    pub auto_manage: bool,
    /// Whether the node may remove it by itself.
    pub prune: bool,
    /// Whether the policy changes anything now.
    pub effective: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// `PUT /api/admin/models/{id}/encrypted-pipeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EncryptedPipelineRequest {
    /// Whether its first and last layers must stay on this node.
    pub enabled: bool,
}

/// `GET /api/admin/models/{id}/encrypted-pipeline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EncryptedPipeline {
    /// The model's name.
    pub model_id: String,
    /// Whether its first and last layers must stay on this node.
    pub enabled: bool,
    /// `model` where that was set for this model, or `default`.
    pub source: String,
    /// Whether this node holds the first and the last layers.
    pub ready: bool,
    /// Whether the setting changes anything now.
    pub effective: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What it costs where it does.
    pub overhead: String,
    /// What to know before relying on it.
    pub warning: Option<String>,
}

/// `GET /api/admin/shard-storage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShardStorage {
    /// The disk that models lie on.
    pub disk: DiskUse,
    /// The memory that models may take.
    pub memory: MemoryUse,
    /// What each model takes.
    pub models: Vec<ModelStorage>,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DiskUse {
    /// Bytes it holds in all.
    pub total_bytes: u64,
    /// Bytes that may still be written.
    pub available_bytes: u64,
    /// Bytes of the models; those that several share count once.
    pub models_bytes: u64,
}

/// Memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemoryUse {
    /// Bytes that loaded models may take together.
    pub budget_bytes: u64,
    /// Bytes that they take.
    pub used_bytes: u64,
    /// How much of that lies on a GPU.
    pub gpu_bytes: u64,
}

/// What a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelStorage {
    /// The model's name.
    pub model_id: String,
    /// Shards on this node.
    pub shards: u32,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Other models that share these bytes.
    pub shared_with: Vec<String>,
    /// Bytes in memory; none unless loaded.
    pub memory_bytes: u64,
    /// How much of that lies on a GPU.
    pub gpu_bytes: u64,
}

/// `GET /api/admin/prune-history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PruneHistory {
    /// What was removed unasked, the latest first; at most 100.
    pub events: Vec<PruneEvent>,
}

/// One removal that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PruneEvent {
    /// When, RFC 3339.
    pub timestamp: String,
    /// `expired_uploads`, `unnamed_bytes` or `missing_bytes`.
    pub reason: String,
    /// The models that went.
    pub models: Vec<String>,
    /// Files that went.
    pub files: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

/// `POST /api/admin/rescan-shards`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rescanned {
    /// `ok`.
    pub status: String,
    /// Models that were removed or described anew.
    pub models_updated: Vec<String>,
    /// How many.
    pub count: u64,
    /// Those that were removed because their bytes are gone.
    pub removed: Vec<String>,
    /// Files removed that nothing named.
    pub files_removed: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

/// One model of `GET /model/list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedModel {
    /// Its name, `family:tag`.
    pub model_id: String,
    /// Billions of parameters.
    pub param_size: f64,
    /// How the weights are stored, `Q4_1`.
    pub quantization: String,
    /// Whether it is on this node.
    pub installed: bool,
    /// Whether it is the default model.
    pub active: bool,
    /// Where it came from.
    pub source: String,
}

/// `GET /model/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// The default model.
    pub model: Option<String>,
    /// Billions of its parameters.
    pub param_size: Option<f64>,
    /// `ready`, or `no_model`.
    pub status: String,
    /// Whether inference works on this node; the word is older than the node.
    pub ollama_healthy: bool,
    /// Whether the model is in memory.
    pub loaded: bool,
}

/// `POST /model/swap`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SwapRequest {
    /// The model, by any name it answers to.
    pub model: String,
}

/// What a swap came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Swapped {
    /// The default model before.
    pub previous: Option<String>,
    /// The default model now.
    pub active: String,
    /// `ready`: it is in memory.
    pub status: String,
    /// Billions of its parameters.
    pub param_size: f64,
    /// Percent of it that are here.
    pub progress: u8,
    /// Why it failed; none of a success.
    pub error: Option<String>,
}
