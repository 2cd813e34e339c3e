//! The Hugging Face hub, through this node.

use super::downloads::answer;
use crate::{app::App, body::Json as Body, error::ApiError};
use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use kith_models::{
    downloads::{Shards, slug},
    hub::{Found, MAX_FOUND, Probe, SHARD_MIB, Shard, Variant},
};
use kith_types::Code;
use kith_wire::system::{DownloadAnswer, DownloadShardsRequest, HubProbe, HubRepository, HubShard, HubSource, HubVariant};
use serde::Deserialize;
use std::sync::Arc;

/// What a search asks.
#[derive(Deserialize)]
pub struct SearchQuery {
    query: String,
    limit: Option<usize>,
}

/// What a probe asks.
#[derive(Deserialize)]
pub struct ProbeQuery {
    repo_id: String,
    filename: String,
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|rejection| ApiError::new(Code::InvalidRequest, rejection.body_text()))
}

/// Searches the hub for GGUF models.
#[utoipa::path(get, path = "/api/admin/hf/search", tag = "models",
    params(("query" = String, Query, description = "Words."), ("limit" = Option<usize>, Query, description = "At most 20.")),
    responses((status = 200, body = Vec<HubRepository>), (status = 400, description = "No words."),
              (status = 502, description = "The hub failed or refuses.")))]
pub async fn search(
    State(app): State<Arc<App>>,
    asked: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<Vec<HubRepository>>, ApiError> {
    let SearchQuery { query: words, limit } = query(asked)?;
    if words.trim().is_empty() || words.len() > 256 {
        return Err(ApiError::new(Code::InvalidRequest, "`query` takes 1 to 256 bytes").with_field("query"));
    }
    let found = app.downloads.hub().search(words.trim(), limit.unwrap_or(MAX_FOUND)).await?;
    Ok(Json(found.into_iter().map(|found| repository(found, app.model_memory)).collect()))
}

/// Whether a model of `size` bytes fits `memory`: with 15 percent for what it needs beside its weights.
fn fits(size: u64, memory: u64) -> bool {
    u128::from(size) * 115 / 100 <= u128::from(memory)
}

fn repository(found: Found, memory: u64) -> HubRepository {
    let best = found.variants.iter().find(|variant| variant.recommended);
    HubRepository {
        recommended_variant: best.map(|best| best.quant.map_or_else(|| best.filename.clone(), str::to_owned)),
        fits_vram: best.is_some_and(|best| fits(best.size, memory)),
        repo_id: found.repo,
        downloads: found.downloads,
        likes: found.likes,
        variants: found.variants.into_iter().map(|variant| self::variant(variant, memory)).collect(),
    }
}

fn variant(variant: Variant, memory: u64) -> HubVariant {
    HubVariant {
        fits_vram: fits(variant.size, memory),
        filename: variant.filename,
        size_bytes: variant.size,
        quant: variant.quant.map(str::to_owned),
        parts: variant.parts,
    }
}

/// What the header of a remote file says. Only the header is read.
#[utoipa::path(get, path = "/api/admin/hf/probe", tag = "models",
    params(("repo_id" = String, Query, description = "`user/repository`."), ("filename" = String, Query, description = "The file.")),
    responses((status = 200, body = HubProbe), (status = 400, description = "A bad name, or no model."),
              (status = 404, description = "No such file."), (status = 502, description = "The hub failed or refuses.")))]
pub async fn probe(
    State(app): State<Arc<App>>,
    asked: Result<Query<ProbeQuery>, QueryRejection>,
) -> Result<Json<HubProbe>, ApiError> {
    let ProbeQuery { repo_id, filename } = query(asked)?;
    Ok(Json(probed(app.downloads.hub().probe(&repo_id, &filename).await?)?))
}

fn probed(probe: Probe) -> Result<HubProbe, ApiError> {
    let name = probe.reference.name.to_string();
    let shard = |shard: &Shard| HubShard {
        index: shard.index,
        layer_range: [shard.first_layer, shard.end_layer.saturating_sub(1)],
        size_bytes: shard.size,
    };
    let details = probe.details;
    Ok(HubProbe {
        model_id: slug(&name),
        repo_id: probe.repo,
        filename: probe.filename,
        size_bytes: probe.size,
        sha256: probe.sha256.map(|sha256| sha256.hex()),
        architecture: details.architecture,
        name: details.title,
        quantization: details.quantization,
        num_layers: details.block_count,
        parameter_count: details.parameter_count,
        context_length: details.context_length,
        license: details.license,
        shard_size_mb: SHARD_MIB,
        shard_count: u32::try_from(probe.shards.len()).unwrap_or(u32::MAX),
        shards: probe.shards.iter().map(shard).collect(),
    })
}

/// Where on the hub a model of the library came from: as it was noted, or the file there with the same bytes.
#[utoipa::path(get, path = "/api/admin/hf/source/{model_id}", tag = "models",
    params(("model_id" = String, Path, description = "The model's name, or the slug of it.")),
    responses((status = 200, body = HubSource), (status = 404, description = "No such model, or no such file on the hub."),
              (status = 502, description = "The hub failed or refuses.")))]
pub async fn source(State(app): State<Arc<App>>, path: Result<Path<String>, PathRejection>) -> Result<Json<HubSource>, ApiError> {
    let Path(id) = path?;
    let model = app.library.find(&id).await?;
    let place = app.downloads.hub().place_of(&model).await?;
    Ok(Json(HubSource { model_id: slug(&model.name.to_string()), repo_id: place.repo, filename: place.filename }))
}

/// Fetches a model of the hub by its shards. A node keeps whole models: a part of one is refused.
#[utoipa::path(post, path = "/api/admin/hf/download-shards", tag = "models", request_body = DownloadShardsRequest,
    responses((status = 200, body = DownloadAnswer), (status = 400, description = "A bad field, or only a part of the model."),
              (status = 404, description = "No such file."), (status = 502, description = "The hub failed or refuses.")))]
pub async fn download_shards(
    State(app): State<Arc<App>>,
    Body(request): Body<DownloadShardsRequest>,
) -> Result<Json<DownloadAnswer>, ApiError> {
    let wanted = wanted(&request)?;
    let item = app.downloads.start_shards(&request.repo_id, &request.filename, wanted).await?;
    Ok(Json(answer("downloading", item.name.to_string())))
}

fn wanted(request: &DownloadShardsRequest) -> Result<Shards, ApiError> {
    let (all, share) = (request.all_shards == Some(true), request.peer_fair_share == Some(true));
    match (&request.shards, share, all) {
        (Some(indices), false, false) => Ok(Shards::These(indices.clone())),
        (None, true, false) => Ok(Shards::FairShare),
        (None, false, _) => Ok(Shards::All),
        _ => Err(ApiError::new(Code::InvalidRequest, "of `shards`, `peer_fair_share` and `all_shards` only one is taken")
            .with_field("shards")),
    }
}
