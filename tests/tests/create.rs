//! Making models from others, as Ollama's clients, the owner's pages and code editors do it.

use kith_engine::scripted::ScriptedEngine;
use kith_models::{
    gguf::{GgmlType, Value as Field},
    testing::{GgufBuilder, tiny_gguf},
};
use kith_tests::{TestNode, client, kith_command};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A node whose models answer with the prompt they were given.
async fn echoing() -> TestNode {
    TestNode::scripted(ScriptedEngine::new(|prompt| Ok(prompt.to_owned()))).await
}

pub fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// A model with a matrix that can be quantised.
pub fn wide(seed: u64) -> Vec<u8> {
    let weights: Vec<u8> = (0..64u16).flat_map(|n| (f32::from(n) - 31.5).to_le_bytes()).collect();
    GgufBuilder::tiny(seed).tensor("blk.0.attn_q.weight", &[32, 2], GgmlType::F32, &weights).build()
}

async fn upload(node: &TestNode, bytes: &[u8]) -> String {
    let digest = digest(bytes);
    let sent = node.request(Method::POST, &format!("/api/blobs/{digest}")).body(bytes.to_vec()).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::CREATED);
    digest
}

async fn create(node: &TestNode, body: Value) -> Vec<Value> {
    let answer = node.post("/api/create", body).await;
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn refused(node: &TestNode, path: &str, body: Value) -> (u16, Value) {
    let answer = node.post(path, body).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The prompt that a conversation becomes.
async fn laid_out(node: &TestNode, model: &str, messages: Value) -> String {
    let body = json!({"model": model, "messages": messages, "stream": false});
    node.post_json("/api/chat", body).await["message"]["content"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_uploaded_once_and_only_under_their_own_digest() {
    let node = echoing().await;
    let bytes = tiny_gguf(1);
    let path = format!("/api/blobs/{}", digest(&bytes));
    let ask = |method: Method, path: &str, body: Vec<u8>| node.request(method, path).body(body).send();
    assert_eq!(ask(Method::HEAD, &path, vec![]).await.unwrap().status(), StatusCode::NOT_FOUND);
    let wrong = ask(Method::POST, &path, b"something else".to_vec()).await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let body: Value = wrong.json().await.unwrap();
    assert!(body["error"].as_str().unwrap().contains("instead of"), "{body}");
    assert_eq!(ask(Method::HEAD, &path, vec![]).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(ask(Method::POST, &path, bytes.clone()).await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(ask(Method::POST, &path, bytes).await.unwrap().status(), StatusCode::OK);
    assert_eq!(ask(Method::HEAD, &path, vec![]).await.unwrap().status(), StatusCode::OK);
    for path in ["/api/blobs/sha256:12", "/api/blobs/..%2F..%2Fetc%2Fpasswd", "/api/blobs/blake3:00"] {
        assert_eq!(ask(Method::POST, path, vec![1]).await.unwrap().status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let dir = node.stop().await;
    // And they are there after a restart.
    let node = TestNode::in_dir(dir, "", ScriptedEngine::saying("x")).await;
    assert_eq!(node.request(Method::HEAD, &path).send().await.unwrap().status(), StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_made_of_an_upload_and_another_of_that_one() {
    let node = echoing().await;
    let digest = upload(&node, &tiny_gguf(1)).await;
    let lines = create(&node, json!({"model": "base", "files": {"model.gguf": digest}})).await;
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["reading model metadata", &format!("using existing layer {digest}"), "writing manifest", "success"]);
    let whole = create(
        &node,
        json!({"model": "mario", "from": "base", "stream": false, "system": "You are Mario.", "license": ["MIT"],
               "parameters": {"temperature": 0.5, "stop": ["<end>"]}, "requires": "0.14.0",
               "messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "It's me!"}]}),
    )
    .await;
    assert_eq!(whole, [json!({"status": "success"})]);
    let shown = node.post_json("/api/show", json!({"model": "mario"})).await;
    assert_eq!(shown["details"]["parent_model"], "base:latest");
    assert_eq!(shown["system"], "You are Mario.");
    assert_eq!(shown["license"], "apache-2.0\nMIT");
    assert_eq!(shown["requires"], "0.14.0");
    assert_eq!(shown["messages"][1], json!({"role": "assistant", "content": "It's me!"}));
    let parameters = shown["parameters"].as_str().unwrap();
    assert!(parameters.contains("temperature                    0.5"), "{parameters}");
    assert!(parameters.contains("stop                           \"<end>\""), "{parameters}");
    assert_eq!(shown["tensors"], Value::Null);
    let verbose = node.post_json("/api/show", json!({"model": "mario", "verbose": true})).await;
    assert_eq!(verbose["tensors"][0]["name"], "token_embd.weight");
    // Its own messages stand before the conversation's, after its system text; a conversation's own system text replaces that.
    let prompt = laid_out(&node, "mario", json!([{"role": "user", "content": "Hi"}])).await;
    assert_eq!(prompt, "system: You are Mario.\nuser: Who are you?\nassistant: It's me!\nuser: Hi\n");
    let own = json!([{"role": "system", "content": "You are Luigi."}, {"role": "user", "content": "Hi"}]);
    let prompt = laid_out(&node, "mario", own).await;
    assert_eq!(prompt, "user: Who are you?\nassistant: It's me!\nsystem: You are Luigi.\nuser: Hi\n");
    let generated = node.post_json("/api/generate", json!({"model": "mario", "prompt": "Hi", "stream": false})).await;
    assert_eq!(generated["response"], "system: You are Mario.\nuser: Who are you?\nassistant: It's me!\nuser: Hi\n");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_made_anew_under_its_name_is_the_new_one_even_while_the_old_one_is_loaded() {
    let node = echoing().await;
    node.import("base", 1).await;
    for (system, template) in [("one", None), ("two", None), ("three", Some("<{{ .System }}|{{ .Prompt }}>"))] {
        create(&node, json!({"model": "m", "from": "base", "system": system, "template": template})).await;
        let prompt = laid_out(&node, "m", json!([{"role": "user", "content": "Hi"}])).await;
        match template {
            None => assert_eq!(prompt, format!("system: {system}\nuser: Hi\n")),
            Some(_) => assert_eq!(prompt, "<three|Hi>"),
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_quantised_on_the_way() {
    let node = echoing().await;
    let digest = upload(&node, &wide(1)).await;
    let lines = create(&node, json!({"model": "small", "files": {"m.gguf": digest}, "quantize": "q4_0"})).await;
    let writing = lines.iter().rfind(|line| line["status"] == "quantizing F32 model to Q4_0").expect("its progress");
    assert_eq!(writing["completed"], writing["total"]);
    assert!(lines.iter().any(|line| line["status"].as_str().unwrap().starts_with("creating new layer sha256:")));
    let shown = node.post_json("/api/show", json!({"model": "small", "verbose": true})).await;
    assert_eq!(shown["details"]["quantization_level"], "Q4_0");
    assert_eq!(shown["tensors"][1]["type"], "Q4_0");
    let (status, body) = refused(&node, "/api/create", json!({"model": "x", "from": "small", "quantize": "q8_0"})).await;
    assert_eq!((status, &body["code"]), (400, &json!("UNSUPPORTED_BY_MODEL")));
    let (status, body) = refused(&node, "/api/create", json!({"model": "x", "from": "small", "quantize": "q2_K"})).await;
    assert_eq!((status, &body["field"]), (400, &json!("quantize")));
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .ends_with("possible are Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0"),
        "{body}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_in_parts_is_joined_and_half_of_one_is_refused() {
    let node = echoing().await;
    let part = |no: u16| {
        let builder = if no == 0 { GgufBuilder::tiny(1) } else { GgufBuilder::default() };
        let builder = builder.with("split.no", Field::U16(no)).with("split.count", Field::U16(2));
        builder.tensor(&format!("x{no}"), &[5], GgmlType::F32, &[7; 20]).build()
    };
    let (one, two) = (upload(&node, &part(0)).await, upload(&node, &part(1)).await);
    let (status, body) = refused(&node, "/api/create", json!({"model": "m", "files": {"a": two.clone()}})).await;
    assert_eq!((status, &body["code"]), (400, &json!("INVALID_MODEL_FILE")), "{body}");
    create(&node, json!({"model": "m", "files": {"z": one, "a": two}})).await;
    let shown = node.post_json("/api/show", json!({"model": "m", "verbose": true})).await;
    assert_eq!(shown["tensors"].as_array().unwrap().len(), 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_told_and_leaves_nothing() {
    let node = echoing().await;
    node.import("base", 1).await;
    let nonsense = upload(&node, b"nonsense").await;
    let absent = digest(b"absent");
    for (body, status, code) in [
        (json!({"model": "m", "from": "nobody"}), 404, "MODEL_NOT_FOUND"),
        (json!({"model": "m"}), 400, "INVALID_REQUEST"),
        (json!({"model": "../m", "from": "base"}), 400, "INVALID_REQUEST"),
        (json!({"model": "m", "files": {"a": absent}}), 400, "INVALID_REQUEST"),
        (json!({"model": "m", "files": {"a": nonsense}}), 400, "INVALID_MODEL_FILE"),
        (json!({"model": "m", "from": "base", "template": "{{ printf \"%v\" .Messages }}"}), 400, "INVALID_REQUEST"),
        (json!({"model": "m", "from": "base", "parameters": {"top_p": 7}}), 400, "INVALID_REQUEST"),
        (json!({"model": "m", "from": "/etc/passwd"}), 400, "INVALID_REQUEST"),
        (json!({"model": "m", "path": "/etc/passwd"}), 400, "INVALID_REQUEST"),
    ] {
        let (found, answer) = refused(&node, "/api/create", body.clone()).await;
        assert_eq!((found, answer["code"].as_str().unwrap()), (status, code), "{body}: {answer}");
    }
    for (body, status) in [
        (json!({"source": "nobody", "destination": "m"}), 404),
        (json!({"source": "base", "destination": "a b"}), 400),
        (json!({"source": "base"}), 400),
    ] {
        assert_eq!(refused(&node, "/api/copy", body.clone()).await.0, status, "{body}");
    }
    assert_eq!(node.get_json("/api/tags").await["models"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_answers_to_both_names_and_outlives_the_original() {
    let node = echoing().await;
    node.import("base:1", 1).await;
    create(&node, json!({"model": "a", "from": "base:1", "system": "S", "messages": [{"role": "user", "content": "q"}]})).await;
    assert_eq!(node.post("/api/copy", json!({"source": "a", "destination": "b"})).await.status(), StatusCode::OK);
    let removed = node.request(Method::DELETE, "/api/delete").json(&json!({"model": "a"})).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::OK);
    let shown = node.post_json("/api/show", json!({"model": "b"})).await;
    assert_eq!((&shown["system"], &shown["messages"][0]["content"]), (&json!("S"), &json!("q")));
    node.stop().await;
}

/// Templates of Go in the shapes that published models have, and what Ollama makes of [`conversation`] with them.
const PUBLISHED: [(&str, &str, &str); 7] = [
    (
        "chatml",
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ if .Prompt }}<|im_start|>user\n\
         {{ .Prompt }}<|im_end|>\n{{ end }}<|im_start|>assistant\n{{ .Response }}<|im_end|>\n",
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n\
         <|im_start|>user\nU2\n\nU3<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        "llama2",
        "[INST] <<SYS>>{{ .System }}<</SYS>>\n\n{{ .Prompt }} [/INST]\n",
        "[INST] <<SYS>>S<</SYS>>\n\nU1 [/INST]\nA1[INST] <<SYS>><</SYS>>\n\nU2\n\nU3 [/INST]\n",
    ),
    (
        "llama3",
        "{{ if .System }}<|start_header_id|>system<|end_header_id|>\n\n{{ .System }}<|eot_id|>{{ end }}{{ if .Prompt }}\
         <|start_header_id|>user<|end_header_id|>\n\n{{ .Prompt }}<|eot_id|>{{ end }}<|start_header_id|>assistant\
         <|end_header_id|>\n\n{{ .Response }}<|eot_id|>",
        "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU2\n\nU3\
         <|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    (
        "mistral",
        "{{- range $index, $_ := .Messages }}\n{{- if eq .Role \"user\" }}\n\
         {{- if and (eq (len (slice $.Messages $index)) 1) $.Tools }}[AVAILABLE_TOOLS] {{ $.Tools }}[/AVAILABLE_TOOLS]\n\
         {{- end }}[INST] {{ if and $.System (eq (len (slice $.Messages $index)) 1) }}{{ $.System }}\n\n{{ end }}\
         {{ .Content }}[/INST]\n{{- else if eq .Role \"assistant\" }}\n{{- if .Content }} {{ .Content }}</s>\n\
         {{- else if .ToolCalls }}[TOOL_CALLS] [\n{{- range .ToolCalls }}{\"name\": \"{{ .Function.Name }}\", \"arguments\": \
         {{ .Function.Arguments }}}\n{{- end }}]</s>\n{{- end }}\n{{- else if eq .Role \"tool\" }}[TOOL_RESULTS] \
         {\"content\": {{ .Content }}}[/TOOL_RESULTS]\n{{- end }}\n{{- end }}",
        "[INST] U1[/INST] A1</s>[INST] S\n\nU2\n\nU3[/INST]",
    ),
    (
        "gemma",
        "<start_of_turn>user\n{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}<end_of_turn>\n<start_of_turn>model\n\
         {{ .Response }}<end_of_turn>\n",
        "<start_of_turn>user\nS U1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_turn>user\nU2\n\nU3\
         <end_of_turn>\n<start_of_turn>model\n",
    ),
    (
        "gemma3",
        "{{- range $i, $_ := .Messages }}\n{{- $last := eq (len (slice $.Messages $i)) 1 }}\n\
         {{- if or (eq .Role \"user\") (eq .Role \"system\") }}<start_of_turn>user\n{{ .Content }}<end_of_turn>\n\
         {{ if $last }}<start_of_turn>model\n{{ end }}\n{{- else if eq .Role \"assistant\" }}<start_of_turn>model\n\
         {{ .Content }}{{ if not $last }}<end_of_turn>\n{{ end }}\n{{- end }}\n{{- end }}",
        "<start_of_turn>user\nS<end_of_turn>\n<start_of_turn>user\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n\
         <start_of_turn>user\nU2\n\nU3<end_of_turn>\n<start_of_turn>model\n",
    ),
    (
        "phi3",
        "{{ if .System }}<|system|>\n{{ .System }}<|end|>\n{{ end }}{{ if .Prompt }}<|user|>\n{{ .Prompt }}<|end|>\n{{ end }}\
         <|assistant|>\n{{ .Response }}<|end|>\n",
        "<|system|>\nS<|end|>\n<|user|>\nU1<|end|>\n<|assistant|>\nA1<|end|>\n<|user|>\nU2\n\nU3<|end|>\n<|assistant|>\n",
    ),
];

fn conversation() -> Value {
    json!([{"role": "system", "content": "S"}, {"role": "user", "content": "U1"}, {"role": "assistant", "content": "A1"},
           {"role": "user", "content": "U2"}, {"role": "user", "content": "U3"}])
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_of_go_lay_out_what_ollama_lays_out() {
    let node = echoing().await;
    node.import("base", 1).await;
    for (name, template, expected) in PUBLISHED {
        create(&node, json!({"model": name, "from": "base", "template": template})).await;
        assert_eq!(laid_out(&node, name, conversation()).await, expected, "{name}");
        // The answer that a client began is left open, to be continued.
        let begun = json!([{"role": "user", "content": "U1"}, {"role": "assistant", "content": "half an"}]);
        assert!(laid_out(&node, name, begun).await.ends_with("half an"), "{name}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_go_tells_of_tools_and_their_calls() {
    let node = echoing().await;
    node.import("base", 1).await;
    let template = "{{- if .Tools }}{{ .Tools }}{{ range .Tools }}[{{ .Function.Name }}]{{ end }}{{ end }}\
                    {{- range $i, $_ := .Messages }}{{ .Role }}:{{ .Content }}\
                    {{- range .ToolCalls }}<{{ .Function.Name }} {{ .Function.Arguments }}>{{ end }};{{ end }}";
    create(&node, json!({"model": "m", "from": "base", "template": template})).await;
    let shown = node.post_json("/api/show", json!({"model": "m"})).await;
    assert!(shown["capabilities"].as_array().unwrap().contains(&json!("tools")), "{}", shown["capabilities"]);
    let body = json!({"model": "m", "stream": false,
        "tools": [{"type": "function", "function": {"name": "add", "description": "d", "parameters": {"type": "object", "properties": {}}}}],
        "messages": [{"role": "user", "content": "U"},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
            {"role": "tool", "content": "2"}]});
    let answer = node.post_json("/api/chat", body).await;
    assert_eq!(
        answer["message"]["content"].as_str().unwrap(),
        "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}][add]\
         user:U;assistant:<add {\"a\":1}>;tool:2;"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_sees_what_models_take_and_takes_them_out_of_memory() {
    let node = echoing().await;
    node.import("a:1", 1).await;
    node.post("/api/copy", json!({"source": "a:1", "destination": "b:1"})).await;
    laid_out(&node, "a:1", json!([{"role": "user", "content": "Hi"}])).await;
    let get = async |path: &str| -> Value {
        let answer = node.as_admin(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    };
    let models = get("/api/admin/models").await;
    let of = |name: &str| models.as_array().unwrap().iter().find(|model| model["id"] == name).unwrap().clone();
    assert_eq!((&of("a:1")["status"], &of("b:1")["status"]), (&json!("loaded"), &json!("ready")));
    assert_eq!(of("a:1")["shards"][0]["layer_range"], json!([0, 0]));
    let size = of("a:1")["total_size_bytes"].as_u64().unwrap();
    let storage = get("/api/admin/shard-storage").await;
    assert_eq!(storage["disk"]["models_bytes"], size, "shared bytes count once");
    assert!(storage["disk"]["total_bytes"].as_u64() >= storage["disk"]["available_bytes"].as_u64());
    assert_eq!(storage["memory"]["used_bytes"], size);
    assert_eq!(storage["models"][0]["shared_with"].as_array().unwrap().len(), 1);
    let metadata = get("/api/admin/models/a:1/metadata").await;
    assert_eq!(
        (&metadata["general"]["architecture"], &metadata["general"]["architecture_supported"]),
        (&json!("llama"), &json!(true))
    );
    assert_eq!((&metadata["model"]["vocab_size"], &metadata["tensors"]["count"]), (&json!(5), &json!(1)));
    let keys: Vec<_> = metadata["raw"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"tokenizer.ggml.model") && !keys.contains(&"tokenizer.ggml.tokens"), "{keys:?}");
    let post = async |path: &str| -> Value { node.as_admin(Method::POST, path).send().await.unwrap().json().await.unwrap() };
    let unloaded = post("/api/admin/models/a:1/unload").await;
    assert_eq!((&unloaded["status"], &unloaded["segments_removed"]), (&json!("unloaded"), &json!(1)));
    assert_eq!(unloaded["estimated_freed_mb"], size.div_ceil(1 << 20));
    assert_eq!(post("/api/admin/models/a:1/unload").await["status"], "not_loaded");
    assert_eq!(node.get_json("/api/ps").await["models"], json!([]));
    let removed: Value = node.as_admin(Method::DELETE, "/api/admin/models/a:1").send().await.unwrap().json().await.unwrap();
    assert_eq!((&removed["status"], &removed["shared"]), (&json!("removed"), &json!(true)));
    let again = node.as_admin(Method::DELETE, "/api/admin/models/a:1").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_kept_and_say_that_they_change_nothing_yet() {
    let node = echoing().await;
    node.import("team/a:1", 1).await;
    let put = async |what: &str, body: Value| {
        let path = format!("/api/admin/models/team%2Fa:1/{what}");
        let answer = node.as_admin(Method::PUT, &path).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, policy) = put("auto-manage", json!({"prune": true})).await;
    assert_eq!((status, &policy["auto_manage"], &policy["prune"]), (200, &json!(false), &json!(true)));
    assert_eq!((&policy["effective"], policy["reason"].is_string()), (&json!(false), true));
    assert_eq!(put("auto-manage", json!({})).await.0, 400);
    let (status, pipeline) = put("encrypted-pipeline", json!({"enabled": true})).await;
    assert_eq!((status, &pipeline["enabled"], &pipeline["ready"]), (200, &json!(true), &json!(true)));
    assert_eq!((&pipeline["source"], &pipeline["effective"]), (&json!("model"), &json!(false)));
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    let kept = node.as_admin(Method::GET, "/api/admin/models/team%2Fa:1/auto-manage").send().await.unwrap();
    assert_eq!(kept.json::<Value>().await.unwrap()["prune"], true);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescan_removes_ghosts_and_remembers_them() {
    let node = echoing().await;
    node.import("a:1", 1).await;
    node.import("b:1", 2).await;
    let rescan =
        async || -> Value { node.as_admin(Method::POST, "/api/admin/rescan-shards").send().await.unwrap().json().await.unwrap() };
    assert_eq!(rescan().await["count"], 0);
    let shown = node.post_json("/api/show", json!({"model": "a:1"})).await;
    let from = shown["modelfile"].as_str().unwrap().lines().find_map(|line| line.strip_prefix("FROM ")).unwrap().to_owned();
    std::fs::remove_file(from).unwrap();
    let report = rescan().await;
    assert_eq!(
        (&report["status"], &report["models_updated"], &report["removed"]),
        (&json!("ok"), &json!(["a:1"]), &json!(["a:1"]))
    );
    let history: Value = node.as_admin(Method::GET, "/api/admin/prune-history").send().await.unwrap().json().await.unwrap();
    assert_eq!((&history["events"][0]["reason"], &history["events"][0]["models"]), (&json!("missing_bytes"), &json!(["a:1"])));
    assert_eq!(node.get_json("/api/tags").await["models"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_loads_the_model_and_makes_it_the_default() {
    let node = echoing().await;
    node.import("a:1", 1).await;
    node.import("b:1", 2).await;
    assert_eq!(node.get_json("/model/status").await["status"], "no_model");
    let swapped = node.post_json("/model/swap", json!({"model": "a:1"})).await;
    assert_eq!((&swapped["previous"], &swapped["active"], &swapped["status"]), (&Value::Null, &json!("a:1"), &json!("ready")));
    let swapped = node.post_json("/model/swap", json!({"model": "B:1"})).await;
    assert_eq!((&swapped["previous"], &swapped["active"]), (&json!("a:1"), &json!("b:1")));
    let (status, body) = refused(&node, "/model/swap", json!({"model": "nobody"})).await;
    assert_eq!((status, &body["code"]), (404, &json!("MODEL_NOT_FOUND")));
    let state = node.get_json("/model/status").await;
    assert_eq!((&state["model"], &state["status"], &state["loaded"]), (&json!("b:1"), &json!("ready"), &json!(true)));
    let node = TestNode::in_dir(node.stop().await, "", ScriptedEngine::saying("x")).await;
    let listed = node.get_json("/model/list").await;
    let active: Vec<_> = listed.as_array().unwrap().iter().filter(|model| model["active"] == true).collect();
    assert_eq!((active.len(), &active[0]["modelId"], &active[0]["installed"]), (1, &json!("b:1"), &json!(true)));
    let discovered = node.get_json("/models").await;
    assert_eq!((&discovered["object"], discovered["data"].as_array().unwrap().len()), (&json!("list"), 2));
    node.stop().await;
}

fn run(dir: &Path, args: &[&str]) -> std::process::Output {
    kith_command(dir).args(args).stdin(std::process::Stdio::null()).output().expect("kith runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modelfile_becomes_a_model_and_the_model_a_modelfile() {
    let dir = tempfile::tempdir().unwrap();
    let node = kith_tests::Served::start(dir.path()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wide.gguf"), wide(1)).unwrap();
    let modelfile = folder.path().join("Modelfile");
    std::fs::write(
        &modelfile,
        "FROM ./wide.gguf\nSYSTEM \"\"\"Be\nbrief.\"\"\"\nPARAMETER stop \"<end>\"\nMESSAGE user Hi\nTEMPLATE {{ .Prompt }}\n",
    )
    .unwrap();
    let file = modelfile.to_str().unwrap();
    let said = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said(run(dir.path(), &["create", "mine", "-f", file, "-q", "q8_0"])), "created mine\n");
    assert_eq!(said(run(dir.path(), &["cp", "mine", "yours"])), "copied mine to yours\n");
    let shown = said(run(dir.path(), &["show", "yours", "--modelfile"]));
    assert!(shown.contains("\nSYSTEM \"\"\"Be\nbrief.\"\"\"\n"), "{shown}");
    assert!(shown.contains("\nMESSAGE user Hi\n") && shown.contains("\nPARAMETER stop <end>\n"), "{shown}");
    // What is shown makes the same model again.
    std::fs::write(&modelfile, &shown).unwrap();
    assert_eq!(said(run(dir.path(), &["create", "again", "-f", file])), "created again\n");
    let show = async |model: &str| -> Value {
        let answer = client().post(format!("{}/api/show", node.url)).json(&json!({"model": model})).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let (yours, again) = (show("yours").await, show("again").await);
    for field in ["system", "template", "parameters", "messages", "license", "details"] {
        assert_eq!(yours[field], again[field], "{field}");
    }
    assert_eq!(yours["details"]["quantization_level"], "Q8_0");
    std::fs::write(&modelfile, "FROM nobody\n").unwrap();
    let refused = run(dir.path(), &["create", "x", "-f", file]);
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("`nobody` is not in the library"));
    assert_eq!(node.terminate(), Some(0));
}
