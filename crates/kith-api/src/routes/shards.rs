//! Single shards of models. A node keeps models whole: each has one shard, with the index 0.

use crate::{app::App, error::ApiError};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use kith_models::{
    Model, ModelError, Place, Reference, SourceError,
    downloads::{Item, slug},
};
use kith_types::Code;
use kith_wire::system::ShardDownload;
use std::sync::Arc;

/// What a source is called that stands for neighbours, before their names.
const PEER: &str = "peer ";

fn invalid(field: &str, message: &str) -> ApiError {
    ApiError::new(Code::InvalidRequest, message).with_field(field)
}

/// The answer of this status about a model.
fn answer(status: &str, model: String) -> ShardDownload {
    ShardDownload { status: status.to_owned(), model_id: slug(&model), model, ..ShardDownload::default() }
}

/// The model in the library under this name, or whose slug the id is; `None` where it is to be fetched.
async fn held(app: &App, reference: &Reference, id: &str) -> Result<Option<Model>, ApiError> {
    match app.library.get(&reference.name).await {
        Ok(model) => Ok(Some(model)),
        Err(ModelError::NotFound { .. }) => {
            Ok(app.library.list().await?.into_iter().find(|model| slug(&model.name.to_string()) == id))
        }
        Err(ModelError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A download that is under way already, by where its bytes come from.
fn under_way(item: &Item) -> ShardDownload {
    let peer = item.source.strip_prefix(PEER).map(str::to_owned);
    let source = if peer.is_some() { "p2p".to_owned() } else { item.source.clone() };
    ShardDownload { source: Some(source), peer, ..answer("downloading", item.name.to_string()) }
}

/// Where on the hub the name leads.
async fn at_the_hub(app: &App, reference: &Reference) -> Result<ShardDownload, ApiError> {
    let Place::Hub { repo, choice } = &reference.place else {
        let message =
            "no device of the network gives it, and its name leads to no repository of the hub; add it as a whole instead";
        return Err(invalid("id", message));
    };
    let file = match app.downloads.hub().choose(repo, choice).await {
        Err(SourceError::NotFound(reason)) => {
            return Err(invalid("id", &format!("no device of the network gives it, and {reason}")));
        }
        found => found?,
    };
    let source = Some("huggingface".to_owned());
    let (repo_id, filename) = (Some(repo.clone()), Some(file.path));
    Ok(ShardDownload { source, repo_id, filename, ..answer("use_hf", reference.name.to_string()) })
}

/// Fetches it from neighbours, or says where else it is.
async fn wanted(app: &App, id: &str) -> Result<ShardDownload, ApiError> {
    let reference = Reference::parse(id).map_err(|error| ApiError::from(error).with_field("id"))?;
    if let Some(model) = held(app, &reference, id).await? {
        return Ok(answer("already_local", model.name.to_string()));
    }
    if let Some(item) = app.downloads.find(&reference.name.to_string()).filter(|item| !item.phase.ended()) {
        return Ok(under_way(&item));
    }
    let Some(peer) = app.downloads.nearby(&reference.name).await.into_iter().next() else {
        return at_the_hub(app, &reference).await;
    };
    let item = app.downloads.start(reference, false)?;
    Ok(ShardDownload { source: Some("p2p".to_owned()), peer: Some(peer), ..answer("downloading", item.name.to_string()) })
}

/// Fetches a shard from devices of the network. Where none gives it, nothing is begun, and the answer says where on the hub it is.
#[utoipa::path(post, path = "/api/admin/models/{id}/shards/{index}/download", tag = "models",
    params(("id" = String, Path, description = "The model's name, as a pull takes it."),
           ("index" = u32, Path, description = "The shard. A node keeps models whole: 0.")),
    responses((status = 200, body = ShardDownload),
              (status = 400, description = "A bad name, no such shard, or neither a device nor the hub has it."),
              (status = 502, description = "The hub failed or refuses."), (status = 503, description = "Too many are waiting.")))]
pub async fn download(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, u32)>, PathRejection>,
) -> Result<Json<ShardDownload>, ApiError> {
    let Path((id, index)) = path?;
    if index != 0 {
        return Err(invalid("index", "there is no such shard: a node keeps models whole, as the one shard 0"));
    }
    Ok(Json(wanted(&app, &id).await?))
}

#[cfg(test)]
mod tests;
