//! A shard that is wanted: here already, at a neighbour, or at the hub.

use crate::testing::TestApp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn path(id: &str) -> String {
    format!("/api/admin/models/{}/shards/0/download", id.replace('/', "%2F"))
}

/// A hub whose every repository lists these files. Its address.
async fn hub(files: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (body, mut asked) = (files.to_string(), Vec::new());
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(socket.read_u8().await.unwrap());
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            socket.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_shard_is_fetched_from_a_peer_that_has_it_and_once() {
    let test = TestApp::new().await;
    test.near.has("tiny:1b", &["den", "attic"]);
    let begun = json!({
        "status": "downloading", "model_id": "tiny-1b", "model": "tiny:1b", "shard_index": 0, "source": "p2p", "peer": "den",
    });
    assert_eq!(test.good("POST", &path("tiny:1b"), None).await, begun);
    let again = test.good("POST", &path("tiny:1b"), None).await;
    assert_eq!((&again["status"], &again["model"]), (&json!("downloading"), &json!("tiny:1b")));
    let list = test.good("GET", "/api/admin/downloads", None).await;
    assert_eq!(list["downloads"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test]
async fn a_shard_that_no_peer_has_is_told_where_on_the_hub_it_is_and_nothing_is_begun() {
    let address = hub(json!([{"type": "file", "path": "tiny.Q4_K_M.gguf", "size": 5}])).await;
    let test = TestApp::with_hub(&address).await;
    let told = test.good("POST", &path("hf.co/acme/tiny:Q4_K_M"), None).await;
    let expected = json!({
        "status": "use_hf", "model_id": "hf-co-acme-tiny-q4-k-m", "model": "hf.co/acme/tiny:Q4_K_M", "shard_index": 0,
        "source": "huggingface", "repo_id": "acme/tiny", "filename": "tiny.Q4_K_M.gguf",
    });
    assert_eq!(told, expected);
    let answer = test.owner("POST", &path("hf.co/acme/tiny:Q8_0"), None).await;
    assert_eq!((answer.status.as_u16(), answer.body["field"].as_str()), (400, Some("id")), "{answer:?}");
    assert_eq!(test.good("GET", "/api/admin/downloads", None).await["downloads"], json!([]));
}

#[tokio::test]
async fn what_is_nowhere_and_what_is_no_shard_is_refused() {
    let test = TestApp::new().await;
    for (path, field) in [
        (path("tiny:1b"), Some("id")),
        (path("a/b/c/d"), Some("id")),
        ("/api/admin/models/tiny:1b/shards/1/download".to_owned(), Some("index")),
        ("/api/admin/models/tiny:1b/shards/x/download".to_owned(), None),
    ] {
        let answer = test.owner("POST", &path, None).await;
        assert_eq!((answer.status.as_u16(), answer.body["field"].as_str()), (400, field), "{path}: {answer:?}");
    }
    assert_eq!(test.bad("POST", &path("hf.co/acme/tiny"), None).await, (502, "SOURCE_FAILED".into()), "the hub is not reached");
    let user = [("authorization", format!("Bearer {}", test.user_key().await))];
    assert_eq!(test.ask("POST", &path("tiny:1b"), &user, None).await.status, 403);
}

#[tokio::test]
async fn a_model_that_is_here_is_not_fetched_whatever_peers_have() {
    let test = TestApp::new().await;
    test.import("tiny:1b").await;
    test.near.has("tiny:1b", &["den"]);
    for id in ["tiny:1b", "tiny-1b"] {
        let told = test.good("POST", &path(id), None).await;
        assert_eq!(
            (&told["status"], &told["model"], &told["shard_index"]),
            (&json!("already_local"), &json!("tiny:1b"), &json!(0))
        );
    }
    assert_eq!(test.good("GET", "/api/admin/downloads", None).await["downloads"], json!([]));
}
