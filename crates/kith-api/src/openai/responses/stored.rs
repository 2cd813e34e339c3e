//! What is told of stored responses.

use super::{answer::fault, drive::frame};
use crate::{error::ApiError, field_error::FieldError};
use bytes::Bytes;
use kith_responses::{Record, Status, Summary};
use kith_types::Code;
use kith_wire::openai::{
    DeletedResponse, InputItem, InputItemList, Response, ResponseEvent, ResponseStatus, ResponseSummary, ResponseSummaryList,
};

/// Items on a page of input items: unless asked otherwise, and at most.
const PAGE: usize = 20;
const MAX_PAGE: i64 = 100;

fn status(status: Status) -> ResponseStatus {
    match status {
        Status::Queued => ResponseStatus::Queued,
        Status::InProgress => ResponseStatus::InProgress,
        Status::Completed => ResponseStatus::Completed,
        Status::Incomplete => ResponseStatus::Incomplete,
        Status::Failed => ResponseStatus::Failed,
        Status::Cancelled => ResponseStatus::Cancelled,
    }
}

/// A stored response as it stands. One that broke off has failed, and says so.
pub(crate) fn told(record: &Record) -> Result<Response, ApiError> {
    let mut response: Response = serde_json::from_str(&record.body).map_err(|error| ApiError::internal(&error))?;
    response.status = status(record.summary.status);
    if record.summary.broke_off {
        let error = ApiError::new(Code::ShuttingDown, "the response broke off: the node stopped, or could not keep its end");
        response.error = Some(fault(&error));
    }
    Ok(response)
}

/// The one event that is left to tell of a response that broke off, for a reader who has seen those up to `after`.
pub(crate) fn broke_off_event(record: &Record, after: Option<u64>) -> Result<Bytes, ApiError> {
    let response = Box::new(told(record)?);
    Ok(frame(ResponseEvent::Failed { response }, after.map_or(0, |after| after.saturating_add(1))))
}

/// The answer to a deletion.
pub(crate) fn deleted(id: String) -> DeletedResponse {
    DeletedResponse { id, object: "response".to_owned(), deleted: true }
}

/// The list of stored responses.
pub(crate) fn summaries(list: Vec<Summary>) -> ResponseSummaryList {
    let told = |summary: Summary| ResponseSummary {
        id: summary.id,
        status: status(summary.status),
        model: summary.model,
        background: summary.background,
        streamed: summary.streamed,
        previous_response_id: summary.previous,
        created_at: summary.created.rfc3339(),
        ended_at: summary.ended.map(kith_types::Timestamp::rfc3339),
        bytes: summary.bytes,
    };
    ResponseSummaryList { responses: list.into_iter().map(told).collect() }
}

/// One page of what was asked: newest first unless `order` is `asc`, after and before the items of these ids.
pub(crate) fn item_page(
    record: &Record,
    limit: Option<i64>,
    order: Option<&str>,
    after: Option<&str>,
    before: Option<&str>,
) -> Result<InputItemList, ApiError> {
    let limit = limit.unwrap_or(PAGE as i64);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(FieldError::new("limit", format!("`limit` is {limit}; it must lie between 1 and {MAX_PAGE}")).into());
    }
    let mut items: Vec<InputItem> = serde_json::from_str(&record.input).map_err(|error| ApiError::internal(&error))?;
    match order.unwrap_or("desc") {
        "asc" => {}
        "desc" => items.reverse(),
        _ => return Err(FieldError::new("order", "`order` must be `asc` or `desc`").into()),
    }
    let place = |field: &str, id: &str| {
        items
            .iter()
            .position(|item| item.id.as_deref() == Some(id))
            .ok_or_else(|| ApiError::from(FieldError::new(field, format!("`{field}` names no item of this response"))))
    };
    let from = after.map(|id| place("after", id)).transpose()?.map_or(0, |at| at + 1);
    let to = before.map(|id| place("before", id)).transpose()?.unwrap_or(items.len());
    let range: Vec<InputItem> = items.into_iter().take(to).skip(from).collect();
    let limit = usize::try_from(limit).unwrap_or(PAGE);
    let has_more = range.len() > limit;
    let data: Vec<InputItem> = range.into_iter().take(limit).collect();
    Ok(InputItemList {
        object: "list".to_owned(),
        first_id: data.first().and_then(|item| item.id.clone()),
        last_id: data.last().and_then(|item| item.id.clone()),
        data,
        has_more,
    })
}
