//! What the owner sets at run time. Every setting does something in this node; secrets are sealed on disk and never told.

use crate::SystemError;
use kith_events::Events;
use kith_keys::Sealer;
use kith_store::Store;
use serde_json::json;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

const SHOW_HIDDEN: &str = "settings.browse_show_hidden";
const INCLUDE_LOGS: &str = "settings.diagnostics_include_logs";
const HISTORY_HOURS: &str = "settings.metrics_history_hours";
const PUSH_TOKEN: &str = "settings.push_token";

/// The longest secret, in bytes.
const MAX_SECRET: usize = 1024;
/// The longest history: what the ring holds.
const MAX_HOURS: u8 = 24;

/// The settings in force, without secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether the folder browser shows hidden folders unless told otherwise.
    pub browse_show_hidden: bool,
    /// Whether reports of problems have the log in them.
    pub diagnostics_include_logs: bool,
    /// Hours of measures that are kept, 1 to 24.
    pub metrics_history_hours: u8,
    /// Whether there is a token for the push endpoint.
    pub push_token_set: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            browse_show_hidden: false,
            diagnostics_include_logs: true,
            metrics_history_hours: MAX_HOURS,
            push_token_set: false,
        }
    }
}

/// What is to be changed; what is `None` stays.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SettingsChange {
    /// See [`Settings::browse_show_hidden`].
    pub browse_show_hidden: Option<bool>,
    /// See [`Settings::diagnostics_include_logs`].
    pub diagnostics_include_logs: Option<bool>,
    /// See [`Settings::metrics_history_hours`].
    pub metrics_history_hours: Option<u8>,
    /// Sent to the push endpoint as a bearer; `Some(None)` takes it away.
    pub push_token: Option<Option<Zeroizing<String>>>,
}

impl std::fmt::Debug for SettingsChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsChange").finish_non_exhaustive()
    }
}

/// Keeps the settings: on disk, and at hand.
pub struct SettingsKeeper {
    store: Store,
    sealer: Arc<Sealer>,
    events: Events,
    now: RwLock<Settings>,
    changing: tokio::sync::Mutex<()>,
}

async fn read<T: std::str::FromStr>(store: &Store, key: &str, default: T) -> Result<T, SystemError> {
    Ok(store.setting(key).await?.and_then(|text| text.parse().ok()).unwrap_or(default))
}

impl SettingsKeeper {
    pub(crate) async fn open(store: Store, sealer: Arc<Sealer>, events: Events) -> Result<Self, SystemError> {
        let default = Settings::default();
        let now = Settings {
            browse_show_hidden: read(&store, SHOW_HIDDEN, default.browse_show_hidden).await?,
            diagnostics_include_logs: read(&store, INCLUDE_LOGS, default.diagnostics_include_logs).await?,
            metrics_history_hours: read(&store, HISTORY_HOURS, default.metrics_history_hours).await?.clamp(1, MAX_HOURS),
            push_token_set: store.setting(PUSH_TOKEN).await?.is_some(),
        };
        Ok(Self { store, sealer, events, now: RwLock::new(now), changing: tokio::sync::Mutex::default() })
    }

    /// The settings in force.
    pub fn get(&self) -> Settings {
        *self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is given, all of it or nothing, and gives the settings then in force.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for hours not between 1 and 24, or a token of not 1 to 1024 visible ASCII characters;
    /// [`SystemError::Store`], [`SystemError::Entropy`].
    pub async fn change(&self, change: SettingsChange) -> Result<Settings, SystemError> {
        let _changing = self.changing.lock().await;
        let mut next = self.get();
        let mut writes: Vec<(&str, Option<String>)> = Vec::new();
        if let Some(show) = change.browse_show_hidden {
            next.browse_show_hidden = show;
            writes.push((SHOW_HIDDEN, Some(show.to_string())));
        }
        if let Some(include) = change.diagnostics_include_logs {
            next.diagnostics_include_logs = include;
            writes.push((INCLUDE_LOGS, Some(include.to_string())));
        }
        if let Some(hours) = change.metrics_history_hours {
            if !(1..=MAX_HOURS).contains(&hours) {
                return Err(SystemError::invalid("metrics_history_hours", format!("must be between 1 and {MAX_HOURS}")));
            }
            next.metrics_history_hours = hours;
            writes.push((HISTORY_HOURS, Some(hours.to_string())));
        }
        if let Some(token) = change.push_token {
            next.push_token_set = token.is_some();
            writes.push((PUSH_TOKEN, token.map(|token| self.seal(&token)).transpose()?));
        }
        if !writes.is_empty() {
            self.store.settings_put(&writes).await?;
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
            let names: Vec<&str> = writes.iter().map(|(key, _)| key.trim_start_matches("settings.")).collect();
            self.events.publish("settings.changed", json!({"fields": names}));
        }
        Ok(next)
    }

    fn seal(&self, token: &str) -> Result<String, SystemError> {
        if token.is_empty() || token.len() > MAX_SECRET || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let reason = format!("must have 1 to {MAX_SECRET} visible ASCII characters");
            return Err(SystemError::invalid("push_token", reason));
        }
        Ok(hex::encode(self.sealer.seal(PUSH_TOKEN, token.as_bytes())?))
    }

