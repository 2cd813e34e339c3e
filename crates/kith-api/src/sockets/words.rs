//! The words of the two references: what an event of the bus is called, and on which channel it is heard.

use super::{Frame, Vocabulary};
use kith_events::Event;
use serde_json::{Value, json};

/// The words of the administration's page.
pub(crate) static ADMIN: Vocabulary = Vocabulary {
    channels: &["activity", "stats", "peers", "models", "updates"],
    reading: ("stats", "stats_update"),
    translate: admin,
    // Nobody is connected before there is a network.
    first: || vec![Frame::new("peers", "peer_list", json!({"peers": []}))],
};

/// The words of the cluster's clients.
pub(crate) static CLUSTER: Vocabulary = Vocabulary {
    channels: &["metrics", "transfers", "cluster", "models", "inference", "updates", "system"],
    reading: ("metrics", "metrics"),
    translate: cluster,
    first: Vec::new,
};

fn failed(event: &Event) -> bool {
    event.kind.ends_with("failed") || event.data.get("error").is_some_and(|error| !error.is_null())
}

/// What people talk about is no activity of the node: whoever may hear of it follows the event stream.
fn is_private(event: &Event) -> bool {
    event.kind.starts_with("conversation.")
}

fn admin(event: &Event) -> Vec<Frame> {
    if is_private(event) {
        return Vec::new();
    }
    let model = event.data.get("model").cloned().unwrap_or(Value::Null);
    let level = match event.kind {
        _ if failed(event) => "error",
        "model.imported" | "model.loaded" | "update.available" | "update.staged" => "success",
        _ => "info",
    };
    let words = event.kind.replace(['.', '_'], " ");
    let message = match (model.as_str(), event.data.get("error").and_then(Value::as_str)) {
        (Some(model), Some(error)) => format!("{words}: {model}: {error}"),
        (Some(model), None) => format!("{words}: {model}"),
        (None, Some(error)) => format!("{words}: {error}"),
        (None, None) => words,
    };
    let activity = json!({
        "kind": event.kind, "model_id": model, "message": message, "timestamp": event.at.rfc3339(), "toast_level": level,
        "details": event.data,
    });
    let mut frames = vec![Frame::new("activity", "activity_event", activity)];
    if event.kind.starts_with("model.") {
        frames.push(Frame::new("models", "models_changed", json!({})));
    }
    if event.kind == "update.available" {
        frames.push(Frame::new("updates", "update_available", event.data.clone()));
    }
    frames
}

fn cluster(event: &Event) -> Vec<Frame> {
    if is_private(event) {
        return Vec::new();
    }
    let subject = event.kind.split('.').next().unwrap_or_default();
    let channel = match subject {
        "model" => "models",
        "inference" => "inference",
        "download" | "upload" | "pull" | "push" | "transfer" => "transfers",
        "node" | "peer" | "cluster" => "cluster",
        "update" => "updates",
        _ => "system",
    };
    let kind = match event.kind {
        "inference.finished" => "inference_completed".to_owned(),
        other => other.replace('.', "_"),
    };
    vec![Frame::new(channel, kind, event.data.clone())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::Timestamp;

    fn event(kind: &'static str, data: Value) -> Event {
        Event { id: 1, kind, at: Timestamp::from_ms(0), data }
    }

    #[test]
    fn the_administrations_page_hears_what_its_reference_lists() {
        let frames = admin(&event("model.loaded", json!({"model": "m:1"})));
        assert_eq!(frames[0].kind, "activity_event");
        assert_eq!((&frames[0].data["model_id"], &frames[0].data["toast_level"]), (&json!("m:1"), &json!("success")));
        assert_eq!(frames[0].data["message"], "model loaded: m:1");
        assert_eq!(frames[1].kind, "models_changed");
        let failed = admin(&event("inference.failed", json!({"model": "m:1", "error": "no"})));
        assert_eq!((failed.len(), &failed[0].data["toast_level"]), (1, &json!("error")));
        let update = admin(&event("update.available", json!({"version": "2.0.0"})));
        assert_eq!((update[1].kind.as_str(), &update[1].data["version"]), ("update_available", &json!("2.0.0")));
    }

    #[test]
    fn nobody_hears_of_conversations_here() {
        let event = event("conversation.changed", json!({"id": "c"}));
        assert!(admin(&event).is_empty() && cluster(&event).is_empty());
    }

    #[test]
    fn the_clusters_clients_hear_what_their_reference_lists() {
        for (kind, channel, word) in [
            ("model.unloaded", "models", "model_unloaded"),
            ("inference.started", "inference", "inference_started"),
            ("inference.finished", "inference", "inference_completed"),
            ("download.progress", "transfers", "download_progress"),
            ("node.started", "cluster", "node_started"),
            ("config.changed", "system", "config_changed"),
        ] {
            let frames = cluster(&event(kind, json!({})));
            assert_eq!((frames[0].channel, frames[0].kind.as_str()), (channel, word));
            assert!(CLUSTER.channels.contains(&channel));
        }
    }
}
