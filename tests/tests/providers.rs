//! Cloud providers behind the same call, imitated on this machine.

mod faults;
mod keys;
mod signs;
mod waits;

use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::{
    TestNode,
    cloud::{Cloud, Reply, event, named, said},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// The key the tests give.
const KEY: &str = "sk-very-secret-key-of-the-tests";

async fn node() -> TestNode {
    TestNode::scripted(ScriptedEngine::saying("local words")).await
}

/// Sends a provider's prompts to the imitation.
async fn point(node: &TestNode, provider: &str, cloud: &Cloud) {
    let body = json!({provider: {"api_key": KEY, "base_url": format!("{}/v1", cloud.url)}});
    let answer = node.as_admin(Method::PUT, "/api/admin/providers").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
}

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "count"}]})
}

fn documents(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    lines.filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_wire_forms_answer_in_both_dialects_whole_and_streamed() {
    let cloud = Cloud::saying(&["one ", "two"], &[]).await;
    let node = node().await;
    for (provider, model) in [("openai", "openai/test-model"), ("anthropic", "anthropic/test-model")] {
        point(&node, provider, &cloud).await;
        let whole = node.post_json("/v1/chat/completions", ask(model)).await;
        assert_eq!(whole["choices"][0]["message"]["content"], "one two");
        assert_eq!((&whole["choices"][0]["finish_reason"], &whole["model"]), (&json!("stop"), &json!(model)));
        assert_eq!((&whole["usage"]["prompt_tokens"], &whole["usage"]["completion_tokens"]), (&json!(11), &json!(2)));
        let seen = cloud.last();
        assert_eq!(seen.body["model"], "test-model");
        match provider {
            "openai" => {
                assert_eq!(seen.line, "POST /v1/chat/completions");
                assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
            }
            _ => {
                assert_eq!(seen.line, "POST /v1/messages");
                assert_eq!((seen.header("x-api-key"), seen.header("anthropic-version")), (Some(KEY), Some("2023-06-01")));
                assert_eq!(seen.header("authorization"), None);
            }
        }

        let mut streamed = ask(model);
        streamed["stream"] = json!(true);
        let text = node.post("/v1/chat/completions", streamed).await.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let words: String =
            documents(&text).iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(words, "one two");

        let text = node.post("/api/chat", ask(model)).await.text().await.unwrap();
        let lines = documents(&text);
        let words: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
        assert_eq!((words.as_str(), &lines.last().unwrap()["done"]), ("one two", &json!(true)));
        assert_eq!((&lines.last().unwrap()["eval_count"], &lines[0]["model"]), (&json!(2), &json!(model)));

        let generated = node.post_json("/api/generate", json!({"model": model, "prompt": "count", "stream": false})).await;
        assert_eq!((&generated["response"], generated.get("context")), (&json!("one two"), None));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_and_images_go_out_and_calls_come_back() {
    let cloud = Cloud::start(|seen| {
        if seen.line.ends_with("/messages") {
            let delta = |json: &str| {
                named(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": json}}))
            };
            let block = json!({"type": "tool_use", "id": "toolu_7", "name": "weather", "input": {}});
            return Reply::events(vec![
                named(&json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}})),
                named(&json!({"type": "content_block_start", "index": 0, "content_block": block})),
                delta("{\"city\":"),
                delta("\"Oslo\"}"),
                named(&json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}})),
                named(&json!({"type": "message_stop"})),
            ]);
        }
        let part = |id: Value, json: &str| {
            let call = json!({"index": 0, "id": id, "type": "function", "function": {"name": "weather", "arguments": json}});
            event(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
        };
        let end = event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}));
        Reply::events(vec![part(json!("call_7"), "{\"city\":"), part(Value::Null, "\"Oslo\"}"), end, "data: [DONE]\n\n".into()])
    })
    .await;
    let node = node().await;
    for (provider, id) in [("openai", "call_7"), ("anthropic", "toolu_7")] {
        point(&node, provider, &cloud).await;
        let image = "data:image/png;base64,iVBORw0KGgo=";
        let body = json!({
            "model": format!("{provider}/m"),
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "Weather here?"}, {"type": "image_url", "image_url": {"url": image}}]}],
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        });
        let answer = node.post_json("/v1/chat/completions", body).await;
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
        let call = &answer["choices"][0]["message"]["tool_calls"][0];
        assert_eq!((&call["id"], &call["function"]["arguments"]), (&json!(id), &json!("{\"city\":\"Oslo\"}")));
        let sent = cloud.last().body.to_string();
        assert!(sent.contains("iVBORw0KGgo=") && sent.contains("image/png") && sent.contains("Weather here?"), "{sent}");
        assert!(sent.contains("\"tool_choice\""), "{sent}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_name_never_leaves_and_a_local_model_of_the_very_name_wins() {
    let cloud = Cloud::saying(&["from afar"], &[]).await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    for plain in ["test-model", "gpt-4o", "acme/test-model", "hub.example/openai/test-model"] {
        let answer = node.post("/v1/chat/completions", ask(plain)).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{plain}");
    }
    node.import("openai/test-model", 1).await;
    let answer = node.post_json("/v1/chat/completions", ask("openai/test-model")).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "local words");
    assert!(cloud.seen().is_empty());
    let elsewhere = node.post_json("/v1/chat/completions", ask("openai/other")).await;
    assert_eq!(elsewhere["choices"][0]["message"]["content"], "from afar");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_is_sent_and_the_way_to_set_one_is_told() {
    let node = node().await;
    let answer = node.post("/v1/chat/completions", ask("groq/llama")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["error"]["code"], &body["error"]["param"]), (&json!("not_configured"), &json!("model")));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("Groq") && message.contains("PUT /api/admin/providers"), "{message}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_cannot_do_is_a_bad_request_in_the_clients_words() {
    let cloud = Cloud::saying(&["x"], &[]).await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let mut openai = ask("openai/m");
    openai["top_k"] = json!(5);
    let mut ollama = ask("openai/m");
    ollama["options"] = json!({"top_k": 5});
    for (path, body, field) in [("/v1/chat/completions", openai, "/error/param"), ("/api/chat", ollama, "/field")] {
        let answer = node.post(path, body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let body: Value = answer.json().await.unwrap();
        assert!(body.pointer(field).unwrap().as_str().unwrap().ends_with("top_k"), "{body}");
    }
    let raw = node.post("/v1/completions", json!({"model": "openai/m", "prompt": "x"})).await;
    assert_eq!(raw.status(), StatusCode::BAD_REQUEST);
    let load = node.post("/api/generate", json!({"model": "openai/m"})).await;
    assert_eq!(load.status(), StatusCode::BAD_REQUEST);
    assert!(load.text().await.unwrap().contains("nothing to load"));
    assert!(cloud.seen().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_providers_work() {
    let cloud = Cloud::start(|_| {
        let words = said(&["word "; 1000]);
        Reply::Stream(words, Duration::from_millis(20), kith_tests::cloud::End::Whole)
    })
    .await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let mut body = ask("openai/m");
    body["stream"] = json!(true);
    let mut stream = node.post("/v1/chat/completions", body).await.bytes_stream();
    stream.next().await.unwrap().unwrap();
    assert_eq!(cloud.open(), 1);
    drop(stream);
    eventually("the connection to the provider closes", || cloud.open() == 0).await;
    // One who waits for the whole answer and leaves, too.
    let ask = node.post("/v1/chat/completions", ask("openai/m"));
    assert!(tokio::time::timeout(Duration::from_millis(300), ask).await.is_err());
    eventually("the connection to the provider closes", || cloud.open() == 0).await;
    let metrics = node.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line == "kith_prompts_running 0"), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_ends_the_answers_of_providers() {
    let cloud =
        Cloud::start(|_| Reply::Stream(said(&["a"]).drain(..1).collect(), Duration::ZERO, kith_tests::cloud::End::Silence)).await;
    let node = node().await;
    point(&node, "openai", &cloud).await;
    let waiting = tokio::spawn(node.request(Method::POST, "/v1/chat/completions").json(&ask("openai/m")).send());
    eventually("the provider is asked", || !cloud.seen().is_empty()).await;
    node.stop().await;
    eventually("the connection to the provider closes", || cloud.open() == 0).await;
    let _ = waiting.await;
}
