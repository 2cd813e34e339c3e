//! Fetching and sending models, as Ollama's clients ask for it.

use crate::{
    app::App,
    body::OllamaJson,
    error::ApiError,
    stream::{json_line, late_error, ndjson},
    transfer::{self, TransferLines},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use kith_models::{
    Reference,
    downloads::{Following, Item, Phase},
};
use kith_types::{Code, Family};
use kith_wire::{
    ollama::{PullRequest, PushRequest, TransferLine},
    system::PullProgress,
};
use std::{sync::Arc, time::Duration};

/// Progress is told at most this often.
const PROGRESS: Duration = Duration::from_millis(60);

fn reference(name: &str) -> Result<Reference, ApiError> {
    if name.is_empty() {
        return Err(ApiError::new(Code::InvalidRequest, "`model` is missing").with_field("model"));
    }
    Reference::parse(name).map_err(|error| ApiError::from(error).with_field("model"))
}

/// Why an item that has ended did not succeed.
fn failure(item: &Item) -> Option<ApiError> {
    match (&item.error, item.phase) {
        (Some(error), _) => Some(ApiError::from(error.as_ref())),
        (None, Phase::Done) => None,
        (None, _) => Some(ApiError::new(Code::Conflict, "it was cancelled")),
    }
}

async fn answered(app: Arc<App>, mut following: Following, mut lines: TransferLines, stream: bool) -> Result<Response, ApiError> {
    if !stream {
        let ended = following.ended().await;
        let success = TransferLine { status: "success".to_owned(), ..TransferLine::default() };
        return failure(&ended).map_or_else(|| Ok(Json(success).into_response()), Err);
    }
    let shared = Arc::clone(&app);
    let stream = async_stream::stream! {
        let mut item = following.now();
        loop {
            for line in lines.lines(&item) {
                yield json_line(&line);
            }
            if item.phase.ended() {
                if let Some(error) = failure(&item) {
                    yield json_line(&late_error(&shared, error, Family::Kith));
                }
                return;
            }
            item = following.next().await;
            if !item.phase.ended() {
                tokio::time::sleep(PROGRESS).await;
                item = following.now();
            }
        }
    };
    Ok(ndjson(stream, &app))
}

/// Fetches a model from the registry or the hub. A pull that is under way is joined; one that nobody follows any more is cancelled,
/// and goes on from there the next time.
#[utoipa::path(post, path = "/api/pull", tag = "models", request_body = PullRequest,
    responses((status = 200, description = "Lines of JSON; one object unless `stream`.", body = TransferLine),
              (status = 400, description = "A bad name."), (status = 404, description = "The source does not have it."),
              (status = 502, description = "The source failed or refuses."), (status = 503, description = "Too many are waiting."),
              (status = 507, description = "The disk is full.")))]
pub async fn pull(State(app): State<Arc<App>>, OllamaJson(request): OllamaJson<PullRequest>) -> Result<Response, ApiError> {
    let following = app.downloads.pull(reference(request.model_name())?, request.insecure.unwrap_or(false))?;
    answered(app, following, TransferLines::of_pull(), request.stream.unwrap_or(true)).await
}

/// Sends a model to the registry that its name says.
#[utoipa::path(post, path = "/api/push", tag = "models", request_body = PushRequest,
    responses((status = 200, description = "Lines of JSON; one object unless `stream`.", body = TransferLine),
              (status = 400, description = "A bad name."), (status = 404, description = "No such model."),
              (status = 502, description = "The registry failed or refuses."), (status = 503, description = "Too many are waiting.")))]
pub async fn push(State(app): State<Arc<App>>, OllamaJson(request): OllamaJson<PushRequest>) -> Result<Response, ApiError> {
    let following = app.downloads.push(reference(request.model_name())?, request.insecure.unwrap_or(false))?;
    answered(app, following, TransferLines::of_push(), request.stream.unwrap_or(true)).await
}

/// The pull that is under way.
#[utoipa::path(get, path = "/model/pull/progress", tag = "models", responses((status = 200, body = PullProgress)))]
pub async fn pull_progress(State(app): State<Arc<App>>) -> Json<PullProgress> {
    Json(transfer::progress(&app.downloads.list()))
}
