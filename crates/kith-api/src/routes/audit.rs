//! The audit ring.

use crate::{
    app::App,
    error::ApiError,
    query,
    stream::{json_line, late_error, ndjson},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::Response,
};
use kith_system::audit::{Broken, End, Question, Record, verify};
use kith_wire::system::{AuditEnd, AuditExportEnd, AuditExportStart, AuditList, AuditRecord};
use serde::Deserialize;
use std::sync::Arc;

/// Which records are wanted.
#[derive(Deserialize)]
pub struct Wanted {
    since: Option<i64>,
    types: Option<String>,
    before: Option<u64>,
    limit: Option<u32>,
}

fn end(end: End) -> AuditEnd {
    AuditEnd { seq: end.seq, hash: hex::encode(end.hash) }
}

fn record(record: Record) -> AuditRecord {
    AuditRecord {
        seq: record.seq,
        ts_ms: record.entry.at,
        kind: record.entry.kind,
        // It was JSON when it was written.
        data: serde_json::from_str(&record.entry.data).unwrap_or(serde_json::Value::String(record.entry.data)),
        hash: hex::encode(record.hash),
    }
}

/// What happened on this node, newest first. Each record's hash covers the one before.
#[utoipa::path(get, path = "/api/v1/audit", tag = "system",
    params(("since" = Option<i64>, Query, description = "Not before this time, in milliseconds since 1970."),
           ("types" = Option<String>, Query, description = "With commas between: `access.login`, or `access` for all that begin so."),
           ("before" = Option<u64>, Query, description = "With a number below this one: the next page."),
           ("limit" = Option<u32>, Query, description = "At most so many: 1 to 1000, 500 if not given.")),
    responses((status = 200, body = AuditList), (status = 400, description = "A value out of its bounds.")))]
pub async fn audit(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<AuditList>, ApiError> {
    let Wanted { since, types, before, limit } = query::read(wanted)?;
    let events = app.system.audit.search(Question { since, kinds: types, before, limit }).await?;
    Ok(Json(AuditList {
        events: events.into_iter().map(record).collect(),
        anchor: end(app.system.audit.anchor().await?),
        head: end(app.system.audit.head().await?),
    }))
}

/// The whole ring as lines of JSON: the anchor, the records, oldest first, and the chain's end. An export without its last line is not whole.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "system",
    params(("token" = Option<String>, Query, description = "The bearer, for links.")),
    responses((status = 200, description = "Lines of JSON.", body = AuditExportEnd, content_type = "application/x-ndjson")))]
pub async fn export_audit(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let head = app.system.audit.head().await?;
    let anchor = app.system.audit.anchor().await?;
    let shared = Arc::clone(&app);
    let stream = async_stream::stream! {
        yield json_line(&AuditExportStart { anchor: end(anchor) });
        let mut chain: Result<End, Broken> = Ok(anchor);
        let mut last = anchor.seq;
        while last < head.seq {
            let records = match shared.system.audit.page(last, head.seq).await {
                Ok(records) => records,
                Err(error) => {
                    yield json_line(&late_error(&shared, error.into(), kith_types::Family::Kith));
                    return;
                }
            };
            let Some(newest) = records.last() else { break };
            last = newest.seq;
            chain = chain.and_then(|from| verify(from, &records));
            for one in records {
                yield json_line(&record(one));
            }
        }
        let verified = chain.is_ok_and(|found| found == head);
        yield json_line(&AuditExportEnd { head: end(head), verified });
    };
    let mut response = ndjson(stream, &app);
    let name = HeaderValue::from_static("attachment; filename=\"kith-audit.jsonl\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}