    /// The token for the push endpoint.
    ///
    /// # Errors
    /// [`SystemError::Internal`] when it cannot be opened any more; [`SystemError::Store`].
    pub(crate) async fn push_token(&self) -> Result<Option<Zeroizing<String>>, SystemError> {
        let Some(sealed) = self.store.setting(PUSH_TOKEN).await? else { return Ok(None) };
        let sealed = hex::decode(sealed).map_err(SystemError::internal)?;
        let bytes = self.sealer.open(PUSH_TOKEN, &sealed).map_err(SystemError::internal)?;
        let text = std::str::from_utf8(&bytes).map_err(SystemError::internal)?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tests::{House, START};

    const SECRET: &str = "push-secret-0123456789";

    fn with_token(token: Option<&str>) -> SettingsChange {
        SettingsChange { push_token: Some(token.map(|text| Zeroizing::new(text.to_owned()))), ..SettingsChange::default() }
    }

    #[tokio::test]
    async fn settings_outlast_a_restart_and_what_is_not_given_stays() {
        let house = House::new().await;
        let settings = &house.system.settings;
        assert_eq!(settings.get(), Settings::default());
        settings.change(SettingsChange { metrics_history_hours: Some(6), ..Default::default() }).await.unwrap();
        let changed = settings.change(SettingsChange { browse_show_hidden: Some(true), ..Default::default() }).await.unwrap();
        assert_eq!(changed, Settings { browse_show_hidden: true, metrics_history_hours: 6, ..Settings::default() });
        let again = House::on(house.close().await, START, |_, _| {}).await;
        assert_eq!(again.system.settings.get(), changed);
    }

    #[tokio::test]
    async fn a_secret_is_sealed_on_disk_and_told_to_nobody() {
        let house = House::new().await;
        let changed = house.system.settings.change(with_token(Some(SECRET))).await.unwrap();
        assert!(changed.push_token_set);
        assert!(!format!("{changed:?} {:?}", with_token(Some(SECRET))).contains(SECRET));
        assert_eq!(house.system.settings.push_token().await.unwrap().unwrap().as_str(), SECRET);
        assert_eq!(house.events.recent()[0].data, json!({"fields": ["push_token"]}));
        let folder = house.close().await;
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
        }
        let again = House::on(folder, START, |_, _| {}).await;
        assert!(again.system.settings.get().push_token_set);
        assert!(!again.system.settings.change(with_token(None)).await.unwrap().push_token_set);
        assert_eq!(again.system.settings.push_token().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_change_with_one_bad_value_changes_nothing() {
        let house = House::new().await;
        let long = "x".repeat(1025);
        for change in [
            SettingsChange { metrics_history_hours: Some(0), ..Default::default() },
            SettingsChange { metrics_history_hours: Some(25), ..Default::default() },
            with_token(Some("")),
            with_token(Some("two words")),
            with_token(Some("line\nline")),
            with_token(Some(&long)),
        ] {
            let change = SettingsChange { browse_show_hidden: Some(true), ..change };
            assert!(matches!(house.system.settings.change(change).await, Err(SystemError::Invalid { .. })));
        }
        assert_eq!(house.system.settings.get(), Settings::default());
    }
}
