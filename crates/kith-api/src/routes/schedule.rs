//! Quiet hours.

use crate::{app::App, body::Json as Body, configuration::ScheduleState, error::ApiError};
use axum::{Json, extract::State};
use kith_types::{Code, Timestamp};
use kith_wire::system::{ScheduleRequest, ScheduleView};
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn view(state: ScheduleState) -> Json<ScheduleView> {
    Json(ScheduleView {
        enabled: state.enabled,
        days: state.days.into_iter().map(str::to_owned).collect(),
        from: clock(state.from),
        to: clock(state.to),
        time_zone: state.time_zone,
        parallel: state.parallel,
        pause_sharing: state.pause_sharing,
        reduced_hours_start: state.from / 60,
        reduced_hours_end: state.to / 60,
        quiet_now: state.quiet_now,
        until: state.until.map(Timestamp::rfc3339),
        parallel_now: state.places_now,
    })
}

/// One time, by either of its names.
fn time(names: [&str; 2], text: Option<String>, hour: Option<u16>) -> Result<Option<String>, ApiError> {
    match (text, hour) {
        (Some(_), Some(_)) => {
            let message = format!("`{}` and `{}` are two words for one time; send one of them", names[0], names[1]);
            Err(ApiError::new(Code::InvalidRequest, message).with_field(names[1]))
        }
        (None, Some(hour)) if hour > 23 => {
            let message = format!("`{}` is {hour}; it must lie between 0 and 23", names[1]);
            Err(ApiError::new(Code::InvalidRequest, message).with_field(names[1]))
        }
        (None, Some(hour)) => Ok(Some(clock(hour * 60))),
        (text, None) => Ok(text),
    }
}

fn changes(request: ScheduleRequest) -> Result<Map<String, Value>, ApiError> {
    let wishes = [
        ("enabled", request.enabled.map(|value| json!(value))),
        ("days", request.days.map(|value| json!(value))),
        ("from", time(["from", "reduced_hours_start"], request.from, request.reduced_hours_start)?.map(|value| json!(value))),
        ("to", time(["to", "reduced_hours_end"], request.to, request.reduced_hours_end)?.map(|value| json!(value))),
        ("time_zone", request.time_zone.map(|value| json!(value))),
        ("parallel", request.parallel.map(|value| json!(value))),
        ("pause_sharing", request.pause_sharing.map(|value| json!(value))),
    ];
    Ok(wishes.into_iter().filter_map(|(key, value)| Some((format!("schedule.{key}"), value?))).collect())
}

/// Quiet hours, and how they stand now.
#[utoipa::path(get, path = "/api/admin/schedule", tag = "system", responses((status = 200, body = ScheduleView)))]
pub async fn get(State(app): State<Arc<App>>) -> Json<ScheduleView> {
    view(app.configuration.schedule())
}

/// Changes quiet hours, at once. In quiet hours each model writes fewer answers at a time; running ones end as they would.
#[utoipa::path(put, path = "/api/admin/schedule", tag = "system", request_body = ScheduleRequest,
    responses((status = 200, body = ScheduleView), (status = 400, description = "A bad day, time, zone or number.")))]
pub async fn put(State(app): State<Arc<App>>, Body(request): Body<ScheduleRequest>) -> Result<Json<ScheduleView>, ApiError> {
    app.configuration.change(changes(request)?).await?;
    Ok(view(app.configuration.schedule()))
}
