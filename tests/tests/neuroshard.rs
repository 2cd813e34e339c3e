//! NeuroShard's endpoints: true streaming, real figures, its own form of errors.

use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering, time::Duration};

async fn node(engine: ScriptedEngine) -> TestNode {
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    node
}

async fn ask(node: &TestNode, body: Value) -> Response {
    node.as_admin(Method::POST, "/api/v1/inference").json(&body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_answered_with_its_counts_and_times() {
    let node = node(ScriptedEngine::saying("one two three four").with_pace(Duration::from_millis(5))).await;
    let answer: Value = ask(&node, json!({"prompt": "count", "max_tokens": 3})).await.json().await.unwrap();
    assert!(answer["id"].as_str().unwrap().starts_with("inf_"));
    assert_eq!((&answer["text"], &answer["tokens_generated"]), (&json!("one two three"), &json!(3)));
    assert_eq!((&answer["finish_reason"], &answer["model"]), (&json!("length"), &json!("tiny:1b")));
    let usage = &answer["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    let timing = &answer["timing"];
    assert!(
        timing["inference_ms"].as_u64().unwrap() >= 15 && timing["total_ms"].as_u64() >= timing["inference_ms"].as_u64(),
        "{timing}"
    );
    let stopped: Value = ask(&node, json!({"prompt": "count", "stop": [" three"]})).await.json().await.unwrap();
    assert_eq!((&stopped["text"], &stopped["finish_reason"]), (&json!("one two"), &json!("stop")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_each_token_when_it_is_there_and_ends_with_done() {
    let engine = ScriptedEngine::saying("one two three").with_pace(Duration::from_millis(100));
    let node = node(engine).await;
    let response = ask(&node, json!({"prompt": "count", "stream": true})).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let mut stream = response.bytes_stream();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next().await {
        chunks.push(String::from_utf8(chunk.unwrap().to_vec()).unwrap());
    }
    assert!(chunks.len() > 1, "the whole came at once");
    let events: Vec<Value> =
        chunks.concat().lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let told: Vec<_> = events.iter().map(|event| (event["token"].as_str().unwrap(), event["index"].as_u64())).collect();
    assert_eq!(told, [("one", Some(0)), (" two", Some(1)), (" three", Some(2)), ("[DONE]", None)]);
    let last = events.last().unwrap();
    assert_eq!((&last["finish_reason"], &last["usage"]["completion_tokens"]), (&json!("stop"), &json!(3)));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_work() {
    let engine = ScriptedEngine::saying(&"word ".repeat(1000)).with_pace(Duration::from_millis(10));
    let counters = engine.clone();
    let node = node(engine).await;
    let mut stream = ask(&node, json!({"prompt": "go", "stream": true, "max_tokens": 1000})).await.bytes_stream();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while counters.counters().running.load(Ordering::Relaxed) > 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_neuroshards_form() {
    let node = node(ScriptedEngine::saying("x")).await;
    let plain = node.post("/api/v1/inference", json!({"prompt": "x"})).await;
    assert_eq!(plain.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(plain.json::<Value>().await.unwrap()["error"]["code"], "UNAUTHORIZED");
    for (body, code, field) in [
        (json!({"prompt": "x", "temperature": 3}), "INVALID_REQUEST", json!("temperature")),
        (json!({"prompt": 7}), "INVALID_REQUEST", json!("prompt")),
        (json!({}), "INVALID_REQUEST", json!("prompt")),
        (json!({"prompt": "x", "model": "gone:1"}), "MODEL_NOT_FOUND", json!("model")),
        (json!({"prompt": "word ".repeat(3000)}), "CONTEXT_LENGTH_EXCEEDED", json!("prompt")),
    ] {
        let told: Value = ask(&node, body).await.json().await.unwrap();
        assert_eq!((&told["error"]["code"], &told["error"]["details"]["field"]), (&json!(code), &field), "{told}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_models_the_one_chosen_or_asked_last_answers() {
    let node = node(ScriptedEngine::saying("x")).await;
    node.import("other:1", 2).await;
    let asked = &node;
    let model = |body: Value| async move {
        let answer: Value = ask(asked, body).await.json().await.unwrap();
        (answer["model"].clone(), answer["error"]["details"]["field"].clone())
    };
    assert_eq!(model(json!({"prompt": "x"})).await.1, "model");
    assert_eq!(model(json!({"prompt": "x", "model": "other:1"})).await.0, "other:1");
    assert_eq!(model(json!({"prompt": "x"})).await.0, "other:1");
    let swap = node.as_admin(Method::POST, "/model/swap").json(&json!({"model": "tiny:1b"}));
    let chosen = swap.send().await.unwrap();
    assert_eq!(chosen.status(), StatusCode::OK);
    assert_eq!(model(json!({"prompt": "x"})).await.0, "tiny:1b");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_measures_and_health_are_the_nodes_own() {
    let node = node(ScriptedEngine::saying("one two").with_pace(Duration::from_millis(10))).await;
    let before = node.get_json("/api/v1/metrics").await;
    assert_eq!((&before["inference"]["requests_total"], &before["inference"]["avg_latency_ms"]), (&json!(0), &Value::Null));
    assert_eq!(node.get_json("/api/v1/health").await["checks"]["gpu"], "unknown");
    ask(&node, json!({"prompt": "x"})).await;
    let metrics = node.get_json("/api/v1/metrics").await;
    let inference = &metrics["inference"];
    assert_eq!((&inference["requests_total"], &inference["tokens_generated"]), (&json!(1), &json!(2)));
    assert!(inference["p99_latency_ms"].as_f64().unwrap() >= 20.0 && inference["requests_per_minute"] == 1, "{inference}");
    let status = node.get_json("/api/v1/status").await;
    assert_eq!(
        (&status["status"], &status["peer_count"], &status["training"]["enabled"]),
        (&json!("running"), &json!(0), &json!(false))
    );
    assert!(status["resources"]["ram_used"].as_u64().unwrap() > 0);
    let health = node.get_json("/api/v1/health").await;
    assert_eq!((&health["healthy"], &health["checks"]["gpu"]), (&json!(true), &json!("cpu_only")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_configuration_has_its_effect() {
    let node = node(ScriptedEngine::saying("x")).await;
    let patch = |body: Value| node.as_admin(Method::PATCH, "/api/v1/config").json(&body).send();
    let told: Value =
        patch(json!({"resources": {"max_memory_gb": 0.5}, "inference": {"parallel": 2}})).await.unwrap().json().await.unwrap();
    assert_eq!((&told["success"], &told["restart_required"]), (&json!(true), &json!(false)), "{told}");
    assert_eq!(told["updated"], json!(["resources.max_memory_gb", "inference.parallel"]));
    let config: Value = node.as_admin(Method::GET, "/api/v1/config").send().await.unwrap().json().await.unwrap();
    assert_eq!((&config["resources"]["max_memory_gb"], &config["inference"]["memory_mib"]), (&json!(0.5), &json!(512)));
    assert_eq!(config["port"].as_u64().unwrap().to_string(), node.url.rsplit(':').next().unwrap());
    let told: Value = patch(json!({"api": {"host": "127.0.0.2"}})).await.unwrap().json().await.unwrap();
    assert_eq!((&told["restart_required"], &told["pending"]), (&json!(true), &json!(["api.host"])));
    for (body, field) in [
        (json!({"training": {"batch_size": 16}}), "training.batch_size"),
        (json!({"resources": {"max_memory_gb": "much"}}), "resources.max_memory_gb"),
        (json!({"nonsense": 1}), "nonsense"),
    ] {
        let answer = patch(body).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["details"]["field"], field);
    }
    // Users say how much the node works for them; the rest is the owner's.
    let key = kith_node::tokens::mint(node.dir.path(), "u", "user".parse().unwrap(), None).await.unwrap();
    let as_user = |body: Value| node.request(Method::PATCH, "/api/v1/config").bearer_auth(&key.token).json(&body).send();
    assert_eq!(as_user(json!({"inference": {"parallel": 3}})).await.unwrap().status(), StatusCode::OK);
    for body in [json!({"auth": {"require_key": true}}), json!({"update": {"key": "00"}}), json!({"port": 1})] {
        assert_eq!(as_user(body).await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    node.stop().await;
}
