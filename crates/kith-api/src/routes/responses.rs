//! The Responses API, and the list of stored ones.

use crate::{
    app::App,
    body::PromptJson,
    error::ApiError,
    openai::responses::{self, Started},
    stream::sse_alive,
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
use bytes::Bytes;
use futures::{Stream, StreamExt};
use kith_responses::{Events, Status};
use kith_types::Code;
use kith_wire::openai as wire;
use serde::Deserialize;
use std::sync::Arc;

/// Responses in the list of stored ones: unless asked otherwise, and at most.
const LISTED: u32 = 100;
const MAX_LISTED: u32 = 500;
/// A comment, which clients pass over.
const PING: Bytes = Bytes::from_static(b": keep-alive\n\n");

type Id = Result<Path<String>, PathRejection>;

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// The frames, and what is to be let go with them.
fn events(frames: impl Stream<Item = Bytes> + Send + 'static, held: impl Send + 'static, app: &Arc<App>) -> Response {
    let frames = frames.map(move |frame| {
        let _ = &held;
        frame
    });
    sse_alive(frames, PING, app)
}

async fn respond(app: &Arc<App>, started: Started) -> Result<Response, ApiError> {
    let Started { id, stream, log, body, work, guard } = started;
    let background = guard.is_none();
    let mut response = match (stream, background) {
        (true, _) => events(log.follow(None), guard, app),
        (false, true) => json(StatusCode::ACCEPTED, body),
        (false, false) => {
            let ended = work.await.map_err(|error| ApiError::internal(&error))?;
            drop(guard);
            json(StatusCode::OK, ended?)
        }
    };
    if background && let Ok(place) = HeaderValue::from_str(&format!("/v1/responses/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Answers, and keeps the answer unless `store` is false.
#[utoipa::path(post, path = "/v1/responses", tag = "inference", request_body = wire::ResponsesRequest,
    responses((status = 200, description = "The response; server-sent events if `stream`.", body = wire::Response),
              (status = 202, description = "With `background`: the response, queued; `Location` says where it is.", body = wire::Response),
              (status = 400, description = "A bad field, input that is too long, or nothing to continue."),
              (status = 404, description = "No such model."), (status = 413, description = "Too large to be kept: set `store` to false."),
              (status = 503, description = "Too many are waiting.")))]
pub async fn create(
    State(app): State<Arc<App>>,
    PromptJson(request): PromptJson<wire::ResponsesRequest>,
) -> Result<Response, ApiError> {
    let started = responses::start(&app, request).await?;
    respond(&app, started).await
}

/// How a stored response is to be told.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Retrieve {
    /// As server-sent events: those there are, and those to come. Only of responses that were asked for as a stream.
    stream: Option<bool>,
    /// With `stream`: only the events after the one of this number.
    starting_after: Option<u64>,
}

/// One stored response as it stands.
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "inference", params(("id" = String, Path, description = "The response's id."), Retrieve),
    responses((status = 200, description = "The response; server-sent events if `stream`.", body = wire::Response),
              (status = 400, description = "It was not asked for as a stream."), (status = 404, description = "No such response.")))]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Id,
    query: Result<Query<Retrieve>, QueryRejection>,
) -> Result<Response, ApiError> {
    let (Path(id), Query(Retrieve { stream, starting_after })) = (id?, query?);
    if !stream.unwrap_or(false) {
        if starting_after.is_some() {
            return Err(ApiError::new(Code::InvalidRequest, "`starting_after` needs `stream=true`").with_field("starting_after"));
        }
        return Ok(Json(responses::told(&app.responses.get(&id).await?)?).into_response());
    }
    Ok(match app.responses.events(&id, starting_after).await? {
        Events::Frames(frames) => events(frames, (), &app),
        Events::BrokeOff(record) => {
            let last = responses::broke_off_event(&record, starting_after)?;
            events(futures::stream::iter([last]), (), &app)
        }
    })
}

/// Deletes a stored response, and stops it if it runs.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "inference", params(("id" = String, Path, description = "The response's id.")),
    responses((status = 200, body = wire::DeletedResponse), (status = 404, description = "No such response.")))]
pub async fn delete(State(app): State<Arc<App>>, id: Id) -> Result<Json<wire::DeletedResponse>, ApiError> {
    let Path(id) = id?;
    app.responses.delete(&id).await?;
    Ok(Json(responses::deleted(id)))
}

/// Stops a response that goes on in the background. One that has ended is told as it is.
#[utoipa::path(post, path = "/v1/responses/{id}/cancel", tag = "inference", params(("id" = String, Path, description = "The response's id.")),
    responses((status = 200, body = wire::Response), (status = 400, description = "It does not go on in the background."),
              (status = 404, description = "No such response.")))]
pub async fn cancel(State(app): State<Arc<App>>, id: Id) -> Result<Json<wire::Response>, ApiError> {
    let Path(id) = id?;
    if !app.responses.get(&id).await?.summary.background {
        let message = "only a response in the background can be cancelled; to stop another, close its connection";
        return Err(ApiError::new(Code::InvalidRequest, message));
    }
    Ok(Json(responses::told(&app.responses.cancel(&id).await?)?))
}

/// Which of a response's input items are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many, 1 to 100. Default 20.
    limit: Option<i64>,
    /// `desc` (default): the last first; or `asc`.
    order: Option<String>,
    /// Those after the item of this id.
    after: Option<String>,
    /// Those before the item of this id.
    before: Option<String>,
}

/// What was asked in a stored response.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "inference",
    params(("id" = String, Path, description = "The response's id."), Page),
    responses((status = 200, body = wire::InputItemList), (status = 400, description = "A bad field."),
              (status = 404, description = "No such response.")))]
pub async fn input_items(
    State(app): State<Arc<App>>,
    id: Id,
    query: Result<Query<Page>, QueryRejection>,
) -> Result<Json<wire::InputItemList>, ApiError> {
    let (Path(id), Query(page)) = (id?, query?);
    let record = app.responses.get(&id).await?;
    Ok(Json(responses::item_page(&record, page.limit, page.order.as_deref(), page.after.as_deref(), page.before.as_deref())?))
}

/// Which stored responses are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// How many, 1 to 500. Default 100.
    limit: Option<u32>,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    status: Option<String>,
}

/// The stored responses, newest first.
#[utoipa::path(get, path = "/api/admin/responses", tag = "inference", params(Filter),
    responses((status = 200, body = wire::ResponseSummaryList), (status = 400, description = "A bad field.")))]
pub async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<wire::ResponseSummaryList>, ApiError> {
    let Query(Filter { limit, status }) = query?;
    let limit = limit.unwrap_or(LISTED);
    if !(1..=MAX_LISTED).contains(&limit) {
        let message = format!("`limit` is {limit}; it must lie between 1 and {MAX_LISTED}");
        return Err(ApiError::new(Code::InvalidRequest, message).with_field("limit"));
    }
    let unknown = || ApiError::new(Code::InvalidRequest, "`status` is not the status of a response").with_field("status");
    let status = status.map(|word| Status::parse(&word).ok_or_else(unknown)).transpose()?;
    Ok(Json(responses::summaries(app.responses.list(limit, status).await?)))
}
