//! The download queue: what is in it, adding and cancelling.

use crate::{app::App, error::ApiError, transfer::download};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use kith_models::{Model, ModelError, Reference, downloads::slug};
use kith_types::Code;
use kith_wire::system::{Download, DownloadAnswer, DownloadList, DownloadShard};
use std::sync::Arc;

/// Downloads that run and wait, and those that ended of late.
#[utoipa::path(get, path = "/api/admin/downloads", tag = "models", responses((status = 200, body = DownloadList)))]
pub async fn list(State(app): State<Arc<App>>) -> Json<DownloadList> {
    Json(DownloadList { downloads: app.downloads.list().iter().map(download).collect() })
}

/// Cancels a download for all who follow it. What has come is kept for the next time.
#[utoipa::path(post, path = "/api/admin/downloads/{model_id}/cancel", tag = "models",
    params(("model_id" = String, Path, description = "The model's name, or the slug of it.")),
    responses((status = 200, body = DownloadAnswer), (status = 404, description = "No such download is under way.")))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<DownloadAnswer>, ApiError> {
    let Path(id) = path?;
    let item =
        app.downloads.cancel(&id).ok_or_else(|| ApiError::new(Code::NotFound, format!("no download of `{id}` is under way")))?;
    Ok(Json(answer("cancelled", item.name.to_string())))
}

/// Fetches a model, unless it is there.
#[utoipa::path(post, path = "/api/admin/models/{id}/add", tag = "models",
    params(("id" = String, Path, description = "The model's name, as a pull takes it.")),
    responses((status = 200, body = DownloadAnswer), (status = 400, description = "A bad name."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn add(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<DownloadAnswer>, ApiError> {
    let Path(id) = path?;
    let reference = Reference::parse(&id).map_err(|error| ApiError::from(error).with_field("id"))?;
    match app.library.get(&reference.name).await {
        Ok(model) => Ok(Json(answer("already_local", model.name.to_string()))),
        Err(ModelError::NotFound { .. } | ModelError::Damaged { .. }) => {
            Ok(Json(answer("downloading", app.downloads.start(reference, false)?.name.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn answer(status: &str, model: String) -> DownloadAnswer {
    DownloadAnswer { status: status.to_owned(), model_id: slug(&model), model }
}

/// How far the fetching of a model is, or that it is there.
#[utoipa::path(get, path = "/api/admin/models/{id}/status", tag = "models",
    params(("id" = String, Path, description = "The model's name, or the slug of it.")),
    responses((status = 200, body = Download), (status = 404, description = "No such model and no such download.")))]
pub async fn status(State(app): State<Arc<App>>, path: Result<Path<String>, PathRejection>) -> Result<Json<Download>, ApiError> {
    let Path(id) = path?;
    let item = app.downloads.find(&id);
    if let Some(item) = item.as_ref().filter(|item| !item.phase.ended()) {
        return Ok(Json(download(item)));
    }
    match (app.library.find(&id).await, item) {
        (Ok(model), _) => Ok(Json(ready(&model))),
        (Err(_), Some(item)) => Ok(Json(download(&item))),
        (Err(ModelError::BadName(_)), None) => Err(ApiError::new(Code::ModelNotFound, format!("there is no model `{id}`"))),
        (Err(error), None) => Err(error.into()),
    }
}

/// A model that is there, as a download that is complete.
fn ready(model: &Model) -> Download {
    let name = model.name.to_string();
    let (digest, size) = (model.sha256.to_string(), model.size);
    let shard = DownloadShard { index: 0, name: "model".into(), digest, completed_bytes: size, total_bytes: size };
    Download {
        model_id: slug(&name),
        model: name,
        status: "ready".to_owned(),
        source: model.source.clone(),
        completed_bytes: size,
        total_bytes: size,
        progress: 100.0,
        shards: vec![shard],
        ..Download::default()
    }
}
