//! Adapters: registered, applied to answers, removed without a trace.

use kith_engine::scripted::ScriptedEngine;
use kith_models::{
    gguf::GgmlType,
    testing::{
        GgufBuilder,
        adapters::{bytes, noise, peft},
    },
};
use kith_tests::{Served, TestNode, admin_token, client, real_model};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, sync::atomic::Ordering};

const V: &str = "model.layers.0.self_attn.v_proj";

async fn import(node: &TestNode, name: &str, seed: u64) {
    let path = node.dir.path().join("import.gguf");
    let model = GgufBuilder::tiny(seed).tensor("blk.0.attn_v.weight", &[8, 4], GgmlType::F32, &bytes(&noise(1, 32)));
    std::fs::write(&path, model.build()).unwrap();
    let ask = node.as_admin(Method::POST, "/api/v1/models/import").json(&json!({"path": path, "name": name}));
    assert!(ask.send().await.unwrap().text().await.unwrap().contains("success"));
}

async fn node(engine: ScriptedEngine) -> TestNode {
    let node = TestNode::scripted(engine).await;
    import(&node, "tiny:1b", 1).await;
    std::fs::create_dir(node.dir.path().join("adapters")).unwrap();
    put(&node, "mine.safetensors", 1);
    node
}

fn put(node: &TestNode, file: &str, seed: u32) {
    std::fs::write(node.dir.path().join("adapters").join(file), peft(&[(V, 8, 4)], 2, 1.0, seed)).unwrap();
}

