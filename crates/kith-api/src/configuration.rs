//! The node's configuration, its quiet hours and its updates, as ports: what handlers ask of the part that starts nodes, which they
//! may not name.

use async_trait::async_trait;
use kith_types::Timestamp;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Where a value in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// config.toml.
    File,
    /// A variable of the environment; it wins over the file.
    Env,
    /// The command line; it wins over both.
    CommandLine,
}

impl Origin {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Env => "env",
            Self::CommandLine => "command_line",
        }
    }
}

/// One setting as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// `table.key`.
    pub key: &'static str,
    /// Its value; secrets show only whether they are set.
    pub value: Value,
    /// Where that comes from.
    pub origin: Origin,
    /// The variable or option that it comes from, or may come from.
    pub variable: Option<&'static str>,
    /// Whether a change holds at once; otherwise from the next start.
    pub live: bool,
    /// Whether the value is hidden.
    pub secret: bool,
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The file that changes are written to.
    pub path: PathBuf,
    /// Every setting, by key.
    pub settings: Vec<Setting>,
    /// Settings that were changed and hold from the next start.
    pub restart_required: Vec<String>,
}

/// A setting that was written to the file, but that something stronger decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The setting.
    pub key: String,
    /// The variable or option that wins.
    pub by: String,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Settings that hold with their new value from now on.
    pub applied: Vec<String>,
    /// Settings, of this change or an earlier one, that hold from the next start.
    pub restart_required: Vec<String>,
    /// Settings asked for that the environment or the command line decides.
    pub overridden: Vec<Overridden>,
}

/// Why the configuration was not changed. The file and the node are as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefusal {
    /// A setting is unknown or has an impossible value.
    #[error("{message}")]
    Setting {
        /// The setting, `table.key`; empty where the file as a whole is at fault.
        field: String,
        /// One sentence.
        message: String,
    },
    /// The file cannot be read or written.
    #[error("{0}")]
    File(String),
}

/// Quiet hours, and how they stand now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// Whether the plan is followed.
    pub enabled: bool,
    /// The days on which quiet hours begin, `mon` to `sun`.
    pub days: Vec<&'static str>,
    /// When they begin, in minutes since midnight.
    pub from: u16,
    /// When they end, in minutes since midnight.
    pub to: u16,
    /// The zone these times are of.
    pub time_zone: String,
    /// Answers each model writes at once in quiet hours.
    pub parallel: u32,
    /// Whether prompts of other machines are refused in quiet hours.
    pub pause_sharing: bool,
    /// Whether these are quiet hours.
    pub quiet_now: bool,
    /// When that changes; `None` is never.
    pub until: Option<Timestamp>,
    /// Answers each model may write at once now.
    pub places_now: u32,
}

/// Reads and changes the configuration of a running node.
#[async_trait]
pub trait Configuration: Send + Sync + 'static {
    /// The values in force.
    fn view(&self) -> View;

    /// Changes these settings, given by `table.key`; null returns one to its default. All of them or none: the whole is checked, then
    /// written to the file, then taken into force as far as that goes without a restart.
    ///
    /// # Errors
    /// [`ConfigRefusal`]; nothing was changed then.
    async fn change(&self, changes: Map<String, Value>) -> Result<Applied, ConfigRefusal>;

    /// Reads the file again and takes into force what has changed in it.
    ///
    /// # Errors
    /// [`ConfigRefusal`]; the node goes on as it was.
    async fn reload(&self) -> Result<Applied, ConfigRefusal>;

    /// Quiet hours, and how they stand now.
    fn schedule(&self) -> ScheduleState;

    /// When prompts of other machines are taken again, if they are refused now. The far future where that is never.
    fn paused_until(&self) -> Option<Timestamp>;
}

/// A version that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its number.
    pub version: String,
    /// Bytes to download.
    pub size: u64,
    /// What is new, in the publisher's words.
    pub changelog: Option<String>,
    /// Whether it is newer than this node.
    pub newer: bool,
}

/// A version that lies ready for the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Its number.
    pub version: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Why there is no update.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateRefusal {
    /// No feed, or no key to check it with.
    #[error("{0}")]
    NotConfigured(String),
    /// The feed cannot be reached, or answers nonsense.
    #[error("{0}")]
    Feed(String),
    /// What was offered is not what the publisher signed.
    #[error("{0}")]
    Untrusted(String),
    /// The running version is as new.
    #[error("version {0} is the newest")]
    Newest(String),
    /// Another update is being fetched.
    #[error("an update is being fetched already")]
    Busy,
    /// The disk did not take it.
    #[error("{0}")]
    Disk(String),
}

/// Looks for newer versions and fetches them.
#[async_trait]
pub trait Updates: Send + Sync + 'static {
    /// Asks the feed.
    ///
    /// # Errors
    /// [`UpdateRefusal`].
    async fn check(&self) -> Result<Release, UpdateRefusal>;

    /// Fetches the version of the feed, checks it, and lays it ready for the next start.
    ///
    /// # Errors
    /// [`UpdateRefusal`]; nothing was laid ready then.
    async fn apply(&self) -> Result<Staged, UpdateRefusal>;
}

/// The leaves of a JSON object as `table.key`; lists are leaves, empty tables nothing. At most 64 levels deep, as JSON bodies are.
pub fn flatten(object: Map<String, Value>) -> Map<String, Value> {
    fn walk(prefix: &str, object: Map<String, Value>, flat: &mut Map<String, Value>) {
        for (key, value) in object {
            let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            match value {
                Value::Object(inner) => walk(&path, inner, flat),
                leaf => {
                    flat.insert(path, leaf);
                }
            }
        }
    }
    let mut flat = Map::new();
    walk("", object, &mut flat);
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_flattened_to_their_keys_and_lists_are_values() {
        let object = json!({"api": {"port": 1, "hosts": ["a"]}, "limits": {}, "x": null});
        let Value::Object(object) = object else { unreachable!() };
        let flat = Value::Object(flatten(object));
        assert_eq!(flat, json!({"api.port": 1, "api.hosts": ["a"], "x": null}));
    }
}
