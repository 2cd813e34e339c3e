//! NeuroShard's bodies: status, measures, health, prompts, configuration. What this node does not do yet, or cannot measure, is null.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardStatus)]
pub struct Status {
    /// The node's id.
    pub node_id: String,
    /// The version of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// `running` or `stopping`.
    pub status: String,
    /// `full`: every model here is whole, with embedding and head.
    pub role: String,
    /// Layers held for a network; none outside one.
    pub layers: Vec<u32>,
    /// Other nodes connected.
    pub peer_count: u64,
    /// Training.
    pub training: TrainingStatus,
    /// The machine.
    pub resources: Resources,
}

/// Training; its figures are null where there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardTrainingStatus)]
pub struct TrainingStatus {
    /// Whether the node trains.
    pub enabled: bool,
    /// The epoch.
    pub epoch: Option<u64>,
    /// The step.
    pub step: Option<u64>,
    /// The loss.
    pub loss: Option<f64>,
}

/// The machine, in bytes and percent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardResources)]
pub struct Resources {
    /// Bytes of models on a GPU.
    pub gpu_memory_used: u64,
    /// Bytes of the GPU; null where they cannot be told.
    pub gpu_memory_total: Option<u64>,
    /// How busy the processor is, in percent.
    pub cpu_percent: f32,
    /// Bytes of memory in use on the machine.
    pub ram_used: u64,
    /// Bytes of memory of the machine.
    pub ram_total: u64,
}

/// `GET /api/v1/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardMetrics)]
pub struct Metrics {
    /// Now, RFC 3339.
    pub timestamp: String,
    /// Prompts since the start.
    pub inference: InferenceMetrics,
    /// Training.
    pub training: TrainingMetrics,
    /// Traffic with other nodes.
    pub network: NetworkMetrics,
    /// What the node earned.
    pub rewards: Rewards,
}

/// Prompts since the start; latencies are null before the first answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardInferenceMetrics)]
pub struct InferenceMetrics {
    /// Prompts taken.
    pub requests_total: u64,
    /// Prompts taken in the last 60 seconds.
    pub requests_per_minute: u64,
    /// Mean time from arrival to end.
    pub avg_latency_ms: Option<f64>,
    /// Half took at most this long.
    pub p50_latency_ms: Option<f64>,
    /// 95 of 100 took at most this long.
    pub p95_latency_ms: Option<f64>,
    /// 99 of 100 took at most this long.
    pub p99_latency_ms: Option<f64>,
    /// Tokens of answers.
    pub tokens_generated: u64,
}

/// Training; null where there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardTrainingMetrics)]
pub struct TrainingMetrics {
    /// Steps done.
    pub steps_total: Option<u64>,
    /// Steps in the last hour.
    pub steps_per_hour: Option<f64>,
    /// Gradients sent.
    pub gradients_submitted: Option<u64>,
    /// Gradients taken by others.
    pub gradients_accepted: Option<u64>,
}

/// Traffic with other nodes; null where there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardNetworkMetrics)]
pub struct NetworkMetrics {
    /// Bytes sent.
    pub bytes_sent: Option<u64>,
    /// Bytes received.
    pub bytes_received: Option<u64>,
    /// Connections now.
    pub active_connections: Option<u64>,
    /// Calls.
    pub rpc_calls: Option<u64>,
}

/// What the node earned; null where nothing is counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardRewards)]
pub struct Rewards {
    /// Since midnight.
    pub earned_today: Option<f64>,
    /// Ever.
    pub earned_total: Option<f64>,
    /// Not confirmed yet.
    pub pending: Option<f64>,
}

/// `GET /api/v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardHealth)]
pub struct Health {
    /// Whether the node can do its work.
    pub healthy: bool,
    /// Its parts.
    pub checks: Checks,
}

/// The parts of the node, in a word each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardChecks)]
pub struct Checks {
    /// `ok` if models lie on a GPU, else `cpu_only`; `unknown` while none is loaded.
    pub gpu: String,
    /// `ok` in a network, else `offline`.
    pub network: String,
    /// `ok`, `low` with little room, `failed` when the library cannot be read.
    pub storage: String,
    /// `ok` with other nodes, else `none`.
    pub peers: String,
}

/// `POST /api/v1/inference`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardInferenceRequest)]
pub struct InferenceRequest {
    /// The text to answer.
    pub prompt: String,
    /// The model; the node's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The most tokens of the answer; 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i64>,
    /// 0 to 2; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Above 0, up to 1; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// 0 keeps all; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Whether tokens are sent as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Texts that end the answer; at most 16, of 1 to 256 bytes each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// The same seed gives the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardInferenceResponse)]
pub struct InferenceResponse {
    /// `inf_` and 24 hexadecimal digits.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// The answer.
    pub text: String,
    /// Its tokens.
    pub tokens_generated: u64,
    /// `stop` or `length`.
    pub finish_reason: String,
    /// Counts of tokens.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
    /// Where the time went.
    pub timing: Timing,
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardUsage)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

/// What an answer cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardCost)]
pub struct Cost {
    /// What was booked: nothing, where the node answers its own people.
    pub amount: f64,
    /// `KITH`.
    pub currency: String,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardTiming)]
pub struct Timing {
    /// Waiting for a turn, and for the model to be loaded.
    pub queue_ms: u64,
    /// Reading the prompt and writing the answer.
    pub inference_ms: u64,
    /// From arrival to end.
    pub total_ms: u64,
}

/// One event of a streamed answer; the last has the token `[DONE]` and all that follows it here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardStreamEvent)]
pub struct StreamEvent {
    /// More text, or `[DONE]`.
    pub token: String,
    /// The place of this piece, from 0 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// `stop` or `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Counts of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Where the time went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
}

/// `GET /api/v1/config`: NeuroShard's fields, and beside them Kith's own tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardConfig)]
pub struct Config {
    /// The node's id.
    pub node_id: String,
    /// The port of the API.
    pub port: u16,
    /// Null: nodes do not speak gRPC here.
    pub grpc_port: Option<u16>,
    /// Null: no tracker is asked.
    pub tracker_url: Option<String>,
    /// Training.
    pub training: TrainingConfig,
    /// Bounds.
    pub resources: ResourceConfig,
    /// Kith's own settings, by table.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub tables: Map<String, Value>,
}

/// Training; null where there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardTrainingConfig)]
pub struct TrainingConfig {
    /// Whether the node trains.
    pub enabled: bool,
    /// Samples in a batch.
    pub batch_size: Option<u32>,
    /// The rate of learning.
    pub learning_rate: Option<f64>,
    /// Steps between exchanges.
    pub diloco_steps: Option<u32>,
}

/// Bounds of the machine's use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardResourceConfig)]
pub struct ResourceConfig {
    /// What models may hold together, in GiB.
    pub max_memory_gb: f64,
    /// Threads that run at once on this machine.
    pub cpu_threads: u64,
}

/// What `PATCH /api/v1/config` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NeuroShardConfigUpdated)]
pub struct ConfigUpdated {
    /// True: the whole change was taken.
    pub success: bool,
    /// The fields asked for that have their new value, now or from the next start.
    pub updated: Vec<String>,
    /// Whether some hold from the next start only.
    pub restart_required: bool,
    /// The settings that hold from now on.
    pub applied: Vec<String>,
    /// The settings that hold from the next start.
    pub pending: Vec<String>,
    /// The settings that were written, but that something stronger decides.
    pub overridden: Vec<crate::system::OverriddenSetting>,
}
