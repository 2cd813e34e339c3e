//! The configuration: shown, changed, read again.

use crate::{
    app::App,
    body::Json as Body,
    configuration::{Applied, ConfigRefusal, View, flatten},
    error::ApiError,
};
use axum::{Json, extract::State};
use kith_types::Code;
use kith_wire::system::{ConfigApplied, ConfigChanges, ConfigView, OverriddenSetting, SettingView};
use serde_json::{Map, Value};
use std::sync::Arc;

impl From<ConfigRefusal> for ApiError {
    fn from(refusal: ConfigRefusal) -> Self {
        match refusal {
            ConfigRefusal::Setting { field, message } if field.is_empty() => Self::new(Code::InvalidRequest, message),
            ConfigRefusal::Setting { field, message } => Self::new(Code::InvalidRequest, message).with_field(field),
            ConfigRefusal::File(reason) => Self::internal(&reason),
        }
    }
}

/// The values by table, as the file would have them.
pub(super) fn tables(view: &View) -> Map<String, Value> {
    let mut tables = Map::new();
    for setting in &view.settings {
        let Some((table, key)) = setting.key.split_once('.') else { continue };
        if let Value::Object(table) = tables.entry(table).or_insert_with(|| Value::Object(Map::new())) {
            table.insert(key.to_owned(), setting.value.clone());
        }
    }
    tables
}

fn view(view: View) -> ConfigView {
    let config = tables(&view);
    let settings = view.settings.into_iter().map(|setting| SettingView {
        key: setting.key.to_owned(),
        value: setting.value,
        origin: setting.origin.as_str().to_owned(),
        variable: setting.variable.map(str::to_owned),
        live: setting.live,
        secret: setting.secret,
    });
    ConfigView {
        config,
        settings: settings.collect(),
        path: view.path.display().to_string(),
        restart_required: view.restart_required,
    }
}

pub(super) fn overridden(applied: &Applied) -> Vec<OverriddenSetting> {
    applied.overridden.iter().map(|one| OverriddenSetting { key: one.key.clone(), by: one.by.clone() }).collect()
}

fn changed(applied: Applied) -> Json<ConfigApplied> {
    Json(ConfigApplied {
        status: "ok".into(),
        overridden: overridden(&applied),
        applied: applied.applied,
        restart_required: applied.restart_required,
    })
}

/// Every setting in force, and where its value comes from. Secrets show only whether they are set.
#[utoipa::path(get, path = "/api/admin/config", tag = "system", responses((status = 200, body = ConfigView)))]
pub async fn get(State(app): State<Arc<App>>) -> Json<ConfigView> {
    Json(view(app.configuration.view()))
}

/// Changes settings in config.toml, whose comments stay, and takes them into force as far as that goes without a restart. All of them
/// or none. What the environment or the command line decides is written, and told as overridden.
#[utoipa::path(put, path = "/api/admin/config", tag = "system", request_body = ConfigChanges,
    responses((status = 200, body = ConfigApplied), (status = 400, description = "An unknown setting, or an impossible value.")))]
pub async fn put(State(app): State<Arc<App>>, Body(changes): Body<ConfigChanges>) -> Result<Json<ConfigApplied>, ApiError> {
    Ok(changed(app.configuration.change(flatten(changes.0)).await?))
}

/// Reads config.toml again and takes into force what has changed in it. A file with a mistake changes nothing.
#[utoipa::path(post, path = "/api/admin/config/reload", tag = "system",
    responses((status = 200, body = ConfigApplied), (status = 400, description = "The file has a mistake.")))]
pub async fn reload(State(app): State<Arc<App>>) -> Result<Json<ConfigApplied>, ApiError> {
    Ok(changed(app.configuration.reload().await?))
}
