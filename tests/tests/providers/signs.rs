//! Lists of models, and signs of life.

use super::{ask, node, point};
use kith_engine::scripted::ScriptedEngine;
use kith_tests::{
    TestNode,
    cloud::{Cloud, Reply, said},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn get(node: &TestNode, path: &str) -> Value {
    node.as_admin(Method::GET, path).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_asked_for_once_a_minute_and_anew_when_keys_change() {
    let (first, second) = (Cloud::saying(&["x"], &["m1", "m2"]).await, Cloud::saying(&["x"], &["claude-x"]).await);
    let node = node().await;
    assert_eq!(get(&node, "/api/admin/provider-models").await["models"], json!([]));
    point(&node, "openai", &first).await;
    for _ in 0..3 {
        let list = get(&node, "/api/admin/provider-models").await;
        assert_eq!(list["models"][0], json!({"id": "m1", "name": "m1", "provider": "openai", "model": "openai/m1"}));
        assert_eq!((list["models"].as_array().unwrap().len(), &list["errors"]), (2, &json!([])));
    }
    assert_eq!(first.seen().len(), 1);
    assert_eq!(first.last().line, "GET /v1/models");
    point(&node, "anthropic", &second).await;
    assert_eq!(get(&node, "/api/admin/provider-models").await["models"].as_array().unwrap().len(), 3);
    assert_eq!(second.last().line, "GET /v1/models?limit=1000");
    // Unless it is wanted, the lists for other clients stay the library's own.
    assert_eq!(node.get_json("/v1/models").await["data"], json!([]));
    assert_eq!(node.get_json("/api/tags").await["models"], json!([]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_tell_its_models_is_named() {
    let cloud = Cloud::start(|_| Reply::json(429, &json!({"error": "slow down"}))).await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let list = get(&node, "/api/admin/provider-models").await;
    assert_eq!((&list["models"], &list["errors"][0]["status"]), (&json!([]), &json!("rate_limited")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_stand_in_the_lists_of_other_clients_where_the_owner_wants_it() {
    let cloud = Cloud::saying(&["x"], &["m1"]).await;
    let node = TestNode::with("[providers]\nlist_models = true", ScriptedEngine::saying("x")).await;
    node.import("tiny:1b", 1).await;
    point(&node, "openai", &cloud).await;
    let models = node.get_json("/v1/models").await;
    let ids: Vec<&str> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["tiny:1b", "openai/m1"]);
    assert_eq!((&models["data"][1]["owned_by"], &models["data"][1]["created"]), (&json!("openai"), &json!(1_700_000_000)));
    let tags = node.get_json("/api/tags").await;
    assert_eq!((&tags["models"][1]["name"], &tags["models"][1]["status"]), (&json!("openai/m1"), &json!("remote")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_is_asked_for_one_token_and_its_state_is_told() {
    let up = Cloud::saying(&["x"], &["gpt-4o-mini", "other"]).await;
    let limited = Cloud::start(|_| Reply::json(429, &json!({"error": "slow down"}))).await;
    let busy = Cloud::start(|_| Reply::json(529, &json!({}))).await;
    let broken = Cloud::start(|_| Reply::json(500, &json!({}))).await;
    let node = node().await;
    for (name, cloud) in [("openai", &up), ("groq", &limited), ("anthropic", &busy), ("mistral", &broken)] {
        point(&node, name, cloud).await;
    }
    // Nobody listens on the port of a listener that is gone.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = json!({"deepseek": {"api_key": "k", "base_url": format!("http://127.0.0.1:{port}/v1")}});
    node.as_admin(Method::PUT, "/api/admin/providers").json(&nobody).send().await.unwrap();
    let health = get(&node, "/api/admin/provider-health").await;
    let states: Vec<(&str, &str)> = health["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["provider"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            ("openai", "up"),
            ("anthropic", "overloaded"),
            ("deepseek", "unreachable"),
            ("mistral", "error_500"),
            ("groq", "rate_limited")
        ]
    );
    assert_eq!((&health["providers"][0]["detail"], &health["providers"][0]["model"]), (&json!(""), &json!("gpt-4o-mini")));
    assert_eq!(up.last().body["max_completion_tokens"], 1);
    assert_eq!(busy.last().body["max_tokens"], 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_models_are_asked_by_either_name_and_at_most_twenty() {
    let cloud = Cloud::start(|seen| match (seen.line.starts_with("GET"), seen.body["model"].as_str()) {
        (true, _) => Reply::json(200, &json!({"data": [{"id": "m1"}, {"id": "m2"}]})),
        (_, Some("m1")) => Reply::events(said(&["x"])),
        (_, Some("m2")) => Reply::json(500, &json!({})),
        _ => Reply::json(404, &json!({})),
    })
    .await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let post = |models: Vec<String>| {
        node.as_admin(Method::POST, "/api/admin/provider-model-status").json(&json!({ "models": models })).send()
    };
    let names = ["m1", "openai/m1", "m2", "openai/m9", "m9", "groq/x"].map(str::to_owned).to_vec();
    let told: Value = post(names.clone()).await.unwrap().json().await.unwrap();
    let states: Vec<&str> = told["models"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["up", "up", "unavailable", "not_found", "not_found", "unavailable"]);
    assert_eq!(told["models"][1]["model"], "openai/m1");
    assert_eq!(post(vec!["m1".into(); 21]).await.unwrap().status(), StatusCode::BAD_REQUEST);
    // A bare name is for these questions only; a prompt by it stays at home.
    assert_eq!(node.post("/v1/chat/completions", ask("m1")).await.status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_the_subscriptions_feature_says_so() {
    let node = node().await;
    let answer = node.as_admin(Method::GET, "/api/admin/claude-subscription/status").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["error"], &body["code"]), (&json!("claude-subscription feature not enabled"), &json!("NOT_CONFIGURED")));
    node.stop().await;
}
