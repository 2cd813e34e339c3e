//! Ollama's endpoints for answers: translate, ask once, translate back.

use crate::{
    app::App,
    body::OllamaJson,
    error::ApiError,
    ollama::{self, Asked, ChatFold, ChatLines, GenerateFold, GenerateLines, Intent},
    stream::{json_line, late_error, ndjson},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kith_inference::{Piece, Pieces};
use kith_types::{Family, Timestamp};
use kith_wire::ollama::{ChatRequest, ChatResponse, GenerateRequest, GenerateResponse};
use serde::Serialize;
use std::sync::Arc;

/// Loads or unloads the model of a request that has nothing to answer; gives its full name.
async fn without_answer(app: &App, asked: &Asked) -> Result<String, ApiError> {
    let generate = &asked.generate;
    let card = match asked.intent {
        Intent::Unload => app.inference.unload(&generate.called()).await?.0,
        _ => app.inference.load(&generate.called(), generate.options.context, generate.keep_alive).await?.card,
    };
    Ok(card.name.clone())
}

/// The answer as lines, each as soon as it is there.
fn streamed<T: Serialize + Send + 'static>(
    app: Arc<App>,
    mut pieces: Pieces,
    field: fn(&str) -> String,
    mut line: impl FnMut(Piece, Timestamp) -> Option<T> + Send + 'static,
) -> Response {
    let shared = Arc::clone(&app);
    let stream = async_stream::stream! {
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    if let Some(line) = line(piece, shared.clock.now()) {
                        yield json_line(&line);
                    }
                }
                Err(error) => {
                    yield json_line(&late_error(&shared, ApiError::renamed(error, field), Family::Kith));
                    return;
                }
            }
        }
    };
    ndjson(stream, &app)
}

/// Answers one instruction. Without a prompt it loads the model, or unloads it with `keep_alive` 0.
#[utoipa::path(post, path = "/api/generate", tag = "inference", request_body = GenerateRequest,
    responses((status = 200, description = "Lines of JSON; one object unless `stream`.", body = GenerateResponse),
              (status = 400, description = "A bad field, or a prompt that is too long."), (status = 404, description = "No such model."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn generate(
    State(app): State<Arc<App>>,
    OllamaJson(request): OllamaJson<GenerateRequest>,
) -> Result<Response, ApiError> {
    let asked = ollama::generate(request)?;
    if asked.intent != Intent::Answer {
        let model = without_answer(&app, &asked).await?;
        return Ok(Json(ollama::generate_without_answer(&model, asked.intent, app.clock.now())).into_response());
    }
    let mut answer =
        app.inference.generate(asked.generate).await.map_err(|error| ApiError::renamed(error, ollama::generate_field))?;
    if !asked.stream {
        let mut fold = GenerateFold::new(answer.card.name.clone());
        while let Some(piece) = answer.pieces.next().await {
            fold.piece(piece.map_err(|error| ApiError::renamed(error, ollama::generate_field))?, app.clock.now());
        }
        return Ok(Json(fold.close()).into_response());
    }
    let mut lines = GenerateLines::new(answer.card.name.clone());
    Ok(streamed(app, answer.pieces, ollama::generate_field, move |piece, now| lines.piece(piece, now)))
}

/// Answers a conversation. Without messages it loads the model, or unloads it with `keep_alive` 0.
#[utoipa::path(post, path = "/api/chat", tag = "inference", request_body = ChatRequest,
    responses((status = 200, description = "Lines of JSON; one object unless `stream`.", body = ChatResponse),
              (status = 400, description = "A bad field, or a prompt that is too long."), (status = 404, description = "No such model."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn chat(State(app): State<Arc<App>>, OllamaJson(request): OllamaJson<ChatRequest>) -> Result<Response, ApiError> {
    let asked = ollama::chat(request)?;
    if asked.intent != Intent::Answer {
        let model = without_answer(&app, &asked).await?;
        return Ok(Json(ollama::chat_without_answer(&model, asked.intent, app.clock.now())).into_response());
    }
    let mut answer =
        app.inference.generate(asked.generate).await.map_err(|error| ApiError::renamed(error, ollama::chat_field))?;
    if !asked.stream {
        let mut fold = ChatFold::new(answer.card.name.clone());
        while let Some(piece) = answer.pieces.next().await {
            fold.piece(piece.map_err(|error| ApiError::renamed(error, ollama::chat_field))?, app.clock.now());
        }
        return Ok(Json(fold.close()).into_response());
    }
    let mut lines = ChatLines::new(answer.card.name.clone());
    Ok(streamed(app, answer.pieces, ollama::chat_field, move |piece, now| lines.piece(piece, now)))
}
