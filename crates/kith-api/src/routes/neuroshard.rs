//! NeuroShard's endpoints: state, measures, prompts, configuration.

use crate::{
    app::App,
    body::{Json as Body, PromptJson},
    configuration::flatten,
    default_model::model_for,
    error::ApiError,
    mesh::Peer,
    neuroshard::{self, Events, Fold},
    stats::{self, latency},
    stream::{late_error, sse, sse_data},
};
use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kith_access::Principal;
use kith_inference::Pieces;
use kith_types::{Code, Family, Scope};
use kith_wire::{
    neuroshard::{
        Checks, Config, ConfigUpdated, Health, InferenceMetrics, InferenceRequest, InferenceResponse, Metrics, NetworkMetrics,
        ResourceConfig, Resources, Rewards, Status, StreamEvent, TrainingConfig, TrainingMetrics, TrainingStatus,
    },
    system::ConfigChanges,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// With less free than this the disk counts as low: a small model would not fit.
const LOW_DISK: u64 = 512 << 20;
/// Bytes in a GiB.
#[allow(clippy::cast_precision_loss)]
const GIB: f64 = (1u64 << 30) as f64;

/// The node in a few figures.
#[utoipa::path(get, path = "/api/v1/status", tag = "system", responses((status = 200, body = Status)))]
pub async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    let hardware = stats::hardware(&app).await;
    Json(Status {
        node_id: app.node_id.to_string(),
        version: app.build.version.clone(),
        uptime_seconds: app.uptime_ms() / 1000,
        status: if app.stop.is_cancelled() { "stopping" } else { "running" }.into(),
        role: "full".into(),
        layers: Vec::new(),
        peer_count: app.mesh.peers().await.len() as u64,
        training: TrainingStatus::default(),
        resources: Resources {
            gpu_memory_used: hardware.memory.models_gpu,
            gpu_memory_total: None,
            cpu_percent: hardware.cpu.percent,
            ram_used: hardware.memory.used,
            ram_total: hardware.memory.total,
        },
    })
}

/// Bytes on the connections there are now; of those that ended nothing is kept.
fn traffic(peers: &[Peer]) -> NetworkMetrics {
    NetworkMetrics {
        bytes_sent: Some(peers.iter().map(|peer| peer.bytes_out).sum()),
        bytes_received: Some(peers.iter().map(|peer| peer.bytes_in).sum()),
        active_connections: Some(peers.len() as u64),
        rpc_calls: None,
    }
}

/// Measures since the start. What there is nothing of to measure is null.
#[utoipa::path(get, path = "/api/v1/metrics", tag = "system", responses((status = 200, body = Metrics)))]
pub async fn metrics(State(app): State<Arc<App>>) -> Json<Metrics> {
    let stats = app.inference.stats();
    let total = latency(stats.total);
    Json(Metrics {
        timestamp: app.clock.now().rfc3339(),
        inference: InferenceMetrics {
            requests_total: stats.prompts,
            requests_per_minute: stats.last_minute,
            avg_latency_ms: total.mean_ms,
            p50_latency_ms: total.p50_ms,
            p95_latency_ms: total.p95_ms,
            p99_latency_ms: total.p99_ms,
            tokens_generated: stats.completion_tokens,
        },
        training: TrainingMetrics::default(),
        network: traffic(&app.mesh.peers().await),
        rewards: Rewards::default(),
    })
}

/// Whether the node can do its work.
#[utoipa::path(get, path = "/api/v1/health", tag = "system", responses((status = 200, body = Health)))]
pub async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let hardware = stats::hardware(&app).await;
    let gpu = match (app.inference.loaded().is_empty(), hardware.memory.models_gpu) {
        (true, _) => "unknown",
        (false, 0) => "cpu_only",
        (false, _) => "ok",
    };
    let storage = match app.library.list().await {
        Err(_) => "failed",
        Ok(_) if hardware.disk.is_some_and(|disk| disk.available < LOW_DISK) => "low",
        Ok(_) => "ok",
    };
    let standing = app.mesh.standing().await;
    let network = match (standing.network, standing.fault) {
        (Some(_), _) => "ok",
        (None, Some(_)) => "failed",
        (None, None) => "offline",
    };
    let peers = if app.mesh.peers().await.is_empty() { "none" } else { "ok" };
    Json(Health {
        healthy: storage != "failed" && !app.stop.is_cancelled(),
        checks: Checks { gpu: gpu.into(), network: network.into(), storage: storage.into(), peers: peers.into() },
    })
}

fn streamed(app: Arc<App>, mut pieces: Pieces) -> Response {
    let shared = Arc::clone(&app);
    let mut events = Events::default();
    let stream = async_stream::stream! {
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    if let Some(event) = events.piece(piece) {
                        yield sse_data(&event);
                    }
                }
                Err(error) => {
                    yield sse_data(&late_error(&shared, ApiError::renamed(error, neuroshard::field), Family::NeuroShard));
                    return;
                }
            }
        }
    };
    sse(stream, &app)
}

