//! Cloud providers: keys, models, signs of life.

use crate::{app::App, body::Json as Body, error::ApiError};
use axum::{Json, extract::State};
use kith_inference::{
    ClaudeCli, KeySource, KeyStoreError, MAX_PROBED, ModelSign, ProviderChange, ProviderFault, ProviderSign, Providers,
    SettingsError,
};
use kith_types::Code;
use kith_wire::providers::{
    ClaudeSubscription, ModelStatus, ModelStatusList, ModelStatusRequest, ProviderHealth, ProviderHealthList, ProviderInfo,
    ProviderKey, ProviderList, ProviderListError, ProviderModel, ProviderModels, ProviderParts, UpdateProviders,
};
use std::{sync::Arc, time::Duration};

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Invalid { field, message } => Self::new(Code::InvalidRequest, message).with_field(field),
            SettingsError::Store(KeyStoreError::Full) => Self::new(Code::StorageFull, KeyStoreError::Full.to_string()),
            SettingsError::Store(other) => Self::internal(&other),
        }
    }
}

fn settings(providers: &Providers) -> ProviderList {
    let infos = providers.settings().into_iter().map(|one| ProviderInfo {
        name: one.name.to_owned(),
        title: one.title.to_owned(),
        configured: one.key.is_some(),
        source: one.key.map(|source| match source {
            KeySource::Kept => "stored".to_owned(),
            KeySource::Environment => "environment".to_owned(),
        }),
        base_url: one.base_url,
        updated_at_ms: one.updated.map(|updated| updated.ms()),
    });
    ProviderList { providers: infos.collect(), claude_subscription_enabled: false }
}

fn change((name, key): (String, Option<ProviderKey>)) -> ProviderChange {
    let forget = key.is_none();
    let parts = match key {
        None => ProviderParts::default(),
        Some(ProviderKey::Key(key)) => ProviderParts { api_key: Some(key), base_url: None },
        Some(ProviderKey::Parts(parts)) => parts,
    };
    ProviderChange { name, forget, key: parts.api_key, base_url: parts.base_url }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The cloud providers: which have a key, and where they are asked. Keys are never told.
#[utoipa::path(get, path = "/api/admin/providers", tag = "inference", responses((status = 200, body = ProviderList)))]
pub async fn list(State(app): State<Arc<App>>) -> Json<ProviderList> {
    Json(settings(&app.providers))
}

/// Sets, replaces or forgets keys of cloud providers, all or none. They are kept sealed, and hold from the next request on.
#[utoipa::path(put, path = "/api/admin/providers", tag = "inference", request_body = UpdateProviders,
    responses((status = 200, body = ProviderList), (status = 400, description = "No such provider, or no key or address.")))]
pub async fn update(State(app): State<Arc<App>>, Body(request): Body<UpdateProviders>) -> Result<Json<ProviderList>, ApiError> {
    if request.claude_subscription_enabled == Some(true) {
        let message = "`claude_subscription_enabled`: prompts are not sent through the `claude` program; set a key of anthropic";
        return Err(ApiError::new(Code::InvalidRequest, message).with_field("claude_subscription_enabled"));
    }
    let names: Vec<String> = request.providers.keys().cloned().collect();
    app.providers.change(request.providers.into_iter().map(change).collect()).await?;
    app.events.publish("providers.changed", serde_json::json!({ "providers": names }));
    Ok(Json(settings(&app.providers)))
}

/// The models of all cloud providers that have a key. A list older than a minute is told at once and refreshed in the background.
#[utoipa::path(get, path = "/api/admin/provider-models", tag = "inference", responses((status = 200, body = ProviderModels)))]
pub async fn models(State(app): State<Arc<App>>) -> Json<ProviderModels> {
    let list = app.providers.models().await;
    let models = list.models.iter().map(|model| ProviderModel {
        id: model.id.clone(),
        name: model.name.clone(),
        provider: model.provider.to_owned(),
        model: format!("{}/{}", model.provider, model.id),
    });
    let errors = list.faults.iter().map(|(provider, fault)| ProviderListError {
        provider: (*provider).to_owned(),
        status: fault.health_word(),
        detail: fault.told(provider),
    });
    Json(ProviderModels { models: models.collect(), errors: errors.collect(), asked_at_ms: list.asked.ms() })
}

/// Asks every cloud provider that has a key for one token, all at once. Each question costs what one token costs there.
#[utoipa::path(get, path = "/api/admin/provider-health", tag = "inference", responses((status = 200, body = ProviderHealthList)))]
pub async fn health(State(app): State<Arc<App>>) -> Json<ProviderHealthList> {
    let health = |sign: ProviderSign| ProviderHealth {
        provider: sign.provider.to_owned(),
        status: sign.fault.as_ref().map_or_else(|| "up".to_owned(), ProviderFault::health_word),
        latency_ms: ms(sign.latency),
        detail: sign.detail,
        model: sign.model,
    };
    Json(ProviderHealthList { providers: app.providers.health().await.into_iter().map(health).collect() })
}

/// Asks up to 20 models of cloud providers for one token each, all at once.
#[utoipa::path(post, path = "/api/admin/provider-model-status", tag = "inference", request_body = ModelStatusRequest,
    responses((status = 200, body = ModelStatusList), (status = 400, description = "More than 20 models.")))]
pub async fn model_status(
    State(app): State<Arc<App>>,
    Body(request): Body<ModelStatusRequest>,
) -> Result<Json<ModelStatusList>, ApiError> {
    if request.models.len() > MAX_PROBED {
        let message = format!("`models` has {} names; at most {MAX_PROBED} are asked at once", request.models.len());
        return Err(ApiError::new(Code::InvalidRequest, message).with_field("models"));
    }
    let status = |sign: ModelSign| ModelStatus {
        status: sign.fault.as_ref().map_or("up", ProviderFault::model_word).to_owned(),
        latency_ms: ms(sign.latency),
        model: sign.model,
    };
    Ok(Json(ModelStatusList { models: app.providers.model_signs(request.models).await.into_iter().map(status).collect() }))
}

/// Whether the `claude` program is on this machine and signed in. Only in builds with the feature `claude-subscription`.
#[utoipa::path(get, path = "/api/admin/claude-subscription/status", tag = "inference",
    responses((status = 200, body = ClaudeSubscription), (status = 503, description = "Built without the feature.")))]
pub async fn claude_subscription() -> Result<Json<ClaudeSubscription>, ApiError> {
    // Both ways are compiled in every build, so that neither rots.
    if !cfg!(feature = "claude-subscription") {
        return Err(ApiError::new(Code::NotConfigured, "claude-subscription feature not enabled"));
    }
    let status = ClaudeCli::of_this_process().status().await;
    Ok(Json(ClaudeSubscription {
        cli_installed: status.installed,
        cli_version: status.version,
        authenticated: status.authenticated,
        subscription_type: status.subscription_type,
        rate_limit_tier: status.rate_limit_tier,
    }))
}
