//! The configuration of a running node: shown with where each value comes from, changed in the file without losing its comments, and
//! taken into force as far as that goes without a restart.

use crate::{
    config::{self, Config, ConfigError, File},
    courtesy::Courtesy,
    edit,
    mesh::Limits,
    schedule::Allowance,
    settings::{self, SETTINGS},
};
use async_trait::async_trait;
use kith_access::Access;
use kith_api::{
    App,
    configuration::{Applied, ConfigRefusal, Configuration, Origin, Overridden, ScheduleState, View},
};
use kith_events::Events;
use kith_inference::Inference;
use kith_types::{Clock, Timestamp};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock, RwLock, Weak},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at for quiet hours.
const LOOK: Duration = Duration::from_secs(1);
/// The end of quiet hours that never end: the last second of the year 9999.
const NEVER: Timestamp = Timestamp::from_ms(253_402_300_799_000);

/// What a change of the configuration reaches.
pub(crate) struct Reach {
    /// Limits and keys.
    pub access: Arc<Access>,
    /// Limits of inference.
    pub inference: Arc<Inference>,
    /// The event bus.
    pub events: Events,
    /// The clock, for quiet hours.
    pub clock: Arc<dyn Clock>,
    /// Limits of what moves to and from members of the network.
    pub limits: Limits,
}

struct State {
    /// As the node started: what needs a restart still stands so.
    started: Config,
    /// As the file has it now.
    current: Arc<Config>,
    /// Keys that the file has.
    in_file: BTreeSet<String>,
}

/// The configuration of a running node.
pub(crate) struct LiveConfig {
    reach: Reach,
    state: RwLock<State>,
    /// Held while the file is read, changed and taken into force.
    changing: tokio::sync::Mutex<()>,
    /// Hosts and origins are the API's.
    app: OnceLock<Weak<App>>,
    /// The allowance in force.
    allowance: RwLock<Option<Allowance>>,
    courtesy: Courtesy,
}

fn refuse(field: &str, message: impl Into<String>) -> ConfigRefusal {
    ConfigRefusal::Setting { field: field.to_owned(), message: message.into() }
}

/// Says which setting of this text is at fault; serde's own error has its place, but not its path.
fn refusal_of(error: ConfigError, text: &str) -> ConfigRefusal {
    match error {
        ConfigError::Value { setting, reason } => refuse(&setting, format!("`{setting}`: {reason}")),
        ConfigError::Unreadable { .. } => ConfigRefusal::File(error.to_string()),
        ConfigError::Malformed { .. } => {
            let Ok(table) = text.parse::<toml::Table>() else { return refuse("", error.to_string()) };
            match serde_path_to_error::deserialize::<_, File>(toml::Value::Table(table)) {
                Ok(_) => refuse("", error.to_string()),
                Err(fault) => {
                    let field = fault.path().to_string();
                    let reason = fault.into_inner().to_string();
                    refuse(&field, format!("`{field}`: {}", reason.lines().next().unwrap_or_default()))
                }
            }
        }
    }
}

impl LiveConfig {
    /// The configuration a node has started with.
    pub fn new(config: Config, reach: Reach) -> Arc<Self> {
        let in_file = config::read(&config.data_dir).ok().and_then(|text| edit::keys(&text).ok()).unwrap_or_default();
        let state = RwLock::new(State { started: config.clone(), current: Arc::new(config), in_file });
        let changing = tokio::sync::Mutex::default();
        let (app, allowance) = (OnceLock::new(), RwLock::new(None));
        let courtesy = Courtesy::new(crate::engines::cores());
        let this = Arc::new(Self { reach, state, changing, app, allowance, courtesy });
        this.follow_schedule();
        this
    }

    /// Lets changes reach the hosts and origins of the API. Only the first call counts.
    pub fn attach(&self, app: &Arc<App>) {
        let _ = self.app.set(Arc::downgrade(app));
    }