/// Answers a prompt. With `stream`, each piece is sent when it is there; the last event has the token `[DONE]`.
#[utoipa::path(post, path = "/api/v1/inference", tag = "inference", request_body = InferenceRequest,
    responses((status = 200, description = "The answer; server-sent events of pieces if `stream`.", content(
                  (InferenceResponse = "application/json"), (StreamEvent = "text/event-stream"))),
              (status = 400, description = "A bad field, or a prompt that is too long."), (status = 404, description = "No such model."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn inference(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<InferenceRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(false);
    let model = model_for(&app, request.model.clone()).await?;
    let generate = neuroshard::generate(request, model)?;
    let mut answer = app.inference.generate(generate).await.map_err(|error| ApiError::renamed(error, neuroshard::field))?;
    if stream {
        return Ok(streamed(app, answer.pieces));
    }
    let id = app.new_request_id().as_str().replace("req_", "inf_");
    let mut fold = Fold::new(id, answer.card.name.clone());
    while let Some(piece) = answer.pieces.next().await {
        fold.piece(piece.map_err(|error| ApiError::renamed(error, neuroshard::field))?);
    }
    Ok(Json(fold.close()).into_response())
}

/// The configuration: NeuroShard's fields, and beside them every setting of this node by table.
#[utoipa::path(get, path = "/api/v1/config", tag = "system", responses((status = 200, body = Config)))]
pub async fn config(State(app): State<Arc<App>>) -> Json<Config> {
    #[allow(clippy::cast_precision_loss)]
    let max_memory_gb = app.inference.bounds().memory as f64 / GIB;
    Json(Config {
        node_id: app.node_id.to_string(),
        port: app.listening().first().map_or(0, std::net::SocketAddr::port),
        grpc_port: None,
        tracker_url: None,
        training: TrainingConfig::default(),
        resources: ResourceConfig {
            max_memory_gb,
            cpu_threads: std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64),
        },
        tables: super::config::tables(&app.configuration.view()),
    })
}

/// NeuroShard's fields as settings of this node; its other fields cannot be changed, and say so.
fn settings(changes: Map<String, Value>) -> Result<Vec<(String, String, Value)>, ApiError> {
    let refuse =
        |field: &str, reason: &str| Err(ApiError::new(Code::InvalidRequest, format!("`{field}` {reason}")).with_field(field));
    let mut settings = Vec::new();
    for (field, value) in changes {
        let (key, value) = match field.as_str() {
            "port" => ("api.port".to_owned(), value),
            "resources.max_memory_gb" => {
                // The least is one MiB; a Pebibyte is more than any machine has.
                let Some(mib) = value.as_f64().map(|gib| gib * 1024.0).filter(|mib| (1.0..=(1u64 << 30) as f64).contains(mib))
                else {
                    return refuse(&field, "must be a number of GiB above 0");
                };
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let mib = mib.round() as u64;
                ("inference.memory_mib".to_owned(), json!(mib))
            }
            "resources.cpu_threads" => return refuse(&field, "is what the machine has, and cannot be changed"),
            "node_id" | "grpc_port" | "tracker_url" => return refuse(&field, "cannot be changed"),
            field if field.starts_with("training.") => return refuse(field, "cannot be changed: this node does not train"),
            _ => (field.clone(), value),
        };
        settings.push((field, key, value));
    }
    Ok(settings)
}

/// Changes the configuration: NeuroShard's `port` and `resources.max_memory_gb`, and every setting of this node by table. All or none.
/// Users reach how much the node works for them; the rest is the owner's.
#[utoipa::path(patch, path = "/api/v1/config", tag = "system", request_body = ConfigChanges,
    responses((status = 200, body = ConfigUpdated),
              (status = 400, description = "An unknown field, one that cannot be changed, or an impossible value."),
              (status = 403, description = "The owner's to change.")))]
pub async fn change_config(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Body(changes): Body<ConfigChanges>,
) -> Result<Json<ConfigUpdated>, ApiError> {
    let settings = settings(flatten(changes.0))?;
    let reserved = settings.iter().find(|(_, key, _)| !key.starts_with("inference."));
    if let Some((field, ..)) = reserved.filter(|_| principal.scope != Some(Scope::Admin)) {
        let message = format!("`{field}` is changed by the owner alone; these credentials reach `inference`");
        return Err(ApiError::new(Code::Forbidden, message).with_field(field));
    }
    let changes = settings.iter().map(|(_, key, value)| (key.clone(), value.clone())).collect();
    let applied = app.configuration.change(changes).await?;
    let overridden = super::config::overridden(&applied);
    let holds = |key: &str| !overridden.iter().any(|one| one.key == key);
    Ok(Json(ConfigUpdated {
        success: true,
        updated: settings.iter().filter(|(_, key, _)| holds(key)).map(|(field, ..)| field.clone()).collect(),
        restart_required: settings.iter().any(|(_, key, _)| applied.restart_required.contains(key)),
        overridden,
        applied: applied.applied,
        pending: applied.restart_required,
    }))
}
