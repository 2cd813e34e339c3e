//! New versions: only what the publisher signed, byte for byte, is ever laid ready.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kith_engine::scripted::ScriptedEngine;
use kith_keys::{Identity, KeyProvider, OsEntropy, Sealer};
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A server of these files.
async fn publish(files: Files) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let files = Arc::clone(&files);
            tokio::spawn(http1::Builder::new().serve_connection(
                TokioIo::new(socket),
                service_fn(move |request: Request<Incoming>| {
                    let found = files.lock().unwrap().get(request.uri().path()).cloned();
                    async move {
                        let status = if found.is_some() { 200 } else { 404 };
                        let body = Full::new(Bytes::from(found.unwrap_or_default()));
                        Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
                    }
                }),
            ));
        }
    });
    url
}

fn publisher(dir: &std::path::Path) -> Identity {
    let sealer = Sealer::load_or_create(dir, KeyProvider::File, Arc::new(OsEntropy)).unwrap();
    Identity::load_or_create(dir, &sealer).unwrap()
}

fn feed(signer: &Identity, version: &str, program: &[u8]) -> Value {
    let sha256 = hex::encode(Sha256::digest(program));
    let signed = format!("kith-update-v1\n{version}\n{}\n{sha256}\n", program.len());
    json!({
        "version": version, "url": "/kith.bin", "size": program.len(), "sha256": sha256, "changelog": "Better.",
        "signature": STANDARD.encode(signer.sign(signed.as_bytes())),
    })
}

async fn post(node: &TestNode, path: &str) -> (StatusCode, Value) {
    let answer = node.as_admin(Method::POST, path).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_feed_nobody_claims_to_be_up_to_date() {
    let node = TestNode::scripted(ScriptedEngine::saying("x")).await;
    for path in ["/api/admin/update/check", "/api/admin/update/apply"] {
        let (status, told) = post(&node, path).await;
        assert_eq!((status, &told["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("NOT_CONFIGURED")));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_newer_version_is_found_fetched_and_laid_ready() {
    let keys = tempfile::tempdir().unwrap();
    let signer = publisher(keys.path());
    let program = vec![7u8; 300_000];
    let files = Files::default();
    let url = publish(Arc::clone(&files)).await;
    let put = |path: &str, bytes: Vec<u8>| files.lock().unwrap().insert(path.to_owned(), bytes);
    let toml = format!("[update]\nfeed = \"{url}/feed.json\"\nkey = \"{}\"\n", hex::encode(signer.node_id().ed25519()));
    let node = TestNode::with(&toml, ScriptedEngine::saying("x")).await;

    let (status, told) = post(&node, "/api/admin/update/check").await;
    assert_eq!((status, &told["code"]), (StatusCode::BAD_GATEWAY, &json!("UPSTREAM_FAILED")), "{told}");

    put("/feed.json", feed(&signer, "0.0.1", &program).to_string().into_bytes());
    let (status, told) = post(&node, "/api/admin/update/check").await;
    assert_eq!((status, &told["update_available"]), (StatusCode::OK, &json!(false)));
    assert_eq!(post(&node, "/api/admin/update/apply").await.0, StatusCode::CONFLICT);

    put("/feed.json", feed(&signer, "99.1.0", &program).to_string().into_bytes());
    put("/kith.bin", program.clone());
    let (_, told) = post(&node, "/api/admin/update/check").await;
    assert_eq!((&told["latest_version"], &told["update_available"]), (&json!("99.1.0"), &json!(true)));
    assert_eq!((&told["changelog"], &told["size"]), (&json!("Better."), &json!(program.len())));
    let (status, told) = post(&node, "/api/admin/update/apply").await;
    assert_eq!((status, &told["status"], &told["restart_required"]), (StatusCode::OK, &json!("staged"), &json!(true)), "{told}");
    assert_eq!(std::fs::read(told["path"].as_str().unwrap()).unwrap(), program);

    // The next start takes it, once.
    let exe = node.dir.path().join("program");
    std::fs::write(&exe, "old").unwrap();
    let taken = kith_node::take_staged(node.dir.path(), &exe, &kith_node::build_info().version).unwrap();
    assert_eq!((taken.as_deref(), std::fs::read(&exe).unwrap()), (Some("99.1.0"), program));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_publisher_did_not_sign_is_refused_and_leaves_nothing() {
    let (keys, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (signer, stranger) = (publisher(keys.path()), publisher(others.path()));
    let files = Files::default();
    let url = publish(Arc::clone(&files)).await;
    let toml = format!("[update]\nfeed = \"{url}/feed.json\"\nkey = \"{}\"\n", hex::encode(signer.node_id().ed25519()));
    let node = TestNode::with(&toml, ScriptedEngine::saying("x")).await;
    let good = feed(&signer, "99.1.0", b"program");
    let with = |key: &str, value: Value| {
        let mut feed = good.clone();
        feed[key] = value;
        feed
    };
    let cases: [(&str, Value, &[u8]); 9] = [
        ("a stranger's signature", feed(&stranger, "99.1.0", b"program"), b"program"),
        ("another version", with("version", json!("99.2.0")), b"program"),
        ("another size", with("size", json!(8)), b"program1"),
        ("another digest", with("sha256", json!(hex::encode(Sha256::digest(b"evil!!!")))), b"evil!!!"),
        ("no signature", with("signature", json!("")), b"program"),
        ("other bytes", good.clone(), b"evil!!!"),
        ("more bytes", good.clone(), b"program and more"),
        ("fewer bytes", good.clone(), b"prog"),
        ("nonsense", json!([1]), b""),
    ];
    for (what, offered, program) in cases {
        files.lock().unwrap().insert("/feed.json".into(), offered.to_string().into_bytes());
        files.lock().unwrap().insert("/kith.bin".into(), program.to_vec());
        let (status, told) = post(&node, "/api/admin/update/apply").await;
        assert_eq!((status, &told["code"]), (StatusCode::BAD_GATEWAY, &json!("UPSTREAM_FAILED")), "{what}: {told}");
        let left = std::fs::read_dir(node.dir.path().join("updates")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{what}");
    }
    node.stop().await;
}
