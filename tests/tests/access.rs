//! Who may call: passwords, tickets, keys, limits, and pages of other sites.

use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

async fn node() -> TestNode {
    TestNode::scripted(ScriptedEngine::saying("yes")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_set_by_the_owner_and_opens_a_session_that_logging_out_ends() {
    let node = node().await;
    let login = |password: &str| node.post("/api/v1/auth/login", json!({"password": password}));
    assert_eq!(login("anything").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let short =
        node.as_admin(Method::POST, "/api/v1/auth/admin/set-password").json(&json!({"password": "short"})).send().await.unwrap();
    assert_eq!(short.status(), StatusCode::BAD_REQUEST);
    let set = node
        .as_admin(Method::POST, "/api/v1/auth/admin/set-password")
        .json(&json!({"password": "correct horse"}))
        .send()
        .await
        .unwrap();
    assert_eq!(set.status(), StatusCode::NO_CONTENT);
    assert_eq!(login("wrong horse").await.status(), StatusCode::UNAUTHORIZED);
    let session: Value = login("correct horse").await.json().await.unwrap();
    let token = session["token"].as_str().unwrap();
    assert!(session["expires_at_ms"].as_i64().unwrap() > 0);
    let whoami = || node.request(Method::GET, "/api/v1/whoami").bearer_auth(token).send();
    let body: Value = whoami().await.unwrap().json().await.unwrap();
    assert!(body["node_id"].as_str().unwrap().starts_with("12D3Koo"));
    for _ in 0..2 {
        let out = node.request(Method::POST, "/api/v1/auth/logout").bearer_auth(token).send().await.unwrap();
        assert_eq!(out.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(whoami().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_exchanged_once() {
    let node = node().await;
    let ticket: Value = node.as_admin(Method::POST, "/api/v1/auth/bootstrap-tickets").send().await.unwrap().json().await.unwrap();
    let first = node.post("/api/v1/auth/bootstrap-exchange", ticket.clone()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let token: Value = first.json().await.unwrap();
    let answer = node.request(Method::GET, "/api/v1/whoami").bearer_auth(token["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(node.post("/api/v1/auth/bootstrap-exchange", ticket).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(node.post("/api/v1/auth/bootstrap-exchange", json!({"ticket": "guess"})).await.status(), StatusCode::UNAUTHORIZED);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_stops_at_once_and_closes_its_streams() {
    let node = node().await;
    let made =
        node.as_admin(Method::POST, "/api/v1/auth/keys").json(&json!({"name": "ci", "scope": "user"})).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let key: Value = made.json().await.unwrap();
    let token = key["token"].as_str().unwrap();
    assert!(token.starts_with("kith_"));
    let listed: Value = node.as_admin(Method::GET, "/api/v1/auth/keys").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["keys"][0]["name"], "ci");
    assert!(!listed.to_string().contains(token));
    // EventSource cannot send headers: the token may stand in the query here.
    let stream = node.request(Method::GET, &format!("/api/v1/events/stream?token={token}")).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let mut bytes = stream.bytes_stream();
    assert!(bytes.next().await.unwrap().is_ok());
    let id = key["id"].as_str().unwrap();
    let gone = node.as_admin(Method::DELETE, &format!("/api/v1/auth/keys/{id}")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let ended = tokio::time::timeout(Duration::from_secs(5), async { while bytes.next().await.is_some() {} }).await;
    assert!(ended.is_ok(), "the stream of a revoked key went on");
    let answer = node.request(Method::GET, "/api/v1/whoami").bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let again = node.as_admin(Method::DELETE, &format!("/api/v1/auth/keys/{id}")).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_taken_only_where_listed() {
    let node = node().await;
    let minted = kith_node::tokens::mint(node.dir.path(), "t", "user".parse().unwrap(), None).await.unwrap();
    let answer = node.request(Method::GET, &format!("/api/v1/whoami?token={}", minted.token)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused() {
    let node = node().await;
    let get = |name: &'static str, value: &'static str| node.request(Method::GET, "/api/tags").header(name, value).send();
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "evil.example:4343"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let answer = get(name, value).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(answer.headers().contains_key("x-ratelimit-remaining"), "a refusal counts");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], "FORBIDDEN");
    }
    for (name, value) in [("host", "localhost"), ("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")] {
        assert_eq!(get(name, value).await.unwrap().status(), StatusCode::OK, "{name}: {value}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_back() {
    let node = TestNode::with("[limits]\nstandard_per_hour = 5\ninference_per_minute = 2", ScriptedEngine::saying("yes")).await;
    for left in (0..5).rev() {
        let answer = node.request(Method::GET, "/api/tags").send().await.unwrap();
        assert_eq!(answer.headers()["x-ratelimit-limit"], "5");
        assert_eq!(answer.headers()["x-ratelimit-remaining"], left.to_string().as_str());
    }
    let answer = node.request(Method::GET, "/api/tags").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "RATE_LIMITED");
    // Prompts are counted apart.
    let prompt = || node.post("/api/generate", json!({"model": "none", "prompt": "x"}));
    assert_eq!(prompt().await.status(), StatusCode::NOT_FOUND);
    assert_eq!(prompt().await.status(), StatusCode::NOT_FOUND);
    assert_eq!(prompt().await.status(), StatusCode::TOO_MANY_REQUESTS);
    // The window on this machine is not held back.
    let ticket: Value = node.as_admin(Method::POST, "/api/v1/auth/bootstrap-tickets").send().await.unwrap().json().await.unwrap();
    assert!(ticket["ticket"].is_string());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_word_serves_as_a_key_where_none_is_needed() {
    let node = node().await;
    let answer = node.request(Method::GET, "/v1/models").bearer_auth("sk-no-key-needed").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    node.stop().await;
}
