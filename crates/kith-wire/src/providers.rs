//! Cloud providers: which have a key, their models, how they do. Keys come in here and never go out.

use crate::union::by_kind;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// `GET /api/admin/providers`, and the answer to a change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderList {
    /// Every provider that is known, with or without a key.
    pub providers: Vec<ProviderInfo>,
    /// Whether answers come from a Claude subscription; always false, since prompts go to providers by key alone.
    pub claude_subscription_enabled: bool,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderInfo {
    /// The part of a model's name before the first slash: `openai`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Whether it has a key.
    pub configured: bool,
    /// Where the key comes from: `stored` or `environment`; null if there is none.
    pub source: Option<String>,
    /// Where it is asked.
    pub base_url: String,
    /// When key or address were last changed, in milliseconds since 1970; null if never.
    pub updated_at_ms: Option<i64>,
}

/// `PUT /api/admin/providers`: a provider's name and its new key. What is not named stays as it is.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({"openai": "sk-…", "groq": null, "mistral": {"api_key": "…", "base_url": "https://proxy.example.com/v1"}}))]
pub struct UpdateProviders {
    /// Must not be true: prompts are not sent through the `claude` program.
    #[serde(default)]
    pub claude_subscription_enabled: Option<bool>,
    /// By the provider's name: its key; an object with `api_key` and `base_url`; or null, which forgets both.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub providers: BTreeMap<String, Option<ProviderKey>>,
}

/// A provider's new key, alone or with its address.
#[derive(Clone, PartialEq, Eq)]
pub enum ProviderKey {
    /// The key.
    Key(String),
    /// Key and address.
    Parts(ProviderParts),
}

by_kind!(ProviderKey, "a key, null, or an object with `api_key` and `base_url`",
    text => |key| Ok(ProviderKey::Key(key)),
    object => |parts| Ok(ProviderKey::Parts(parts)),
);

/// A provider's new key and address.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderParts {
    /// The key; left out, the present one stays.
    #[serde(default)]
    pub api_key: Option<String>,
    /// The address, `https://…` or this machine's own; empty for the provider's own. To change it, the key must be given again.
    #[serde(default)]
    pub base_url: Option<String>,
}

/// Keys stay out of logs: what holds one prints only its name.
macro_rules! silent {
    ($($name:ident),+) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

silent!(UpdateProviders, ProviderKey, ProviderParts);

/// `GET /api/admin/provider-models`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderModels {
    /// The models of all providers that have a key.
    pub models: Vec<ProviderModel>,
    /// Extra: providers that could not tell theirs; older ones of theirs may stand in the list.
    pub errors: Vec<ProviderListError>,
    /// Extra: when the providers were asked, in milliseconds since 1970.
    pub asked_at_ms: i64,
}

/// One model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderModel {
    /// Its name at the provider.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The provider.
    pub provider: String,
    /// Extra: the name to ask it by here, `provider/id`.
    pub model: String,
}

/// A provider that could not tell its models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderListError {
    /// The provider.
    pub provider: String,
    /// `rate_limited`, `overloaded`, `timeout`, `unreachable` or `error_<code>`.
    pub status: String,
    /// One sentence.
    pub detail: String,
}

/// `GET /api/admin/provider-health`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderHealthList {
    /// Every provider that has a key.
    pub providers: Vec<ProviderHealth>,
}

/// How one provider does, measured now with one token of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderHealth {
    /// The provider.
    pub provider: String,
    /// `up`, `rate_limited`, `overloaded`, `timeout`, `unreachable` or `error_<code>`.
    pub status: String,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// One sentence on what is the matter; empty if it is up.
    pub detail: String,
    /// Extra: the model that was asked.
    pub model: String,
}

/// `POST /api/admin/provider-model-status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelStatusRequest {
    /// At most 20: `provider/id`, or the bare `id` of a model that a provider lists.
    pub models: Vec<String>,
}

/// How single models do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelStatusList {
    /// In the order they were asked for.
    pub models: Vec<ModelStatus>,
}

/// How one model does, measured now with one token of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = CloudModelStatus)]
pub struct ModelStatus {
    /// The model, as it was asked for.
    pub model: String,
    /// `up`, `rate_limited`, `not_found`, `unavailable`, `timeout` or `error`.
    pub status: String,
    /// How long it took, in milliseconds; 0 if nobody was asked.
    pub latency_ms: u64,
}

/// `GET /api/admin/claude-subscription/status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaudeSubscription {
    /// Whether the `claude` program is on this machine.
    pub cli_installed: bool,
    /// Its version, in its own words.
    pub cli_version: Option<String>,
    /// Whether somebody is signed in.
    pub authenticated: bool,
    /// The kind of subscription.
    pub subscription_type: Option<String>,
    /// The tier of its limits.
    pub rate_limit_tier: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_read_in_each_of_its_forms_and_never_printed() {
        let body = json!({"openai": "sk-1", "groq": null, "mistral": {"api_key": "sk-2", "base_url": "https://x.example"}});
        let update: UpdateProviders = serde_json::from_value(body).unwrap();
        assert_eq!(update.providers["openai"], Some(ProviderKey::Key("sk-1".into())));
        assert_eq!(update.providers["groq"], None);
        let parts = ProviderParts { api_key: Some("sk-2".into()), base_url: Some("https://x.example".into()) };
        assert_eq!(update.providers["mistral"], Some(ProviderKey::Parts(parts.clone())));
        for text in [format!("{update:?}"), format!("{parts:?}"), format!("{:?}", update.providers)] {
            assert!(!text.contains("sk-"), "{text}");
        }
        for bad in [json!({"openai": 7}), json!({"openai": {"key": "x"}}), json!({"claude_subscription_enabled": "yes"})] {
            assert!(serde_json::from_value::<UpdateProviders>(bad).is_err());
        }
    }
}
