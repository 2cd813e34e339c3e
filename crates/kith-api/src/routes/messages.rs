//! Anthropic's endpoints: translate, ask once, translate back.

use crate::{
    anthropic::{self, Events, frame, message_field},
    app::App,
    body::PromptJson,
    error::{ApiError, anthropic_type},
    stream::sse_alive,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kith_inference::{InferenceError, Pieces};
use kith_wire::anthropic::{CountTokensRequest, ErrorDetail, Message, MessagesRequest, StreamEvent, TokenCount};
use std::sync::Arc;

fn renamed(error: InferenceError) -> ApiError {
    ApiError::renamed(error, message_field)
}

/// The answer as events, each as soon as it is there.
fn streamed(app: &Arc<App>, mut pieces: Pieces, mut events: Events) -> Response {
    let stream = async_stream::stream! {
        yield frame(&events.start());
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    for event in events.piece(piece) {
                        yield frame(&event);
                    }
                }
                Err(error) => {
                    let error = renamed(error);
                    let error = ErrorDetail { kind: anthropic_type(error.code).to_owned(), message: error.message };
                    yield frame(&StreamEvent::Error { error });
                    return;
                }
            }
        }
    };
    sse_alive(stream, frame(&StreamEvent::Ping), app)
}

/// Answers a conversation.
#[utoipa::path(post, path = "/v1/messages", tag = "inference", request_body = MessagesRequest,
    params(("anthropic-version" = Option<String>, Header, description = "Taken, whatever it is.")),
    responses((status = 200, description = "The answer; server-sent events if `stream`.", body = Message),
              (status = 400, description = "A bad field, or a prompt that is too long."), (status = 404, description = "No such model."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn create(State(app): State<Arc<App>>, PromptJson(request): PromptJson<MessagesRequest>) -> Result<Response, ApiError> {
    let asked = anthropic::messages(request)?;
    let stops = asked.generate.options.stop.clone();
    let mut answer = app.inference.generate(asked.generate).await.map_err(renamed)?;
    let mut random = [0; 12];
    app.entropy.fill(&mut random).map_err(|error| ApiError::internal(&error))?;
    let mut events = Events::new(random, &answer.card.name, answer.prompt, stops);
    if asked.stream {
        return Ok(streamed(&app, answer.pieces, events));
    }
    let mut told = vec![events.start()];
    while let Some(piece) = answer.pieces.next().await {
        told.extend(events.piece(piece.map_err(renamed)?));
    }
    let message = anthropic::fold(told).ok_or_else(|| ApiError::internal(&"an answer without a start"))?;
    Ok(Json(message).into_response())
}

/// Counts the tokens of a conversation as the model would read it. Loads the model, which alone knows its tokens.
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "inference", request_body = CountTokensRequest,
    responses((status = 200, body = TokenCount), (status = 400, description = "A bad field."), (status = 404, description = "No such model.")))]
pub async fn count_tokens(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<CountTokensRequest>,
) -> Result<Json<TokenCount>, ApiError> {
    let count = app.inference.count(&anthropic::count(request)?).await.map_err(renamed)?;
    Ok(Json(TokenCount { input_tokens: u64::from(count) }))
}
