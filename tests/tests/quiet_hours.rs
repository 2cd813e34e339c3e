//! Quiet hours really reduce work.

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use kith_types::{Clock, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

/// A clock that stands still until it is set.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}

/// Noon UTC on 20 November 2026, a Friday.
const NOON: i64 = 1_795_176_000_000;
const HOUR: i64 = 3_600_000;

async fn node(toml: &str, clock: &Arc<SetClock>, engine: ScriptedEngine) -> TestNode {
    let node = TestNode::set_up(tempfile::tempdir().unwrap(), toml, &[], Arc::clone(clock) as Arc<dyn Clock>, engine).await;
    node.import("tiny:1b", 1).await;
    node
}

/// Asks eight prompts at once; gives the most that were answered at a time.
async fn most_at_once(node: &TestNode, engine: &ScriptedEngine) -> u64 {
    let most = AtomicU64::new(0);
    let asks = join_all(
        (0..8).map(|_| node.post_json("/api/generate", json!({"model": "tiny:1b", "raw": true, "prompt": "x", "stream": false}))),
    );
    let watch = async {
        loop {
            most.fetch_max(engine.counters().running.load(Ordering::Relaxed), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        _ = asks => {}
        () = watch => {}
    }
    most.load(Ordering::Relaxed)
}

async fn until(node: &TestNode, quiet: bool) -> Value {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let state: Value = node.as_admin(Method::GET, "/api/admin/schedule").send().await.unwrap().json().await.unwrap();
        if state["quiet_now"] == quiet {
            return state;
        }
        assert!(std::time::Instant::now() < deadline, "{state}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_quiet_hours_fewer_answers_are_written_at_once_and_afterwards_as_many_as_before() {
    let clock = Arc::new(SetClock(AtomicI64::new(NOON)));
    let engine = ScriptedEngine::saying("one two three four").with_pace(Duration::from_millis(25));
    let toml = "[inference]\nparallel = 6\n[schedule]\nenabled = true\ntime_zone = \"UTC\"\nfrom = \"22:00\"\nto = \"08:00\"\nparallel = 2";
    let node = node(toml, &clock, engine.clone()).await;
    assert_eq!(most_at_once(&node, &engine).await, 6);
    clock.0.store(NOON + 11 * HOUR, Ordering::Relaxed);
    // The node looks at its clock by itself.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(most_at_once(&node, &engine).await, 2);
    let state = until(&node, true).await;
    let half = std::thread::available_parallelism().unwrap().get().div_ceil(2) as u64;
    let given = async {
        while !(1..=half).contains(&engine.counters().cores.load(Ordering::Relaxed)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), given).await.expect("models are given half of the cores");
    assert_eq!((&state["until"], &state["parallel_now"]), (&json!("2026-11-21T08:00:00.000Z"), &json!(2)));
    let events = node.as_admin(Method::GET, "/api/admin/stats").send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(events["inference"]["parallel"], 2);
    clock.0.store(NOON + 21 * HOUR, Ordering::Relaxed);
    let state = until(&node, false).await;
    assert_eq!(state["parallel_now"], 6);
    assert_eq!(most_at_once(&node, &engine).await, 6);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_is_changed_at_once_in_the_words_of_both() {
    let clock = Arc::new(SetClock(AtomicI64::new(NOON)));
    let node = node("", &clock, ScriptedEngine::saying("x")).await;
    let put = |body: Value| node.as_admin(Method::PUT, "/api/admin/schedule").json(&body).send();
    let body = json!({"enabled": true, "reduced_hours_start": 11, "reduced_hours_end": 13, "time_zone": "UTC", "parallel": 1});
    let state: Value = put(body).await.unwrap().json().await.unwrap();
    assert_eq!((&state["quiet_now"], &state["parallel_now"], &state["from"]), (&json!(true), &json!(1), &json!("11:00")));
    let state: Value = put(json!({"from": "12:30"})).await.unwrap().json().await.unwrap();
    assert_eq!((&state["quiet_now"], &state["parallel_now"]), (&json!(false), &json!(16)));
    assert!(std::fs::read_to_string(node.dir.path().join("config.toml")).unwrap().contains("from = \"12:30\""));
    for (body, field) in [
        (json!({"from": "12:30", "reduced_hours_start": 12}), json!("reduced_hours_start")),
        (json!({"reduced_hours_end": 24}), json!("reduced_hours_end")),
        (json!({"days": ["someday"]}), json!("schedule.days")),
    ] {
        let answer = put(body.clone()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.json::<Value>().await.unwrap()["field"], field, "{body}");
    }
    assert_eq!(put(json!({"loudness": 3})).await.unwrap().status(), StatusCode::BAD_REQUEST);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_pauses_sharing_answers_its_own_machine_alone() {
    let clock = Arc::new(SetClock(AtomicI64::new(NOON)));
    let toml = "[schedule]\nenabled = true\ntime_zone = \"UTC\"\nfrom = \"11:00\"\nto = \"13:00\"\npause_sharing = true";
    let node = node(toml, &clock, ScriptedEngine::saying("yes")).await;
    let key = kith_node::tokens::mint(node.dir.path(), "far", "user".parse().unwrap(), None).await.unwrap();
    let router = TowerToHyperService::new(kith_api::router(node.node().app()));
    // Without a socket a call is from nobody's address, and so from another machine.
    let far = |method: &str, path: &str, body: Value| {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", key.token))
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        router.call(request)
    };
    let ask = json!({"model": "tiny:1b", "prompt": "x", "stream": false});
    let refused = far("POST", "/api/generate", ask.clone()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "3601");
    let body: Value = serde_json::from_slice(&refused.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["code"], "OVERLOADED");
    // It still tells of itself, and answers its own people.
    assert_eq!(far("GET", "/api/tags", json!({})).await.unwrap().status(), 200);
    assert_eq!(node.post("/api/generate", ask.clone()).await.status(), StatusCode::OK);
    clock.0.store(NOON + HOUR, Ordering::Relaxed);
    assert_eq!(far("POST", "/api/generate", ask).await.unwrap().status(), 200);
    node.stop().await;
}
