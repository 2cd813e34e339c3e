//! The configuration of a running node: shown with its origins, changed in the file, taken into force; figures and keys beside it.

use futures::future::join_all;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use kith_types::SystemClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

const TOML: &str = "# The owner's own words.\n[limits] # tight\nstandard_per_hour = 100 # an hour\n\n[api]\norigins = []\n";

async fn node(toml: &str) -> TestNode {
    TestNode::with(toml, ScriptedEngine::saying("one two three")).await
}

async fn put(node: &TestNode, body: Value) -> (StatusCode, Value) {
    let answer = node.as_admin(Method::PUT, "/api/admin/config").json(&body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn get(node: &TestNode, path: &str) -> Value {
    node.as_admin(Method::GET, path).send().await.unwrap().json().await.unwrap()
}

fn file(node: &TestNode) -> String {
    std::fs::read_to_string(node.dir.path().join("config.toml")).unwrap()
}

fn setting(view: &Value, key: &str) -> Value {
    view["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_tells_where_it_comes_from_and_secrets_stay_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [("KITH_MESH_TOKEN", "hush-hush"), ("KITH_REQUIRE_KEY", "0")];
    let node = TestNode::set_up(dir, TOML, &variables, Arc::new(SystemClock), ScriptedEngine::saying("x")).await;
    let view = get(&node, "/api/admin/config").await;
    for (key, origin, value) in [
        ("limits.standard_per_hour", "file", json!(100)),
        ("limits.admin_per_minute", "default", json!(60)),
        ("auth.require_key", "default", json!(false)),
        ("keys.provider", "env", json!("file")),
        ("api.port", "command_line", json!(0)),
        ("auth.mesh_token", "env", json!("[set]")),
        ("auth.admin_token", "default", Value::Null),
    ] {
        let setting = setting(&view, key);
        assert_eq!((&setting["origin"], &setting["value"]), (&json!(origin), &value), "{key}");
    }
    assert_eq!(setting(&view, "auth.mesh_token")["variable"], "KITH_MESH_TOKEN");
    assert_eq!(view["config"]["limits"]["standard_per_hour"], 100);
    assert!(!view.to_string().contains("hush-hush"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_at_once_and_the_file_keeps_its_comments() {
    let node = node(TOML).await;
    let (status, told) = put(
        &node,
        json!({"limits": {"standard_per_hour": 7}, "inference": {"parallel": 3}, "api": {"origins": ["https://a.example"]}}),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(told["applied"], json!(["api.origins", "limits.standard_per_hour", "inference.parallel"]));
    assert_eq!((&told["restart_required"], &told["overridden"]), (&json!([]), &json!([])));
    let text = file(&node);
    for kept in ["# The owner's own words.", "[limits] # tight", "standard_per_hour = 7 # an hour", "parallel = 3"] {
        assert!(text.contains(kept), "{kept} in\n{text}");
    }
    let answer = node.request(Method::GET, "/api/tags").header("origin", "https://a.example").send().await.unwrap();
    assert_eq!((answer.status(), answer.headers()["x-ratelimit-limit"].to_str().unwrap()), (StatusCode::OK, "7"));
    // What is shown can be sent back, and changes nothing.
    let view = get(&node, "/api/admin/config").await;
    let (status, told) = put(&node, view["config"].clone()).await;
    assert_eq!((status, &told["applied"]), (StatusCode::OK, &json!([])));
    assert_eq!(file(&node), text);
    // Null returns a setting to its default.
    let (_, told) = put(&node, json!({"limits": {"standard_per_hour": null}})).await;
    assert_eq!(told["applied"], json!(["limits.standard_per_hour"]));
    assert_eq!(setting(&get(&node, "/api/admin/config").await, "limits.standard_per_hour")["origin"], "default");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_changes_nothing_and_names_its_field() {
    let node = node(TOML).await;
    for (body, field) in [
        (json!({"limits": {"standard_per_hour": 1}, "api": {"prot": 1}}), "api.prot"),
        (json!({"limits": {"standard_per_hour": 1}, "inference": {"parallel": 0}}), "inference.parallel"),
        (json!({"limits": {"standard_per_hour": "many"}}), "limits.standard_per_hour"),
        (json!({"limits": {"standard_per_hour": -1}}), "limits.standard_per_hour"),
        (json!({"api": {"host": "nowhere.example"}}), "api.host"),
        (json!({"schedule": {"from": "25:00"}}), "schedule.from"),
        (json!({"auth": {"mesh_token": "mine"}}), "auth.mesh_token"),
        (json!({"update": {"feed": "http://example.org/feed"}}), "update.feed"),
        (json!({"limits": 7}), "limits"),
    ] {
        let (status, told) = put(&node, body.clone()).await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{body}: {told}");
        assert_eq!(file(&node), TOML, "{body}");
    }
    assert_eq!(setting(&get(&node, "/api/admin/config").await, "limits.standard_per_hour")["value"], 100);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_and_what_is_decided_elsewhere_is_told() {
    let node = node("").await;
    // The tests' own environment switches limits off, and their command line chooses the port.
    let change = json!({"limits": {"standard_per_hour": 5}, "api": {"port": 4999, "host": "127.0.0.2"}});
    let (status, told) = put(&node, change).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!((&told["applied"], &told["restart_required"]), (&json!([]), &json!(["api.host"])));
    let by: Vec<_> = told["overridden"].as_array().unwrap().iter().map(|one| (one["key"].as_str(), one["by"].as_str())).collect();
    assert_eq!(by, [(Some("limits.standard_per_hour"), Some("KITH_LIMITS")), (Some("api.port"), Some("--port"))]);
    assert!(file(&node).contains("port = 4999"));
    assert_eq!(get(&node, "/api/admin/config").await["restart_required"], json!(["api.host"]));
    let (_, told) = put(&node, json!({"api": {"host": null}})).await;
    assert_eq!(told["restart_required"], json!([]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_file_can_be_changed_and_is_never_shown() {
    let node = node(TOML).await;
    for token in ["hush-hush", "hush-hush-hush"] {
        let (status, told) = put(&node, json!({"sources": {"hf_token": token}})).await;
        assert_eq!((status, &told["restart_required"]), (StatusCode::OK, &json!(["sources.hf_token"])), "{told}");
        assert!(file(&node).contains(&format!("hf_token = \"{token}\"")));
    }
    let view = get(&node, "/api/admin/config").await;
    assert_eq!(setting(&view, "sources.hf_token")["value"], "[set]");
    assert!(!view.to_string().contains("hush"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_changed_by_hand_is_read_again() {
    let node = node(TOML).await;
    let write = |text: &str| std::fs::write(node.dir.path().join("config.toml"), text).unwrap();
    let reload = || async {
        let answer = node.as_admin(Method::POST, "/api/admin/config/reload").send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    write("[limits]\nstandard_per_hour = 9\n[auth]\nrequire_key = true\n");
    let (status, told) = reload().await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told["applied"], json!(["auth.require_key", "limits.standard_per_hour"]));
    assert_eq!(node.request(Method::GET, "/api/tags").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for (text, field) in
        [("[limits\n", Value::Null), ("[limits]\nstandard_per_hour = \"x\"\n", json!("limits.standard_per_hour"))]
    {
        write(text);
        let (status, told) = reload().await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &field), "{told}");
    }
    assert_eq!(setting(&get(&node, "/api/admin/config").await, "limits.standard_per_hour")["value"], 9);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_there_after_a_restart() {
    let node = node(TOML).await;
    put(&node, json!({"inference": {"keep_alive_seconds": -1, "context": 128}})).await;
    let text = file(&node);
    let dir = node.stop().await;
    let node = TestNode::in_dir(dir, &text, ScriptedEngine::saying("x")).await;
    assert_eq!(get(&node, "/api/admin/config").await["config"]["inference"]["context"], 128);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_places_let_waiting_answers_begin() {
    let engine = ScriptedEngine::saying(&"word ".repeat(200)).with_pace(Duration::from_millis(20));
    let counters = engine.clone();
    let node = TestNode::with("[inference]\nparallel = 1", engine).await;
    node.import("tiny:1b", 1).await;
    let ask = || node.post("/api/generate", json!({"model": "tiny:1b", "raw": true, "prompt": "x"}));
    let first = ask().await;
    let mut others: Vec<_> = (0..3).map(|_| Box::pin(ask())).collect();
    let waited = tokio::time::timeout(Duration::from_millis(300), join_all(others.iter_mut())).await;
    assert!(waited.is_err() && counters.counters().running.load(Ordering::Relaxed) == 1);
    let (status, told) = put(&node, json!({"inference": {"parallel": 4}})).await;
    assert_eq!((status, &told["applied"]), (StatusCode::OK, &json!(["inference.parallel"])));
    let answers = tokio::time::timeout(Duration::from_secs(2), join_all(others)).await.expect("they begin");
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(counters.counters().running.load(Ordering::Relaxed), 4);
    drop((first, answers));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn less_memory_sends_idle_models_away() {
    let engine = ScriptedEngine::saying("x").with_extra_memory(2 << 20);
    let node = TestNode::with("[inference]\nmemory_mib = 16", engine).await;
    node.import("a:1", 1).await;
    node.post_json("/api/generate", json!({"model": "a:1", "prompt": "x", "stream": false})).await;
    put(&node, json!({"inference": {"memory_mib": 1}})).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !node.get_json("/api/ps").await["models"].as_array().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the model stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = node.post("/api/generate", json!({"model": "a:1", "prompt": "x", "stream": false})).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_measured() {
    let engine = ScriptedEngine::saying("one two three").with_pace(Duration::from_millis(20));
    let node = TestNode::scripted(engine).await;
    let before = get(&node, "/api/admin/stats").await;
    assert_eq!((&before["inference"]["requests_total"], &before["inference"]["total"]["p99_ms"]), (&json!(0), &Value::Null));
    node.import("tiny:1b", 1).await;
    for _ in 0..3 {
        node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false})).await;
    }
    let stats = get(&node, "/api/admin/stats").await;
    let inference = &stats["inference"];
    assert_eq!((&inference["requests_total"], &inference["requests_finished"]), (&json!(3), &json!(3)));
    assert_eq!((&inference["completion_tokens"], &inference["requests_per_minute"]), (&json!(9), &json!(3)));
    let ms = |place: &str| inference.pointer(place).unwrap().as_f64().unwrap();
    assert!((20.0..5000.0).contains(&ms("/first_token/p50_ms")), "{inference}");
    assert!(ms("/total/p50_ms") >= 60.0 && ms("/total/p50_ms") > ms("/first_token/p50_ms"), "{inference}");
    assert!(ms("/total/p50_ms") <= ms("/total/p95_ms") && ms("/total/p95_ms") <= ms("/total/p99_ms"));
    assert_eq!((&stats["models_loaded"][0]["name"], &stats["models_total"]), (&json!("tiny:1b"), &json!(1)));
    let hardware = &stats["hardware"];
    for place in ["/memory/total", "/memory/process", "/cpu/logical_cores", "/memory/models"] {
        assert!(hardware.pointer(place).unwrap().as_u64().unwrap() > 0, "{place}: {hardware}");
    }
    let version = get(&node, "/api/admin/version").await;
    assert_eq!(version, node.get_json("/api/version").await);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_key_is_listed_but_not_told() {
    let node = node("").await;
    let made: Value = node
        .as_admin(Method::POST, "/api/v1/auth/keys")
        .json(&json!({"name": "ci", "scope": "user"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let told = get(&node, "/api/admin/api-key").await;
    assert_eq!((&told["api_key"], &told["stored_as"], &told["keys"][0]["name"]), (&Value::Null, &json!("digest"), &json!("ci")));
    assert!(!told.to_string().contains(made["token"].as_str().unwrap()));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_the_document_under_a_strict_policy() {
    let node = node("").await;
    for (path, kind, word) in [
        ("/api/docs", "text/html", "/api/docs/page.js"),
        ("/api/docs/page.js", "text/javascript", "/api/openapi.json"),
        ("/api/docs/page.css", "text/css", "summary"),
    ] {
        let answer = node.request(Method::GET, path).send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind));
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(word), "{path}");
        // Nothing written into the page, nothing from elsewhere.
        for foreign in ["http://", "https://", "<style", " style=", "onclick=", "javascript:", "innerHTML", "eval("] {
            assert!(!text.contains(foreign), "{path} has {foreign}");
        }
    }
    let document = node.get_json("/api/openapi.json").await;
    assert_eq!(document["paths"]["/api/admin/config"]["put"]["x-kith-access"], "admin");
    assert_eq!(document["paths"]["/api/admin/config"]["get"]["x-kith-access"], "user");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_model_must_be_installed_when_it_is_set_and_may_be_gone_later() {
    let node = node("[inference]\ndraft_model = \"lost:1b\"\n").await;
    node.import("tiny:1b", 1).await;
    let shown = async |node: &TestNode| setting(&get(node, "/api/admin/config").await, "inference.draft_model");
    assert_eq!((&shown(&node).await["value"], &shown(&node).await["live"]), (&json!("lost:1b"), &json!(true)));
    // One that is gone keeps nothing from answering.
    let answer = node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "a", "stream": false})).await;
    assert_eq!(answer["response"], "one two three", "{answer}");
    for (name, told_of) in [("nowhere:1b", "nowhere:1b"), ("tiny:1b+tone", "adapter"), ("../up", "up")] {
        let (status, told) = put(&node, json!({"inference": {"draft_model": name}})).await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!("inference.draft_model")), "{told}");
        assert!(told.to_string().contains(told_of), "{told}");
    }
    // Other settings can still be changed while the one in force is gone.
    assert_eq!(put(&node, json!({"inference": {"parallel": 5}})).await.0, StatusCode::OK);
    let (status, told) = put(&node, json!({"inference": {"draft_model": "tiny:1b"}})).await;
    assert_eq!((status, &told["applied"]), (StatusCode::OK, &json!(["inference.draft_model"])), "{told}");
    assert!(file(&node).contains("draft_model = \"tiny:1b\""));
    let (status, _) = put(&node, json!({"inference": {"draft_model": ""}})).await;
    assert_eq!((status, &shown(&node).await["value"]), (StatusCode::OK, &json!("")));
    node.stop().await;
}
