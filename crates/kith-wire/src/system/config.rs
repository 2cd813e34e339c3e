//! The node's configuration and its quiet hours.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /api/admin/config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConfigView {
    /// The values in force, by table, as the file would have them.
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// Every setting with where its value comes from.
    pub settings: Vec<SettingView>,
    /// The file that changes are written to.
    pub path: String,
    /// Settings that were changed and hold from the next start.
    pub restart_required: Vec<String>,
}

/// One setting as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SettingView {
    /// `table.key`.
    pub key: String,
    /// Its value; a secret shows `[set]` or null.
    pub value: Value,
    /// `default`, `file`, `env` or `command_line`. The later wins.
    pub origin: String,
    /// The variable or option that decides it, or could.
    pub variable: Option<String>,
    /// Whether a change holds at once; otherwise from the next start.
    pub live: bool,
    /// Whether the value is hidden.
    pub secret: bool,
}

/// Settings to change, by table; null returns one to its default. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct ConfigChanges(pub Map<String, Value>);

/// What a change of the configuration did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConfigApplied {
    /// `ok`.
    pub status: String,
    /// Settings that hold with their new value from now on.
    pub applied: Vec<String>,
    /// Settings, of this change or an earlier one, that hold from the next start.
    pub restart_required: Vec<String>,
    /// Settings that were written to the file, but that something stronger decides.
    pub overridden: Vec<OverriddenSetting>,
}

/// A setting that something stronger than the file decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OverriddenSetting {
    /// The setting.
    pub key: String,
    /// The variable or option that wins.
    pub by: String,
}

/// Quiet hours, and how they stand now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScheduleView {
    /// Whether the plan is followed.
    pub enabled: bool,
    /// The days on which quiet hours begin, `mon` to `sun`.
    pub days: Vec<String>,
    /// When they begin, `HH:MM`.
    pub from: String,
    /// When they end, `HH:MM`; on the next day unless it is later than the beginning.
    pub to: String,
    /// The zone of these times: `local`, `UTC`, an offset, or a name.
    pub time_zone: String,
    /// Answers each model writes at once in quiet hours.
    pub parallel: u32,
    /// Whether prompts of other machines are refused in quiet hours.
    pub pause_sharing: bool,
    /// The hour in which they begin.
    pub reduced_hours_start: u16,
    /// The hour in which they end.
    pub reduced_hours_end: u16,
    /// Whether these are quiet hours.
    pub quiet_now: bool,
    /// When that changes, RFC 3339; null is never.
    pub until: Option<String>,
    /// Answers each model may write at once now.
    pub parallel_now: u32,
}

/// Quiet hours to be; what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRequest {
    /// Whether the plan is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The days on which quiet hours begin, `mon` to `sun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<String>>,
    /// When they begin, `HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When they end, `HH:MM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The zone of these times: `local`, `UTC`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Answers each model writes at once in quiet hours, 1 to 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// Whether prompts of other machines are refused in quiet hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_sharing: Option<bool>,
    /// Another word for `from`, in whole hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_hours_start: Option<u16>,
    /// Another word for `to`, in whole hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_hours_end: Option<u16>,
}
