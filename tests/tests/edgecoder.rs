//! EdgeCoder's endpoints: the portal's chat, decomposition, state for the mesh.

use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use kith_types::SystemClock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

async fn node(engine: ScriptedEngine) -> TestNode {
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_streams_an_answer_under_the_nodes_own_system_text() {
    let seen = Arc::new(Mutex::new(String::new()));
    let prompt = Arc::clone(&seen);
    let engine = ScriptedEngine::new(move |text| {
        *prompt.lock().unwrap() = text.to_owned();
        Ok("one two".to_owned())
    });
    let node = node(engine).await;
    let answer = node
        .post(
            "/portal/chat",
            json!({"messages": [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "Hello there"}]}),
        )
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(answer.text().await.unwrap(), "data: {\"content\":\"one\"}\n\ndata: {\"content\":\" two\"}\n\ndata: [DONE]\n\n");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.contains("Hello there") && seen.contains("private network") && !seen.contains("pirate"), "{seen}");
    for (body, field) in [
        (json!({"messages": [{"role": "system", "content": "x"}]}), "messages"),
        (json!({"messages": [{"role": "user", "content": "x"}], "maxTokens": 0}), "maxTokens"),
        (json!({"messages": [{"role": "user", "content": "x"}], "model": "gone:1"}), "model"),
    ] {
        let told: Value = node.post("/portal/chat", body).await.json().await.unwrap();
        assert_eq!(told["field"], field, "{told}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_divided_into_subtasks_in_order() {
    let plan = r#"{"subtasks":[{"id":"b","kind":"single_step","input":"test it","dependsOn":["a"]},{"id":"a","kind":"micro_loop","input":"write it","dependsOn":[]}]}"#;
    let node = node(ScriptedEngine::saying(plan)).await;
    let asked = json!({
        "taskId": "t1", "prompt": "write and test", "snapshotRef": "abc", "language": "python",
        "projectMeta": {"projectId": "p", "resourceClass": "cpu", "priority": 3},
    });
    let told = node.post_json("/decompose", asked).await;
    assert_eq!((&told["taskId"], &told["decomposed"]), (&json!("t1"), &json!(true)));
    let subtasks = told["subtasks"].as_array().unwrap();
    assert_eq!(
        (&subtasks[0]["id"], &subtasks[0]["kind"], &subtasks[0]["subtaskIndex"]),
        (&json!("a"), &json!("micro_loop"), &json!(0))
    );
    assert_eq!((&subtasks[1]["dependsOn"], &subtasks[1]["timeoutMs"]), (&json!(["a"]), &json!(5000)));
    assert_eq!((&subtasks[1]["snapshotRef"], &subtasks[1]["projectMeta"]["projectId"]), (&json!("abc"), &json!("p")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_the_model_cannot_divide_stands_as_one() {
    let node = node(ScriptedEngine::saying("Sure! First, write it.")).await;
    let told = node.post_json("/decompose", json!({"taskId": "t1", "prompt": "write it"})).await;
    assert_eq!(told["decomposed"], false);
    let subtasks = told["subtasks"].as_array().unwrap();
    assert_eq!((subtasks.len(), &subtasks[0]["input"], &subtasks[0]["timeoutMs"]), (1, &json!("write it"), &json!(30000)));
    // A model that is not there is no answer that makes no sense.
    let gone = node.post("/decompose", json!({"taskId": "t1", "prompt": "write it", "model": "gone:1"})).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let bad = node.post("/decompose", json!({"taskId": "t1", "prompt": "x", "language": "cobol"})).await;
    assert_eq!(bad.json::<Value>().await.unwrap()["field"], "language");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_hears_how_the_node_does() {
    let variables = [("KITH_MESH_TOKEN", "hush-hush")];
    let dir = tempfile::tempdir().unwrap();
    let node = TestNode::set_up(dir, "", &variables, Arc::new(SystemClock), ScriptedEngine::saying("x")).await;
    let get = |path: &'static str, token: &'static str| node.request(Method::GET, path).header("x-mesh-token", token).send();
    for path in ["/status", "/health/runtime"] {
        assert_eq!(node.request(Method::GET, path).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(get(path, "wrong").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let read = |path: &'static str| async move { get(path, "hush-hush").await.unwrap().json::<Value>().await.unwrap() };
    let status = read("/status").await;
    assert_eq!((&status["agents"], &status["ready"], &status["results"]), (&json!(0), &json!(false), &json!(0)));
    node.import("tiny:1b", 1).await;
    node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false})).await;
    let status = read("/status").await;
    assert_eq!((&status["agents"], &status["ready"], &status["results"]), (&json!(1), &json!(true), &json!(1)));
    let health = read("/health/runtime").await;
    assert_eq!(
        (&health["ok"], &health["activeModel"], &health["modelsLoaded"]),
        (&json!(true), &json!("tiny:1b"), &json!(["tiny:1b"]))
    );
    assert!(health["memoryBytes"].as_u64().unwrap() > 0 && health["p95LatencyMs"].is_number(), "{health}");
    node.stop().await;
}
