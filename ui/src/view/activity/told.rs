//! Events in plain words. What says nothing to a person is left out, and the same thing many times over is told once.

mod network;

use crate::view::{format, words};
use serde_json::Value;

/// How an event should be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Plain,
    /// Something to look at.
    Warning,
    /// Something failed.
    Bad,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Prompts and answers.
    Prompt,
    /// Models and adapters.
    Model,
    /// Who came in, and keys.
    Access,
    /// Paired devices.
    Device,
    /// Private networks.
    Network,
    /// Settings.
    Setting,
    /// The node itself.
    Node,
}

/// An event to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its type, `model.loaded`.
    pub kind: String,
    /// The particulars.
    pub data: Value,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// When it happened, or the last of several.
    pub at_ms: i64,
    /// What it is about.
    pub about: About,
    /// How it should be taken.
    pub tone: Tone,
    /// What happened.
    pub text: String,
    /// Particulars, where there are any.
    pub detail: String,
}

/// The newest events and older records, newest first, each told once.
pub fn tell(events: &[Happened], records: &[Happened]) -> Vec<Told> {
    let mut all: Vec<&Happened> = events.iter().collect();
    // A record is written when its event is told, a moment apart at most.
    let known = |record: &Happened| {
        events
            .iter()
            .any(|event| event.kind == record.kind && event.at_ms.abs_diff(record.at_ms) < 2_000 && event.data == record.data)
    };
    all.extend(records.iter().filter(|record| !known(record)));
    all.sort_by_key(|one| std::cmp::Reverse(one.at_ms));
    let mut lines: Vec<Told> = Vec::new();
    let mut rest = all.as_slice();
    while let [first, ..] = rest {
        let alike = rest.iter().take_while(|other| are_alike(first, other)).count().max(1);
        let (group, others) = rest.split_at(alike);
        lines.extend(line(first, group));
        rest = others;
    }
    lines
}

/// Whether two events are told in one line: answers of one model, or the very same refusal.
fn are_alike(one: &Happened, other: &Happened) -> bool {
    let repeats = matches!(one.kind.as_str(), "inference.finished" | "access.denied" | "access.login_failed" | "guard.foreign");
    one.kind == other.kind && repeats && ["model", "remote"].iter().all(|name| one.data.get(name) == other.data.get(name))
}

