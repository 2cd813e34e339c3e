//! Cloud providers behind the same native call: names, keys, requests, lists of models, signs of life. Knows no SQL and no HTTP server.
//!
//! Nothing is sent anywhere unless a key was set and the model's name names the provider.

mod answer;
mod anthropic;
mod fault;
mod http;
mod models;
mod openai;
mod probe;
mod request;
mod secret;
mod settings;
mod sse;
mod subscription;
mod table;

pub use fault::ProviderFault;
pub use http::ProviderBounds;
pub use models::{CloudModel, CloudModels};
pub use probe::{MAX_PROBED, ModelSign, ProviderSign};
pub use secret::{KeptProvider, KeyStore, KeyStoreError, Secret};
pub use settings::{KeySource, ProviderChange, ProviderSetting, SettingsError};
pub use subscription::{ClaudeCli, SubscriptionStatus};

pub(crate) use answer::Step;
pub(crate) use table::{Row, route};

use crate::{Generate, InferenceError};
use futures::{Stream, StreamExt};
use http::{Target, Wire};
use kith_types::Clock;
use models::ModelCache;
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};
use table::{Form, PROVIDERS};

/// The most bytes of one answer of a provider.
const PROVIDER_ANSWER_BYTES: usize = 64 << 20;

/// The names of providers and of the variables their keys may be read from.
pub fn provider_variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROVIDERS.iter().map(|row| (row.name, row.env))
}

/// The parts [`Providers`] are made of.
pub struct ProvidersParts {
    /// Where keys lie sealed.
    pub store: Arc<dyn KeyStore>,
    /// Keys from the environment, by the provider's name; used where none is kept. Empty unless the owner allows it.
    pub environment: Vec<(String, Secret)>,
    /// Whether the lists of models for Ollama's and OpenAI's clients have the providers' models too.
    pub list_models: bool,
    /// How long is waited, and how much is asked at once.
    pub bounds: ProviderBounds,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// The providers, their keys, and what is known of their models.
pub struct Providers {
    store: Arc<dyn KeyStore>,
    environment: HashMap<String, Secret>,
    list_models: bool,
    clock: Arc<dyn Clock>,
    wire: Wire,
    kept: RwLock<HashMap<&'static str, KeptProvider>>,
    /// Held while keys are being changed, so that disk and memory change in one order.
    changing: tokio::sync::Mutex<()>,
    models: ModelCache,
}

/// The steps of a provider's answer. Dropping them ends the request.
pub(crate) type Steps = Pin<Box<dyn Stream<Item = Result<Step, InferenceError>> + Send>>;

impl Providers {
    /// Reads the kept keys.
    ///
    /// # Errors
    /// Keys cannot be read.
    pub async fn open(parts: ProvidersParts) -> Result<Arc<Self>, KeyStoreError> {
        let wire = Wire::new(parts.bounds, Arc::clone(&parts.clock));
        let mut kept = HashMap::new();
        for one in parts.store.load().await? {
            // A provider of a later release stays in the file, untouched.
            let Some(row) = table::provider(&one.name) else { continue };
            if one.base_url.as_ref().is_some_and(|url| http::parse_base(url).is_err()) {
                tracing::warn!(provider = row.name, "the kept address is none; the provider counts as not configured");
                continue;
            }
            kept.insert(row.name, one);
        }
        Ok(Arc::new(Self {
            store: parts.store,
            environment: parts.environment.into_iter().collect(),
            list_models: parts.list_models,
            clock: parts.clock,
            wire,
            kept: RwLock::new(kept),
            changing: tokio::sync::Mutex::default(),
            models: ModelCache::default(),
        }))
    }

    /// Begins an answer of `model`. What is wrong with the request is told here, before the first step.
    pub(crate) async fn begin(&self, row: &'static Row, model: &str, request: &Generate) -> Result<Steps, InferenceError> {
        let told = move |fault: ProviderFault| InferenceError::Provider { provider: row.title, fault };
        let target = self.target(row).ok_or_else(|| told(ProviderFault::NotConfigured))?;
        let body = request::body(row, model, request)?;
        let opened = self.wire.open(&target, model, &body).await.map_err(told)?;
        let decoder: Box<dyn answer::Decoder> = match row.form {
            Form::OpenAi => Box::<openai::ChatDecoder>::default(),
            Form::Anthropic => Box::<anthropic::MessageDecoder>::default(),
        };
        let key = target.key;
        Ok(Box::pin(answer::run(opened, decoder).map(move |step| step.map_err(|fault| told(fault.without(&key))))))
    }

    /// Whom to ask and with which key, if there is one.
    fn target(&self, row: &'static Row) -> Option<Target> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (key, base) = kept.get(row.name).map_or((None, None), |one| (one.key.clone(), one.base_url.clone()));
        // A key of the environment was given for the provider's own address and goes nowhere else.
        let key = key.or_else(|| base.is_none().then(|| self.environment.get(row.name).cloned()).flatten())?;
        Some(Target { row, key, base: base.unwrap_or_else(|| row.base_url.to_owned()) })
    }

    /// Every provider that has a key.
    fn targets(&self) -> Vec<Target> {
        PROVIDERS.iter().filter_map(|row| self.target(row)).collect()
    }
}

#[cfg(test)]
mod tests;
