//! Adapters to models: registered, listed, removed.

use crate::{app::App, body::Json as Body, error::ApiError};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use kith_models::{Adapter, NewAdapter};
use kith_wire::system::{AdapterInfo, AdapterList, RegisterAdapterRequest, RegisteredAdapter, RemovedAdapter};
use std::sync::Arc;

fn shown(adapter: Adapter) -> AdapterInfo {
    AdapterInfo {
        id: adapter.id,
        name: adapter.name,
        base_model: adapter.base_model.to_string(),
        rank: adapter.rank,
        alpha: adapter.alpha,
        path: adapter.source,
        format: adapter.format.as_str().to_owned(),
        target_modules: adapter.modules,
        size: adapter.size,
        digest: adapter.sha256.hex(),
        created_at_ms: adapter.created,
    }
}

/// A random UUID (version 4).
fn uuid(app: &App) -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    app.entropy.fill(&mut bytes).map_err(|error| ApiError::internal(&error))?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(3 << 62);
    let hex = format!("{:032x}", number | (4 << 76) | (2 << 62));
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// The registered adapters, the last registered first.
#[utoipa::path(get, path = "/api/admin/adapters", tag = "models", responses((status = 200, body = AdapterList)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<AdapterList>, ApiError> {
    let adapters = app.adapters.list().await?;
    Ok(Json(AdapterList { adapters: adapters.into_iter().map(shown).collect() }))
}

/// Registers an adapter (LoRA) from a file on the node's disk, after seeing that it fits its model.
#[utoipa::path(post, path = "/api/admin/adapters", tag = "models", request_body = RegisterAdapterRequest,
    responses((status = 200, body = RegisteredAdapter),
              (status = 400, description = "A bad field or path, or a file that is no adapter to the model."),
              (status = 404, description = "No such model."), (status = 409, description = "The id is taken, or there are too many."),
              (status = 507, description = "The disk is full.")))]
pub async fn register(
    State(app): State<Arc<App>>,
    Body(request): Body<RegisterAdapterRequest>,
) -> Result<Json<RegisteredAdapter>, ApiError> {
    let id = request.id.map_or_else(|| uuid(&app), Ok)?;
    let RegisterAdapterRequest { name, base_model, rank, alpha, path, .. } = request;
    let adapter = app.adapters.register(NewAdapter { id, name, base_model, rank, alpha, path }).await?;
    app.events.publish("adapter.registered", serde_json::json!({"adapter": adapter.id, "model": adapter.base_model.to_string()}));
    Ok(Json(RegisteredAdapter { status: "ok".into(), adapter: shown(adapter) }))
}

/// Removes an adapter. The file it was registered from stays; what the node made of it goes.
#[utoipa::path(delete, path = "/api/admin/adapters/{id}", tag = "models", params(("id" = String, Path, description = "The adapter's id.")),
    responses((status = 200, body = RemovedAdapter), (status = 404, description = "No such adapter.")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<RemovedAdapter>, ApiError> {
    let Path(id) = id?;
    let adapter = app.adapters.remove(&id).await?;
    // Also a model that is only being loaded with it.
    app.inference.forget(&format!("{}+{}", adapter.base_model, adapter.id)).await;
    app.events.publish("adapter.removed", serde_json::json!({"adapter": adapter.id}));
    Ok(Json(RemovedAdapter { status: "ok".into(), message: format!("Adapter '{}' removed", adapter.id) }))
}
