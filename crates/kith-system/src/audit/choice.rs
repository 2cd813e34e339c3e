//! Which events are recorded, and what of them: no secret, and no more than a record holds.

use crate::redact::is_secret_name;
use kith_events::Event;
use serde_json::{Map, Value, json};

/// Events with these first words are recorded.
const FAMILIES: [&str; 15] = [
    "access",
    "adapter",
    "audit",
    "blobs",
    "config",
    "contacts",
    "diagnostics",
    "guard",
    "node",
    "profile",
    "providers",
    "settings",
    "update",
    "device",
    "network",
];
/// Events of models are, where the library changes; loading and unloading is everyday.
const MODEL_CHANGES: [&str; 10] =
    ["added", "copied", "created", "deleted", "imported", "pulled", "pushed", "quantized", "removed", "renamed"];
/// Events of the mesh are, where a peer did what it must not do, or was refused; who comes and goes is everyday.
const MESH_TROUBLE: [&str; 3] = ["misbehaved", "peer_registered", "refused_by_peer"];

/// The longest text in a record, in characters.
const MAX_TEXT: usize = 256;
/// The most members of an object or list in a record.
const MAX_MEMBERS: usize = 32;
/// The deepest nesting in a record.
const MAX_DEPTH: usize = 4;
/// The most bytes of a record's content.
pub(crate) const MAX_DATA: usize = 2048;

/// Whether an event of this kind is recorded.
pub(crate) fn is_recorded(kind: &str) -> bool {
    let (family, rest) = kind.split_once('.').unwrap_or((kind, ""));
    match family {
        "model" => MODEL_CHANGES.contains(&rest),
        "mesh" => MESH_TROUBLE.contains(&rest),
        family => FAMILIES.contains(&family),
    }
}

/// The content of an event's record.
pub(crate) fn content(event: &Event) -> String {
    bounded(&event.data)
}

/// `data` as it may stand in a record.
pub(crate) fn bounded(data: &Value) -> String {
    let text = cut(data, 0).to_string();
    if text.len() <= MAX_DATA { text } else { json!({"left_out_bytes": text.len()}).to_string() }
}

fn cut(value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) if depth == MAX_DEPTH => Value::Null,
        Value::Object(map) => {
            let members = map.iter().take(MAX_MEMBERS).map(|(name, value)| {
                let hidden = is_secret_name(name) && !matches!(value, Value::Bool(_) | Value::Null | Value::Object(_));
                let value = if hidden { Value::from("[redacted]") } else { cut(value, depth + 1) };
                (name.chars().take(MAX_TEXT).collect(), value)
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().take(MAX_MEMBERS).map(|value| cut(value, depth + 1)).collect(),
        Value::String(text) => Value::String(text.chars().take(MAX_TEXT).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_node_is_recorded_and_what_it_does_all_day_is_not() {
        for kind in [
            "access.login",
            "access.key_minted",
            "blobs.false_content",
            "model.removed",
            "settings.changed",
            "guard.foreign_host",
            "mesh.misbehaved",
            "network.stranger",
            "node.started",
        ] {
            assert!(is_recorded(kind), "{kind}");
        }
        for kind in ["inference.finished", "mesh.peer_connected", "model.loaded", "model.unloaded", "accessory.x", "model", ""] {
            assert!(!is_recorded(kind), "{kind}");
        }
    }

    #[test]
    fn secrets_do_not_pass_and_flags_about_them_do() {
        let data = json!({"token": "kith_abc", "api_key": 7, "list": [{"password": ["x"]}], "push_token": true, "name": "ci"});
        assert_eq!(
            bounded(&data),
            r#"{"token":"[redacted]","api_key":"[redacted]","list":[{"password":"[redacted]"}],"push_token":true,"name":"ci"}"#
        );
    }

    #[test]
    fn a_record_is_bounded_whatever_the_event_holds() {
        let long = "é".repeat(10_000);
        assert!(bounded(&json!({"a": long})).len() < MAX_DATA);
        let many: Vec<Value> = (0..10_000).map(|n| json!({"n": n, "text": long})).collect();
        assert!(bounded(&json!({"many": many})).starts_with(r#"{"left_out_bytes":"#));
        let deep = (0..100).fold(json!(1), |inner, _| json!({"a": inner}));
        assert_eq!(bounded(&deep), r#"{"a":{"a":{"a":{"a":null}}}}"#);
    }
}
