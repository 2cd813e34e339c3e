//! What happened in private networks, in plain words.

use super::Tone;
use crate::view::words;
use serde_json::Value;

/// How it should be taken, what happened, and particulars. `None` for what says nothing to a person.
pub fn line(kind: &str, data: &Value) -> Option<(Tone, String, String)> {
    use Tone::{Plain, Warning};
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let named = |what: &str| if text("name").is_empty() { what.to_owned() } else { text("name").to_owned() };
    let node = || {
        let id = text("node");
        if id.is_empty() { String::new() } else { format!("…{}", id.get(id.len().saturating_sub(6)..).unwrap_or(id)) }
    };
    let key = || data.get("epoch").and_then(Value::as_u64).map(|epoch| format!("key {epoch}")).unwrap_or_default();
    let removed = || data.get("removed").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let plain = |text: String, detail: String| Some((Plain, text, detail));
    match kind {
        "network.created" => plain(format!("The network {} was created", named("")).trim_end().to_owned(), String::new()),
        "network.joined" => plain(format!("An invite into {} was taken", named("a network")), String::new()),
        "network.connected" => plain(format!("{} was connected", named("The network")), String::new()),
        "network.disconnected" => plain("The network was disconnected".to_owned(), String::new()),
        "network.forgotten" => plain("A network was forgotten".to_owned(), String::new()),
        "network.admitted" => plain("This device was let into the network".to_owned(), String::new()),
        "network.member_admitted" => {
            let role = if text("role") == "admin" { "as admin".to_owned() } else { String::new() };
            plain(format!("{} came into the network", named("A device")), role)
        }
        "network.member_promoted" => plain(format!("{} is an admin of the network now", named("A device")), String::new()),
        "network.invite_made" => {
            let uses = data.get("uses").and_then(Value::as_u64).unwrap_or(1);
            plain("An invite was made".to_owned(), format!("for {}", words::plural(uses, "device", "devices")))
        }
        "network.invite_revoked" => plain("An invite was taken back".to_owned(), String::new()),
        "network.key_rotated" if removed() > 0 => {
            plain(format!("{} removed from the network", words::plural(removed(), "device was", "devices were")), key())
        }
        "network.key_rotated" => plain("The network's key was changed".to_owned(), key()),
        "network.key_shown" => Some((Warning, "The network's key was shown".to_owned(), String::new())),
        "network.bootstrap_changed" => plain("Addresses of the network were changed".to_owned(), String::new()),
        "network.shut_out" => Some((Warning, "This device was removed from the network".to_owned(), String::new())),
        "network.refused" => {
            Some((Warning, format!("A device was not let in {}", node()).trim_end().to_owned(), words::sentence(text("reason"))))
        }
        "network.record_refused" | "network.record_replayed" | "network.rotation_refused" => Some((
            Warning,
            format!("A message of a device was refused {}", node()).trim_end().to_owned(),
            words::sentence(text("reason")),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(kind: &str, data: &Value) -> (String, String) {
        line(kind, data).map(|(_, text, detail)| (text, detail)).unwrap_or_default()
    }

    #[test]
    fn who_came_and_who_was_refused_is_told_in_words() {
        let came = told("network.member_admitted", &json!({"name": "Cabin", "role": "member"}));
        assert_eq!(came, ("Cabin came into the network".to_owned(), String::new()));
        let refused = told("network.refused", &json!({"node": "12D3KooWabcdef", "reason": "this invite was used already"}));
        assert_eq!(refused, ("A device was not let in …abcdef".to_owned(), "This invite was used already.".to_owned()));
        let removed = told("network.key_rotated", &json!({"epoch": 3, "removed": ["x"]}));
        assert_eq!(removed, ("1 device was removed from the network".to_owned(), "key 3".to_owned()));
        assert_eq!(line("network.rotation_noted", &json!({})), None);
    }
}