fn line(event: &Happened, group: &[&Happened]) -> Option<Told> {
    use About::{Access, Device, Model, Node, Prompt, Setting};
    use Tone::{Bad, Plain, Warning};
    if event.kind.starts_with("network.") {
        let (tone, text, detail) = network::line(&event.kind, &event.data)?;
        return Some(Told { at_ms: event.at_ms, about: About::Network, tone, text, detail });
    }
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| event.data.get(name).and_then(Value::as_u64);
    let model = || if text("model").is_empty() { "A model" } else { text("model") };
    let named = |what: &str| if text("name").is_empty() { what.to_owned() } else { text("name").to_owned() };
    let from = || if text("remote").is_empty() { String::new() } else { format!("from {}", text("remote")) };
    let size = || number("size").map(format::bytes).unwrap_or_default();
    let list = |name: &str| {
        let items = event.data.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let times = |once: &str| match group.len() {
        0 | 1 => once.to_owned(),
        many => format!("{once}, {many} times"),
    };
    let (about, tone, what, detail) = match event.kind.as_str() {
        "inference.finished" => (Prompt, Plain, times(&format!("{} answered", model())), answered(group)),
        "inference.failed" => (Prompt, Bad, format!("{} could not answer", model()), words::sentence(text("error"))),
        "model.loaded" => {
            let took = number("load_ms").map(|ms| format!("in {}", format::duration_ms(ms))).unwrap_or_default();
            (Model, Plain, format!("{} was loaded into memory", model()), took)
        }
        "model.unloaded" => (Model, Plain, format!("{} left memory", model()), why_left(text("reason")).to_owned()),
        "model.imported" => (Model, Plain, format!("{} was added from a file", model()), size()),
        "model.pulled" => (Model, Plain, format!("{} was downloaded", model()), size()),
        "model.pull_failed" => (Model, Bad, format!("{} could not be downloaded", model()), words::sentence(text("error"))),
        "model.pull_cancelled" => (Model, Plain, format!("The download of {} was stopped", text("model")), String::new()),
        "model.created" => (Model, Plain, format!("{} was made", model()), size()),
        "model.copied" => (Model, Plain, format!("{} was copied", text("source")), format!("to {}", text("model"))),
        "model.removed" => (Model, Plain, format!("{} was removed", model()), String::new()),
        "model.default" => (Model, Plain, format!("{} is the default now", model()), String::new()),
        "models.pruned" => (Model, Plain, "Unused models were removed".to_owned(), String::new()),
        "adapter.registered" => {
            (Model, Plain, format!("Adapter {} was added", text("adapter")), format!("for {}", text("model")))
        }
        "adapter.removed" => (Model, Plain, format!("Adapter {} was removed", text("adapter")), String::new()),
        "access.login" => (Access, Plain, "Somebody signed in with the password".to_owned(), from()),
        "access.login_failed" => (Access, Warning, times("A wrong password was tried"), from()),
        "access.login_refused" => (Access, Warning, "Too many wrong passwords; sign-in rests for a while".to_owned(), from()),
        "access.logout" => (Access, Plain, "Somebody signed out".to_owned(), String::new()),
        "access.ticket_used" => (Access, Plain, "A window was opened".to_owned(), String::new()),
        "access.password_set" => (Access, Plain, "The password was set".to_owned(), String::new()),
        "access.key_minted" => {
            let scope = if text("scope").is_empty() { String::new() } else { format!("for {}", scope(text("scope"))) };
            (Access, Plain, format!("Key {} was made", named("")).replace("  ", " "), scope)
        }
        "access.revoked" => (Access, Plain, "A key or session was revoked".to_owned(), text("id").to_owned()),
        "access.denied" => (Access, Warning, times("A request without a good key was refused"), from()),
        "access.rate_limited" => {
            (Access, Warning, "A client asked too often and was slowed down".to_owned(), text("by").to_owned())
        }
        "guard.foreign" => (Access, Warning, times("A request from another web page was refused"), from()),
        "device.paired" => (Device, Plain, format!("{} was paired", named("A device")), from()),
        "device.revoked" => (Device, Plain, format!("{} was revoked", named("A device")), String::new()),
        "device.changed" => (Device, Plain, format!("A device is called {} now", named("something else")), String::new()),
        "device.pairing_opened" => (Device, Plain, "A pairing code was made".to_owned(), String::new()),
        "device.pairing_withdrawn" => (Device, Plain, "The pairing code was taken back".to_owned(), String::new()),
        "device.pairing_guessed" => (Device, Warning, "Pairing ended: too many wrong codes".to_owned(), from()),
        "device.claim_refused" => (Device, Warning, "A device could not pair".to_owned(), words::sentence(text("reason"))),
        "device.listener_on" => (Device, Plain, "Sharing with paired devices is on".to_owned(), list("addresses")),
        "device.listener_off" => (Device, Plain, "Sharing with paired devices is off".to_owned(), String::new()),
        "config.changed" => {
            let (now, later) = (list("applied"), list("restart_required"));
            let later = if later.is_empty() { later } else { format!("after a restart: {later}") };
            let both = [now, later].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
            (Setting, Plain, "The configuration was changed".to_owned(), both)
        }
        "settings.changed" | "profile.changed" => (Setting, Plain, "Settings were changed".to_owned(), list("fields")),
        "providers.changed" => (Setting, Plain, "Providers were changed".to_owned(), list("providers")),
        "schedule.quiet" => (Node, Plain, "Quiet hours began".to_owned(), String::new()),
        "schedule.normal" => (Node, Plain, "Quiet hours ended".to_owned(), String::new()),
        "node.started" => (Node, Plain, "Kith started".to_owned(), text("url").to_owned()),
        "node.stopped" => (Node, Plain, "Kith stopped".to_owned(), String::new()),
        "update.available" => (Node, Warning, format!("Version {} can be installed", text("version")), size()),
        "update.staged" => (Node, Plain, format!("Version {} is ready for the next start", text("version")), String::new()),
        "diagnostics.report_made" => (Node, Plain, "A diagnostics report was made".to_owned(), size()),
        "diagnostics.report_removed" => (Node, Plain, "A diagnostics report was removed".to_owned(), String::new()),
        "audit.missed" => (Node, Warning, "Some events were not recorded".to_owned(), String::new()),
        _ => return None,
    };
    Some(Told { at_ms: event.at_ms, about, tone, text: what, detail })
}

fn answered(group: &[&Happened]) -> String {
    let sum = |name: &str| group.iter().filter_map(|one| one.data.get(name)?.as_u64()).sum::<u64>();
    let tokens = words::plural(sum("completion_tokens"), "token", "tokens");
    let speed = format::tokens_per_second(sum("completion_tokens"), sum("decode_ms"));
    match (group.len(), speed) {
        // Of several, the gaps between answers are not theirs.
        (1, Some(speed)) => format!("{tokens}, {}", format::speed(speed)),
        _ => tokens,
    }
}

fn why_left(reason: &str) -> &'static str {
    match reason {
        "idle" => "not used for a while",
        "asked" => "on request",
        "replaced" => "made room for a newer one",
        _ => "",
    }
}

fn scope(scope: &str) -> &str {
    match scope {
        "admin" => "everything",
        "user" => "everyday use",
        other => other,
    }
}

#[cfg(test)]
mod tests;
