//! EdgeCoder's bodies: the portal's chat, decomposition into subtasks, state.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /portal/chat`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PortalChatRequest {
    /// The conversation. Messages of the role `system` are dropped: the system text is the node's own.
    pub messages: Vec<PortalMessage>,
    /// The model; the node's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// The most tokens of the answer.
    #[serde(default, rename = "maxTokens", alias = "max_tokens", skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i64>,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PortalMessage {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// One event of the portal's answer; after the last comes `[DONE]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PortalChunk {
    /// More text.
    pub content: String,
}

/// `POST /decompose`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecomposeRequest {
    /// The task's id, 1 to 128 bytes.
    pub task_id: String,
    /// What is to be done; 1 to 65,536 bytes.
    pub prompt: String,
    /// The state of the code it starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_ref: Option<String>,
    /// `python` (if left out) or `javascript`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The model; the node's default if left out.
    #[serde(default, alias = "requestedModel", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Handed on to every subtask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_meta: Option<Value>,
}

/// The subtasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecomposeResponse {
    /// The task's id.
    pub task_id: String,
    /// 1 to 10 subtasks; each comes after those it depends on.
    pub subtasks: Vec<Subtask>,
    /// Whether they are the model's; false: its answer made no sense, and the task stands as one.
    pub decomposed: bool,
    /// The model that was asked.
    pub model: String,
}

/// One subtask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subtask {
    /// Its id, unique in the task.
    pub id: String,
    /// The task's id.
    pub task_id: String,
    /// `micro_loop` or `single_step`.
    pub kind: String,
    /// `python` or `javascript`.
    pub language: String,
    /// What is to be done.
    pub input: String,
    /// How long it may take.
    pub timeout_ms: u64,
    /// The state of the code it starts from.
    pub snapshot_ref: String,
    /// As the request has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_meta: Option<Value>,
    /// The ids of subtasks that must be done before.
    pub depends_on: Vec<String>,
    /// Its place, from 0 on.
    pub subtask_index: u32,
}

/// `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoordinatorStatus {
    /// Prompts waiting.
    pub queued: u64,
    /// Nodes that answer prompts: this one, once it has a model.
    pub agents: u64,
    /// Prompts answered since the start.
    pub results: u64,
    /// Prompts being answered.
    pub running: u64,
    /// Whether a prompt would be answered.
    pub ready: bool,
    /// `running` or `stopping`.
    pub status: String,
    /// The version of the program.
    pub version: String,
}

/// `GET /health/runtime`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeHealth {
    /// Whether a prompt would be answered.
    pub ok: bool,
    /// Now, in milliseconds since 1970.
    pub generated_at_ms: i64,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// The version of the program.
    pub version: String,
    /// The model of requests that name none; null where nothing tells which.
    pub active_model: Option<String>,
    /// Models in memory.
    pub models_loaded: Vec<String>,
    /// Models in the library.
    pub models_installed: u64,
    /// Prompts being answered.
    pub running: u64,
    /// Prompts waiting.
    pub queued: u64,
    /// Bytes this program holds.
    pub memory_bytes: u64,
    /// How busy this program keeps the processor; 100 is one core.
    pub cpu_percent: f32,
    /// 95 of 100 answers took at most this long; null before the first one.
    pub p95_latency_ms: Option<f64>,
}
