//! The hub's bodies: what a search found, what a remote file is, where a model came from.

use serde::{Deserialize, Serialize};

/// A repository that `GET /api/admin/hf/search` found; the answer is a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HubRepository {
    /// `user/repository`.
    pub repo_id: String,
    /// Downloads, as the hub counts them.
    pub downloads: u64,
    /// Likes.
    pub likes: u64,
    /// Its models.
    pub variants: Vec<HubVariant>,
    /// The quantisation of the one recommended; its file name where that tells none.
    pub recommended_variant: Option<String>,
    /// Whether the one recommended fits the memory that models may hold, with a margin of 15 percent.
    pub fits_vram: bool,
}

/// A model of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HubVariant {
    /// The file; of several parts, the first.
    pub filename: String,
    /// Bytes, of all parts together.
    pub size_bytes: u64,
    /// The quantisation, `Q4_K_M`, if the file name tells it.
    pub quant: Option<String>,
    /// Parts; 1 for a whole file.
    pub parts: u32,
    /// Whether it fits the memory that models may hold, with a margin of 15 percent.
    pub fits_vram: bool,
}

/// `GET /api/admin/hf/probe`: what a remote file's header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HubProbe {
    /// The id its downloads have: the slug of its name in the library.
    pub model_id: String,
    /// `user/repository`.
    pub repo_id: String,
    /// The file's path there.
    pub filename: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest, 64 hexadecimal digits, if the hub tells.
    pub sha256: Option<String>,
    /// The architecture, `llama`.
    pub architecture: String,
    /// The model's name by its makers.
    pub name: Option<String>,
    /// How the weights are stored, `Q4_K_M`.
    pub quantization: String,
    /// Layers.
    pub num_layers: Option<u64>,
    /// Weights.
    pub parameter_count: u64,
    /// Tokens the model was trained to attend to.
    pub context_length: u32,
    /// The licence, as the file names it.
    pub license: Option<String>,
    /// The size that shards are aimed at, in MiB.
    pub shard_size_mb: u64,
    /// Shards.
    pub shard_count: u32,
    /// How the model would be cut into them.
    pub shards: Vec<HubShard>,
}

/// One shard of a remote model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HubShard {
    /// Its place, from 0.
    pub index: u32,
    /// Its first layer and its last.
    pub layer_range: [u32; 2],
    /// Bytes of its tensors.
    pub size_bytes: u64,
}

/// `GET /api/admin/hf/source/{model_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HubSource {
    /// The model.
    pub model_id: String,
    /// `user/repository`.
    pub repo_id: String,
    /// The file's path there.
    pub filename: String,
}

/// `POST /api/admin/hf/download-shards`. Of `shards`, `peer_fair_share` and `all_shards` at most one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DownloadShardsRequest {
    /// `user/repository`.
    pub repo_id: String,
    /// The file's path there.
    pub filename: String,
    /// The shards wanted, by index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Vec<u32>>,
    /// Only this node's fair share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_fair_share: Option<bool>,
    /// Every shard; what is meant where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_shards: Option<bool>,
}