    /// The configuration as it is now.
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner).current)
    }

    fn pending(started: &Config, current: &Config) -> Vec<String> {
        let changed = SETTINGS.iter().filter(|known| !known.live && known.differs(started, current));
        changed.map(|known| known.key.to_owned()).collect()
    }

    /// Takes a new configuration into force, and says what that changed.
    fn take(&self, config: Config, in_file: BTreeSet<String>) -> Applied {
        let config = Arc::new(config);
        let (old, restart_required) = {
            let mut state = self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let old = std::mem::replace(&mut state.current, Arc::clone(&config));
            state.in_file = in_file;
            (old, Self::pending(&state.started, &config))
        };
        let changed = SETTINGS.iter().filter(|known| known.live && known.differs(&old, &config));
        let applied: Vec<String> = changed.map(|known| known.key.to_owned()).collect();
        self.reach.access.set_limits(config.limits);
        self.reach.access.set_require_key(config.require_key);
        self.reach.limits.set(&config.mesh);
        if self.reach.inference.bounds() != config.inference {
            self.reach.inference.set_bounds(config.inference.clone());
        }
        if let Some(app) = self.app.get().and_then(Weak::upgrade) {
            // The addresses that are listened on now, not those that a restart will bring.
            let listen = self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner).started.listen.clone();
            app.set_allowed(crate::node::hosts(&Config { listen, ..Config::clone(&config) }), config.origins.clone());
        }
        self.follow_schedule();
        let applied = Applied { applied, restart_required, overridden: Vec::new() };
        if !applied.applied.is_empty() || !applied.restart_required.is_empty() {
            self.reach
                .events
                .publish("config.changed", json!({"applied": applied.applied, "restart_required": applied.restart_required}));
        }
        applied
    }

    /// Takes the allowance of this moment into force, and tells of a change.
    fn follow_schedule(&self) {
        let allowance = self.current().schedule.allowance(self.reach.clock.now());
        let old = {
            // Both under one lock, so that the later of two changes is the one that stays in force.
            let mut current = self.allowance.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let old = current.replace(allowance);
            if old.map(|old| old.parallel) != Some(allowance.parallel) {
                self.reach.inference.throttle(allowance.parallel);
            }
            old
        };
        if old.is_some_and(|old| old.quiet != allowance.quiet) || (old.is_none() && allowance.quiet) {
            let kind = if allowance.quiet { "schedule.quiet" } else { "schedule.normal" };
            let until = allowance.until.map(Timestamp::rfc3339);
            self.reach.events.publish(kind, json!({"until": until, "parallel": self.reach.inference.places()}));
        }
    }

    /// Lets models use the cores that nobody else uses now.
    fn leave_cores(&self) {
        let quiet = self.allowance.read().unwrap_or_else(std::sync::PoisonError::into_inner).is_some_and(|now| now.quiet);
        if let Some(cores) = self.courtesy.look(quiet) {
            tracing::debug!(cores, quiet, "models work on so many cores");
            self.reach.inference.use_cores(Some(cores));
        }
    }

    /// Follows the clock, and what others do on this machine, until the node stops.
    pub async fn watch(this: Weak<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let Some(this) = this.upgrade() else { return };
            this.follow_schedule();
            this.leave_cores();
        }
    }

    fn path(&self) -> PathBuf {
        self.current().data_dir.join(config::FILE)
    }

    /// The settings asked for that something stronger than the file decides.
    fn overridden(&self, keys: &[String]) -> Vec<Overridden> {
        let config = self.current();
        let decided = keys.iter().filter_map(|key| match settings::find(key)?.origin(&config.provenance, true) {
            (Origin::Env | Origin::CommandLine, Some(by)) => Some(Overridden { key: key.clone(), by: by.to_owned() }),
            _ => None,
        });
        decided.collect()
    }

    /// The changes that are none: values a client sends back as it was shown them. Unknown settings are refused.
    fn wanted(&self, changes: Map<String, Value>) -> Result<Map<String, Value>, ConfigRefusal> {
        let config = self.current();
        let mut wanted = Map::new();
        for (key, value) in changes {
            let known = settings::find(&key).ok_or_else(|| refuse(&key, format!("there is no setting `{key}`")))?;
            if known.value(&config) == value {
                continue;
            }
            if key == "update.key" {
                // Whoever may change settings from afar may not thereby choose whose programs this machine runs.
                return Err(refuse(&key, "`update.key` is changed in the file alone, by hand"));
            }
            if !known.in_file {
                let variables = known.variables.join("` or `");
                return Err(refuse(&key, format!("`{key}` is a secret, and set by the variable `{variables}` alone")));
            }
            wanted.insert(key, value);
        }
        Ok(wanted)
    }
}

