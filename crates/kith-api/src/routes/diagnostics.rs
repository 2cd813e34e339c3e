//! Reports of problems.

use crate::{app::App, error::ApiError};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use kith_system::Report;
use kith_wire::system::{ReportInfo, ReportList};
use serde_json::{Value, json};
use std::sync::Arc;

type Given = Result<Path<String>, PathRejection>;

fn info(report: Report) -> ReportInfo {
    ReportInfo { id: report.id, created_at_ms: report.created, size: report.size }
}

/// What the node tells of itself in a report.
fn state(app: &App) -> Value {
    let stats = app.inference.stats();
    let loaded = app.inference.loaded();
    let models = loaded.iter().map(|model| {
        json!({
            "model": model.card.name, "engine": model.engine, "context": model.context, "active": model.active,
            "waiting": model.waiting, "weights_bytes": model.memory.weights, "cache_bytes": model.memory.cache,
        })
    });
    json!({
        "version": app.build.version, "build_date": app.build.build_date, "git_commit": app.build.git_commit,
        "rust_version": app.build.rust_version, "node_id": app.node_id, "uptime_ms": app.uptime_ms(),
        "listening": app.listening(), "sealed_by": app.settings.at_rest,
        "prompts": stats.prompts, "failed_prompts": stats.failed, "cancelled_prompts": stats.cancelled,
        "running_prompts": stats.running, "waiting_prompts": stats.waiting, "mean_answer_ms": stats.mean_ms,
        "models_loaded": models.collect::<Vec<_>>(),
    })
}

/// The reports kept on this node, newest first; ten at most.
#[utoipa::path(get, path = "/api/v1/diagnostics/reports", tag = "system",
    responses((status = 200, body = ReportList), (status = 503, description = "There is no folder to keep reports in.")))]
pub async fn reports(State(app): State<Arc<App>>) -> Result<Json<ReportList>, ApiError> {
    let reports = app.system.reports.list().await?;
    Ok(Json(ReportList { reports: reports.into_iter().map(info).collect() }))
}

/// Makes a report of what helps to find a fault, without secrets: configuration, state, measures, audit, log. It stays on this node.
#[utoipa::path(post, path = "/api/v1/diagnostics/reports", tag = "system",
    responses((status = 201, body = ReportInfo), (status = 503, description = "There is no folder to keep reports in.")))]
pub async fn make_report(State(app): State<Arc<App>>) -> Result<(StatusCode, Json<ReportInfo>), ApiError> {
    Ok((StatusCode::CREATED, Json(info(app.system.reports.make(state(&app)).await?))))
}

/// A report as a zip.
#[utoipa::path(get, path = "/api/v1/diagnostics/reports/{id}", tag = "system",
    params(("id" = String, Path, description = "The report's id."),
           ("token" = Option<String>, Query, description = "The bearer, for links.")),
    responses((status = 200, description = "The zip.", body = String, content_type = "application/zip"),
              (status = 404, description = "No such report.")))]
pub async fn report(State(app): State<Arc<App>>, id: Given) -> Result<Response, ApiError> {
    let Path(id) = id?;
    let zip = app.system.reports.read(&id).await?;
    let name = format!("attachment; filename=\"kith-report-{id}.zip\"");
    Ok(([(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, name)], zip).into_response())
}

/// Removes a report.
#[utoipa::path(delete, path = "/api/v1/diagnostics/reports/{id}", tag = "system",
    params(("id" = String, Path, description = "The report's id.")),
    responses((status = 204, description = "Removed."), (status = 404, description = "No such report.")))]
pub async fn remove_report(State(app): State<Arc<App>>, id: Given) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    app.system.reports.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
