//! What a response continues: the stored ones before it, and the items it refers to.

use super::{ids, request::Asked};
use crate::{app::App, error::ApiError, field_error::FieldError};
use kith_responses::{Record, ResponsesError, Status};
use kith_types::Code;
use kith_wire::openai::InputItem;
use serde_json::Value;

/// The most responses one continues, each through the one before.
const MAX_CHAIN: usize = 4096;
/// The most bytes of their texts.
const MAX_CHAIN_BYTES: u64 = 64 << 20;

/// The items before the request's own, oldest first.
pub(super) async fn earlier(app: &App, previous: Option<&str>) -> Result<Vec<InputItem>, ApiError> {
    let mut turns: Vec<Vec<InputItem>> = Vec::new();
    let (mut next, mut bytes) = (previous.map(str::to_owned), 0);
    while let Some(id) = next {
        let record = match app.responses.get(&id).await {
            Ok(record) => record,
            Err(ResponsesError::NotFound(id)) => return Err(not_found(&id)),
            Err(error) => return Err(error.into()),
        };
        if !matches!(record.summary.status, Status::Completed | Status::Incomplete) {
            let message = format!(
                "the response `{}` is {}; only an answered one can be continued",
                shown(&id),
                record.summary.status.as_str()
            );
            return Err(ApiError::new(Code::InvalidRequest, message).with_field("previous_response_id"));
        }
        bytes += (record.input.len() + record.body.len()) as u64;
        if turns.len() >= MAX_CHAIN || bytes > MAX_CHAIN_BYTES {
            let message = format!("it continues more than {MAX_CHAIN} responses or {MAX_CHAIN_BYTES} bytes");
            return Err(ApiError::new(Code::BodyTooLarge, message).with_field("previous_response_id"));
        }
        turns.push(turn(&record)?);
        next = record.summary.previous;
    }
    Ok(turns.into_iter().rev().flatten().collect())
}

fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn not_found(id: &str) -> ApiError {
    let message = format!("previous response with id '{}' not found", shown(id));
    ApiError::new(Code::PreviousResponseNotFound, message).with_field("previous_response_id")
}

/// What was asked and answered in one response.
fn turn(record: &Record) -> Result<Vec<InputItem>, ApiError> {
    let mut items: Vec<InputItem> = serde_json::from_str(&record.input).map_err(|error| ApiError::internal(&error))?;
    let mut body: Value = serde_json::from_str(&record.body).map_err(|error| ApiError::internal(&error))?;
    let output: Vec<InputItem> = serde_json::from_value(body["output"].take()).map_err(|error| ApiError::internal(&error))?;
    items.extend(output);
    Ok(items)
}

/// Puts the items meant in the place of references to them.
pub(super) async fn resolve(app: &App, asked: &mut Asked, earlier: &[InputItem]) -> Result<(), ApiError> {
    for at in 0..asked.items.len() {
        if asked.items[at].kind.as_deref() != Some("item_reference") {
            continue;
        }
        let id = asked.items[at].id.clone().unwrap_or_default();
        let here = earlier.iter().chain(&asked.items[..at]).find(|item| item.id.as_ref() == Some(&id)).cloned();
        let found = match here {
            Some(item) => Some(item),
            None => stored(app, &id).await?,
        };
        asked.items[at] = found.ok_or_else(|| {
            let field = format!("input[{at}].id");
            let message = format!("`{field}`: there is no item `{}`", shown(&id));
            ApiError::from(FieldError::new(field, message))
        })?;
    }
    Ok(())
}

async fn stored(app: &App, id: &str) -> Result<Option<InputItem>, ApiError> {
    let Some(response) = ids::response_of(id) else { return Ok(None) };
    match app.responses.get(&response).await {
        Ok(record) => Ok(turn(&record)?.into_iter().find(|item| item.id.as_deref() == Some(id))),
        Err(ResponsesError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
