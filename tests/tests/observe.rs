//! What the node tells of itself: health, status, metrics, events.

use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_node_says_who_it_is_and_how_it_does() {
    let node = TestNode::scripted(ScriptedEngine::saying("x")).await;
    let health = node.get_json("/health").await;
    let status = node.get_json("/api/v1/system/status").await;
    assert_eq!((health["status"].as_str(), status["running"].as_bool()), (Some("healthy"), Some(true)));
    assert_eq!(health["node_id"], status["peer_id"]);
    assert_eq!(status["listen_addrs"][0], node.url);
    assert_eq!(status["at_rest"]["provider"], "file");
    let (a, b) = (node.get_json("/api/version").await, node.get_json("/api/v1/version").await);
    assert_eq!(a, b);
    assert_eq!(a["version"], health["version"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened_and_promtool_accepts_them() {
    let node = TestNode::scripted(ScriptedEngine::saying("one two three")).await;
    node.import("tiny:1b", 1).await;
    node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false})).await;
    let response = node.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    for line in ["kith_prompts_total 1", "kith_completion_tokens_total 3", "kith_models_loaded 1", "kith_prompts_running 0"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("kith_http_requests_total{method=\"POST\",route=\"/api/generate\",status=\"200\"} 1"), "{text}");
    // Every family has help and type, and no two samples are the same series.
    let series: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
    let distinct: std::collections::BTreeSet<_> = series.iter().collect();
    assert_eq!(series.len(), distinct.len());
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match promtool {
        Ok(mut child) => {
            child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(_) => println!("skipped: promtool is not installed; the format was checked by hand"),
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_streamed_and_resumed() {
    let node = TestNode::scripted(ScriptedEngine::saying("x")).await;
    let stream = |last: Option<&str>| {
        let request = node.as_admin(Method::GET, "/api/v1/events/stream");
        match last {
            Some(id) => request.header("last-event-id", id).send(),
            None => request.send(),
        }
    };
    let response = stream(None).await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let mut live = response.bytes_stream();
    node.import("tiny:1b", 1).await;
    let seen = tokio::time::timeout(Duration::from_secs(10), async {
        let mut text = String::new();
        while !text.contains("model.imported") {
            text.push_str(&String::from_utf8_lossy(&live.next().await.unwrap().unwrap()));
        }
        text
    })
    .await
    .expect("the event arrives");
    let data = seen.lines().find(|line| line.contains("model.imported")).unwrap().strip_prefix("data: ").unwrap();
    let envelope: Value = serde_json::from_str(data).unwrap();
    assert_eq!(envelope["data"]["model"], "tiny:1b");
    assert!(envelope["ts_ms"].as_i64().unwrap() > 0);
    // Resuming from the start brings the same event again.
    let mut again = stream(Some("0")).await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains("model.imported") {
        text.push_str(&String::from_utf8_lossy(&again.next().await.unwrap().unwrap()));
    }
    assert!(text.contains("node.started"));
    node.stop().await;
}
