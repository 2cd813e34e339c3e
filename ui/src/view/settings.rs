//! What the settings pages work out: parts, values as people type and read them, what a change did, the audit in words.

pub mod known;

use super::{format, models, words};
use kith_wire::ollama::ModelSummary;
use kith_wire::system::{AuditRecord, ConfigApplied, ConfigChanges, SettingView};
use known::Kind;
use serde_json::{Map, Value, json};

/// A page of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The name of the node and how it shows itself.
    General,
    /// How models run.
    Answers,
    /// Where models come from.
    Sources,
    /// Keys and who may do what.
    Access,
    /// Where the node listens.
    Network,
    /// Newer versions of Kith.
    Updates,
    /// What helps to find a fault.
    Diagnostics,
    /// What this is.
    About,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::General, Self::Answers, Self::Sources, Self::Access, Self::Network, Self::Updates, Self::Diagnostics, Self::About];

    /// Whether it is shown: a paired device sees what it may change, and what it may read.
    pub const fn is_for(self, is_admin: bool) -> bool {
        is_admin || matches!(self, Self::General | Self::Access | Self::Diagnostics | Self::About)
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Answers => "Answers",
            Self::Sources => "Sources",
            Self::Access => "Access",
            Self::Network => "Network",
            Self::Updates => "Updates",
            Self::Diagnostics => "Diagnostics",
            Self::About => "About",
        }
    }

    /// What it is for, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::General => "This device, and how the window looks.",
            Self::Answers => "How much of this machine answers may use, and when.",
            Self::Sources => "Where models and cloud answers come from.",
            Self::Access => "Who may ask this node, and who may change it.",
            Self::Network => "Where this node listens, and how much it takes.",
            Self::Updates => "New versions, taken only if their publisher signed them.",
            Self::Diagnostics => "What happened here, and what to send when something is wrong.",
            Self::About => "What runs here.",
        }
    }

    /// Its word in the address.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Answers => "answers",
            Self::Sources => "sources",
            Self::Access => "access",
            Self::Network => "network",
            Self::Updates => "updates",
            Self::Diagnostics => "diagnostics",
            Self::About => "about",
        }
    }

    /// The part of an address.
    pub fn of(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.slug() == slug)
    }
}

/// What is said at a row about the last change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Note {
    /// Nothing.
    #[default]
    None,
    /// It is being written.
    Saving,
    /// It is done, and this is what it did.
    Done(String),
    /// It was refused.
    Bad(String),
}

/// A value as it stands in its field.
pub fn shown(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::Memory, value) => value.as_u64().map(gigabytes).unwrap_or_default(),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}

fn gigabytes(mib: u64) -> String {
    let text = format!("{:.1}", mib as f64 / 1024.0);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The value that was typed; nothing stands for the default.
///
/// # Errors
///
/// What is wrong, in a sentence, where that shows without asking the node.
pub fn typed(kind: Kind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Number { least, most, .. } => {
            let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let number: i64 = plain.parse().map_err(|_| "A whole number is needed.".to_owned())?;
            if (least..=most).contains(&number) {
                Ok(json!(number))
            } else {
                let bound = |bound: i64| format::count(u64::try_from(bound).unwrap_or(0));
                Err(format!("It must lie between {} and {}.", bound(least), bound(most)))
            }
        }
        Kind::Memory => {
            let number: f64 = text.replace(',', ".").parse().map_err(|_| "A number of gigabytes is needed.".to_owned())?;
            if (0.1..=1_000_000.0).contains(&number) {
                Ok(json!((number * 1024.0).round() as u64))
            } else {
                Err("It must lie between 0.1 and 1 000 000 GB.".to_owned())
            }
        }
        Kind::Time(_) => text.parse::<i64>().map(|number| json!(number)).map_err(|_| "A number is needed.".to_owned()),
        _ => Ok(json!(text)),
    }
}

/// The words of a list.
pub fn list(value: &Value) -> Vec<String> {
    let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
    words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// A list as a value; none is the default.
pub fn from_list(words: &[String]) -> Value {
    if words.is_empty() { Value::Null } else { json!(words) }
}

/// What a choice of times offers: its own, and the one in force if it is another.
pub fn times(offered: &[(i64, &str)], now: &Value) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = offered.iter().map(|(number, name)| (number.to_string(), (*name).to_owned())).collect();
    if let Some(now) = now.as_i64()
        && !offered.iter().any(|(number, _)| *number == now)
    {
        all.push((now.to_string(), format::duration_ms(now.unsigned_abs().saturating_mul(1000))));
    }
    all
}

/// What a choice of models offers: none, those here that write answers, and the one in force if it is another. `None` while they are not known.
pub fn drafts(here: Option<&[ModelSummary]>, now: &str) -> Vec<(String, String)> {
    let writes = |model: &&ModelSummary| {
        let details = &model.details;
        !models::is_remote(model) && details.format == "gguf" && !details.family.contains("bert") && !model.name.contains('+')
    };
    let mut all = vec![(String::new(), "None".to_owned())];
    all.extend(here.unwrap_or_default().iter().filter(writes).map(|model| (model.name.clone(), model.name.clone())));
    if !all.iter().any(|(name, _)| name == now) {
        let is_gone =
            here.is_some_and(|here| !here.iter().any(|model| model.name == now || model.name == format!("{now}:latest")));
        all.push((now.to_owned(), if is_gone { format!("{now} (not here)") } else { now.to_owned() }));
    }
    all
}

