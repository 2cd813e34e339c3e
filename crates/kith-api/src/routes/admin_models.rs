//! The models on this node as their owner manages them.

use crate::{admin_models as convert, app::App, body::Json as Body, error::ApiError};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use kith_models::Model;
use kith_wire::models::{
    AdminMetadata, AdminModel, AdminRemoved, AdminUnloaded, AutoManage, AutoManageRequest, EncryptedPipeline,
    EncryptedPipelineRequest, PruneHistory, Rescanned, ShardStorage,
};
use std::sync::Arc;

type Id = Result<Path<String>, PathRejection>;

async fn find(app: &App, id: Id) -> Result<Model, ApiError> {
    let Path(id) = id?;
    Ok(app.library.resolve(&id).await?)
}

/// The models on this node: where they lie, what they take.
#[utoipa::path(get, path = "/api/admin/models", tag = "models", responses((status = 200, body = Vec<AdminModel>)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<AdminModel>>, ApiError> {
    let loaded = app.inference.loaded();
    Ok(Json(app.library.list().await?.iter().map(|model| convert::listed(model, &loaded)).collect()))
}

/// Removes a model: from memory, from the library, and its bytes from the disk when no other model uses them.
#[utoipa::path(delete, path = "/api/admin/models/{id}", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    responses((status = 200, body = AdminRemoved), (status = 404, description = "No such model.")))]
pub async fn remove(State(app): State<Arc<App>>, id: Id) -> Result<Json<AdminRemoved>, ApiError> {
    let Path(id) = id?;
    // What is removed is named in full: a family's only model is not meant by the family's name here.
    let name = id.parse().map_err(kith_models::ModelError::BadName)?;
    let removed = app.library.remove(&name).await?;
    let name = removed.name.to_string();
    app.inference.forget(&name).await;
    app.events.publish("model.removed", serde_json::json!({"model": name}));
    let shared = app.library.list().await?.iter().any(|model| model.blob == removed.blob);
    Ok(Json(AdminRemoved { status: "removed".into(), model_id: name, size_bytes: removed.size, shared }))
}

/// Takes a model out of memory; its running answers end with an error. Its files stay.
#[utoipa::path(post, path = "/api/admin/models/{id}/unload", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    responses((status = 200, body = AdminUnloaded), (status = 404, description = "No such model.")))]
pub async fn unload(State(app): State<Arc<App>>, id: Id) -> Result<Json<AdminUnloaded>, ApiError> {
    let model = find(&app, id).await?;
    let name = model.name.to_string();
    let held = app.inference.loaded().into_iter().find(|loaded| loaded.card.name == name);
    let (_, was) = app.inference.unload(&name).await?;
    Ok(Json(convert::unloaded(&model, held.filter(|_| was).as_ref(), was)))
}

/// What a model's file says of it, without the vocabulary's lists.
#[utoipa::path(get, path = "/api/admin/models/{id}/metadata", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    responses((status = 200, body = AdminMetadata), (status = 404, description = "No such model.")))]
pub async fn metadata(State(app): State<Arc<App>>, id: Id) -> Result<Json<AdminMetadata>, ApiError> {
    let model = find(&app, id).await?;
    let metadata = app.library.metadata(&model, false).await?;
    let supported = app.inference.supports(&model.name.to_string()).await?;
    Ok(Json(convert::metadata(&model, metadata, supported)))
}

/// Whether the node may manage the model by itself.
#[utoipa::path(get, path = "/api/admin/models/{id}/auto-manage", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    responses((status = 200, body = AutoManage), (status = 404, description = "No such model.")))]
pub async fn auto_manage(State(app): State<Arc<App>>, id: Id) -> Result<Json<AutoManage>, ApiError> {
    let model = find(&app, id).await?;
    Ok(Json(convert::auto_manage(&model, &app.library.policy(&model).await?)))
}

/// Sets whether the node may manage the model by itself. What is left out stays.
#[utoipa::path(put, path = "/api/admin/models/{id}/auto-manage", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    request_body = AutoManageRequest, responses((status = 200, body = AutoManage), (status = 404, description = "No such model.")))]
pub async fn set_auto_manage(
    State(app): State<Arc<App>>,
    id: Id,
    Body(request): Body<AutoManageRequest>,
) -> Result<Json<AutoManage>, ApiError> {
    let change = convert::change(&request)?;
    let model = find(&app, id).await?;
    let policy = change(app.library.policy(&model).await?);
    app.library.set_policy(&model, &policy).await?;
    Ok(Json(convert::auto_manage(&model, &policy)))
}

/// Whether the model's first and last layers must stay on this node.
#[utoipa::path(get, path = "/api/admin/models/{id}/encrypted-pipeline", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    responses((status = 200, body = EncryptedPipeline), (status = 404, description = "No such model.")))]
pub async fn encrypted_pipeline(State(app): State<Arc<App>>, id: Id) -> Result<Json<EncryptedPipeline>, ApiError> {
    let model = find(&app, id).await?;
    Ok(Json(convert::encrypted_pipeline(&model, &app.library.policy(&model).await?)))
}

/// Sets whether the model's first and last layers must stay on this node.
#[utoipa::path(put, path = "/api/admin/models/{id}/encrypted-pipeline", tag = "models", params(("id" = String, Path, description = "The model's name.")),
    request_body = EncryptedPipelineRequest,
    responses((status = 200, body = EncryptedPipeline), (status = 404, description = "No such model.")))]
pub async fn set_encrypted_pipeline(
    State(app): State<Arc<App>>,
    id: Id,
    Body(request): Body<EncryptedPipelineRequest>,
) -> Result<Json<EncryptedPipeline>, ApiError> {
    let model = find(&app, id).await?;
    let mut policy = app.library.policy(&model).await?;
    policy.encrypted_pipeline = Some(request.enabled);
    app.library.set_policy(&model, &policy).await?;
    Ok(Json(convert::encrypted_pipeline(&model, &policy)))
}

/// What models take of disk and memory.
#[utoipa::path(get, path = "/api/admin/shard-storage", tag = "models", responses((status = 200, body = ShardStorage)))]
pub async fn shard_storage(State(app): State<Arc<App>>) -> Result<Json<ShardStorage>, ApiError> {
    let (models, space) = (app.library.list().await?, app.library.space().await?);
    Ok(Json(convert::storage(&models, space, &app.inference.loaded(), app.inference.bounds().memory)))
}

/// What was removed unasked.
#[utoipa::path(get, path = "/api/admin/prune-history", tag = "models", responses((status = 200, body = PruneHistory)))]
pub async fn prune_history(State(app): State<Arc<App>>) -> Result<Json<PruneHistory>, ApiError> {
    Ok(Json(convert::history(app.library.pruned().await?)))
}

/// Holds the library against the disk: models whose bytes are gone are removed, and so are bytes that nothing names.
#[utoipa::path(post, path = "/api/admin/rescan-shards", tag = "models", responses((status = 200, body = Rescanned)))]
pub async fn rescan(State(app): State<Arc<App>>) -> Result<Json<Rescanned>, ApiError> {
    let cleaned = app.library.rescan().await?;
    for name in &cleaned.removed {
        app.inference.forget(name).await;
    }
    Ok(Json(convert::rescanned(cleaned)))
}
