//! The download queue's bodies.

use serde::{Deserialize, Serialize};

/// `GET /api/admin/downloads`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DownloadList {
    /// Those that run and wait, in the order they were asked for; then those that ended, the last first.
    pub downloads: Vec<Download>,
}

/// One download; also the answer of `GET /api/admin/models/{id}/status`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Download {
    /// The slug of the model's name.
    pub model_id: String,
    /// The model's name, `family:tag`.
    pub model: String,
    /// `queued`, `preparing`, `downloading`, `verifying`, `writing`, `completed`, `failed`, `cancelled`; of a model that was there
    /// before, `ready`.
    pub status: String,
    /// Host and place of the source.
    pub source: String,
    /// Bytes that are there.
    pub completed_bytes: u64,
    /// Bytes in all; 0 before it is known.
    pub total_bytes: u64,
    /// Percent, 0 to 100.
    pub progress: f64,
    /// Bytes a second over the last seconds.
    pub speed_bps: u64,
    /// Seconds to go at that speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// Tries that failed so far.
    pub retries: u32,
    /// What a person should know, such as that it waits for the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Its files, one by one. A model of one file has one shard with all its layers.
    pub shards: Vec<DownloadShard>,
}

/// One file of a download.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DownloadShard {
    /// Its place, from 0.
    pub index: u32,
    /// Its name, or what it is for the model.
    pub name: String,
    /// Its digest, `sha256:…`.
    pub digest: String,
    /// Bytes that are there.
    pub completed_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// What `POST …/add`, `…/cancel` and `…/download-shards` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DownloadAnswer {
    /// `downloading`, `already_local` or `cancelled`.
    pub status: String,
    /// The slug of the model's name.
    pub model_id: String,
    /// The model's name, `family:tag`.
    pub model: String,
}

/// What `POST /api/admin/models/{id}/shards/{index}/download` did, or what is to be done instead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShardDownload {
    /// `already_local`; `downloading`; or `use_hf`: no peer has it, and nothing was begun, so that
    /// `POST /api/admin/hf/download-shards` is to be asked.
    pub status: String,
    /// The slug of the model's name.
    pub model_id: String,
    /// The model's name, `family:tag`.
    pub model: String,
    /// The shard.
    pub shard_index: u32,
    /// `p2p` or `huggingface`; of a download that was under way before, also host and place of another source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Who gives it, by the name its owner gave it; of several the first to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Where it is on the hub: `user/repository`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_id: Option<String>,
    /// The file there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// `GET /model/pull/progress`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullProgress {
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `pulling`, `error` or `idle`.
    pub status: String,
    /// Percent, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_pct: Option<u64>,
    /// Bytes that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
    /// Bytes in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// When it was asked for, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<i64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
