//! What was measured: the last day in minutes, the last ten minutes in ten seconds.

use crate::{app::App, error::ApiError, mesh::Throughput, query};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use kith_system::{BUCKET_MS, Point, Window};
use kith_wire::system::{MeshBucket, MetricsHistory, MetricsPoint, Rates, ThroughputBucket, ThroughputStats, ThroughputWindow};
use serde::Deserialize;
use std::sync::Arc;

/// The spans over which rates are told, in seconds.
const WINDOWS: [u32; 3] = [10, 60, 600];

/// A span of time, in milliseconds since 1970.
#[derive(Deserialize)]
pub struct Span {
    from: Option<i64>,
    to: Option<i64>,
}

fn point(point: Point) -> MetricsPoint {
    let figures = point.figures;
    MetricsPoint {
        ts_ms: point.start,
        covered_ms: point.covered_ms,
        latency_p50_ms: figures.latency_p50_ms(),
        latency_p95_ms: figures.latency_p95_ms(),
        cpu_percent: figures.cpu_percent,
        process_cpu_percent: figures.process_cpu_percent,
        memory_used_bytes: figures.memory_used_bytes,
        memory_total_bytes: figures.memory_total_bytes,
        process_memory_bytes: figures.process_memory_bytes,
        disk_free_bytes: figures.disk_free_bytes,
        network_in_bytes: figures.network_in_bytes,
        network_out_bytes: figures.network_out_bytes,
        requests: figures.requests,
        failed_requests: figures.failed_requests,
        prompts: figures.prompts,
        failed_prompts: figures.failed_prompts,
        tokens_in: figures.prompt_tokens,
        tokens_out: figures.completion_tokens,
        active_prompts: figures.active_prompts,
        waiting_prompts: figures.waiting_prompts,
        models_loaded: figures.models_loaded,
    }
}

/// The last 24 hours, one point a minute. A minute without the node has no point, and a figure that was not measured is left out.
#[utoipa::path(get, path = "/api/v1/system/metrics", tag = "system",
    params(("from" = Option<i64>, Query, description = "Not before this time, in milliseconds since 1970."),
           ("to" = Option<i64>, Query, description = "Not after this time, in milliseconds since 1970.")),
    responses((status = 200, body = MetricsHistory), (status = 400, description = "`from` is after `to`, or one is no time.")))]
pub async fn metrics_history(
    State(app): State<Arc<App>>,
    span: Result<Query<Span>, QueryRejection>,
) -> Result<Json<MetricsHistory>, ApiError> {
    let span = query::read(span)?;
    let points = app.system.metrics.points(span.from, span.to).await?;
    Ok(Json(MetricsHistory { interval_ms: 60_000, points: points.into_iter().map(point).collect() }))
}

fn rates(window: &Window) -> Rates {
    Rates {
        in_bytes_per_second: window.bytes_in,
        out_bytes_per_second: window.bytes_out,
        tokens_in_per_second: window.tokens_in,
        tokens_out_per_second: window.tokens_out,
    }
}

fn mesh_bucket(bucket: Throughput) -> MeshBucket {
    let rate = |bytes: u64| bytes as f64 * 1000.0 / BUCKET_MS as f64;
    MeshBucket { ts_ms: bucket.at, in_bytes_per_second: rate(bucket.bytes_in), out_bytes_per_second: rate(bucket.bytes_out) }
}

/// How much goes through the node, and between it and the nodes of its network: ten minutes in buckets of ten seconds, and rates up to now.
#[utoipa::path(get, path = "/api/v1/stats/throughput", tag = "mesh", responses((status = 200, body = ThroughputStats)))]
pub async fn throughput(State(app): State<Arc<App>>) -> Json<ThroughputStats> {
    let now = app.clock.now();
    let buckets = app.system.throughput.buckets(now).into_iter().map(|bucket| ThroughputBucket {
        ts_ms: bucket.start,
        span_ms: bucket.span_ms,
        rates: rates(&bucket.rates()),
    });
    let windows = WINDOWS.into_iter().filter_map(|seconds| {
        // Buckets end a moment ago: one more of them reaches back so far.
        let window = app.system.throughput.window(now, i64::from(seconds) * 1000 + BUCKET_MS)?;
        Some(ThroughputWindow { seconds, measured_ms: window.measured_ms, rates: rates(&window) })
    });
    let (windows, buckets) = (windows.collect(), buckets.collect());
    let mesh = app.mesh.throughput().await.into_iter().map(mesh_bucket).collect();
    Json(ThroughputStats { bucket_ms: BUCKET_MS.unsigned_abs(), windows, buckets, mesh })
}
