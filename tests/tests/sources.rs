//! Models from elsewhere, through the API and the program: pull, push, the queue, the hub.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../crates/kith-models/tests/sources/imitation.rs"]
pub(crate) mod imitation;

use imitation::{Imitation, Reply, Seen, manifest, sha256, tree};
use kith_engine::scripted::ScriptedEngine;
use kith_models::{
    gguf::GgmlType,
    testing::{GgufBuilder, tiny_gguf},
};
use kith_tests::{Served, TestNode, client, kith_command};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};

/// A model of `mib` MiB and a little.
pub(crate) fn model(seed: u64, mib: u64) -> Vec<u8> {
    GgufBuilder::tiny(seed).tensor("blk.0.weight", &[mib << 18], GgmlType::F32, &seed.to_le_bytes()).build()
}

/// A registry that has one model under every tag; its weights are answered by `weights`.
async fn registry(bytes: &[u8], weights: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Imitation {
    let listed = manifest(&[("model", bytes), ("system", b"Be brief.")]);
    let system = sha256(b"Be brief.");
    Imitation::start(move |seen, before| match seen.path() {
        path if path.contains("/manifests/missing") => Reply::status(404),
        path if path.contains("/manifests/") => Reply::json(&listed),
        path if path.ends_with(&system) => Reply::whole(b"Be brief."),
        _ => weights(seen, before),
    })
    .await
}

fn config(key: &str, server: &Imitation) -> String {
    format!("[sources]\n{key} = \"{}\"\n", server.url)
}

async fn lines(node: &TestNode, body: Value) -> Vec<Value> {
    let answer = node.post("/api/pull", body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_streams_what_ollamas_clients_expect_and_the_model_is_there() {
    let bytes = model(1, 1);
    let (file, digest) = (bytes.clone(), sha256(&bytes));
    let server = registry(&bytes, move |seen, _| Reply::file(seen, &file)).await;
    let node = TestNode::with(&config("registry", &server), ScriptedEngine::saying("yes")).await;
    assert_eq!(node.get_json("/model/pull/progress").await, json!({"status": "idle"}));
    let lines = lines(&node, json!({"model": "smollm2:135m"})).await;
    let statuses: Vec<&str> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(statuses[0], "pulling manifest");
    assert_eq!(statuses[statuses.len() - 3..], ["verifying sha256 digest", "writing manifest", "success"]);
    let weights: Vec<&Value> = lines.iter().filter(|line| line["digest"] == format!("sha256:{digest}")).collect();
    let last = weights.last().unwrap();
    assert_eq!(last["status"], format!("pulling {}", &digest[..12]));
    assert_eq!((last["total"].as_u64(), last["completed"].as_u64()), (Some(bytes.len() as u64), Some(bytes.len() as u64)));
    assert_eq!(lines.last().unwrap(), &json!({"status": "success"}));

    let shown = node.post_json("/api/show", json!({"model": "smollm2:135m"})).await;
    assert_eq!(shown["system"], "Be brief.");
    let whole = node.post_json("/api/pull", json!({"name": "smollm2:135m", "stream": false})).await;
    assert_eq!(whole, json!({"status": "success"}));
    assert_eq!(server.seen_at(&digest).len(), 1, "what is there is not fetched again");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_a_line_of_a_stream_and_a_status_without_one() {
    let bytes = model(2, 1);
    let server = registry(&bytes, |seen, _| Reply::file(seen, b"other bytes, of no length announced")).await;
    let node = TestNode::with(&config("registry", &server), ScriptedEngine::saying("yes")).await;
    let told = lines(&node, json!({"model": "acme/tiny:missing"})).await;
    assert_eq!(told.last().unwrap()["code"], "MODEL_NOT_FOUND");
    assert!(told.last().unwrap()["error"].as_str().unwrap().contains("does not exist"));
    for (body, status, code) in [
        (json!({"model": "acme/tiny:missing", "stream": false}), 404, "MODEL_NOT_FOUND"),
        (json!({"model": "acme/tiny", "stream": false}), 502, "SOURCE_FAILED"),
        (json!({"model": "../x"}), 400, "INVALID_REQUEST"),
        (json!({}), 400, "INVALID_REQUEST"),
        (json!({"model": "http://registry.invalid/a/b", "stream": false}), 400, "INVALID_REQUEST"),
    ] {
        let answer = node.post("/api/pull", body.clone()).await;
        assert_eq!(answer.status().as_u16(), status, "{body}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{body}");
    }
    let progress = node.get_json("/model/pull/progress").await;
    assert_eq!(progress["status"], "error");
    assert!(progress["error"].is_string());
    assert_eq!(node.get_json("/api/tags").await["models"], json!([]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_larger_than_the_disk_is_507_before_it_is_fetched() {
    let layer = json!({"mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{}", "1".repeat(64)),
        "size": 1u64 << 60});
    let config_layer = json!({"mediaType": "x", "digest": format!("sha256:{}", "0".repeat(64)), "size": 2});
    let body = json!({"schemaVersion": 2, "config": config_layer, "layers": [layer]});
    let server = Imitation::start(move |_, _| Reply::json(&body)).await;
    let node = TestNode::with(&config("registry", &server), ScriptedEngine::saying("yes")).await;
    let answer = node.post("/api/pull", json!({"model": "huge", "stream": false})).await;
    assert_eq!(answer.status(), StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "STORAGE_FULL");
    assert_eq!(server.seen().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_seen_and_a_download_in_it_cancelled() {
    let bytes = model(3, 4);
    let file = bytes.clone();
    let server = registry(&bytes, move |seen, _| Reply::file(seen, &file).pause(3 << 20, Duration::from_secs(60))).await;
    let node = TestNode::with(&config("registry", &server), ScriptedEngine::saying("yes")).await;
    let asked = |method: Method, path: &str| {
        let request = node.as_admin(method, path);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let added = asked(Method::POST, "/api/admin/models/acme%2Ftiny/add").await;
    assert_eq!(added, json!({"status": "downloading", "model_id": "acme-tiny-latest", "model": "acme/tiny:latest"}));
    let status = loop {
        let status = asked(Method::GET, "/api/admin/models/acme-tiny-latest/status").await;
        if status["completed_bytes"].as_u64().unwrap() >= 3 << 20 {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&status["status"], &status["model"]), (&json!("downloading"), &json!("acme/tiny:latest")));
    assert_eq!(status["shards"][0]["digest"], format!("sha256:{}", sha256(&bytes)));
    assert!(status["source"].as_str().unwrap().ends_with("/acme/tiny:latest"));
    let progress = node.get_json("/model/pull/progress").await;
    assert_eq!((&progress["status"], &progress["model"]), (&json!("pulling"), &json!("acme/tiny:latest")));
    assert!((50..100).contains(&progress["progressPct"].as_u64().unwrap()), "{progress}");
    let list = asked(Method::GET, "/api/admin/downloads").await;
    assert_eq!(list["downloads"].as_array().unwrap().len(), 1);
    let cancelled = asked(Method::POST, "/api/admin/downloads/acme-tiny-latest/cancel").await;
    assert_eq!(cancelled["status"], "cancelled");
    while asked(Method::GET, "/api/admin/downloads").await["downloads"][0]["status"] != "cancelled" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(asked(Method::POST, "/api/admin/downloads/acme-tiny-latest/cancel").await["code"], "NOT_FOUND");
    assert_eq!(asked(Method::GET, "/api/admin/models/nothing/status").await["code"], "MODEL_NOT_FOUND");
    node.import("mine:1", 1).await;
    assert_eq!(asked(Method::POST, "/api/admin/models/mine:1/add").await["status"], "already_local");
    assert_eq!(asked(Method::GET, "/api/admin/models/mine-1/status").await["status"], "ready");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_is_searched_probed_and_fetched_from() {
    let bytes = tiny_gguf(4);
    let server = Imitation::start(move |seen, _| match seen.path() {
        "/api/models" => Reply::json(&json!([{"id": "acme/tiny", "downloads": 5, "likes": 1}])),
        "/api/models/acme/tiny/tree/main" => tree(&[("tiny.Q4_K_M.gguf", &bytes)]),
        "/acme/tiny/resolve/main/tiny.Q4_K_M.gguf" => Reply::file(seen, &bytes),
        _ => Reply::status(404),
    })
    .await;
    let node = TestNode::with(&config("hf_endpoint", &server), ScriptedEngine::saying("yes")).await;
    let get = |path: &'static str| {
        let request = node.as_admin(Method::GET, path);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let found = get("/api/admin/hf/search?query=tiny").await;
    assert_eq!(found[0]["repo_id"], "acme/tiny");
    assert_eq!((&found[0]["recommended_variant"], &found[0]["fits_vram"]), (&json!("Q4_K_M"), &json!(true)));
    assert_eq!(found[0]["variants"][0]["filename"], "tiny.Q4_K_M.gguf");
    assert_eq!(get("/api/admin/hf/search?query=").await["code"], "INVALID_REQUEST");
    assert_eq!(get("/api/admin/hf/search").await["code"], "INVALID_REQUEST");

    let probe = get("/api/admin/hf/probe?repo_id=acme/tiny&filename=tiny.Q4_K_M.gguf").await;
    assert_eq!((&probe["architecture"], &probe["num_layers"], &probe["shard_count"]), (&json!("llama"), &json!(1), &json!(1)));
    assert_eq!(probe["shards"][0]["layer_range"], json!([0, 0]));
    assert_eq!(get("/api/admin/hf/probe?repo_id=acme/tiny&filename=no.gguf").await["code"], "MODEL_NOT_FOUND");

    let download = |body: Value| {
        let request = node.as_admin(Method::POST, "/api/admin/hf/download-shards").json(&body);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let file = json!({"repo_id": "acme/tiny", "filename": "tiny.Q4_K_M.gguf"});
    let with = |key: &str, value: Value| {
        let mut body = file.clone();
        body[key] = value;
        body
    };
    assert_eq!(download(with("peer_fair_share", json!(true))).await["code"], "INVALID_MODEL_FILE");
    assert_eq!(download(with("shards", json!([3]))).await["code"], "INVALID_REQUEST");
    let begun = download(with("shards", json!([0]))).await;
    assert_eq!(begun["model_id"], probe["model_id"]);
    while get("/api/admin/models/hf-co-acme-tiny-q4-k-m/status").await["status"] != "ready" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let source = get("/api/admin/hf/source/hf-co-acme-tiny-q4-k-m").await;
    assert_eq!((&source["repo_id"], &source["filename"]), (&json!("acme/tiny"), &json!("tiny.Q4_K_M.gguf")));
    assert_eq!(get("/api/admin/hf/source/nothing").await["code"], "MODEL_NOT_FOUND");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_pull_and_the_next_one_goes_on_from_there() {
    let bytes = model(5, 4);
    let file = bytes.clone();
    let server = registry(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).pause(3 << 20, Duration::from_secs(60)),
        _ => Reply::file(seen, &file),
    })
    .await;
    let node = TestNode::with(&config("registry", &server), ScriptedEngine::saying("yes")).await;
    let mut answer = node.post("/api/pull", json!({"model": "acme/tiny"})).await;
    let mut text = String::new();
    while !text.contains(&format!("\"completed\":{}", 3 << 20)) {
        text += std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap();
    }
    drop(answer);
    let list = async || {
        let request = node.as_admin(Method::GET, "/api/admin/downloads");
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    while list().await["downloads"][0]["status"] != "cancelled" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lines(&node, json!({"model": "acme/tiny"})).await.last().unwrap()["status"], "success");
    let froms: Vec<_> = server.seen_at(&sha256(&bytes)).iter().map(Seen::from).collect();
    assert!(froms.len() == 2 && froms[1].is_some_and(|from| from >= 2 << 20), "{froms:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_streams_its_own_words() {
    let server = Imitation::start(|seen, _| match seen.method.as_str() {
        "POST" => Reply::status(202).with("location", "/v2/up/1"),
        "HEAD" => Reply::status(404),
        "PATCH" => Reply::status(202),
        _ => Reply::status(201),
    })
    .await;
    let node = TestNode::with(&config("registry", &server), ScriptedEngine::saying("yes")).await;
    node.import("acme/tiny:v1", 1).await;
    let answer = node.post("/api/push", json!({"model": "acme/tiny:v1"})).await;
    let text = answer.text().await.unwrap();
    let statuses: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].as_str().unwrap_or("error").to_owned())
        .collect();
    assert_eq!(statuses[0], "retrieving manifest", "{text}");
    assert!(statuses.iter().any(|status| status.starts_with("pushing ")), "{text}");
    assert_eq!(statuses[statuses.len() - 2..], ["pushing manifest", "success"], "{text}");
    let put = server.seen().into_iter().find(|seen| seen.method == "PUT" && seen.target.contains("/manifests/v1")).unwrap();
    let manifest: Value = serde_json::from_slice(&put.body).unwrap();
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.ollama.image.model");
    let missing = node.post("/api/push", json!({"model": "acme/none", "stream": false})).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    node.stop().await;
}

/// The program's own node on this folder.
async fn served(dir: &Path, server: &Imitation) -> Served {
    std::fs::write(dir.join("config.toml"), config("registry", server)).unwrap();
    Served::start(dir).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_in_a_pull_loses_nothing_that_had_come_and_shows_nothing_half_made() {
    let bytes = model(6, 4);
    let file = bytes.clone();
    let server = registry(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).pause(3 << 20, Duration::from_secs(60)),
        _ => Reply::file(seen, &file),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let node = served(dir.path(), &server).await;
    let http = client();
    let mut answer = http.post(format!("{}/api/pull", node.url)).json(&json!({"model": "acme/tiny"})).send().await.unwrap();
    let mut text = String::new();
    while !text.contains(&format!("\"completed\":{}", 3 << 20)) {
        text += std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap();
    }
    node.kill();
    let node = served(dir.path(), &server).await;
    let tags: Value = http.get(format!("{}/api/tags", node.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(tags["models"], json!([]));
    drop(node);
    // The program starts a node of its own, and fetches the rest.
    let pulled = kith_command(dir.path()).args(["pull", "acme/tiny", "--json"]).stdin(Stdio::null()).output().expect("kith runs");
    assert!(pulled.status.success(), "{pulled:?}");
    let said: Value = serde_json::from_slice(&pulled.stdout).unwrap();
    assert_eq!((&said["status"], &said["model"]), (&json!("success"), &json!("acme/tiny")));
    let froms: Vec<_> = server.seen_at(&sha256(&bytes)).iter().map(Seen::from).collect();
    assert!(froms.len() == 2 && froms[1].is_some_and(|from| from >= 2 << 20), "{froms:?}");
    let refused = kith_command(dir.path()).args(["pull", "acme/tiny:missing"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not exist"), "{refused:?}");
    assert!(kith_command(dir.path()).args(["stop", "--node"]).output().unwrap().status.success());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_pull_of_the_program_cancels_the_download() {
    let bytes = model(7, 4);
    let file = bytes.clone();
    let server = registry(&bytes, move |seen, _| Reply::file(seen, &file).pause(3 << 20, Duration::from_secs(60))).await;
    let dir = tempfile::tempdir().unwrap();
    let node = served(dir.path(), &server).await;
    let mut pull = kith_command(dir.path())
        .args(["pull", "acme/tiny"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("kith runs");
    let http = client();
    let token = kith_tests::admin_token(dir.path());
    let status = async || -> Value {
        let request = http.get(format!("{}/api/admin/downloads", node.url)).header("x-kith-admin-token", &token);
        request.send().await.unwrap().json::<Value>().await.unwrap()["downloads"][0]["status"].clone()
    };
    while status().await != "downloading" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &pull.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(pull.wait().unwrap().code(), Some(130));
    while status().await != "cancelled" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(node.terminate(), Some(0));
}
