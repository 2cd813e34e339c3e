//! What Ollama's and OpenAI's clients see, from an engine that says what it is told to.

use futures::StreamExt;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn node(answer: &str) -> TestNode {
    let node = TestNode::scripted(ScriptedEngine::saying(answer)).await;
    node.import("tiny:1b", 1).await;
    node
}

/// The JSON documents of a stream: lines, or the data of server-sent events.
fn documents(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    lines.filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_streams_lines_unless_told_otherwise() {
    let node = node("one two three").await;
    let response = node.post("/api/chat", json!({"model": "tiny:1b", "messages": [{"role": "user", "content": "count"}]})).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let lines = documents(&response.text().await.unwrap());
    let text: String = lines.iter().map(|line| line["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(text, "one two three");
    let last = lines.last().unwrap();
    assert_eq!((last["done"].as_bool(), last["done_reason"].as_str()), (Some(true), Some("stop")));
    assert_eq!(last["eval_count"], 3);
    assert!(last["total_duration"].as_u64().unwrap() > 0);
    assert!(lines[..lines.len() - 1].iter().all(|line| line["done"] == false));

    let whole = node
        .post_json(
            "/api/generate",
            json!({"model": "tiny:1b", "prompt": "count", "stream": false, "options": {"num_predict": 2}}),
        )
        .await;
    assert_eq!(whole["response"], "one two");
    assert_eq!(whole["done_reason"], "length");
    assert!(!whole["context"].as_array().unwrap().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_loads_lists_and_unloads_models_without_a_prompt() {
    let node = node("x").await;
    let loaded = node.post_json("/api/generate", json!({"model": "tiny:1b", "keep_alive": "10m"})).await;
    assert_eq!((loaded["done"].as_bool(), loaded["done_reason"].as_str()), (Some(true), Some("load")));
    let ps = node.get_json("/api/ps").await;
    assert_eq!(ps["models"][0]["name"], "tiny:1b");
    assert_eq!(ps["models"][0]["engine"], "scripted");
    let unloaded = node.post_json("/api/generate", json!({"model": "tiny:1b", "keep_alive": 0})).await;
    assert_eq!(unloaded["done_reason"], "unload");
    assert_eq!(node.get_json("/api/ps").await["models"], json!([]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_lists_shows_and_deletes() {
    let node = node("x").await;
    let tags = node.get_json("/api/tags").await;
    let model = &tags["models"][0];
    assert_eq!((model["name"].as_str(), model["model"].as_str()), (Some("tiny:1b"), Some("tiny:1b")));
    assert!(model["size"].as_u64().unwrap() > 0);
    assert_eq!(model["digest"].as_str().unwrap().len(), 64);
    assert_eq!(model["details"]["format"], "gguf");
    let show = node.post_json("/api/show", json!({"model": "tiny:1b"})).await;
    assert_eq!(show["model_info"]["general.architecture"], "llama");
    assert!(show["capabilities"].as_array().unwrap().contains(&json!("completion")));
    let delete = |name: &'static str| node.request(Method::DELETE, "/api/delete").json(&json!({"model": name})).send();
    assert_eq!(delete("tiny:1b").await.unwrap().status(), StatusCode::OK);
    let again = delete("tiny:1b").await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    let body: Value = again.json().await.unwrap();
    assert!(body["error"].is_string(), "{body}");
    assert_eq!(node.get_json("/api/tags").await["models"], json!([]));
    let head = node.request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_answers_whole_and_in_chunks() {
    let node = node("one two three").await;
    let ask = json!({"model": "tiny:1b", "messages": [{"role": "user", "content": "count"}]});
    let whole = node.post_json("/v1/chat/completions", ask.clone()).await;
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["message"]["content"], "one two three");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(whole["usage"]["completion_tokens"], 3);

    let mut ask = ask;
    ask["stream"] = json!(true);
    ask["stream_options"] = json!({"include_usage": true});
    let response = node.post("/v1/chat/completions", ask).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let text = response.text().await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let chunks = documents(&text);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "one two three");
    let usage = chunks.last().unwrap();
    assert_eq!((usage["choices"].as_array().unwrap().len(), usage["usage"]["completion_tokens"].as_u64()), (0, Some(3)));

    let completion = node.post_json("/v1/completions", json!({"model": "tiny:1b", "prompt": "count", "max_tokens": 1})).await;
    assert_eq!(completion["object"], "text_completion");
    assert_eq!(
        (completion["choices"][0]["text"].as_str(), completion["choices"][0]["finish_reason"].as_str()),
        (Some("one"), Some("length"))
    );

    let models = node.get_json("/v1/models").await;
    assert_eq!(models["data"][0]["id"], "tiny:1b");
    assert_eq!(node.get_json("/v1/models/tiny:1b").await["id"], "tiny:1b");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_comes_back_as_one_in_both_dialects() {
    let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>";
    let node = node(call).await;
    let tools = json!([{"type": "function", "function": {"name": "weather", "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]);
    let ask = json!({"model": "tiny:1b", "stream": false, "messages": [{"role": "user", "content": "Oslo?"}], "tools": tools});
    let openai = node.post_json("/v1/chat/completions", ask.clone()).await;
    let choice = &openai["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "weather");
    let arguments: Value =
        serde_json::from_str(choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "Oslo"}));
    let ollama = node.post_json("/api/chat", ask).await;
    assert_eq!(ollama["message"]["tool_calls"][0]["function"]["arguments"], json!({"city": "Oslo"}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_text_ends_the_answer_and_is_not_part_of_it() {
    let node = node("one two three four").await;
    let ask = json!({"model": "tiny:1b", "stop": ["thr"], "messages": [{"role": "user", "content": "count"}]});
    let answer = node.post_json("/v1/chat/completions", ask).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "one two ");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_by_its_field() {
    let node = node("x").await;
    let user = json!([{"role": "user", "content": "hi"}]);
    for (path, body, field) in [
        ("/v1/chat/completions", json!({"model": "tiny:1b", "messages": user, "temperature": 9}), "temperature"),
        ("/v1/chat/completions", json!({"model": "tiny:1b", "messages": user, "temperature": "hot"}), "temperature"),
        ("/v1/chat/completions", json!({"model": "tiny:1b", "messages": user, "max_tokens": 0}), "max_tokens"),
        ("/v1/chat/completions", json!({"model": "tiny:1b", "messages": []}), "messages"),
        (
            "/v1/chat/completions",
            json!({"model": "tiny:1b", "messages": [{"role": "alien", "content": "x"}]}),
            "messages[0].role",
        ),
        ("/v1/chat/completions", json!({"messages": user}), "model"),
        ("/v1/completions", json!({"model": "tiny:1b", "prompt": 7}), "prompt"),
        ("/api/chat", json!({"model": "tiny:1b", "messages": user, "options": {"top_p": 3}}), "options.top_p"),
        ("/api/chat", json!({"model": "tiny:1b", "messages": user, "keep_alive": "soon"}), "keep_alive"),
        ("/api/generate", json!({"prompt": "x"}), "model"),
    ] {
        let response = node.post(path, body.clone()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path} {body}");
        let answer: Value = response.json().await.unwrap();
        let said = if path.starts_with("/v1") { &answer["error"]["param"] } else { &answer["field"] };
        let message = if path.starts_with("/v1") { &answer["error"]["message"] } else { &answer["error"] };
        assert!(said == field || message.as_str().unwrap().contains(field), "{path} {body}: {answer}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_is_answered_with_the_nearest_name_and_the_way_to_get_it() {
    let node = node("x").await;
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "tinny:1b", "messages": [{"role": "user", "content": "hi"}]})),
        ("/api/generate", json!({"model": "tinny:1b", "prompt": "hi"})),
        ("/api/show", json!({"model": "tinny:1b"})),
    ] {
        let response = node.post(path, body).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let text = response.text().await.unwrap();
        assert!(text.contains("tiny:1b") && text.contains("kith pull tinny:1b"), "{path}: {text}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_long_is_refused_with_both_numbers() {
    let node = TestNode::scripted(ScriptedEngine::saying("x").with_context(32)).await;
    node.import("tiny:1b", 1).await;
    let long = "word ".repeat(200);
    for (path, body) in [
        ("/v1/completions", json!({"model": "tiny:1b", "prompt": long})),
        ("/api/generate", json!({"model": "tiny:1b", "prompt": long, "raw": true})),
    ] {
        let response = node.post(path, body).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let text = response.text().await.unwrap();
        assert!(text.contains("20") && text.contains("32") && text.to_lowercase().contains("context_length_exceeded"), "{text}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_in_mid_stream_is_told_in_the_stream() {
    let engine = ScriptedEngine::new(|prompt| {
        if prompt.contains("boom") { Err(kith_engine::EngineError::Failed("inner secret".into())) } else { Ok("fine".into()) }
    });
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let ask = json!({"model": "tiny:1b", "messages": [{"role": "user", "content": "boom"}]});
    let response = node.post("/api/chat", ask).await;
    let text = response.text().await.unwrap();
    assert!(text.contains("error") && !text.contains("inner secret"), "{text}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_is_sent_before_the_second_is_there() {
    let engine = ScriptedEngine::saying("one two three").with_pace(std::time::Duration::from_millis(300));
    let node = TestNode::scripted(engine).await;
    node.import("tiny:1b", 1).await;
    let response = node.post("/api/generate", json!({"model": "tiny:1b", "prompt": "count"})).await;
    let mut stream = response.bytes_stream();
    let first = stream.next().await.unwrap().unwrap();
    let text = String::from_utf8(first.to_vec()).unwrap();
    assert!(text.contains("one") && !text.contains("two"), "{text}");
    node.stop().await;
}
