//! Which providers have a key, and changing that. Keys go in and are never given out again.

use super::{
    KeptProvider, KeyStoreError, Providers, Secret,
    http::parse_base,
    table::{self, PROVIDERS},
};
use kith_types::Timestamp;
use std::sync::PoisonError;

/// Where a provider's key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// It is kept, sealed.
    Kept,
    /// It is read from the environment.
    Environment,
}

/// What is told of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSetting {
    /// The part of a model's name before the first slash.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Where its key comes from; `None` if it has none.
    pub key: Option<KeySource>,
    /// Where it is asked.
    pub base_url: String,
    /// When key or address were last changed.
    pub updated: Option<Timestamp>,
}

/// One change. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderChange {
    /// The provider's name.
    pub name: String,
    /// Takes key and address away before the rest is set.
    pub forget: bool,
    /// A new key.
    pub key: Option<String>,
    /// A new address; empty is the provider's own.
    pub base_url: Option<String>,
}

/// Why keys could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A field is malformed: change it.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: String,
        /// One sentence, without any key.
        message: String,
    },
    /// Keys could not be kept.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
}

fn invalid(field: String, why: &str) -> SettingsError {
    SettingsError::Invalid { message: format!("`{field}` {why}"), field }
}

impl Providers {
    /// Every provider, with or without a key.
    pub fn settings(&self) -> Vec<ProviderSetting> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let setting = |row: &'static table::Row| {
            let one = kept.get(row.name);
            let base = one.and_then(|one| one.base_url.clone());
            let environment = base.is_none() && self.environment.contains_key(row.name);
            let own = one.is_some_and(|one| one.key.is_some()).then_some(KeySource::Kept);
            ProviderSetting {
                name: row.name,
                title: row.title,
                key: own.or(environment.then_some(KeySource::Environment)),
                base_url: base.unwrap_or_else(|| row.base_url.to_owned()),
                updated: one.map(|one| one.updated),
            }
        };
        PROVIDERS.iter().map(setting).collect()
    }

    /// Makes these changes, all or none. They are on disk when this returns, and hold from the next request on.
    pub async fn change(&self, changes: Vec<ProviderChange>) -> Result<(), SettingsError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut changed: Vec<(&'static str, KeptProvider)> = Vec::new();
        for change in changes {
            let row = table::provider(&change.name).ok_or_else(|| {
                let known: Vec<&str> = PROVIDERS.iter().map(|row| row.name).collect();
                invalid(change.name.chars().take(64).collect(), &format!("is no provider; known are {}", known.join(", ")))
            })?;
            if changed.iter().any(|(name, _)| *name == row.name) {
                return Err(invalid(row.name.to_owned(), "is named twice"));
            }
            changed.push((row.name, self.changed(row, change)?));
        }
        if changed.is_empty() {
            return Ok(());
        }
        self.store.save(changed.iter().map(|(_, one)| one.clone()).collect()).await?;
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for (name, one) in changed {
            if one.key.is_none() && one.base_url.is_none() {
                kept.remove(name);
            } else {
                kept.insert(name, one);
            }
        }
        drop(kept);
        self.models.forget();
        Ok(())
    }

    fn changed(&self, row: &table::Row, change: ProviderChange) -> Result<KeptProvider, SettingsError> {
        let before = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(row.name).cloned().filter(|_| !change.forget);
        let (mut key, mut base_url) = before.map_or((None, None), |one| (one.key, one.base_url));
        if let Some(text) = &change.base_url {
            let wanted = match text.trim() {
                "" => None,
                text => Some(parse_base(text).map_err(|why| invalid(format!("{}.base_url", row.name), &why))?),
            };
            // A key is for the address it was given with: whoever may only change the address must not learn the key there.
            if wanted != base_url && key.is_some() && change.key.is_none() {
                return Err(invalid(format!("{}.base_url", row.name), "can only be changed together with `api_key`"));
            }
            base_url = wanted;
        }
        if let Some(text) = &change.key {
            key = Some(
                Secret::parse(text)
                    .map_err(|why| invalid(format!("{}.api_key", row.name), &format!("cannot be taken: {why}")))?,
            );
        }
        Ok(KeptProvider { name: row.name.to_owned(), key, base_url, updated: self.clock.now() })
    }
}
