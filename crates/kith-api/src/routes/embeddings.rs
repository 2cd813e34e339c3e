//! Embeddings in OpenAI's and Ollama's dialects: translate, ask once, translate back.

use crate::{
    app::App,
    body::{OllamaJson, PromptJson},
    error::ApiError,
    ollama, openai,
};
use axum::{Json, extract::State};
use kith_wire::{
    ollama::{EmbedRequest, EmbedResponse, EmbeddingRequest as OlderRequest, EmbeddingResponse},
    openai::{EmbeddingList, EmbeddingRequest},
};
use std::sync::Arc;

/// Embeds texts.
#[utoipa::path(post, path = "/v1/embeddings", tag = "inference", request_body = EmbeddingRequest,
    responses((status = 200, body = EmbeddingList),
              (status = 400, description = "A bad field, a text that is too long, or a model that does not embed."),
              (status = 404, description = "No such model."), (status = 503, description = "Too many are waiting.")))]
pub async fn openai_embeddings(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<EmbeddingRequest>,
) -> Result<Json<EmbeddingList>, ApiError> {
    let (embed, encoding) = openai::embeddings(request)?;
    let done = app.inference.embed(embed).await.map_err(|error| ApiError::renamed(error, openai::embedding_field))?;
    Ok(Json(openai::embedding_list(done, encoding)))
}

/// Embeds texts. Without any it only loads the model.
#[utoipa::path(post, path = "/api/embed", tag = "inference", request_body = EmbedRequest,
    responses((status = 200, body = EmbedResponse),
              (status = 400, description = "A bad field, a text that is too long, or a model that does not embed."),
              (status = 404, description = "No such model."), (status = 503, description = "Too many are waiting.")))]
pub async fn embed(
    State(app): State<Arc<App>>,
    OllamaJson(request): OllamaJson<EmbedRequest>,
) -> Result<Json<EmbedResponse>, ApiError> {
    let embed = ollama::embed(request)?;
    let done = app.inference.embed(embed).await.map_err(|error| ApiError::renamed(error, ollama::embed_field))?;
    Ok(Json(ollama::embedded(done)))
}

/// Embeds one text, in the older form. Without any it only loads the model.
#[utoipa::path(post, path = "/api/embeddings", tag = "inference", request_body = OlderRequest,
    responses((status = 200, body = EmbeddingResponse), (status = 400, description = "A bad field, or a model that does not embed."),
              (status = 404, description = "No such model."), (status = 503, description = "Too many are waiting.")))]
pub async fn embeddings(
    State(app): State<Arc<App>>,
    OllamaJson(request): OllamaJson<OlderRequest>,
) -> Result<Json<EmbeddingResponse>, ApiError> {
    let embed = ollama::embedding(request)?;
    let done = app.inference.embed(embed).await.map_err(|error| ApiError::renamed(error, ollama::embedding_field))?;
    Ok(Json(ollama::one_embedded(done)))
}
