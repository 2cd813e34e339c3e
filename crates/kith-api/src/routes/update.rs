//! New versions.

use crate::{app::App, configuration::UpdateRefusal, error::ApiError};
use axum::{Json, extract::State};
use kith_types::Code;
use kith_wire::system::{UpdateApplied, UpdateCheck};
use std::sync::Arc;

impl From<UpdateRefusal> for ApiError {
    fn from(refusal: UpdateRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            UpdateRefusal::NotConfigured(_) => Self::new(Code::NotConfigured, message),
            UpdateRefusal::Feed(_) | UpdateRefusal::Untrusted(_) => Self::new(Code::UpstreamFailed, message),
            UpdateRefusal::Newest(_) | UpdateRefusal::Busy => Self::new(Code::Conflict, message),
            UpdateRefusal::Disk(_) => Self::internal(&message),
        }
    }
}

/// Asks the publisher's feed for a newer version. Only what its key signed counts as an answer.
#[utoipa::path(post, path = "/api/admin/update/check", tag = "system",
    responses((status = 200, body = UpdateCheck), (status = 502, description = "The feed does not answer, or is not signed."),
              (status = 503, description = "No feed is configured.")))]
pub async fn check(State(app): State<Arc<App>>) -> Result<Json<UpdateCheck>, ApiError> {
    let release = app.updates.check().await?;
    Ok(Json(UpdateCheck {
        current_version: app.build.version.clone(),
        latest_version: release.version,
        update_available: release.newer,
        size: release.size,
        changelog: release.changelog,
    }))
}

/// Fetches the feed's version, checks its size, digest and signature, and lays it ready for the next start.
#[utoipa::path(post, path = "/api/admin/update/apply", tag = "system",
    responses((status = 200, body = UpdateApplied), (status = 409, description = "Nothing newer, or one is being fetched."),
              (status = 502, description = "The feed does not answer, or what it offers is not what was signed."),
              (status = 503, description = "No feed is configured.")))]
pub async fn apply(State(app): State<Arc<App>>) -> Result<Json<UpdateApplied>, ApiError> {
    let staged = app.updates.apply().await?;
    Ok(Json(UpdateApplied {
        status: "staged".into(),
        message: format!("version {} lies ready; the next start takes it", staged.version),
        version: staged.version,
        path: staged.path.display().to_string(),
        sha256: staged.sha256,
        restart_required: true,
    }))
}