async fn register(node: &TestNode, body: Value) -> (StatusCode, Value) {
    let answer = node.as_admin(Method::POST, "/api/admin/adapters").json(&body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn list(node: &TestNode) -> Value {
    node.as_admin(Method::GET, "/api/admin/adapters").send().await.unwrap().json().await.unwrap()
}

async fn remove(node: &TestNode, id: &str) -> (StatusCode, Value) {
    let answer = node.as_admin(Method::DELETE, &format!("/api/admin/adapters/{id}")).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_are_registered_listed_and_removed() {
    let node = node(ScriptedEngine::saying("x")).await;
    assert_eq!(list(&node).await, json!({"adapters": []}));
    let body = json!({"id": "my-adapter", "name": "My Adapter", "base_model": "tiny:1b", "rank": 2, "alpha": 4.0,
                      "path": "adapters/mine.safetensors"});
    let (status, answer) = register(&node, body.clone()).await;
    assert_eq!((status, answer["status"].as_str()), (StatusCode::OK, Some("ok")), "{answer}");
    let adapter = &answer["adapter"];
    assert_eq!((adapter["id"].as_str(), adapter["name"].as_str()), (Some("my-adapter"), Some("My Adapter")));
    assert_eq!((adapter["rank"].as_u64(), adapter["alpha"].as_f64()), (Some(2), Some(4.0)));
    assert_eq!((adapter["base_model"].as_str(), adapter["path"].as_str()), (Some("tiny:1b"), Some("adapters/mine.safetensors")));
    assert_eq!(list(&node).await["adapters"], json!([adapter]));
    assert_eq!(register(&node, body).await.0, StatusCode::CONFLICT);

    let (_, unnamed) = register(&node, json!({"base_model": "tiny:1b", "path": "mine.safetensors"})).await;
    let id = unnamed["adapter"]["id"].as_str().unwrap().to_owned();
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
    assert_eq!((&id[14..15], "89ab".contains(&id[19..20])), ("4", true), "{id}");

    // Registered adapters outlive the node, and their files.
    std::fs::remove_file(node.dir.path().join("adapters/mine.safetensors")).unwrap();
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    assert_eq!(list(&node).await["adapters"].as_array().unwrap().len(), 2);
    let (status, answer) = remove(&node, "my-adapter").await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"status": "ok", "message": "Adapter 'my-adapter' removed"})));
    let (status, answer) = remove(&node, "my-adapter").await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::NOT_FOUND, Some("ADAPTER_NOT_FOUND")));
    assert_eq!(list(&node).await["adapters"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_leave_the_folder_and_files_that_are_no_adapters_are_refused() {
    let node = node(ScriptedEngine::saying("x")).await;
    std::fs::write(node.dir.path().join("adapters/text"), "nothing of the kind").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(node.dir.path().join("admin.token"), node.dir.path().join("adapters/link")).unwrap();
    for path in ["../admin.token", "adapters/../../admin.token", "/etc/../etc/passwd", "link", "nothing", "", "/etc", "/dev/zero"]
    {
        let (status, answer) = register(&node, json!({"base_model": "tiny:1b", "path": path})).await;
        assert_eq!((status, answer["field"].as_str()), (StatusCode::BAD_REQUEST, Some("path")), "{path}: {answer}");
    }
    for path in [node.dir.path().join("adapters/text"), node.dir.path().join("admin.token")] {
        let (status, answer) = register(&node, json!({"base_model": "tiny:1b", "path": path})).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::BAD_REQUEST, Some("INVALID_MODEL_FILE")), "{answer}");
        assert!(!answer.to_string().contains(&admin_token(node.dir.path())));
    }
    let (status, answer) = register(&node, json!({"base_model": "tiny:1b", "path": "mine.safetensors", "rank": 8})).await;
    assert_eq!((status, answer["field"].as_str()), (StatusCode::BAD_REQUEST, Some("rank")));
    let (status, _) = register(&node, json!({"base_model": "none:1b", "path": "mine.safetensors"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(list(&node).await, json!({"adapters": []}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_takes_an_adapter_and_the_adapted_model_is_one_of_its_own() {
    let engine = ScriptedEngine::saying("x");
    let counters = engine.clone();
    let loads = || counters.counters().loads.load(Ordering::Relaxed);
    let node = node(engine).await;
    import(&node, "other:1b", 2).await;
    register(&node, json!({"id": "mine", "base_model": "tiny:1b", "path": "mine.safetensors"})).await;
    let messages = json!([{"role": "user", "content": "x"}]);
    let asks = [
        ("/v1/chat/completions", json!({"messages": messages})),
        ("/v1/completions", json!({"prompt": "x"})),
        ("/api/chat", json!({"messages": messages, "stream": false})),
        ("/api/generate", json!({"prompt": "x", "stream": false})),
    ];
    let with = |mut ask: Value, model: &str, adapter: &str| {
        ask["model"] = json!(model);
        ask["lora_adapter"] = json!(adapter);
        ask
    };
    for (path, ask) in &asks {
        assert_eq!(node.post_json(path, with(ask.clone(), "tiny:1b", "")).await["model"], "tiny:1b", "{path}");
        assert_eq!(node.post_json(path, with(ask.clone(), "tiny:1b", "mine")).await["model"], "tiny:1b+mine", "{path}");
        assert_eq!(node.post_json(path, with(ask.clone(), "tiny:1b+mine", "")).await["model"], "tiny:1b+mine", "{path}");
        for (model, adapter, status) in [
            ("tiny:1b", "nobody", StatusCode::NOT_FOUND),
            ("none:1b", "mine", StatusCode::NOT_FOUND),
            ("other:1b", "mine", StatusCode::BAD_REQUEST),
            ("tiny:1b+mine", "mine", StatusCode::BAD_REQUEST),
        ] {
            let answer = node.post(path, with(ask.clone(), model, adapter)).await;
            assert_eq!(answer.status(), status, "{path} {model} {adapter}");
            let text = answer.text().await.unwrap();
            assert!(adapter != "nobody" || text.to_uppercase().contains("ADAPTER_NOT_FOUND"), "{text}");
            assert!(model != "other:1b" || text.contains("made for `tiny:1b`, not for `other:1b`"), "{text}");
        }
    }
    assert_eq!(loads(), 2, "the model, and the model with its adapter");
    let names: Vec<Value> =
        node.get_json("/api/ps").await["models"].as_array().unwrap().iter().map(|model| model["name"].clone()).collect();
    assert_eq!(names, ["tiny:1b", "tiny:1b+mine"]);

    let unload = json!({"model": "tiny:1b", "lora_adapter": "mine", "keep_alive": 0});
    assert_eq!(node.post_json("/api/generate", unload).await["done_reason"], "unload");
    assert_eq!(node.get_json("/api/ps").await["models"].as_array().unwrap().len(), 1);
    node.post_json("/api/generate", json!({"model": "tiny:1b", "lora_adapter": "mine"})).await;
    assert_eq!(loads(), 3);
    assert_eq!(remove(&node, "mine").await.0, StatusCode::OK);
    assert_eq!(node.get_json("/api/ps").await["models"].as_array().unwrap().len(), 1, "it leaves with its adapter");
    assert_eq!(std::fs::read_dir(node.dir.path().join("derived")).unwrap().count(), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_base_takes_what_was_made_of_it() {
    let node = node(ScriptedEngine::saying("x")).await;
    register(&node, json!({"id": "mine", "base_model": "tiny:1b", "path": "mine.safetensors"})).await;
    node.post_json("/api/generate", json!({"model": "tiny:1b", "lora_adapter": "mine"})).await;
    let gone = node.request(Method::DELETE, "/api/delete").json(&json!({"model": "tiny:1b"})).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    assert_eq!(node.get_json("/api/ps").await["models"], json!([]));
    assert_eq!(std::fs::read_dir(node.dir.path().join("derived")).unwrap().count(), 0);
    assert_eq!(list(&node).await["adapters"].as_array().unwrap().len(), 1, "the adapter waits for its model to come back");
    node.stop().await;
}

/// The whole answer of a served node to a greedy chat, with the log-probability of every token.
async fn answer(url: &str, adapter: Option<&str>) -> Value {
    let mut ask = json!({"model": "smollm2:135m", "temperature": 0, "max_tokens": 24, "logprobs": true, "top_logprobs": 3,
        "messages": [{"role": "user", "content": "Name three colours of the rainbow."}]});
    if let Some(adapter) = adapter {
        ask["lora_adapter"] = json!(adapter);
    }
    let answer = client().post(format!("{url}/v1/chat/completions")).json(&ask).send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    body["choices"][0].clone()
}

async fn post(url: &str, dir: &Path, path: &str, body: Value) -> String {
    let ask = client().post(format!("{url}{path}")).header("x-kith-admin-token", admin_token(dir)).json(&body);
    let answer = ask.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_changes_what_the_real_model_says_and_its_removal_restores_it_bit_for_bit() {
    let Some(model) = real_model() else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Served::start(dir.path()).await;
    let imported = post(&node.url, dir.path(), "/api/v1/models/import", json!({"path": model, "name": "smollm2:135m"})).await;
    assert!(imported.contains("success"), "{imported}");
    let names: Vec<String> = (0..30).flat_map(|n| ["q", "v"].map(|m| format!("model.layers.{n}.self_attn.{m}_proj"))).collect();
    // The model's width is 576; nine heads of 64, three of them with keys and values.
    let modules: Vec<_> = names.iter().map(|name| (name.as_str(), 576, if name.contains("q_") { 576 } else { 192 })).collect();
    for (file, size) in [("strong", 0.1), ("none", 0.0)] {
        let path = dir.path().join(format!("{file}.safetensors"));
        std::fs::write(&path, peft(&modules, 4, size, 7)).unwrap();
        post(&node.url, dir.path(), "/api/admin/adapters", json!({"id": file, "base_model": "smollm2:135m", "path": path})).await;
    }
    let before = answer(&node.url, None).await;
    let adapted = answer(&node.url, Some("strong")).await;
    assert_ne!(adapted["message"]["content"], before["message"]["content"]);
    assert_ne!(adapted["logprobs"], before["logprobs"]);
    assert_eq!(answer(&node.url, Some("strong")).await, adapted, "the same every time");
    assert_eq!(answer(&node.url, None).await, before, "the model beside it is untouched");

    // One that adds nothing changes nothing but the rounding: the same weights stand in a wider format, for which the engine has
    // another kernel. So the first word is as likely as before, almost.
    let first = |answer: &Value| answer["logprobs"]["content"][0]["logprob"].as_f64().unwrap();
    let unchanged = answer(&node.url, Some("none")).await;
    assert!((first(&unchanged) - first(&before)).abs() < 0.5, "{unchanged} {before}");

    let gone = client()
        .delete(format!("{}/api/admin/adapters/strong", node.url))
        .header("x-kith-admin-token", admin_token(dir.path()))
        .send()
        .await
        .unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    assert_eq!(answer(&node.url, None).await, before);
    drop(node);
    // And so after a restart, from the file.
    let node = Served::start(dir.path()).await;
    assert_eq!(answer(&node.url, None).await, before);
}
