//! What Anthropic's clients see, from an engine that says what it is told to.

use futures::StreamExt;
use kith_engine::{EngineError, scripted::ScriptedEngine};
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

async fn node(answer: &str) -> TestNode {
    let node = TestNode::scripted(ScriptedEngine::saying(answer)).await;
    node.import("tiny:1b", 1).await;
    node
}

fn ask() -> Value {
    json!({"model": "tiny:1b", "max_tokens": 64, "messages": [{"role": "user", "content": "count"}]})
}

/// The events of a stream; the name of each must be its type.
fn events(text: &str) -> Vec<Value> {
    text.split_terminator("\n\n")
        .map(|frame| {
            let (name, data) = frame.split_once('\n').unwrap();
            let value: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), value["type"].as_str(), "{frame}");
            value
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_comes_whole_or_in_events_in_anthropics_order() {
    let node = node("one two three").await;
    let whole = node.post_json("/v1/messages", ask()).await;
    assert_eq!((whole["type"].as_str(), whole["role"].as_str()), (Some("message"), Some("assistant")));
    assert_eq!(whole["content"], json!([{"type": "text", "text": "one two three"}]));
    assert_eq!((whole["stop_reason"].as_str(), &whole["stop_sequence"]), (Some("end_turn"), &Value::Null));
    assert_eq!(whole["usage"]["output_tokens"], 3);

    let mut streamed = ask();
    streamed["stream"] = json!(true);
    let request = node.request(Method::POST, "/v1/messages").header("anthropic-version", "2023-06-01").json(&streamed);
    let response = request.send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let events = events(&response.text().await.unwrap());
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let said: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(said, "one two three");
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], whole["usage"]["input_tokens"]);
    assert_eq!(events[7]["usage"], whole["usage"]);
    let count = node.post_json("/v1/messages/count_tokens", json!({"model": "tiny:1b", "messages": ask()["messages"]})).await;
    assert_eq!(count, json!({"input_tokens": whole["usage"]["input_tokens"]}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_stop_sequences_end_a_message_and_say_so() {
    let node = node("one two three four").await;
    let mut short = ask();
    short["max_tokens"] = json!(2);
    let answer = node.post_json("/v1/messages", short).await;
    assert_eq!((answer["stop_reason"].as_str(), answer["usage"]["output_tokens"].as_u64()), (Some("max_tokens"), Some(2)));
    let mut stopped = ask();
    stopped["stop_sequences"] = json!(["never", "thr"]);
    let answer = node.post_json("/v1/messages", stopped).await;
    assert_eq!(answer["content"][0]["text"], "one two ");
    assert_eq!((answer["stop_reason"].as_str(), answer["stop_sequence"].as_str()), (Some("stop_sequence"), Some("thr")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_comes_as_a_block_and_its_outcome_goes_back() {
    let engine = ScriptedEngine::new(|prompt| {
        Ok(if prompt.contains("sunny") {
            "It is sunny.".to_owned()
        } else {
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>".to_owned()
        })
    });
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let mut asked = ask();
    asked["tools"] = json!([{"name": "weather", "description": "The weather.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]);
    let called = node.post_json("/v1/messages", asked.clone()).await;
    assert_eq!(called["stop_reason"], "tool_use");
    let block = &called["content"][0];
    assert_eq!(
        (block["type"].as_str(), block["name"].as_str(), &block["input"]),
        (Some("tool_use"), Some("weather"), &json!({"city": "Oslo"}))
    );
    assert!(block["id"].as_str().unwrap().starts_with("toolu_"));
    let outcome = json!([{"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": "sunny"}]}]);
    let messages = asked["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": called["content"]}));
    messages.push(json!({"role": "user", "content": outcome}));
    let told = node.post_json("/v1/messages", asked).await;
    assert_eq!(told["content"][0]["text"], "It is sunny.");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_anthropics_form_and_types() {
    let engine = ScriptedEngine::new(|prompt| {
        if prompt.contains("boom") { Err(EngineError::Failed("inner secret".into())) } else { Ok("fine".into()) }
    });
    let node = TestNode::scripted(engine.with_context(64)).await;
    node.import("tiny:1b", 1).await;
    let changed = |field: &str, value: Value| {
        let mut body = ask();
        body[field] = value;
        body
    };
    let say = |text: &str| json!([{"role": "user", "content": text}]);
    for (body, status, kind, mention) in [
        (changed("max_tokens", json!(0)), 400, "invalid_request_error", "max_tokens"),
        (changed("max_tokens", json!("many")), 400, "invalid_request_error", "max_tokens"),
        (json!({"model": "tiny:1b", "messages": say("x")}), 400, "invalid_request_error", "max_tokens"),
        (
            changed("messages", json!([{"role": "user", "content": [{"type": "video"}]}])),
            400,
            "invalid_request_error",
            "messages[0].content[0].type",
        ),
        (changed("messages", say(&"word ".repeat(200))), 400, "invalid_request_error", "64"),
        (changed("model", json!("nosuch")), 404, "not_found_error", "nosuch"),
        (changed("messages", say("boom")), 500, "api_error", "failed"),
    ] {
        let response = node.post("/v1/messages", body.clone()).await;
        assert_eq!(response.status().as_u16(), status, "{body}");
        let error: Value = response.json().await.unwrap();
        assert_eq!((error["type"].as_str(), error["error"]["type"].as_str()), (Some("error"), Some(kind)), "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(mention) && !message.contains("inner secret"), "{error}");
    }
    let request = |key: &'static str| node.request(Method::POST, "/v1/messages").header("x-api-key", key).json(&ask());
    let wrong = request("kith_wrong").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"]["type"], "authentication_error");
    assert_eq!(request("any-word").send().await.unwrap().status(), StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_breaks_off_says_so_in_its_stream() {
    let engine = ScriptedEngine::saying(&"word ".repeat(1000)).with_pace(Duration::from_millis(5));
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let mut streamed = ask();
    streamed["stream"] = json!(true);
    streamed["max_tokens"] = json!(1000);
    let mut frames = node.post("/v1/messages", streamed).await.bytes_stream();
    let mut text = frames.next().await.unwrap().unwrap().to_vec();
    node.post_json("/api/generate", json!({"model": "tiny:1b", "keep_alive": 0})).await;
    while let Some(Ok(more)) = frames.next().await {
        text.extend(more);
    }
    let events = events(std::str::from_utf8(&text).unwrap());
    let last = events.last().unwrap();
    assert_eq!((last["type"].as_str(), last["error"]["type"].as_str()), (Some("error"), Some("overloaded_error")), "{last}");
    node.stop().await;
}
