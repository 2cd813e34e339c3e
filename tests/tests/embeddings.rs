//! Embeddings as clients see them: in each dialect from the scripted engine, and those of the published all-MiniLM-L6-v2.

use kith_engine::scripted::ScriptedEngine;
use kith_models::{gguf::Value as Key, testing::GgufBuilder};
use kith_tests::{Served, TestNode, client, kith_command, real_encoder};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;

/// Embeddings by an independent implementation; `fixtures/all_minilm.py` made them.
const REFERENCE: &str = include_str!("../fixtures/all_minilm.json");

/// A node with an encoder `mini` and a chat model `tiny`, both scripted.
async fn node() -> TestNode {
    let node = TestNode::scripted(ScriptedEngine::saying("yes").with_context(64)).await;
    node.import("tiny", 1).await;
    let header = GgufBuilder::tiny(1)
        .with("general.architecture", Key::String("bert".into()))
        .with("bert.context_length", Key::U32(64))
        .without("tokenizer.chat_template");
    let file = node.dir.path().join("mini.gguf");
    std::fs::write(&file, header.build()).unwrap();
    let import = json!({"path": file, "name": "mini"});
    let answer = node.as_admin(Method::POST, "/api/v1/models/import").json(&import).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("\"success\""));
    node
}

async fn refused(node: &TestNode, path: &str, body: Value) -> (StatusCode, Value) {
    let answer = node.post(path, body).await;
    (answer.status(), answer.json().await.unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn cosine(one: &[f64], other: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert_eq!(one.len(), other.len());
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_gets_a_list_of_numbers_or_base64() {
    let node = node().await;
    let list = node.post_json("/v1/embeddings", json!({"model": "mini", "input": ["a b", "c"], "user": "me"})).await;
    assert_eq!((list["object"].as_str(), list["model"].as_str()), (Some("list"), Some("mini:latest")));
    assert_eq!(list["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    assert_eq!((list["data"][1]["object"].as_str(), list["data"][1]["index"].as_u64()), (Some("embedding"), Some(1)));
    let floats = numbers(&list["data"][0]["embedding"]);
    assert!((cosine(&floats, &floats) - 1.0).abs() < 1e-9 && floats.len() == 8);

    let packed = node.post_json("/v1/embeddings", json!({"model": "mini", "input": "a b", "encoding_format": "base64"})).await;
    let text = packed["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), (8usize * 4).div_ceil(3) * 4);
    let short = node.post_json("/v1/embeddings", json!({"model": "mini", "input": "a b", "dimensions": 3})).await;
    assert_eq!(numbers(&short["data"][0]["embedding"]).len(), 3);
    let tokens = node.post_json("/v1/embeddings", json!({"model": "mini", "input": [[0, 1], [0]]})).await;
    assert_eq!(numbers(&tokens["data"][0]["embedding"]), floats);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_gets_vectors_and_durations_in_both_forms() {
    let node = node().await;
    let many = node.post_json("/api/embed", json!({"model": "mini", "input": ["a b", "c"]})).await;
    assert_eq!(many["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!((many["model"].as_str(), many["prompt_eval_count"].as_u64()), (Some("mini:latest"), Some(3)));
    assert!(many["total_duration"].as_u64().unwrap() >= many["load_duration"].as_u64().unwrap());
    let one = node.post_json("/api/embed", json!({"model": "mini", "input": "a b"})).await;
    assert_eq!(one["embeddings"][0], many["embeddings"][0]);
    assert_eq!(one["load_duration"], 0);
    let older = node.post_json("/api/embeddings", json!({"model": "mini", "prompt": "a b"})).await;
    assert_eq!(older["embedding"], one["embeddings"][0]);
    node.post_json("/api/embed", json!({"model": "mini", "keep_alive": 0})).await;
    assert_eq!(node.post_json("/api/embed", json!({"model": "mini", "input": ""})).await["embeddings"], json!([]));
    assert_eq!(node.post_json("/api/embeddings", json!({"model": "mini"})).await["embedding"], json!([]));
    assert_eq!(node.post_json("/api/show", json!({"model": "mini"})).await["capabilities"], json!(["embedding"]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_embedded_is_refused_by_field() {
    let node = node().await;
    let long = "a ".repeat(100);
    assert_eq!(node.post_json("/api/embed", json!({"model": "mini", "input": long})).await["prompt_eval_count"], 64);
    for (path, body, field) in [
        ("/v1/embeddings", json!({"model": "mini", "input": long}), "input"),
        ("/v1/embeddings", json!({"model": "mini", "input": ""}), "input"),
        ("/v1/embeddings", json!({"model": "mini", "input": []}), "input"),
        ("/v1/embeddings", json!({"model": "mini", "input": vec!["a"; 2049]}), "input"),
        ("/v1/embeddings", json!({"model": "mini", "input": "a", "dimensions": 9}), "dimensions"),
        ("/v1/embeddings", json!({"model": "mini", "input": "a", "encoding_format": "int8"}), "encoding_format"),
        ("/v1/embeddings", json!({"model": "mini"}), "input"),
        ("/api/embed", json!({"model": "mini", "input": long, "truncate": false}), "input"),
        ("/api/embed", json!({"model": "mini", "input": [1]}), "input"),
        ("/api/embed", json!({"input": "a"}), "model"),
        ("/api/embed", json!({"model": "mini", "input": "a", "dimensions": 0}), "dimensions"),
    ] {
        let (status, error) = refused(&node, path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
        let named = if path.starts_with("/v1") { &error["error"]["param"] } else { &error["field"] };
        assert!(named.as_str().is_some_and(|named| named.starts_with(field)), "{path} {body}: {error}");
    }
    let (status, error) = refused(&node, "/v1/embeddings", json!({"model": "nosuch", "input": "a"})).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::NOT_FOUND, Some("model_not_found")));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encoders_write_no_answers_and_chat_models_do_not_embed() {
    let node = node().await;
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "tiny", "input": "a"})),
        ("/v1/chat/completions", json!({"model": "mini", "messages": [{"role": "user", "content": "a"}]})),
        ("/v1/completions", json!({"model": "mini", "prompt": "a"})),
    ] {
        let (status, error) = refused(&node, path, body).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("unsupported_by_model")), "{path}");
    }
    for (path, body) in [
        ("/api/embed", json!({"model": "tiny", "input": "a"})),
        ("/api/embeddings", json!({"model": "tiny", "prompt": "a"})),
        ("/api/chat", json!({"model": "mini", "messages": [{"role": "user", "content": "a"}]})),
        ("/api/generate", json!({"model": "mini", "prompt": "a"})),
    ] {
        let (status, error) = refused(&node, path, body).await;
        assert_eq!((status, error["code"].as_str()), (StatusCode::BAD_REQUEST, Some("UNSUPPORTED_BY_MODEL")), "{path}");
    }
    assert_eq!(node.get_json("/api/ps").await["models"], json!([]), "nothing was loaded to be refused");
    node.stop().await;
}

/// Imports the published folder with the command line.
fn import(dir: &Path, folder: &Path) {
    let imported = kith_command(dir).arg("import").arg(folder).args(["--name", "all-minilm"]).status().unwrap();
    assert!(imported.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_of_twenty_sentences_are_the_published_models() {
    let Some(folder) = real_encoder() else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Served::start(dir.path()).await;
    import(dir.path(), &folder);
    let http = client();
    let post = async |path: &str, body: Value| {
        let answer = http.post(format!("{}{path}", node.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json::<Value>().await.unwrap()
    };
    let shown = post("/api/show", json!({"model": "all-minilm"})).await;
    assert_eq!((&shown["capabilities"], &shown["license"]), (&json!(["embedding"]), &json!("apache-2.0")));
    assert_eq!(shown["details"]["parameter_size"], "23M");

    let reference: Vec<Value> = serde_json::from_str(REFERENCE).unwrap();
    assert_eq!(reference.len(), 20);
    let texts: Vec<&str> = reference.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    let tokens: u64 = reference.iter().map(|entry| entry["tokens"].as_u64().unwrap()).sum();
    let all = post("/api/embed", json!({"model": "all-minilm", "input": texts})).await;
    assert_eq!(all["prompt_eval_count"], tokens);
    let mut least = 1.0f64;
    for (at, entry) in reference.iter().enumerate() {
        let wanted = numbers(&entry["embedding"]);
        let together = cosine(&numbers(&all["embeddings"][at]), &wanted);
        assert!(together >= 0.9999, "{at}: {together} {}", entry["text"]);
        least = least.min(together);
        if texts[at].is_empty() {
            continue;
        }
        let alone = post("/v1/embeddings", json!({"model": "all-minilm", "input": texts[at], "truncate": true})).await;
        let alone = numbers(&alone["data"][0]["embedding"]);
        assert!(cosine(&alone, &wanted) >= 0.9999, "{at}, alone");
        assert!((alone.iter().map(|n| n * n).sum::<f64>() - 1.0).abs() < 1e-5, "{at} has length 1");
    }
    println!("the least cosine is {least}");
    let ps: Value = http.get(format!("{}/api/ps", node.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!((ps["models"][0]["engine"].as_str(), ps["models"][0]["context_length"].as_u64()), (Some("encoder"), Some(256)));
    // 22.7 million weights of four bytes, and the vocabulary.
    let size = ps["models"][0]["size"].as_u64().unwrap();
    assert!((90_000_000..110_000_000).contains(&size), "{size}");
    assert_eq!(node.terminate(), Some(0));
}
