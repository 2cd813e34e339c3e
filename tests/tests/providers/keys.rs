//! Keys: kept sealed, never told, never logged.

use super::{KEY, ask, node, point};
use kith_engine::scripted::ScriptedEngine;
use kith_node::NodeRecord;
use kith_tests::{TestNode, admin_token, client, cloud::Cloud, kith_command};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};

/// Whether the key stands anywhere in the files of this folder.
fn key_in(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return key_in(&path);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(14).any(|window| window == &KEY.as_bytes()[..14])
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_outlives_the_node_and_is_told_to_nobody() {
    let cloud = Cloud::saying(&["hello"], &["test-model"]).await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let dir = node.stop().await;
    assert!(!key_in(dir.path()));
    let node = TestNode::in_dir(dir, "", ScriptedEngine::saying("x")).await;
    let answer = node.post_json("/v1/chat/completions", ask("openai/test-model")).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "hello");
    let list: Value = node.as_admin(Method::GET, "/api/admin/providers").send().await.unwrap().json().await.unwrap();
    let openai = list["providers"].as_array().unwrap().iter().find(|one| one["name"] == "openai").unwrap();
    assert_eq!((&openai["configured"], &openai["source"]), (&json!(true), &json!("stored")));
    assert_eq!(list["providers"].as_array().unwrap().iter().filter(|one| one["configured"] == true).count(), 1);
    for route in node.node().app().routes().iter().filter(|route| route.method == "GET" && !route.path.contains("stream")) {
        // Some answers never end by themselves.
        let Ok(answer) = node.as_admin(Method::GET, &route.path).timeout(Duration::from_secs(5)).send().await else { continue };
        let text = answer.text().await.unwrap_or_default();
        assert!(!text.contains(KEY), "{}", route.path);
    }
    // Forgotten is forgotten.
    let gone = node.as_admin(Method::PUT, "/api/admin/providers").json(&json!({"openai": null})).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    let asked = cloud.seen().len();
    assert_eq!(node.post("/v1/chat/completions", ask("openai/test-model")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(cloud.seen().len(), asked);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_real_program_has_no_key_even_when_it_logs_everything() {
    let cloud =
        Cloud::start(|_| kith_tests::cloud::Reply::json(401, &json!({"error": {"message": format!("wrong {KEY}")}}))).await;
    let dir = tempfile::tempdir().unwrap();
    let mut child = kith_command(dir.path())
        .env("KITH_LOG", "trace")
        .args(["serve", "--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let http = client();
    let mut url = String::new();
    for _ in 0..3000 {
        match NodeRecord::read(dir.path()).filter(|record| record.pid == child.id()) {
            Some(record) if http.get(format!("{}/health", record.url)).send().await.is_ok() => {
                url = record.url;
                break;
            }
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    let put = |body: Value| {
        http.put(format!("{url}/api/admin/providers")).header("x-kith-admin-token", admin_token(dir.path())).json(&body).send()
    };
    let set = put(json!({"openai": {"api_key": KEY, "base_url": format!("{}/v1", cloud.url)}})).await.unwrap();
    assert_eq!(set.status(), StatusCode::OK);
    // A key in the wrong place is not told either.
    let wrong = put(json!({"nobody": KEY})).await.unwrap();
    assert!(!wrong.text().await.unwrap().contains(KEY));
    let answer = http.post(format!("{url}/v1/chat/completions")).json(&ask("openai/m")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(!answer.text().await.unwrap().contains(KEY));
    assert_eq!(cloud.seen().len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!key_in(dir.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_cannot_be_are_refused_by_their_field() {
    let node = node().await;
    for (body, field) in [
        (json!({"nobody": "k"}), "nobody"),
        (json!({"openai": "two words"}), "openai.api_key"),
        (json!({"openai": {"api_key": "k", "base_url": "http://api.example.com"}}), "openai.base_url"),
        (json!({"openai": {"api_key": "k", "base_url": "https://me:pw@api.example.com"}}), "openai.base_url"),
        (json!({"claude_subscription_enabled": true}), "claude_subscription_enabled"),
    ] {
        let answer = node.as_admin(Method::PUT, "/api/admin/providers").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told["field"], field);
    }
    let none = node.as_admin(Method::PUT, "/api/admin/providers").json(&json!({"claude_subscription_enabled": false})).send();
    assert_eq!(none.await.unwrap().status(), StatusCode::OK);
    node.stop().await;
}
