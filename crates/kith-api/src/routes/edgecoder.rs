//! EdgeCoder's endpoints: the portal's chat, decomposition, state.

use crate::{
    app::App,
    body::PromptJson,
    default_model::model_for,
    edgecoder::{self, decompose::Task},
    error::ApiError,
    stats::latency,
    stream::{late_error, sse, sse_data},
};
use axum::{Json, extract::State, response::Response};
use bytes::Bytes;
use futures::StreamExt;
use kith_inference::{Piece, Pieces};
use kith_types::Family;
use kith_wire::edgecoder::{
    CoordinatorStatus, DecomposeRequest, DecomposeResponse, PortalChatRequest, PortalChunk, RuntimeHealth,
};
use std::sync::Arc;

fn streamed(app: Arc<App>, mut pieces: Pieces) -> Response {
    let shared = Arc::clone(&app);
    let stream = async_stream::stream! {
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(Piece::Text { text, .. }) if !text.is_empty() => yield sse_data(&PortalChunk { content: text }),
                // Reasoning is not part of the answer, and no tools are offered.
                Ok(_) => {}
                Err(error) => {
                    yield sse_data(&late_error(&shared, ApiError::renamed(error, edgecoder::field), Family::Kith));
                    return;
                }
            }
        }
        yield Bytes::from_static(b"data: [DONE]\n\n");
    };
    sse(stream, &app)
}

/// Answers a conversation as server-sent events of `{"content"}`, ended by `[DONE]`. The system text is the node's own.
#[utoipa::path(post, path = "/portal/chat", tag = "inference", request_body = PortalChatRequest,
    responses((status = 200, description = "Server-sent events.", body = PortalChunk, content_type = "text/event-stream"),
              (status = 400, description = "A bad field, or a conversation that is too long."),
              (status = 404, description = "No such model."), (status = 503, description = "Too many are waiting.")))]
pub async fn portal_chat(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<PortalChatRequest>,
) -> Result<Response, ApiError> {
    let model = model_for(&app, request.model.clone()).await?;
    let generate = edgecoder::portal(request, model)?;
    let answer = app.inference.generate(generate).await.map_err(|error| ApiError::renamed(error, edgecoder::field))?;
    Ok(streamed(app, answer.pieces))
}

/// Divides a task into at most ten subtasks that depend on each other. A task the model cannot divide stands as one.
#[utoipa::path(post, path = "/decompose", tag = "inference", request_body = DecomposeRequest,
    responses((status = 200, body = DecomposeResponse), (status = 400, description = "A bad field, or a prompt that is too long."),
              (status = 404, description = "No such model."), (status = 503, description = "Too many are waiting.")))]
pub async fn decompose(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<DecomposeRequest>,
) -> Result<Json<DecomposeResponse>, ApiError> {
    let model = model_for(&app, request.model.clone()).await?;
    let task = Task::new(request)?;
    let renamed =
        |error| ApiError::renamed(error, |field| if field.starts_with("messages") { "prompt".into() } else { field.into() });
    let mut answer = app.inference.generate(task.question(model)).await.map_err(renamed)?;
    let mut text = String::new();
    while let Some(piece) = answer.pieces.next().await {
        if let Piece::Text { text: more, .. } = piece.map_err(renamed)? {
            text.push_str(&more);
        }
    }
    let subtasks = task.subtasks(&text);
    Ok(Json(DecomposeResponse {
        task_id: task.id().to_owned(),
        decomposed: subtasks.is_some(),
        subtasks: subtasks.unwrap_or_else(|| task.whole()),
        model: answer.card.name.clone(),
    }))
}

/// How much waits and how much was done.
#[utoipa::path(get, path = "/status", tag = "system", responses((status = 200, body = CoordinatorStatus)))]
pub async fn status(State(app): State<Arc<App>>) -> Result<Json<CoordinatorStatus>, ApiError> {
    let stats = app.inference.stats();
    let ready = !app.stop.is_cancelled() && !app.library.list().await?.is_empty();
    Ok(Json(CoordinatorStatus {
        queued: stats.waiting as u64,
        agents: u64::from(ready),
        results: stats.finished,
        running: stats.running,
        ready,
        status: if app.stop.is_cancelled() { "stopping" } else { "running" }.into(),
        version: app.build.version.clone(),
    }))
}

/// How the part that answers prompts does.
#[utoipa::path(get, path = "/health/runtime", tag = "system", responses((status = 200, body = RuntimeHealth)))]
pub async fn runtime_health(State(app): State<Arc<App>>) -> Result<Json<RuntimeHealth>, ApiError> {
    let stats = app.inference.stats();
    let hardware = app.hardware.read(&app.settings.data_dir).await;
    let installed = app.library.list().await?.len();
    Ok(Json(RuntimeHealth {
        ok: installed > 0 && !app.stop.is_cancelled(),
        generated_at_ms: app.clock.now().ms(),
        uptime_ms: app.uptime_ms(),
        version: app.build.version.clone(),
        active_model: model_for(&app, None).await.ok(),
        models_loaded: app.inference.loaded().iter().map(|model| model.card.name.clone()).collect(),
        models_installed: installed as u64,
        running: stats.running,
        queued: stats.waiting as u64,
        memory_bytes: hardware.memory.process,
        cpu_percent: hardware.cpu.process_percent,
        p95_latency_ms: latency(stats.total).p95_ms,
    }))
}
