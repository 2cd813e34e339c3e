//! How busy the node is, and on what machine. Everything is measured; what cannot be measured is null.

use serde::{Deserialize, Serialize};

/// `GET /api/admin/stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeStats {
    /// The node's id.
    pub node_id: String,
    /// The version of the program.
    pub version: String,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// The machine.
    pub hardware: Hardware,
    /// Prompts and their answers since the start.
    pub inference: InferenceStats,
    /// Models in memory.
    pub models_loaded: Vec<LoadedModelStats>,
    /// Models in the library.
    pub models_total: u64,
    /// Bytes of their files, each file once.
    pub models_bytes: u64,
    /// WebSockets open now.
    pub sockets_open: u64,
}

/// The machine the node runs on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hardware {
    /// The operating system and its version; null where it does not tell.
    pub os: Option<String>,
    /// The kernel's version.
    pub kernel: Option<String>,
    /// The processor's architecture.
    pub arch: String,
    /// The processor.
    pub cpu: Cpu,
    /// Memory.
    pub memory: MemoryStats,
    /// The disk that the node's folder lies on; null where it cannot be told.
    pub disk: Option<Disk>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cpu {
    /// Its name; null where the system does not tell.
    pub model: Option<String>,
    /// Cores; null where the system does not tell.
    pub physical_cores: Option<u64>,
    /// Threads that run at once.
    pub logical_cores: u64,
    /// How busy all of them are, in percent, over the last second or so.
    pub percent: f32,
    /// How busy this program keeps them; 100 is one of them.
    pub process_percent: f32,
}

/// Memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemoryStats {
    /// What the machine has, or its container may use.
    pub total: u64,
    /// What is in use.
    pub used: u64,
    /// What can still be had.
    pub available: u64,
    /// What this program holds.
    pub process: u64,
    /// What models may hold together.
    pub model_budget: u64,
    /// What loaded models hold.
    pub models: u64,
    /// How much of that lies on a GPU.
    pub models_gpu: u64,
}

/// A disk, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Disk {
    /// Its size.
    pub total: u64,
    /// What is free for this user.
    pub available: u64,
}

/// Prompts and their answers since the start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InferenceStats {
    /// Prompts taken.
    pub requests_total: u64,
    /// Answered to the end.
    pub requests_finished: u64,
    /// Ended in an error.
    pub requests_failed: u64,
    /// Ended because the client went away.
    pub requests_cancelled: u64,
    /// Being answered now.
    pub running: u64,
    /// Waiting for their turn now.
    pub queued: u64,
    /// Taken in the last 60 seconds.
    pub requests_per_minute: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// From a prompt's arrival to its answer's first token.
    pub first_token: Latency,
    /// From a prompt's arrival to its answer's end.
    pub total: Latency,
    /// Answers each model may write at once now.
    pub parallel: u32,
}

/// How long something took, in milliseconds; null before the first one. A percentile is at most a sixteenth above the true one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The mean.
    pub mean_ms: Option<f64>,
    /// Half took at most this long.
    pub p50_ms: Option<f64>,
    /// 95 of 100 took at most this long.
    pub p95_ms: Option<f64>,
    /// 99 of 100 took at most this long.
    pub p99_ms: Option<f64>,
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoadedModelStats {
    /// Its name.
    pub name: String,
    /// The engine that holds it.
    pub engine: String,
    /// Tokens of its window.
    pub context: u32,
    /// Bytes of its weights.
    pub weights_bytes: u64,
    /// Bytes of its cache.
    pub cache_bytes: u64,
    /// Bytes of both that lie on a GPU.
    pub gpu_bytes: u64,
    /// Answers being written.
    pub active: u64,
    /// Requests waiting.
    pub waiting: u64,
    /// When it will leave unless it is used again, RFC 3339; null is never, or not while it answers.
    pub expires_at: Option<String>,
}
