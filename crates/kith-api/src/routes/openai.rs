//! OpenAI's endpoints: translate, ask once, translate back.

use crate::{
    app::App,
    body::PromptJson,
    error::ApiError,
    openai::{self, ChatChunks, ChatFold, CompletionChunks, CompletionFold, DONE, Head},
    stream::{late_error, sse, sse_data},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::SelectAll};
use kith_inference::{CloudModel, Generate, InferenceError, Piece};
use kith_models::Model as Stored;
use kith_types::{Code, Family};
use kith_wire::openai::{ChatCompletion, ChatCompletionRequest, Completion, CompletionRequest, Model, ModelList};
use serde::Serialize;
use std::{pin::Pin, sync::Arc};

type Indexed = Pin<Box<dyn Stream<Item = (usize, Result<Piece, InferenceError>)> + Send>>;

/// Begins the first answer, and each further one when its turn comes: answers that waited for each other's places would wait for ever.
async fn begin(
    app: &Arc<App>,
    generates: Vec<Generate>,
    field: fn(&str) -> String,
) -> Result<(String, SelectAll<Indexed>), ApiError> {
    let mut generates = generates.into_iter();
    let first = generates.next().ok_or_else(|| ApiError::new(Code::InvalidRequest, "there is nothing to answer"))?;
    let first = app.inference.generate(first).await.map_err(|error| ApiError::renamed(error, field))?;
    let model = first.card.name.clone();
    let first: Indexed = Box::pin(first.pieces.map(|piece| (0, piece)));
    let others = generates.enumerate().map(|(index, generate)| -> Indexed {
        let inference = Arc::clone(&app.inference);
        let pieces = futures::stream::once(async move { inference.generate(generate).await }).flat_map(|begun| match begun {
            Ok(answer) => answer.pieces,
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        });
        Box::pin(pieces.map(move |piece| (index + 1, piece)))
    });
    Ok((model, futures::stream::select_all(std::iter::once(first).chain(others))))
}

fn head(app: &App, make: fn([u8; 12], kith_types::Timestamp, String) -> Head, model: &str) -> Head {
    let mut random = [0; 12];
    if app.entropy.fill(&mut random).is_err() {
        tracing::error!("no random bytes: ids of completions repeat");
    }
    make(random, app.clock.now(), model.to_owned())
}

/// The answer as events, each as soon as it is there. `chunks` gets every piece, and `None` after the last.
fn streamed<T: Serialize + Send + 'static>(
    app: Arc<App>,
    mut pieces: SelectAll<Indexed>,
    field: fn(&str) -> String,
    mut chunks: impl FnMut(Option<(usize, Piece)>) -> Vec<T> + Send + 'static,
) -> Response {
    let shared = Arc::clone(&app);
    let stream = async_stream::stream! {
        while let Some((index, piece)) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    for chunk in chunks(Some((index, piece))) {
                        yield sse_data(&chunk);
                    }
                }
                Err(error) => {
                    yield sse_data(&late_error(&shared, ApiError::renamed(error, field), Family::OpenAi));
                    return;
                }
            }
        }
        for chunk in chunks(None) {
            yield sse_data(&chunk);
        }
        yield Bytes::from(format!("data: {DONE}\n\n"));
    };
    sse(stream, &app)
}

/// Answers a conversation.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "inference", request_body = ChatCompletionRequest,
    responses((status = 200, description = "The answer; server-sent events of chunks if `stream`.", body = ChatCompletion),
              (status = 400, description = "A bad field, or a prompt that is too long."), (status = 404, description = "No such model."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn chat_completions(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<ChatCompletionRequest>,
) -> Result<Response, ApiError> {
    let chat = openai::chat(request)?;
    let count = chat.generates.len();
    let (model, mut pieces) = begin(&app, chat.generates, openai::chat_field).await?;
    let head = head(&app, Head::chat, &model);
    if !chat.stream {
        let mut fold = ChatFold::new(head, count, chat.logprobs);
        while let Some((index, piece)) = pieces.next().await {
            fold.piece(index, piece.map_err(|error| ApiError::renamed(error, openai::chat_field))?);
        }
        return Ok(Json(fold.close()).into_response());
    }
    let mut chunks = Some(ChatChunks::new(head, count, chat.include_usage, chat.logprobs));
    Ok(streamed(app, pieces, openai::chat_field, move |piece| match piece {
        Some((index, piece)) => chunks.as_mut().map(|chunks| chunks.piece(index, piece)).unwrap_or_default(),
        None => chunks.take().and_then(ChatChunks::close).into_iter().collect(),
    }))
}

/// Continues a text.
#[utoipa::path(post, path = "/v1/completions", tag = "inference", request_body = CompletionRequest,
    responses((status = 200, description = "The continuation; server-sent events if `stream`.", body = Completion),
              (status = 400, description = "A bad field, or a prompt that is too long."), (status = 404, description = "No such model."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn completions(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<CompletionRequest>,
) -> Result<Response, ApiError> {
    let asked = openai::completions(request)?;
    let count = asked.generates.len();
    let (model, mut pieces) = begin(&app, asked.generates, openai::completion_field).await?;
    let head = head(&app, Head::completion, &model);
    if !asked.stream {
        let mut fold = CompletionFold::new(head, count, asked.per_prompt, asked.echo, asked.logprobs);
        while let Some((index, piece)) = pieces.next().await {
            fold.piece(index, piece.map_err(|error| ApiError::renamed(error, openai::completion_field))?);
        }
        return Ok(Json(fold.close()).into_response());
    }
    let mut chunks = Some(CompletionChunks::new(head, count, asked.per_prompt, asked.echo, asked.include_usage, asked.logprobs));
    Ok(streamed(app, pieces, openai::completion_field, move |piece| match piece {
        Some((index, piece)) => chunks.as_mut().and_then(|chunks| chunks.piece(index, piece)).into_iter().collect(),
        None => chunks.take().and_then(CompletionChunks::close).into_iter().collect(),
    }))
}

fn listed(model: &Stored) -> Model {
    Model::new(model.name.to_string(), model.modified.secs(), "library")
}

fn listed_elsewhere(model: &CloudModel) -> Model {
    let created = model.created.map_or(0, |created| created.secs());
    Model::new(format!("{}/{}", model.provider, model.id), created, model.provider)
}

/// The models in the library; those of cloud providers too if `providers.list_models` is set.
#[utoipa::path(get, path = "/v1/models", tag = "inference", responses((status = 200, body = ModelList)))]
pub async fn models(State(app): State<Arc<App>>) -> Result<Json<ModelList>, ApiError> {
    let models = app.library.list().await?;
    let cloud = app.providers.listed().await;
    Ok(Json(ModelList::new(models.iter().map(listed).chain(cloud.iter().map(listed_elsewhere)).collect())))
}

/// One model of the library.
#[utoipa::path(get, path = "/v1/models/{model}", tag = "inference", params(("model" = String, Path, description = "The model's name.")),
    responses((status = 200, body = Model), (status = 404, description = "No such model.")))]
pub async fn model(State(app): State<Arc<App>>, name: Result<Path<String>, PathRejection>) -> Result<Json<Model>, ApiError> {
    let Path(name) = name?;
    Ok(Json(listed(&app.library.resolve(&name).await?)))
}
