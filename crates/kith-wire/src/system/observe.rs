//! What was measured: the last day in minutes, the last ten minutes in ten seconds.

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/system/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MetricsHistory {
    /// The time between points, in milliseconds.
    pub interval_ms: u64,
    /// The points, oldest first. A minute in which the node did not run has none.
    pub points: Vec<MetricsPoint>,
}

/// One minute. A figure that was not measured is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct MetricsPoint {
    /// When the minute began, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub ts_ms: Timestamp,
    /// Milliseconds of the minute that were counted.
    pub covered_ms: u32,
    /// Mean load of all processors together, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Mean load by this process, in percent of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_cpu_percent: Option<f64>,
    /// Bytes of memory in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Bytes of memory there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Bytes of this process in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_memory_bytes: Option<u64>,
    /// Bytes free where the data folder lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Bytes received by the node's listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_in_bytes: Option<u64>,
    /// Bytes sent by the node's listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_out_bytes: Option<u64>,
    /// HTTP requests answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Those of them answered with a fault of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_requests: Option<u64>,
    /// Prompts taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<u64>,
    /// Prompts that ended in an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_prompts: Option<u64>,
    /// Tokens of prompts whose answers ended in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<u64>,
    /// Tokens of answers that ended in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<u64>,
    /// The most prompts seen being answered at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_prompts: Option<u64>,
    /// The most prompts seen waiting at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_prompts: Option<u64>,
    /// Models in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models_loaded: Option<u64>,
    /// Half of the requests took at most so long until the head of their answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_ms: Option<f64>,
    /// 95 of 100 requests took at most so long until the head of their answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p95_ms: Option<f64>,
}

/// `GET /api/v1/stats/throughput`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ThroughputStats {
    /// The length of a bucket, in milliseconds.
    pub bucket_ms: u64,
    /// The buckets of the last ten minutes, oldest first. Time that was not measured has none.
    pub buckets: Vec<ThroughputBucket>,
    /// Rates over the last 10 seconds, minute and ten minutes. What was not measured is left out.
    pub windows: Vec<ThroughputWindow>,
    /// Traffic with the nodes of the network in buckets of the same length, oldest first; nothing while no network is connected.
    #[serde(default)]
    pub mesh: Vec<MeshBucket>,
}

/// Traffic with all peers in one bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MeshBucket {
    /// When it began, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub ts_ms: Timestamp,
    /// Bytes per second that came in.
    pub in_bytes_per_second: f64,
    /// Bytes per second that went out.
    pub out_bytes_per_second: f64,
}

/// What went through in one span of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ThroughputBucket {
    /// When it began, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub ts_ms: Timestamp,
    /// How long it was, in milliseconds.
    pub span_ms: u32,
    /// The rates in it.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Rates over a span of time that ends now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ThroughputWindow {
    /// The span, in seconds.
    pub seconds: u32,
    /// Milliseconds of it that were measured.
    pub measured_ms: u64,
    /// The rates in it.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Amounts per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ThroughputRates)]
pub struct Rates {
    /// Bytes received by the node's listeners.
    pub in_bytes_per_second: f64,
    /// Bytes sent by them.
    pub out_bytes_per_second: f64,
    /// Tokens of prompts whose answers ended.
    pub tokens_in_per_second: f64,
    /// Tokens of answers that ended.
    pub tokens_out_per_second: f64,
}
