//! The default model, for portals and code editors.

use crate::{admin_models::billions, app::App, body::Json as Body, error::ApiError};
use axum::{Json, extract::State};
use kith_types::Code;
use kith_wire::{
    models::{ListedModel, ModelStatus, SwapRequest, Swapped},
    openai::{Model, ModelList},
};
use std::sync::Arc;

/// The models on this node, and which one is the default.
#[utoipa::path(get, path = "/model/list", tag = "models", responses((status = 200, body = Vec<ListedModel>)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<ListedModel>>, ApiError> {
    let active = app.library.default_model().await?.map(|model| model.name);
    let listed = |model: &kith_models::Model| ListedModel {
        model_id: model.name.to_string(),
        param_size: billions(model),
        quantization: model.details.quantization.clone(),
        installed: true,
        active: active.as_ref() == Some(&model.name),
        source: model.source.clone(),
    };
    Ok(Json(app.library.list().await?.iter().map(listed).collect()))
}

/// The default model, and whether it is in memory.
#[utoipa::path(get, path = "/model/status", tag = "models", responses((status = 200, body = ModelStatus)))]
pub async fn status(State(app): State<Arc<App>>) -> Result<Json<ModelStatus>, ApiError> {
    let model = app.library.default_model().await?;
    let name = model.as_ref().map(|model| model.name.to_string());
    Ok(Json(ModelStatus {
        param_size: model.as_ref().map(billions),
        status: if model.is_some() { "ready" } else { "no_model" }.to_owned(),
        ollama_healthy: !app.stop.is_cancelled(),
        loaded: app.inference.loaded().iter().any(|loaded| Some(&loaded.card.name) == name.as_ref()),
        model: name,
    }))
}

/// Loads a model and makes it the default one.
#[utoipa::path(post, path = "/model/swap", tag = "models", request_body = SwapRequest,
    responses((status = 200, body = Swapped), (status = 400, description = "No name, or a model that cannot be loaded."),
              (status = 404, description = "No such model."), (status = 503, description = "It does not fit the memory.")))]
pub async fn swap(State(app): State<Arc<App>>, Body(request): Body<SwapRequest>) -> Result<Json<Swapped>, ApiError> {
    if request.model.is_empty() {
        return Err(ApiError::new(Code::InvalidRequest, "`model` is empty").with_field("model"));
    }
    let model = app.library.resolve(&request.model).await?;
    let previous = app.library.default_model().await?.map(|model| model.name.to_string());
    app.inference.load(&model.name.to_string(), None, None).await?;
    app.library.set_default_model(&model).await?;
    let active = model.name.to_string();
    app.events.publish("model.default", serde_json::json!({"model": active, "previous": previous}));
    Ok(Json(Swapped { previous, active, status: "ready".into(), param_size: billions(&model), progress: 100, error: None }))
}

/// The models on this node, where code editors look for them.
#[utoipa::path(get, path = "/models", tag = "models", responses((status = 200, body = ModelList)))]
pub async fn discover(State(app): State<Arc<App>>) -> Result<Json<ModelList>, ApiError> {
    let models = app.library.list().await?;
    let listed = |model: &kith_models::Model| Model::new(model.name.to_string(), model.modified.secs(), "library");
    Ok(Json(ModelList::new(models.iter().map(listed).collect())))
}
