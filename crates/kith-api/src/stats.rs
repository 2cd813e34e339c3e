//! The node's figures, gathered from where they are measured.

use crate::{app::App, error::ApiError};
use kith_inference::{LoadedModel, Percentiles, Stats};
use kith_types::Timestamp;
use kith_wire::system::{InferenceStats, Latency, LoadedModelStats, NodeStats};
use std::collections::HashMap;

pub(crate) fn latency(times: Percentiles) -> Latency {
    let told = |ms: f64| (times.count > 0).then_some(ms);
    Latency {
        count: times.count,
        mean_ms: told(times.mean_ms),
        p50_ms: told(times.p50_ms),
        p95_ms: told(times.p95_ms),
        p99_ms: told(times.p99_ms),
    }
}

fn inference(stats: Stats, parallel: u32) -> InferenceStats {
    InferenceStats {
        requests_total: stats.prompts,
        requests_finished: stats.finished,
        requests_failed: stats.failed,
        requests_cancelled: stats.cancelled,
        running: stats.running,
        queued: stats.waiting as u64,
        requests_per_minute: stats.last_minute,
        prompt_tokens: stats.prompt_tokens,
        completion_tokens: stats.completion_tokens,
        first_token: latency(stats.first_token),
        total: latency(stats.total),
        parallel,
    }
}

fn loaded(model: &LoadedModel) -> LoadedModelStats {
    LoadedModelStats {
        name: model.card.name.clone(),
        engine: model.engine.to_owned(),
        context: model.context,
        weights_bytes: model.memory.weights,
        cache_bytes: model.memory.cache,
        gpu_bytes: model.memory.gpu,
        active: model.active as u64,
        waiting: model.waiting as u64,
        expires_at: model.expires.map(Timestamp::rfc3339),
    }
}

/// The machine with what models hold of it.
pub(crate) async fn hardware(app: &App) -> kith_wire::system::Hardware {
    let mut hardware = app.hardware.read(&app.settings.data_dir).await;
    hardware.memory.model_budget = app.inference.bounds().memory;
    for model in app.inference.loaded() {
        hardware.memory.models += model.memory.weights.saturating_add(model.memory.cache);
        hardware.memory.models_gpu += model.memory.gpu;
    }
    hardware
}

/// Everything `GET /api/admin/stats` tells.
pub(crate) async fn node(app: &App) -> Result<NodeStats, ApiError> {
    let models = app.library.list().await?;
    // Models of one file count its bytes once.
    let files: HashMap<String, u64> = models.iter().map(|model| (model.blob.to_string(), model.size)).collect();
    Ok(NodeStats {
        node_id: app.node_id.to_string(),
        version: app.build.version.clone(),
        started_at: app.started.rfc3339(),
        uptime_seconds: app.uptime_ms() / 1000,
        hardware: hardware(app).await,
        inference: inference(app.inference.stats(), app.inference.places()),
        models_loaded: app.inference.loaded().iter().map(loaded).collect(),
        models_total: models.len() as u64,
        models_bytes: files.values().sum(),
        sockets_open: (crate::app::MAX_SOCKETS - app.sockets.available_permits()) as u64,
    })
}
