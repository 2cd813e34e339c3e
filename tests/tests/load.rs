//! Many at once, clients that leave, models that come and go.

use futures::{StreamExt, future::join_all};
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_work() {
    let engine = ScriptedEngine::saying(&"word ".repeat(1000)).with_pace(Duration::from_millis(10));
    let counters = engine.clone();
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    for (path, body) in [
        ("/api/generate", json!({"model": "tiny:1b", "prompt": "go"})),
        ("/v1/chat/completions", json!({"model": "tiny:1b", "stream": true, "messages": [{"role": "user", "content": "go"}]})),
    ] {
        let response = node.post(path, body).await;
        let mut stream = response.bytes_stream();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        eventually("the engine stops", || counters.counters().running.load(Ordering::Relaxed) == 0).await;
    }
    // A client that waits for the whole answer and leaves stops it as well.
    let ask = node.post("/api/generate", json!({"model": "tiny:1b", "prompt": "go", "stream": false}));
    assert!(tokio::time::timeout(Duration::from_millis(300), ask).await.is_err());
    eventually("the engine stops", || counters.counters().running.load(Ordering::Relaxed) == 0).await;
    assert!(counters.counters().tokens.load(Ordering::Relaxed) < 1000);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_streams_at_once_lose_nothing() {
    let engine = ScriptedEngine::new(|prompt| Ok(format!("echo {}", prompt.split("number ").nth(1).unwrap_or_default())))
        .with_pace(Duration::from_millis(1));
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let asks = (0..64).map(|n| {
        let node = &node;
        async move {
            let response =
                node.post("/api/generate", json!({"model": "tiny:1b", "raw": true, "prompt": format!("number {n}")})).await;
            assert_eq!(response.status(), StatusCode::OK);
            let text = response.text().await.unwrap();
            let said: String = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["response"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(said, format!("echo {n}"));
        }
    });
    join_all(asks).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_bounded_and_says_when_to_come_back() {
    let engine = ScriptedEngine::saying("slow answer").with_pace(Duration::from_secs(3600));
    let node = TestNode::with("[inference]\nparallel = 1", engine).await;
    node.import("tiny:1b", 1).await;
    let ask = || node.post("/api/generate", json!({"model": "tiny:1b", "raw": true, "prompt": "x"}));
    // A stream's head comes when its turn has come: this one runs, and holds the only place while it is kept.
    let running = ask().await;
    assert_eq!(running.status(), StatusCode::OK);
    let mut held: Vec<_> = (0..512).map(|_| Box::pin(ask())).collect();
    let waiting = async {
        loop {
            let text = node.request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
            if text.lines().any(|line| line == "kith_prompts_waiting 512") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = waiting => {}
        _ = join_all(held.iter_mut()) => panic!("nobody had to wait"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("the queue never filled"),
    }
    let refused = ask().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "OVERLOADED");
    drop(held);
    drop(running);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_model_leaves_when_its_time_is_up() {
    let engine = ScriptedEngine::saying("x");
    let counters = engine.clone();
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false, "keep_alive": "200ms"})).await;
    assert_eq!(node.get_json("/api/ps").await["models"].as_array().unwrap().len(), 1);
    eventually("the model leaves", || counters.counters().unloads.load(Ordering::Relaxed) == 1).await;
    assert_eq!(node.get_json("/api/ps").await["models"], json!([]));
    node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false, "keep_alive": 0})).await;
    eventually("the model leaves at once", || counters.counters().unloads.load(Ordering::Relaxed) == 2).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_recently_used_model_makes_room() {
    let engine = ScriptedEngine::saying("x");
    // Each tiny model is charged its file; one fits, two do not.
    let size = kith_models::testing::tiny_gguf(1).len() as u64;
    let mib = 1;
    assert!(size < 1 << 20, "tiny models are tiny");
    let padded = ScriptedEngine::clone(&engine).with_extra_memory((mib << 20) * 6 / 10);
    let node = TestNode::with(&format!("[inference]\nmemory_mib = {mib}"), padded).await;
    node.import("a:1", 1).await;
    node.import("b:1", 2).await;
    for name in ["a:1", "b:1", "a:1"] {
        node.post_json("/api/generate", json!({"model": name, "prompt": "x", "stream": false})).await;
        let ps = node.get_json("/api/ps").await;
        assert_eq!(ps["models"].as_array().unwrap().len(), 1, "{ps}");
        assert_eq!(ps["models"][0]["name"], name);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_memory_keeps_no_other_model_from_loading() {
    let engine = ScriptedEngine::saying("x");
    let node = TestNode::with("[inference]\nmemory_mib = 3", engine.with_pace(Duration::from_secs(3600))).await;
    for (seed, name) in [(1, "busy:1"), (2, "large:1")] {
        let mut bytes = kith_models::testing::tiny_gguf(seed);
        bytes.resize(2 << 20, 0);
        node.import_bytes(name, &bytes).await;
    }
    node.import("small:1", 3).await;
    let ask = |name: &str| node.post("/api/generate", json!({"model": name, "raw": true, "prompt": "x"}));
    let busy = ask("busy:1").await;
    let mut large = Box::pin(ask("large:1"));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut large).await.is_err(), "there was room for both");
    let small = tokio::time::timeout(Duration::from_secs(5), ask("small:1")).await.expect("the small one loads meanwhile");
    assert_eq!(small.status(), StatusCode::OK);
    drop((busy, small));
    assert_eq!(large.await.status(), StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_load_serves_all_who_wait_for_it() {
    let engine = ScriptedEngine::saying("x").with_load_time(Duration::from_millis(200));
    let counters = engine.clone();
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let ask = || node.post_json("/api/generate", json!({"model": "tiny:1b", "prompt": "x", "stream": false}));
    join_all((0..8).map(|_| ask())).await;
    assert_eq!(counters.counters().loads.load(Ordering::Relaxed), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_model_in_use_ends_its_answers_with_an_error() {
    let engine = ScriptedEngine::saying(&"word ".repeat(1000)).with_pace(Duration::from_millis(10));
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let response = node.post("/api/generate", json!({"model": "tiny:1b", "prompt": "go"})).await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let mut stream = response.bytes_stream();
    stream.next().await.unwrap().unwrap();
    let gone = node.request(reqwest::Method::DELETE, "/api/delete").json(&json!({"model": "tiny:1b"})).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    let mut rest = String::new();
    while let Some(Ok(bytes)) = stream.next().await {
        rest.push_str(&String::from_utf8_lossy(&bytes));
    }
    let end: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert!(end["error"].is_string(), "{rest}");
    assert_eq!(end["request_id"], id, "an error told late bears the id of its request");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_answers_than_places_come_one_after_the_other() {
    let node = TestNode::with("[inference]\nparallel = 1", ScriptedEngine::saying("yes")).await;
    node.import("tiny:1b", 1).await;
    let ask = json!({"model": "tiny:1b", "n": 3, "messages": [{"role": "user", "content": "x"}]});
    let answer = node.post_json("/v1/chat/completions", ask).await;
    let said: Vec<_> = answer["choices"].as_array().unwrap().iter().map(|choice| choice["message"]["content"].clone()).collect();
    assert_eq!(said, ["yes", "yes", "yes"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_window_asked_for_once_is_not_everybodys() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    node.import("tiny:1b", 1).await;
    let ask = |options: Value| json!({"model": "tiny:1b", "raw": true, "stream": false, "prompt": "word ".repeat(40), "options": options});
    let small = node.post("/api/generate", ask(json!({"num_ctx": 8}))).await;
    assert_eq!(small.status(), StatusCode::BAD_REQUEST);
    let usual = node.post("/api/generate", ask(json!({}))).await;
    assert_eq!(usual.status(), StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let engine = ScriptedEngine::saying(&"word ".repeat(1500));
    let counters = engine.clone();
    let node = TestNode::with("[inference]\nparallel = 1", engine).await;
    node.import("tiny:1b", 1).await;
    let stalled = node.post("/api/generate", json!({"model": "tiny:1b", "raw": true, "prompt": "x"})).await;
    eventually("the place is free again", || counters.counters().running.load(Ordering::Relaxed) == 0).await;
    let next = json!({"model": "tiny:1b", "raw": true, "prompt": "x", "stream": false, "options": {"num_predict": 1}});
    assert_eq!(node.post_json("/api/generate", next).await["response"], "word");
    drop(stalled);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grammars_beyond_the_bound_and_templates_of_requests_are_refused() {
    let node = TestNode::scripted(ScriptedEngine::saying("yes")).await;
    node.import("tiny:1b", 1).await;
    let properties: serde_json::Map<String, Value> = (0..8000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let schema = json!({"type": "object", "properties": properties});
    for extra in [json!({"format": schema}), json!({"template": "{{ messages }}"})] {
        let mut ask = json!({"model": "tiny:1b", "prompt": "x", "stream": false});
        ask.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(node.post("/api/generate", ask).await.status(), StatusCode::BAD_REQUEST);
    }
    node.stop().await;
}
