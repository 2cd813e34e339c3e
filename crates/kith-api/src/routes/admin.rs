//! The administration's figures: the node and its machine, its version, its keys.

use crate::{app::App, error::ApiError, stats};
use axum::{Json, extract::State};
use kith_wire::{
    ollama::VersionResponse,
    system::{ApiKeyResponse, NodeStats},
};
use std::sync::Arc;

/// What the node does, and the machine it does it on. All of it is measured; what cannot be measured is null.
#[utoipa::path(get, path = "/api/admin/stats", tag = "system", responses((status = 200, body = NodeStats)))]
pub async fn stats(State(app): State<Arc<App>>) -> Result<Json<NodeStats>, ApiError> {
    Ok(Json(stats::node(&app).await?))
}

/// What the node was built from.
#[utoipa::path(get, path = "/api/admin/version", tag = "system", responses((status = 200, body = VersionResponse)))]
pub async fn version(State(app): State<Arc<App>>) -> Json<VersionResponse> {
    super::system::version_of(&app)
}

/// The API keys there are. None is shown: a key is told once, when it is made, and kept as a digest.
#[utoipa::path(get, path = "/api/admin/api-key", tag = "system", responses((status = 200, body = ApiKeyResponse)))]
pub async fn api_key(State(app): State<Arc<App>>) -> Result<Json<ApiKeyResponse>, ApiError> {
    Ok(Json(ApiKeyResponse {
        api_key: None,
        stored_as: "digest".into(),
        keys: app.access.keys().await?.into_iter().map(super::auth::key_info).collect(),
        message: "a key is shown once, when it is made: make another with POST /api/v1/auth/keys, and revoke one that is lost"
            .into(),
    }))
}
