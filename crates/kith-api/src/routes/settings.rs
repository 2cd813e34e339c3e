//! What the owner sets at run time.

use crate::{app::App, body::Json as Body, error::ApiError};
use axum::{Json, extract::State};
use kith_system::{Settings, SettingsChange};
use kith_wire::system::{SecretState, SettingsBody, SettingsUpdate};
use std::sync::Arc;
use zeroize::Zeroizing;

fn body(settings: Settings) -> Json<SettingsBody> {
    Json(SettingsBody {
        browse_show_hidden: settings.browse_show_hidden,
        diagnostics_include_logs: settings.diagnostics_include_logs,
        metrics_history_hours: settings.metrics_history_hours,
        push_token: SecretState { set: settings.push_token_set },
    })
}

/// The settings in force. Of secrets only whether they are set.
#[utoipa::path(get, path = "/api/v1/settings", tag = "system", responses((status = 200, body = SettingsBody)))]
pub async fn settings(State(app): State<Arc<App>>) -> Json<SettingsBody> {
    body(app.system.settings.get())
}

/// Changes settings, all that are given or none. They are in force, and on disk, when the answer comes.
#[utoipa::path(put, path = "/api/v1/settings", tag = "system", request_body = SettingsUpdate,
    responses((status = 200, body = SettingsBody), (status = 400, description = "A setting that does not exist, or a value out of its bounds.")))]
pub async fn change_settings(
    State(app): State<Arc<App>>,
    Body(update): Body<SettingsUpdate>,
) -> Result<Json<SettingsBody>, ApiError> {
    let change = SettingsChange {
        browse_show_hidden: update.browse_show_hidden,
        diagnostics_include_logs: update.diagnostics_include_logs,
        metrics_history_hours: update.metrics_history_hours,
        push_token: update.push_token.map(|token| token.map(Zeroizing::new)),
    };
    Ok(body(app.system.settings.change(change).await?))
}
