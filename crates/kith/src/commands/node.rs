//! `status`, `version`, `stop --node`: about the node itself.

use crate::{
    context::Context,
    error::{CliError, Result},
    out, render,
};
use kith_node::NodeRecord;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The longest wait for a node to end after it was told to. It gives its own work 5 s.
const STOP: Duration = Duration::from_secs(10);

/// `kith status`: how the node is doing.
pub async fn status(context: &Context) -> Result<()> {
    let client = context.running().await?;
    let status = client.get("/api/v1/system/status").await?;
    if context.json {
        return out::json(&status);
    }
    let mut rows = vec![("url".to_owned(), client.url().to_owned())];
    flatten("", &status, &mut rows);
    out::text(&format!("{}\n", render::section("Node", &rows).trim_end()))
}

/// `kith version`: of this program, and of the node if one runs.
pub async fn version(context: &Context) -> Result<()> {
    let own = env!("CARGO_PKG_VERSION");
    let node = match context.running().await {
        Ok(client) => client.get_within("/api/version", Duration::from_secs(2)).await.ok(),
        Err(CliError::Usage(message)) => return Err(CliError::Usage(message)),
        Err(_) => None,
    };
    if context.json {
        let build = kith_node::build_info();
        return out::json(&json!({
            "version": own,
            "build_date": build.build_date,
            "git_commit": build.git_commit,
            "rust_version": build.rust_version,
            "node": node,
        }));
    }
    let running = match node.as_ref().and_then(|node| node["version"].as_str()) {
        Some(version) if version != own => format!("the running node has version {}\n", render::printable(version, false)),
        _ => String::new(),
    };
    out::text(&format!("kith {own}\n{running}"))
}

/// `kith stop --node`: stops the node and waits for its end.
pub async fn stop(context: &Context) -> Result<()> {
    let client = context.running().await?;
    client.post("/api/admin/shutdown", &json!({})).await?;
    let _spinner = out::spinner("stopping the node");
    let deadline = Instant::now() + STOP;
    loop {
        let answers = client.get_within("/health", Duration::from_secs(1)).await.is_ok();
        // A node takes its node.json away last, when the next may start.
        if !answers && !own_file_left(context, client.url()) {
            break;
        }
        if Instant::now() >= deadline {
            if answers {
                return Err(CliError::Local(format!("the node at {} did not stop within {} s", client.url(), STOP.as_secs())));
            }
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    if context.json { out::json(&json!({"stopped": client.url()})) } else { Ok(()) }
}

fn own_file_left(context: &Context, url: &str) -> bool {
    NodeRecord::read(&context.data_dir).is_some_and(|record| record.url.trim_end_matches('/') == url)
}

/// Rows `a.b.c` → value of a JSON object; lists of plain values are joined.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some("-".to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, rows);
            }
        }
        Value::Array(items) => match items.iter().map(plain).collect::<Option<Vec<_>>>() {
            Some(items) => rows.push((prefix.to_owned(), if items.is_empty() { "-".to_owned() } else { items.join(", ") })),
            None => {
                for (index, item) in items.iter().enumerate() {
                    flatten(&format!("{prefix}.{index}"), item, rows);
                }
            }
        },
        other => rows.push((prefix.to_owned(), plain(other).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_any_depth_becomes_rows() {
        let mut rows = Vec::new();
        flatten(
            "",
            &json!({"running": true, "tls": {"fingerprint": null}, "addrs": ["a", "b"], "nets": [{"id": 1}], "no": []}),
            &mut rows,
        );
        let rows: Vec<_> = rows.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(rows, ["running=true", "tls.fingerprint=-", "addrs=a, b", "nets.0.id=1", "no=-"]);
    }
}