#[async_trait]
impl Configuration for LiveConfig {
    fn view(&self) -> View {
        let path = self.path();
        let state = self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let settings = SETTINGS.iter().map(|known| known.show(&state.current, state.in_file.contains(known.key)));
        View { path, settings: settings.collect(), restart_required: Self::pending(&state.started, &state.current) }
    }

    async fn change(&self, changes: Map<String, Value>) -> Result<Applied, ConfigRefusal> {
        let _changing = self.changing.lock().await;
        let wanted = self.wanted(changes)?;
        let asked: Vec<String> = wanted.keys().cloned().collect();
        let current = self.current();
        let text = config::read(&current.data_dir).map_err(|error| ConfigRefusal::File(error.to_string()))?;
        let edited = edit::edit(&text, &wanted).map_err(|fault| refuse(&fault.key, fault.message))?;
        let config = current.again(&edited).map_err(|error| refusal_of(error, &edited))?;
        let (old, new) = (current.listen.first().map(SocketAddr::ip), config.listen.first().map(SocketAddr::ip));
        if let Some(host) = new.filter(|_| old != new)
            && let Err(error) = tokio::net::TcpListener::bind((host, 0)).await
        {
            return Err(refuse("api.host", format!("`api.host`: nothing can be listened to at {host}: {error}")));
        }
        if let Some(name) = config.inference.draft.as_deref().filter(|_| config.inference.draft != current.inference.draft)
            && let Err(error) = self.reach.inference.must_have(name).await
        {
            return Err(refuse("inference.draft_model", format!("`inference.draft_model`: {error}")));
        }
        if edited != text {
            let path = self.path();
            let bytes = edited.clone();
            let written = tokio::task::spawn_blocking(move || edit::write(&path, bytes.as_bytes())).await;
            let fault = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(fault) = fault {
                return Err(ConfigRefusal::File(fault));
            }
        }
        let in_file = edit::keys(&edited).map_err(|fault| refuse(&fault.key, fault.message))?;
        let applied = self.take(config, in_file);
        Ok(Applied { overridden: self.overridden(&asked), ..applied })
    }

    async fn reload(&self) -> Result<Applied, ConfigRefusal> {
        let _changing = self.changing.lock().await;
        let current = self.current();
        let text = config::read(&current.data_dir).map_err(|error| ConfigRefusal::File(error.to_string()))?;
        let config = current.again(&text).map_err(|error| refusal_of(error, &text))?;
        let in_file = edit::keys(&text).map_err(|fault| refuse(&fault.key, fault.message))?;
        let keys: Vec<String> = in_file.iter().cloned().collect();
        let applied = self.take(config, in_file);
        Ok(Applied { overridden: self.overridden(&keys), ..applied })
    }

    fn schedule(&self) -> ScheduleState {
        self.follow_schedule();
        let config = self.current();
        let schedule = &config.schedule;
        let allowance = schedule.allowance(self.reach.clock.now());
        ScheduleState {
            enabled: schedule.enabled,
            days: schedule.day_words(),
            from: schedule.from,
            to: schedule.to,
            time_zone: schedule.time_zone.clone(),
            parallel: schedule.parallel,
            pause_sharing: schedule.pause_sharing,
            quiet_now: allowance.quiet,
            until: allowance.until,
            places_now: self.reach.inference.places(),
        }
    }

    fn paused_until(&self) -> Option<Timestamp> {
        let allowance = self.current().schedule.allowance(self.reach.clock.now());
        allowance.pause_sharing.then(|| allowance.until.unwrap_or(NEVER))
    }
}
