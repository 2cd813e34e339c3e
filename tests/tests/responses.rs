//! Stored responses: whole, streamed, resumed, in the background, continued, cancelled, deleted, and after a restart.

use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

mod random;

async fn node(engine: ScriptedEngine) -> TestNode {
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    node
}

fn slow(words: usize) -> ScriptedEngine {
    ScriptedEngine::saying(&"word ".repeat(words)).with_pace(Duration::from_millis(10))
}

fn ask(fields: Value) -> Value {
    let mut body = json!({"model": "tiny:1b", "input": "count"});
    for (field, value) in fields.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

async fn get(node: &TestNode, id: &str) -> Value {
    node.get_json(&format!("/v1/responses/{id}")).await
}

/// Waits until the response has this status.
async fn reaches(node: &TestNode, id: &str, status: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let response = get(node, id).await;
        if response["status"] == status {
            return response;
        }
        assert!(Instant::now() < deadline, "never {status}: {response}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The frames of a stream; the name of each must be its type.
fn events(text: &str) -> Vec<Value> {
    text.split_terminator("\n\n")
        .filter(|frame| !frame.starts_with(':'))
        .map(|frame| {
            let (name, data) = frame.split_once('\n').unwrap();
            let value: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), value["type"].as_str(), "{frame}");
            value
        })
        .collect()
}

async fn events_after(node: &TestNode, id: &str, after: u64) -> Vec<Value> {
    let path = format!("/v1/responses/{id}?stream=true&starting_after={after}");
    events(&node.request(Method::GET, &path).send().await.unwrap().text().await.unwrap())
}

/// Reads a stream until at least `count` events are there, and leaves it.
async fn first_events(response: Response, count: usize) -> Vec<Value> {
    let mut frames = response.bytes_stream();
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        text.push_str(std::str::from_utf8(&frames.next().await.unwrap().unwrap()).unwrap());
    }
    let whole = text.rfind("\n\n").unwrap();
    events(&text[..whole + 2])
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect()
}

fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap()
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_answered_kept_told_again_and_deleted() {
    let node = node(ScriptedEngine::saying("one two three")).await;
    let response = node.post_json("/v1/responses", ask(json!({"metadata": {"a": "b"}}))).await;
    assert_eq!((response["object"].as_str(), response["status"].as_str()), (Some("response"), Some("completed")));
    assert_eq!((text(&response), response["usage"]["output_tokens"].as_u64()), ("one two three", Some(3)));
    let id = response["id"].as_str().unwrap();
    assert_eq!(get(&node, id).await, response);

    let items = node.get_json(&format!("/v1/responses/{id}/input_items")).await;
    assert_eq!((items["object"].as_str(), items["has_more"].as_bool()), (Some("list"), Some(false)));
    assert_eq!(items["data"][0]["content"], json!([{"type": "input_text", "text": "count"}]));
    assert_eq!(items["first_id"], items["data"][0]["id"]);

    // Not asked for as a stream, it has no events; and nothing else can be asked of the list than what it knows.
    for path in ["?stream=true", "?starting_after=1", "/input_items?limit=0", "/input_items?after=x", "?stream=perhaps"] {
        let refused = node.request(Method::GET, &format!("/v1/responses/{id}{path}")).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let cancel = node.request(Method::POST, &format!("/v1/responses/{id}/cancel")).send().await.unwrap();
    assert_eq!(cancel.status(), StatusCode::BAD_REQUEST);

    let delete = || node.request(Method::DELETE, &format!("/v1/responses/{id}")).send();
    let deleted: Value = delete().await.unwrap().json().await.unwrap();
    assert_eq!(deleted, json!({"id": id, "object": "response", "deleted": true}));
    assert_eq!(delete().await.unwrap().status(), StatusCode::NOT_FOUND);
    for path in ["", "/input_items", "?stream=true"] {
        let gone = node.request(Method::GET, &format!("/v1/responses/{id}{path}")).send().await.unwrap();
        assert_eq!(gone.status(), StatusCode::NOT_FOUND);
        assert_eq!(gone.json::<Value>().await.unwrap()["error"]["type"], "invalid_request_error");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_numbered_and_told_again_from_any_place() {
    let node = node(ScriptedEngine::saying("one two three")).await;
    let response = node.post("/v1/responses", ask(json!({"stream": true}))).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let told = events(&response.text().await.unwrap());
    let kinds: Vec<&str> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    assert_eq!(numbers(&told), (0..11).collect::<Vec<u64>>());
    let whole = &told[10]["response"];
    let id = whole["id"].as_str().unwrap();
    assert_eq!(&get(&node, id).await, whole);
    for after in 0..12 {
        assert_eq!(events_after(&node, id, after).await, told[told.len().min(after as usize + 1)..]);
    }
    let dir = node.stop().await;
    let node = TestNode::in_dir(dir, "", ScriptedEngine::saying("x")).await;
    assert_eq!(events_after(&node, id, 3).await, told[4..]);
    assert_eq!(&get(&node, id).await, whole);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_in_the_background_is_queued_at_once_and_goes_on_without_its_client() {
    let node = node(slow(20)).await;
    let response = node.post("/v1/responses", ask(json!({"background": true}))).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let queued: Value = response.json().await.unwrap();
    assert_eq!((queued["status"].as_str(), queued["background"].as_bool()), (Some("queued"), Some(true)));
    let id = queued["id"].as_str().unwrap();
    assert_eq!(place, format!("/v1/responses/{id}"));
    let done = reaches(&node, id, "completed").await;
    assert_eq!(text(&done), "word ".repeat(20));
    // Cancelling what has ended changes nothing.
    assert_eq!(node.post_json(&format!("{place}/cancel"), json!({})).await, done);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_readers_resume_a_running_response_and_both_miss_nothing() {
    let node = node(slow(60)).await;
    let response = node.post("/v1/responses", ask(json!({"background": true, "stream": true}))).await;
    assert_eq!(response.status(), StatusCode::OK);
    let seen = first_events(response, 8).await;
    assert_eq!(seen[1]["type"], "response.queued");
    let id = seen[0]["response"]["id"].as_str().unwrap();
    let last = numbers(&seen).last().copied().unwrap();
    assert_eq!(get(&node, id).await["status"], "in_progress");
    let (one, other) = tokio::join!(events_after(&node, id, last), events_after(&node, id, 0));
    assert_eq!(one[0]["sequence_number"], last + 1);
    assert_eq!(other[0]["sequence_number"], 1);
    assert_eq!(one.last().unwrap()["type"], "response.completed");
    assert_eq!(other[other.len() - one.len()..], one);
    assert_eq!(numbers(&other), (1..=other.len() as u64).collect::<Vec<u64>>());
    let deltas = other.iter().filter(|event| event["type"] == "response.output_text.delta");
    assert_eq!(deltas.map(|event| event["delta"].as_str().unwrap()).collect::<String>(), "word ".repeat(60));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_and_deleting_stop_the_work() {
    let engine = slow(2000);
    let counters = engine.clone();
    let node = node(engine).await;
    let idle = || counters.counters().running.load(Ordering::Relaxed) == 0;
    let started = node.post_json("/v1/responses", ask(json!({"background": true}))).await;
    let id = started["id"].as_str().unwrap();
    reaches(&node, id, "in_progress").await;
    let path = format!("/v1/responses/{id}/cancel");
    let cancel = || node.post_json(&path, json!({}));
    let cancelled = cancel().await;
    assert_eq!(cancelled["status"], "cancelled");
    eventually("the engine stops", idle).await;
    assert_eq!(cancel().await, cancelled);

    let response = node.post("/v1/responses", ask(json!({"background": true, "stream": true}))).await;
    let mut frames = response.bytes_stream();
    let first = frames.next().await.unwrap().unwrap();
    let id = events(std::str::from_utf8(&first).unwrap())[0]["response"]["id"].as_str().unwrap().to_owned();
    reaches(&node, &id, "in_progress").await;
    let deleted = node.request(Method::DELETE, &format!("/v1/responses/{id}")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    eventually("the engine stops", idle).await;
    let mut rest = Vec::new();
    while let Some(Ok(more)) = frames.next().await {
        rest.extend(more);
    }
    assert!(String::from_utf8(rest).unwrap().contains("response.cancelled"), "its reader is told");
    assert_eq!(node.request(Method::GET, &format!("/v1/responses/{id}")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let unknown = node.post("/v1/responses/resp_x/cancel", json!({})).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_response_in_the_foreground_stops_it() {
    let engine = slow(2000);
    let counters = engine.clone();
    let node = node(engine).await;
    let seen = first_events(node.post("/v1/responses", ask(json!({"stream": true}))).await, 6).await;
    let id = seen[0]["response"]["id"].as_str().unwrap();
    let stopped = reaches(&node, id, "cancelled").await;
    assert!(text(&stopped).starts_with("word "));
    eventually("the engine stops", || counters.counters().running.load(Ordering::Relaxed) == 0).await;
    // One that waits for the whole answer, and one of which nothing is kept.
    for fields in [json!({}), json!({"store": false})] {
        let whole = node.post("/v1/responses", ask(fields));
        assert!(tokio::time::timeout(Duration::from_millis(300), whole).await.is_err());
        eventually("the engine stops", || counters.counters().running.load(Ordering::Relaxed) == 0).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_continues_another_with_all_that_was_said() {
    let engine = ScriptedEngine::new(|prompt| {
        let heard =
            ["first?", "answer 0", "second?", "answer 1", "third?"].iter().filter(|words| prompt.contains(**words)).count();
        assert!(!prompt.contains("only once") || heard == 1, "instructions are not taken over");
        Ok(format!("answer {}", (heard.max(1) - 1) / 2))
    });
    let node = node(engine).await;
    let first = node.post_json("/v1/responses", ask(json!({"input": "first?", "instructions": "only once"}))).await;
    assert_eq!(text(&first), "answer 0");
    let second = node.post_json("/v1/responses", ask(json!({"input": "second?", "previous_response_id": first["id"]}))).await;
    assert_eq!((text(&second), &second["previous_response_id"]), ("answer 1", &first["id"]));
    let third = node.post_json("/v1/responses", ask(json!({"input": "third?", "previous_response_id": second["id"]}))).await;
    assert_eq!(text(&third), "answer 2");
    // A reference stands for the item it names, wherever that is stored.
    let refers = json!({"input": [{"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "x"}]});
    let referring = node.post_json("/v1/responses", ask(refers)).await;
    let items = node.get_json(&format!("/v1/responses/{}/input_items?order=asc", referring["id"].as_str().unwrap())).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "answer 0");
    let unknown = node.post("/v1/responses", ask(json!({"input": [{"type": "item_reference", "id": "msg_x"}]}))).await;
    assert_eq!(unknown.json::<Value>().await.unwrap()["error"]["param"], "input[0].id");

    let deleted = node.request(Method::DELETE, &format!("/v1/responses/{}", first["id"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    for previous in [first["id"].clone(), third["id"].clone(), json!("resp_never")] {
        let refused = node.post("/v1/responses", ask(json!({"previous_response_id": previous}))).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let error: Value = refused.json().await.unwrap();
        assert_eq!(
            (error["error"]["code"].as_str(), error["error"]["param"].as_str()),
            (Some("previous_response_not_found"), Some("previous_response_id")),
            "{error}"
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_what_is_not_to_be_stored() {
    let node = node(ScriptedEngine::saying("one two")).await;
    let response = node.post_json("/v1/responses", ask(json!({"store": false}))).await;
    assert_eq!((text(&response), response["store"].as_bool()), ("one two", Some(false)));
    let streamed = node.post("/v1/responses", ask(json!({"store": false, "stream": true}))).await.text().await.unwrap();
    assert_eq!(events(&streamed).last().unwrap()["type"], "response.completed");
    let kept: Value = node.as_admin(Method::GET, "/api/admin/responses").send().await.unwrap().json().await.unwrap();
    assert_eq!(kept, json!({"responses": []}));
    let id = response["id"].as_str().unwrap();
    assert_eq!(node.request(Method::GET, &format!("/v1/responses/{id}")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_the_node_stops_has_failed_after_the_restart() {
    let first = node(slow(2000)).await;
    let response = first.post("/v1/responses", ask(json!({"background": true, "stream": true}))).await;
    let seen = first_events(response, 6).await;
    let id = seen[0]["response"]["id"].as_str().unwrap().to_owned();
    let waiting = first.post_json("/v1/responses", ask(json!({"background": true}))).await;
    let dir = first.stop().await;
    let again = TestNode::in_dir(dir, "", ScriptedEngine::saying("x")).await;
    let failed = get(&again, &id).await;
    assert_eq!((failed["status"].as_str(), failed["error"]["code"].as_str()), (Some("failed"), Some("server_error")), "{failed}");
    let after = numbers(&seen).last().copied().unwrap();
    let rest = events_after(&again, &id, after).await;
    assert_eq!(rest[0]["sequence_number"], after + 1);
    assert_eq!(rest.last().unwrap()["type"], "response.failed");
    assert_eq!(get(&again, waiting["id"].as_str().unwrap()).await["status"], "failed");
    let list: Value =
        again.as_admin(Method::GET, "/api/admin/responses?status=failed&limit=500").send().await.unwrap().json().await.unwrap();
    assert_eq!(list["responses"].as_array().unwrap().len(), 2);
    assert_eq!(list["responses"][0]["status"], "failed");
    for query in ["?limit=0", "?limit=501", "?status=lost"] {
        let refused = again.as_admin(Method::GET, &format!("/api/admin/responses{query}")).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_told_before_anything_is_kept() {
    let node = node(ScriptedEngine::saying("x").with_context(64)).await;
    for (fields, status, param) in [
        (json!({"temperature": 9}), 400, "temperature"),
        (json!({"tools": [{"type": "web_search"}]}), 400, "tools[0].type"),
        (json!({"conversation": "conv_1"}), 400, "conversation"),
        (json!({"background": true, "store": false}), 400, "background"),
        (json!({"input": [{"type": "computer_call"}]}), 400, "input[0].type"),
        (json!({"input": 7}), 400, "input"),
        (json!({"input": "word ".repeat(100)}), 400, "input"),
        (json!({"model": "nosuch"}), 404, "model"),
        (json!({"model": "nosuch", "background": true}), 404, "model"),
        (json!({"input": "x".repeat(16 << 20)}), 413, "store"),
    ] {
        let response = node.post("/v1/responses", ask(fields.clone())).await;
        assert_eq!(response.status().as_u16(), status, "{param}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["param"], param, "{error}");
    }
    // In the background, what only the model can tell comes as a failure.
    let long = node.post_json("/v1/responses", ask(json!({"input": "word ".repeat(100), "background": true}))).await;
    let failed = reaches(&node, long["id"].as_str().unwrap(), "failed").await;
    assert_eq!(failed["error"]["code"], "invalid_prompt", "{failed}");
    // Too long is not too long where the oldest may be left out.
    let turns: Vec<Value> = (0..20).map(|n| json!({"role": "user", "content": format!("this is turn number {n}")})).collect();
    let cut = node.post_json("/v1/responses", ask(json!({"input": turns, "truncation": "auto"}))).await;
    assert_eq!(cut["status"], "completed");
    assert!(cut["usage"]["input_tokens"].as_u64().unwrap() < 64);
    let kept: Value = node.as_admin(Method::GET, "/api/admin/responses").send().await.unwrap().json().await.unwrap();
    assert_eq!(kept["responses"].as_array().unwrap().len(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_an_item_and_its_output_goes_back_by_the_id_of_what_it_continues() {
    let engine = ScriptedEngine::new(|prompt| {
        Ok(if prompt.contains("sunny") {
            "It is sunny.".to_owned()
        } else {
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>".to_owned()
        })
    });
    let node = node(engine).await;
    let tools = json!([{"type": "function", "name": "weather", "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]);
    let called = node.post_json("/v1/responses", ask(json!({"input": "Oslo?", "tools": tools}))).await;
    let call = &called["output"][0];
    assert_eq!((call["type"].as_str(), call["name"].as_str()), (Some("function_call"), Some("weather")));
    assert_eq!(serde_json::from_str::<Value>(call["arguments"].as_str().unwrap()).unwrap(), json!({"city": "Oslo"}));
    let output = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}]);
    let told = node
        .post_json("/v1/responses", ask(json!({"input": output, "tools": tools, "previous_response_id": called["id"]})))
        .await;
    assert_eq!(text(&told), "It is sunny.");
    node.stop().await;
}
