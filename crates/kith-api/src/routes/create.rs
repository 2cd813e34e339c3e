//! Making models as Ollama's clients do it: uploads, create, copy.

use crate::{
    app::App,
    body::OllamaJson,
    error::ApiError,
    ollama::create as convert,
    stream::{json_line, late_error, ndjson},
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kith_models::{
    Model, ModelError,
    create::{Plan, Step},
};
use kith_types::{Code, Family, ModelName, Sha256};
use kith_wire::ollama::{CopyRequest, CreateRequest, ProgressResponse};
use std::{io, sync::Arc, time::Duration};
use tokio::{io::AsyncRead, sync::mpsc};
use tokio_util::io::StreamReader;

/// Steps that may wait for a client that reads slowly.
const STEPS: usize = 32;
/// A client that sends nothing of its upload for so long is cut off.
const SILENCE: Duration = Duration::from_secs(60);

fn digest(path: Result<Path<String>, PathRejection>) -> Result<Sha256, ApiError> {
    let Path(text) = path?;
    let wrong = |error: kith_types::DigestError| ApiError::new(Code::InvalidRequest, error.to_string()).with_field("digest");
    text.parse().map_err(wrong)
}

/// Whether bytes of this digest are on this node.
#[utoipa::path(head, path = "/api/blobs/{digest}", tag = "models", params(("digest" = String, Path, description = "`sha256:…`.")),
    responses((status = 200, description = "They are here."), (status = 404, description = "They are not.")))]
pub async fn has_blob(State(app): State<Arc<App>>, path: Result<Path<String>, PathRejection>) -> Result<StatusCode, ApiError> {
    let digest = digest(path)?;
    match app.library.has_bytes(&digest).await? {
        true => Ok(StatusCode::OK),
        false => Err(ApiError::new(Code::NotFound, format!("there is no blob {digest}"))),
    }
}

/// Takes bytes for a model that is to be made. The body is the bytes, of any content type and of any length the disk has room for.
/// They are kept for a day at least.
#[utoipa::path(post, path = "/api/blobs/{digest}", tag = "models", params(("digest" = String, Path, description = "`sha256:…`.")),
    responses((status = 201, description = "Taken."), (status = 200, description = "They were here already."),
              (status = 400, description = "No digest, or bytes of another digest."), (status = 507, description = "The disk is full.")))]
pub async fn put_blob(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let digest = digest(path)?;
    match app.library.upload(digest, bytes_of(body)).await? {
        true => Ok(StatusCode::CREATED),
        false => Ok(StatusCode::OK),
    }
}

/// A body's bytes; an error where the client breaks off or falls silent.
fn bytes_of(body: Body) -> impl AsyncRead + Send + Unpin {
    let broken = |_| io::Error::new(io::ErrorKind::ConnectionAborted, "the body broke off");
    let silent = |_| io::Error::new(io::ErrorKind::TimedOut, format!("nothing of the body came for {} s", SILENCE.as_secs()));
    let mut chunks = body.into_data_stream();
    let chunks = async_stream::stream! {
        loop {
            match tokio::time::timeout(SILENCE, chunks.next()).await.map_err(silent) {
                Ok(Some(chunk)) => yield chunk.map_err(broken),
                Ok(None) => return,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
    };
    StreamReader::new(Box::pin(chunks))
}

/// Makes a model from another one or from uploaded files.
#[utoipa::path(post, path = "/api/create", tag = "models", request_body = CreateRequest,
    responses((status = 200, description = "Lines of JSON; one object unless `stream`.", body = ProgressResponse),
              (status = 400, description = "A bad field or file."), (status = 404, description = "No such model."),
              (status = 503, description = "Another model's weights are being written.")))]
pub async fn create(State(app): State<Arc<App>>, OllamaJson(request): OllamaJson<CreateRequest>) -> Result<Response, ApiError> {
    let asked = convert::create(request)?;
    let plan = app.library.plan(asked.name, asked.recipe).await?;
    if asked.stream {
        return Ok(streamed(&app, plan));
    }
    let (sender, mut steps) = mpsc::channel(STEPS);
    let ignore = async { while steps.recv().await.is_some() {} };
    let (model, ()) = tokio::join!(app.library.make(plan, sender), ignore);
    made(&app, &model?);
    Ok(Json(ProgressResponse::status("success")).into_response())
}

fn made(app: &App, model: &Model) {
    app.events.publish("model.created", serde_json::json!({"model": model.name.to_string(), "size": model.size}));
}

/// Makes the model, a line for each step.
fn streamed(app: &Arc<App>, plan: Plan) -> Response {
    let (sender, mut steps) = mpsc::channel::<Step>(STEPS);
    let shared = Arc::clone(app);
    let stream = async_stream::stream! {
        yield json_line(&ProgressResponse::status("reading model metadata"));
        let work = shared.library.make(plan, sender);
        tokio::pin!(work);
        let mut outcome: Option<Result<Model, ModelError>> = None;
        loop {
            tokio::select! {
                biased;
                step = steps.recv() => match step {
                    Some(step) => yield json_line(&convert::progress(step)),
                    None if outcome.is_some() => break,
                    None => outcome = Some((&mut work).await),
                },
                done = &mut work, if outcome.is_none() => outcome = Some(done),
            }
        }
        match outcome {
            Some(Ok(model)) => {
                made(&shared, &model);
                yield json_line(&ProgressResponse::status("success"));
            }
            Some(Err(error)) => yield json_line(&late_error(&shared, error.into(), Family::Kith)),
            None => {}
        }
    };
    ndjson(stream, app)
}

/// Gives a model a second name; both share the bytes.
#[utoipa::path(post, path = "/api/copy", tag = "models", request_body = CopyRequest,
    responses((status = 200, description = "Copied."), (status = 400, description = "A bad name."), (status = 404, description = "No such model.")))]
pub async fn copy(State(app): State<Arc<App>>, OllamaJson(request): OllamaJson<CopyRequest>) -> Result<StatusCode, ApiError> {
    let destination = name(&request.destination, "destination")?;
    let source = app.library.resolve(&name(&request.source, "source").map(|_| request.source)?).await?;
    let model = app.library.copy(&source.name, destination).await?;
    app.events.publish("model.copied", serde_json::json!({"source": source.name.to_string(), "model": model.name.to_string()}));
    Ok(StatusCode::OK)
}

fn name(text: &str, field: &str) -> Result<ModelName, ApiError> {
    text.parse()
        .map_err(|error: kith_types::ModelNameError| ApiError::new(Code::InvalidRequest, error.to_string()).with_field(field))
}
