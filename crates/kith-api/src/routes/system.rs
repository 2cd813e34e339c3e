//! Who the node is and how it does.

use super::window::wants_page;
use crate::{app::App, error::ApiError, metrics};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use kith_wire::{
    ollama::VersionResponse,
    system::{AtRest, Health, NetworkStatus, SystemStatus, TlsStatus, WhoAmI},
};
use serde_json::{Map, json};
use std::sync::Arc;

/// What Ollama's clients look for at `/`.
const GREETING: &str = "Ollama is running";

/// Tells Ollama's clients that somebody is there.
#[utoipa::path(get, path = "/", tag = "system", responses((status = 200, description = "A word of greeting.", body = String),
    (status = 307, description = "For browsers: where the window is.")))]
pub async fn root(headers: HeaderMap) -> Response {
    // A person's browser is shown the window.
    if wants_page(&headers) { Redirect::temporary("/app").into_response() } else { GREETING.into_response() }
}

/// Tells Ollama's clients that somebody is there.
#[utoipa::path(head, path = "/", tag = "system", responses((status = 200, description = "Somebody is there.")))]
pub async fn root_head() -> StatusCode {
    StatusCode::OK
}

/// Whether the node and its parts work.
#[utoipa::path(get, path = "/health", tag = "system", responses((status = 200, body = Health)))]
pub async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let stats = app.inference.stats();
    let inference = app.inference.is_healthy();
    let online = app.mesh.standing().await.network.is_some();
    let peers = if online { app.mesh.peers().await.len() } else { 0 };
    let mut services = Map::new();
    services.insert("inference".into(), json!(inference));
    services.insert("models_loaded".into(), json!(app.inference.loaded().len()));
    services.insert("prompts_running".into(), json!(stats.running));
    services.insert("p2p".into(), json!(online));
    services.insert("p2p_peers".into(), json!(peers));
    services.insert("available_nodes".into(), json!(1 + peers));
    Json(Health {
        status: if inference { "healthy" } else { "degraded" }.into(),
        timestamp: app.clock.now().rfc3339(),
        version: app.build.version.clone(),
        node_id: app.node_id.to_string(),
        services,
    })
}

/// Measures of the node in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, description = "Prometheus text format 0.0.4.", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let text = metrics::render(&app).map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
pub async fn openapi(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::document(&app).to_owned()).into_response()
}

pub(super) fn version_of(app: &App) -> Json<VersionResponse> {
    Json(VersionResponse {
        version: app.build.version.clone(),
        build_date: app.build.build_date.clone(),
        git_commit: app.build.git_commit.clone(),
        rust_version: app.build.rust_version.clone(),
        api: "kith".into(),
    })
}

/// What the node was built from.
#[utoipa::path(get, path = "/api/v1/version", tag = "system", responses((status = 200, body = VersionResponse)))]
pub async fn version(State(app): State<Arc<App>>) -> Json<VersionResponse> {
    version_of(&app)
}

/// What the node was built from, where Ollama's clients look.
#[utoipa::path(get, path = "/api/version", tag = "system", responses((status = 200, body = VersionResponse)))]
pub async fn ollama_version(State(app): State<Arc<App>>) -> Json<VersionResponse> {
    version_of(&app)
}

/// This node's id.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "system", responses((status = 200, body = WhoAmI)))]
pub async fn whoami(State(app): State<Arc<App>>) -> Json<WhoAmI> {
    Json(WhoAmI { node_id: app.node_id.to_string() })
}

/// A snapshot of the node's state.
#[utoipa::path(get, path = "/api/v1/system/status", tag = "system", responses((status = 200, body = SystemStatus)))]
pub async fn status(State(app): State<Arc<App>>) -> Result<Json<SystemStatus>, ApiError> {
    let (network, standing) = (app.networks.active().await?, app.mesh.standing().await);
    let mut listen_addrs: Vec<String> = app.listening().iter().map(|address| format!("http://{address}")).collect();
    listen_addrs.extend(standing.listening);
    let state = match &network {
        Some(network) if standing.network == Some(network.id) => "connected",
        Some(network) if network.connected => "connecting",
        _ => "offline",
    };
    Ok(Json(SystemStatus {
        running: !app.stop.is_cancelled(),
        has_swarm_key: network.is_some(),
        setup_required: false,
        peer_id: app.node_id.to_string(),
        listen_addrs,
        s3_enabled: false,
        tls: TlsStatus { fingerprint: None },
        at_rest: AtRest { enabled: true, provider: app.settings.at_rest.clone() },
        network: NetworkStatus {
            state: state.to_owned(),
            id: network.as_ref().map(|network| network.id.to_string()),
            name: network.map(|network| network.name),
        },
        version: app.build.version.clone(),
        uptime_ms: app.uptime_ms(),
    }))
}

/// Stops the node: running answers end, then the process.
#[utoipa::path(post, path = "/api/admin/shutdown", tag = "system",
    responses((status = 202, description = "The node is stopping."), (status = 403, description = "Not from this machine.")))]
pub async fn shutdown(
    State(app): State<Arc<App>>,
    axum::Extension(principal): axum::Extension<kith_access::Principal>,
) -> Result<StatusCode, ApiError> {
    if !principal.loopback {
        return Err(ApiError::new(kith_types::Code::Forbidden, "a node is stopped only from its own machine"));
    }
    let stop = app.stop.clone();
    // The answer goes out first.
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stop.cancel();
    });
    Ok(StatusCode::ACCEPTED)
}

/// Bytes of this process in memory; 0 where the system does not tell.
pub(crate) fn process_memory() -> u64 {
    let Ok(pid) = sysinfo::get_current_pid() else { return 0 };
    let mut system = sysinfo::System::new();
    system.refresh_processes_specifics(
        sysinfo::ProcessesToUpdate::Some(&[pid]),
        false,
        sysinfo::ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, sysinfo::Process::memory)
}