/// The body that changes one setting.
pub fn change(key: &str, value: Value) -> ConfigChanges {
    let (table, name) = key.split_once('.').unwrap_or(("", key));
    let mut inner = Map::new();
    inner.insert(name.to_owned(), value);
    let mut outer = Map::new();
    outer.insert(table.to_owned(), Value::Object(inner));
    ConfigChanges(outer)
}

/// What a change of this setting did, in a sentence.
pub fn effect(key: &str, applied: &ConfigApplied) -> String {
    if let Some(over) = applied.overridden.iter().find(|over| over.key == key) {
        return format!("Saved, but {} decides while it is set.", over.by);
    }
    if applied.restart_required.iter().any(|one| one == key) {
        return "Saved. It takes effect after a restart.".to_owned();
    }
    "Saved. It is in effect now.".to_owned()
}

/// What the node said of a setting, without the setting's own name before it.
pub fn at_field(key: &str, message: &str) -> String {
    let rest = message.strip_prefix(&format!("`{key}`: ")).or_else(|| message.strip_prefix(&format!("{key}: ")));
    words::sentence(&quoted(rest.unwrap_or(message)))
}

/// Names between grave accents, in quotation marks.
fn quoted(text: &str) -> String {
    let mut opens = false;
    let turn = |c| {
        if c != '`' {
            return c;
        }
        opens = !opens;
        if opens { '“' } else { '”' }
    };
    text.chars().map(turn).collect()
}

/// What decides a setting above the file, if anything does.
pub fn locked(setting: &SettingView) -> Option<String> {
    let by = setting.variable.as_deref().unwrap_or("something");
    match setting.origin.as_str() {
        "env" => Some(format!("Set by {by} in the environment Kith was started in.")),
        "command_line" => Some(format!("Set by {by} when Kith was started.")),
        _ => None,
    }
}

/// The folder of the log, which lies beside the configuration.
pub fn log_folder(config: &str) -> String {
    let at = config.rfind(['/', '\\']).unwrap_or(0);
    let (folder, rest) = config.split_at_checked(at).unwrap_or((config, ""));
    let slash = if rest.starts_with('\\') { '\\' } else { '/' };
    format!("{folder}{slash}logs")
}

/// What waits for a restart, in a sentence. `None` if nothing does.
pub fn restart(keys: &[String]) -> Option<String> {
    let names: Vec<&str> = keys.iter().map(|key| known::of(key).map_or(key.as_str(), |known| known.name)).collect();
    let verb = if names.len() == 1 { "Takes" } else { "Take" };
    (!names.is_empty()).then(|| format!("{verb} effect when Kith starts again: {}.", names.join(", ")))
}

/// An entry of the audit: what happened, and the particulars.
pub fn audited(record: &AuditRecord) -> (String, String) {
    let text = |name: &str| record.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let title = match record.kind.as_str() {
        "access.login" => "Signed in",
        "access.logout" => "Signed out",
        "access.login_failed" => "Wrong password",
        "access.login_refused" => "Sign-in refused",
        "access.password_set" => "Password changed",
        "access.ticket_used" => "Window opened",
        "access.key_minted" => "API key made",
        "access.revoked" => "Access revoked",
        "access.denied" => "Access denied",
        "access.rate_limited" => "Too many requests",
        "access.admin_call" => "API call",
        "guard.foreign_host" => "Foreign request refused",
        "config.changed" | "settings.changed" => "Settings changed",
        "model.imported" => "Model imported",
        "model.created" => "Model made",
        "model.copied" => "Model copied",
        "model.removed" => "Model deleted",
        "model.loaded" => "Model loaded",
        "model.unloaded" => "Model left memory",
        "node.started" => "Kith started",
        "node.stopped" => "Kith stopped",
        "update.available" => "Update found",
        "update.staged" => "Update ready",
        other => other,
    };
    let detail = match record.kind.as_str() {
        "access.admin_call" => {
            let status = record.data.get("status").and_then(Value::as_u64).map(|status| status.to_string()).unwrap_or_default();
            join(&[&format!("{} {}", text("method"), text("route")), &status, text("by")])
        }
        _ => match record.data.as_object() {
            Some(data) => {
                let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let parts: Vec<String> = data
                    .iter()
                    .filter(|(name, value)| !value.is_null() && !matches!(name.as_str(), "id" | "digest"))
                    .map(|(name, value)| match (name.as_str(), value.as_u64()) {
                        ("size" | "bytes", Some(size)) => format::bytes(size),
                        ("name" | "model" | "version", _) => plain(value),
                        _ => format!("{} {}", name.replace('_', " "), plain(value)),
                    })
                    .collect();
                join(&parts.iter().map(String::as_str).collect::<Vec<_>>())
            }
            None => String::new(),
        },
    };
    (title.to_owned(), detail)
}

fn join(parts: &[&str]) -> String {
    parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Days of the week as the node names them, and as the page does.
pub const DAYS: [(&str, &str, &str); 7] = [
    ("mon", "Mo", "Monday"),
    ("tue", "Tu", "Tuesday"),
    ("wed", "We", "Wednesday"),
    ("thu", "Th", "Thursday"),
    ("fri", "Fr", "Friday"),
    ("sat", "Sa", "Saturday"),
    ("sun", "Su", "Sunday"),
];

/// The days with one more, or one less; never none, and in the week's order.
pub fn toggled(days: &[String], day: &str) -> Option<Vec<String>> {
    let on = days.iter().any(|one| one == day);
    let next: Vec<String> = DAYS
        .iter()
        .map(|(word, _, _)| *word)
        .filter(|word| if *word == day { !on } else { days.iter().any(|one| one == word) })
        .map(str::to_owned)
        .collect();
    (!next.is_empty()).then_some(next)
}

#[cfg(test)]
mod tests;
