//! The messages of a conversation, and the images they show.

use crate::{
    app::App,
    body::PromptJson,
    conversations::{draft, draft_of, message, written},
    error::ApiError,
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kith_conversations::Written;
use kith_wire::conversations as wire;
use std::sync::Arc;

type Given = Result<Path<String>, PathRejection>;
type Both = Result<Path<(String, String)>, PathRejection>;

fn answer(done: Written) -> (StatusCode, Json<wire::MessageWritten>) {
    (if done.new { StatusCode::CREATED } else { StatusCode::OK }, Json(written(done)))
}

/// Adds a message, which becomes the conversation's head. Sent again with the same `id`, it is answered as it stands.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/messages", tag = "conversations", request_body = wire::NewConversationMessage,
    params(("id" = String, Path, description = "The conversation's id.")),
    responses((status = 201, body = wire::MessageWritten, description = "Added."),
              (status = 200, body = wire::MessageWritten, description = "It was there already."),
              (status = 400, description = "A value out of its bounds."), (status = 404, description = "No such conversation."),
              (status = 409, description = "`parent` is none of its messages, the id is that of another message, or it is full."),
              (status = 413, description = "The message or the conversation would be too large.")))]
pub async fn add(
    State(app): State<Arc<App>>,
    id: Given,
    PromptJson(body): PromptJson<wire::NewConversationMessage>,
) -> Result<(StatusCode, Json<wire::MessageWritten>), ApiError> {
    let Path(id) = id?;
    Ok(answer(app.conversations.append(id, draft(body)?).await?))
}

/// One message.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/messages/{message}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id."), ("message" = String, Path, description = "The message's id.")),
    responses((status = 200, body = wire::ConversationMessage), (status = 404, description = "No such conversation or message.")))]
pub async fn get(State(app): State<Arc<App>>, ids: Both) -> Result<Json<wire::ConversationMessage>, ApiError> {
    let Path((conversation, id)) = ids?;
    Ok(Json(message(app.conversations.message(&conversation, &id).await?)))
}

/// Replaces a message, as while an answer is written; or adds it if it is not there. Its role and its parent stay as they are.
#[utoipa::path(put, path = "/api/v1/conversations/{id}/messages/{message}", tag = "conversations",
    request_body = wire::NewConversationMessage,
    params(("id" = String, Path, description = "The conversation's id."), ("message" = String, Path, description = "The message's id.")),
    responses((status = 201, body = wire::MessageWritten, description = "Added."),
              (status = 200, body = wire::MessageWritten, description = "Replaced."),
              (status = 400, description = "A value out of its bounds."), (status = 404, description = "No such conversation."),
              (status = 409, description = "Another role or parent than it has, a parent that is none of its messages, or it is full."),
              (status = 413, description = "The message or the conversation would be too large.")))]
pub async fn put(
    State(app): State<Arc<App>>,
    ids: Both,
    PromptJson(body): PromptJson<wire::NewConversationMessage>,
) -> Result<(StatusCode, Json<wire::MessageWritten>), ApiError> {
    let Path((conversation, id)) = ids?;
    Ok(answer(app.conversations.put(conversation, draft_of(id, body)?).await?))
}

/// An image that a message of the conversation shows.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/images/{digest}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id."), ("digest" = String, Path, description = "The image's digest.")),
    responses((status = 200, description = "The image: PNG, JPEG, WebP or GIF.", body = String, content_type = "image/png"),
              (status = 404, description = "No such conversation or image.")))]
pub async fn image(State(app): State<Arc<App>>, ids: Both) -> Result<Response, ApiError> {
    let Path((conversation, digest)) = ids?;
    let opened = app.conversations.picture(&conversation, &digest).await?;
    let fallback = HeaderValue::from_static("application/octet-stream");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_str(&opened.media_type).unwrap_or(fallback)),
        // What has this digest never changes.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
    ];
    Ok((headers, opened.bytes).into_response())
}
