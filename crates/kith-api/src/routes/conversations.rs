//! Conversations: begun, listed, sought, changed, forked, exported, deleted and restored.

use crate::{
    app::App,
    body::Json as Body,
    conversations::{attachment, change, conversation, new, page},
    error::ApiError,
    query,
    stream::json_bytes,
};
use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kith_conversations::{Wanted, file_name, markdown};
use kith_types::Code;
use kith_wire::conversations as wire;
use serde::Deserialize;
use std::sync::Arc;

type Given = Result<Path<String>, PathRejection>;

/// A thing that is new, or was there from before.
fn made<T>((thing, new): (T, bool)) -> (StatusCode, Json<T>) {
    (if new { StatusCode::CREATED } else { StatusCode::OK }, Json(thing))
}

/// Which conversations are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Words that the title or one message must have, each at the beginning of a word; at most 200 characters.
    query: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most so many: 1 to 200, 50 if not given.
    limit: Option<u32>,
    /// Those that were deleted and can be restored, instead of those that were not. Not together with `query`.
    deleted: Option<bool>,
}

/// The conversations: pinned ones first, then the last talked in.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "conversations", params(List),
    responses((status = 200, body = wire::ConversationList), (status = 400, description = "A value out of its bounds.")))]
pub async fn list(
    State(app): State<Arc<App>>,
    wanted: Result<Query<List>, QueryRejection>,
) -> Result<Json<wire::ConversationList>, ApiError> {
    let List { query, cursor, limit, deleted } = query::read(wanted)?;
    let wanted = Wanted { query, deleted: deleted.unwrap_or(false), cursor, limit };
    Ok(Json(page(app.conversations.list(wanted).await?)))
}

/// Begins a conversation. Sent again with the same `id`, it answers the one that is there.
#[utoipa::path(post, path = "/api/v1/conversations", tag = "conversations", request_body = wire::NewConversation,
    responses((status = 201, body = wire::Conversation, description = "Begun."),
              (status = 200, body = wire::Conversation, description = "There is one of that id already; it is left as it is."),
              (status = 400, description = "A value out of its bounds."),
              (status = 409, description = "As many conversations as may be, or the id of a deleted one."),
              (status = 413, description = "The system prompt or the options are too large.")))]
pub async fn create(
    State(app): State<Arc<App>>,
    Body(body): Body<wire::NewConversation>,
) -> Result<(StatusCode, Json<wire::Conversation>), ApiError> {
    let (begun, is_new) = app.conversations.create(new(body)).await?;
    Ok(made((conversation(begun), is_new)))
}

/// What of a conversation is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Read {
    /// Whether its messages are; they are if not given.
    messages: Option<bool>,
}

/// A conversation with its messages.
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id."), Read),
    responses((status = 200, body = wire::Conversation), (status = 404, description = "No such conversation.")))]
pub async fn get(
    State(app): State<Arc<App>>,
    id: Given,
    read: Result<Query<Read>, QueryRejection>,
) -> Result<Json<wire::Conversation>, ApiError> {
    let (Path(id), Read { messages }) = (id?, query::read(read)?);
    Ok(Json(conversation(app.conversations.get(&id, messages.unwrap_or(true)).await?)))
}

/// Changes a conversation: what is given, all of it or nothing. Answers it without its messages.
#[utoipa::path(patch, path = "/api/v1/conversations/{id}", tag = "conversations", request_body = wire::ConversationUpdate,
    params(("id" = String, Path, description = "The conversation's id.")),
    responses((status = 200, body = wire::Conversation), (status = 400, description = "A value out of its bounds."),
              (status = 404, description = "No such conversation."), (status = 409, description = "`head` is none of its messages."),
              (status = 413, description = "The system prompt or the options are too large.")))]
pub async fn update(
    State(app): State<Arc<App>>,
    id: Given,
    Body(body): Body<wire::ConversationUpdate>,
) -> Result<Json<wire::Conversation>, ApiError> {
    let Path(id) = id?;
    Ok(Json(conversation(app.conversations.change(id, change(body)).await?)))
}

/// How a conversation is to be deleted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Delete {
    /// At once and for good, instead of in 30 days.
    forever: Option<bool>,
}

/// Deletes a conversation. It can be restored for 30 days, unless `forever`.
#[utoipa::path(delete, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id."), Delete),
    responses((status = 204, description = "Deleted."), (status = 404, description = "No such conversation.")))]
pub async fn delete(
    State(app): State<Arc<App>>,
    id: Given,
    how: Result<Query<Delete>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    let (Path(id), Delete { forever }) = (id?, query::read(how)?);
    app.conversations.delete(id, forever.unwrap_or(false)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restores a deleted conversation. Answers it without its messages.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/restore", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id.")),
    responses((status = 200, body = wire::Conversation), (status = 404, description = "No such conversation, or gone for good.")))]
pub async fn restore(State(app): State<Arc<App>>, id: Given) -> Result<Json<wire::Conversation>, ApiError> {
    let Path(id) = id?;
    Ok(Json(conversation(app.conversations.restore(id).await?)))
}

/// Begins a conversation with a copy of this one up to a message.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/fork", tag = "conversations", request_body = wire::ForkRequest,
    params(("id" = String, Path, description = "The conversation's id.")),
    responses((status = 201, body = wire::Conversation, description = "Begun."),
              (status = 200, body = wire::Conversation, description = "There is one of that id already; it is left as it is."),
              (status = 400, description = "A value out of its bounds."), (status = 404, description = "No such conversation or message."),
              (status = 409, description = "As many conversations as may be, or the id of a deleted one.")))]
pub async fn fork(
    State(app): State<Arc<App>>,
    id: Given,
    Body(wire::ForkRequest { at, id: new_id, title }): Body<wire::ForkRequest>,
) -> Result<(StatusCode, Json<wire::Conversation>), ApiError> {
    let Path(id) = id?;
    let (begun, is_new) = app.conversations.fork(id, at, new_id, title).await?;
    Ok(made((conversation(begun), is_new)))
}

/// In which form a conversation is to be exported.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Export {
    /// `markdown`: the branch that is shown, for people; or `json`: all of it, as GET answers it.
    format: Option<String>,
}

/// A conversation as a file. Images are named, not contained.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/export", tag = "conversations",
    params(("id" = String, Path, description = "The conversation's id."), Export),
    responses((status = 200, description = "The file.", body = String, content_type = "text/markdown"),
              (status = 400, description = "No such form."), (status = 404, description = "No such conversation.")))]
pub async fn export(
    State(app): State<Arc<App>>,
    id: Given,
    form: Result<Query<Export>, QueryRejection>,
) -> Result<Response, ApiError> {
    let (Path(id), Export { format }) = (id?, query::read(form)?);
    let is_json = match format.as_deref() {
        None | Some("markdown") => false,
        Some("json") => true,
        Some(_) => return Err(ApiError::new(Code::InvalidRequest, "`format` must be `markdown` or `json`").with_field("format")),
    };
    let found = app.conversations.get(&id, true).await?;
    let name = attachment(&file_name(&found.summary.title, if is_json { "json" } else { "md" }));
    let (media_type, bytes) = match is_json {
        true => ("application/json", json_bytes(&conversation(found))),
        false => ("text/markdown; charset=utf-8", markdown(&found).into_bytes()),
    };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(media_type)), (header::CONTENT_DISPOSITION, name)], bytes)
        .into_response())
}
