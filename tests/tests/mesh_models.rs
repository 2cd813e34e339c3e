//! Models between real nodes of one network: they come from members before the internet, and nothing but what was asked for comes.

use crate::mesh::{ALONE, SOON, ask, engine, found, good, invite, join, peers, until};
use kith_models::{gguf::GgmlType, testing::GgufBuilder};
use kith_store::Store;
use kith_tests::TestNode;
use kith_types::Sha256;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Digest;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// Nobody listens where hub and registry are said to be: what comes, comes from members.
fn config(more: &str) -> String {
    format!("{ALONE}{more}\n[sources]\nhf_endpoint = \"http://127.0.0.1:9\"\nregistry = \"http://127.0.0.1:9\"\n")
}

async fn node() -> TestNode {
    TestNode::with(&config(""), engine()).await
}

async fn again(dir: TempDir, more: &str) -> TestNode {
    TestNode::in_dir(dir, &config(more), engine()).await
}

/// A model of so many MiB and a little; another for each seed.
fn model(seed: u64, mib: u64) -> Vec<u8> {
    GgufBuilder::tiny(seed).tensor("blk.0.weight", &[mib << 18], GgmlType::F32, &seed.to_le_bytes()).build()
}

fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// Takes these into the network of `first`, and waits until all are connected with all.
async fn gather(first: &TestNode, network: &str, newcomers: &[&TestNode]) {
    for newcomer in newcomers {
        let invitation = invite(first, network, "").await;
        let (status, joined) = join(newcomer, &invitation["url"]).await;
        assert!(status.is_success(), "{status} {joined}");
    }
    connected(newcomers, newcomers.len()).await;
}

async fn connected(nodes: &[&TestNode], others: usize) {
    until("all are connected", SOON, async || {
        for node in nodes {
            if peers(node).await.len() < others {
                return false;
            }
        }
        true
    })
    .await;
}

async fn pull(node: &TestNode, name: &str) {
    let (status, answer) = ask(node, Method::POST, "/api/pull", Some(json!({"model": name, "stream": false}))).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("success")), "{answer}");
}

/// Begins to fetch a model and does not wait for it.
async fn begin(node: &TestNode, id: &str) {
    let begun = good(node, Method::POST, &format!("/api/admin/models/{id}/add"), None).await;
    assert_eq!(begun["status"], "downloading", "{begun}");
}

/// The download that was asked for last, or runs.
async fn download(node: &TestNode) -> Value {
    good(node, Method::GET, "/api/admin/downloads", None).await["downloads"][0].clone()
}

/// Waits until so many bytes are there; how many that are.
async fn came(node: &TestNode, bytes: u64) -> u64 {
    let mut there = 0;
    until("enough bytes came", Duration::from_secs(60), async || {
        let item = download(node).await;
        assert_ne!(item["status"], "failed", "{item}");
        there = item["completed_bytes"].as_u64().unwrap_or(0);
        there >= bytes
    })
    .await;
    there
}

async fn events(node: &TestNode, kind: &str) -> Vec<Value> {
    let list = good(node, Method::GET, &format!("/api/v1/audit?types={kind}"), None).await;
    list["events"].as_array().unwrap().iter().map(|event| event["data"].clone()).collect()
}

/// The files that hold a node's blobs.
fn blobs(dir: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(dir.join("blobs/b3")).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
}

fn holds(node: &TestNode, bytes: &[u8]) -> bool {
    blobs(node.dir.path()).iter().any(|path| fs::read(path).is_ok_and(|there| there == bytes))
}

async fn stop(nodes: impl IntoIterator<Item = TestNode>) {
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_pulled_by_its_name_from_a_member_without_any_internet() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    gather(&first, &network, &[&second]).await;
    let bytes = model(1, 4);
    first.import_bytes("base:1b", &bytes).await;
    let brief = json!({"model": "brief:1b", "from": "base:1b", "system": "Be brief.", "parameters": {"temperature": 0.25}, "stream": false});
    first.post_json("/api/create", brief).await;

    pull(&second, "brief:1b").await;
    assert!(holds(&second, &bytes));
    let item = download(&second).await;
    assert!(item["source"].as_str().unwrap().starts_with("peer "), "{item}");
    assert_eq!((&item["completed_bytes"], &item["status"]), (&json!(bytes.len()), &json!("completed")));
    let shown = second.post_json("/api/show", json!({"model": "brief:1b"})).await;
    assert_eq!(shown["system"], "Be brief.", "{shown}");
    assert!(shown["parameters"].as_str().unwrap().contains("0.25"), "{shown}");

    // What no member has is asked of the internet, as without a network.
    begin(&second, "other:1b").await;
    until("the internet is asked", SOON, async || download(&second).await["retries"].as_u64() > Some(0)).await;
    good(&second, Method::POST, "/api/admin/downloads/other:1b/cancel", None).await;
    stop([first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_fetched_from_a_member_and_is_local_from_then_on() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    gather(&first, &network, &[&second]).await;
    let bytes = model(1, 4);
    first.import_bytes("base:1b", &bytes).await;
    let shard = "/api/admin/models/base:1b/shards/0/download";
    let begun = good(&second, Method::POST, shard, None).await;
    assert_eq!((&begun["status"], &begun["source"]), (&json!("downloading"), &json!("p2p")), "{begun}");
    assert!(begun["peer"].as_str().is_some_and(|peer| !peer.is_empty()), "{begun}");
    until("it is there", SOON, async || download(&second).await["status"] == "completed").await;
    assert!(holds(&second, &bytes));
    assert_eq!(good(&second, Method::POST, shard, None).await["status"], "already_local");
    let (status, nowhere) = ask(&second, Method::POST, "/api/admin/models/other:1b/shards/0/download", None).await;
    assert_eq!((status, &nowhere["field"]), (StatusCode::BAD_REQUEST, &json!("id")), "{nowhere}");
    stop([first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_not_given_and_the_sound_one_of_another_member_is() {
    let (first, second, third) = (node().await, node().await, node().await);
    let network = found(&first).await;
    gather(&first, &network, &[&second, &third]).await;
    let bytes = model(2, 24);
    first.import_bytes("tiny:1b", &bytes).await;
    second.import_bytes("tiny:1b", &bytes).await;
    let [path] = <[PathBuf; 1]>::try_from(blobs(second.dir.path())).unwrap();
    let mut damaged = bytes.clone();
    for byte in damaged.iter_mut().step_by(512 << 10) {
        *byte ^= 1;
    }
    // In its place, as a failing disk does it.
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file in a test's own folder")]
    permissions.set_readonly(false);
    fs::set_permissions(&path, permissions).unwrap();
    fs::write(&path, &damaged).unwrap();

    pull(&third, "tiny:1b").await;
    assert!(holds(&third, &bytes));
    until("the damage is told where it is", SOON, async || !events(&second, "blobs.damaged").await.is_empty()).await;
    assert!(events(&third, "blobs.false_content").await.is_empty(), "not one false byte was sent");
    stop([first, second, third]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_gives_other_bytes_for_a_digest_is_found_and_reported_and_another_gives_the_right_ones() {
    let (bytes, others) = (model(3, 8), model(4, 8));
    assert_eq!(bytes.len(), others.len());
    let (honest, liar, third) = (node().await, node().await, node().await);
    let network = found(&third).await;
    gather(&third, &network, &[&liar]).await;
    liar.import_bytes("tiny:1b", &others).await;
    let dir = liar.stop().await;
    let store = Store::open(&dir.path().join("kith.db")).await.unwrap();
    let mut row = store.models().await.unwrap().remove(0);
    row.sha256 = sha256(&bytes);
    store.model_put(&row).await.unwrap();
    store.close().await;
    let liar = again(dir, "").await;
    connected(&[&third, &liar], 1).await;

    begin(&third, "tiny:1b").await;
    until("it is found", SOON, async || !events(&third, "blobs.false_content").await.is_empty()).await;
    let found = events(&third, "blobs.false_content").await.remove(0);
    assert_eq!((&found["node"], &found["sha256"]), (&json!(liar.node().node_id()), &json!(sha256(&bytes))), "{found}");
    good(&third, Method::POST, "/api/admin/downloads/tiny:1b/cancel", None).await;
    assert!(!holds(&third, &others), "what it gave is not kept");

    honest.import_bytes("tiny:1b", &bytes).await;
    let invitation = invite(&third, &network, "").await;
    let (status, joined) = join(&honest, &invitation["url"]).await;
    assert!(status.is_success(), "{status} {joined}");
    connected(&[&third], 2).await;
    pull(&third, "tiny:1b").await;
    assert!(holds(&third, &bytes) && !holds(&third, &others));
    stop([honest, liar, third]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_from_a_member_is_cancelled_and_outlives_a_restart_in_its_middle() {
    let first = node().await;
    let second = TestNode::with(&config("download_kib_s = 2048\n"), engine()).await;
    let network = found(&first).await;
    gather(&first, &network, &[&second]).await;
    let bytes = model(5, 32);
    first.import_bytes("tiny:1b", &bytes).await;

    begin(&second, "tiny:1b").await;
    came(&second, 1 << 20).await;
    good(&second, Method::POST, "/api/admin/downloads/tiny:1b/cancel", None).await;
    until("it is cancelled", SOON, async || download(&second).await["status"] == "cancelled").await;
    assert!(!holds(&second, &bytes));

    // Long enough for some of it to be sure to outlive the process.
    begin(&second, "tiny:1b").await;
    came(&second, 16 << 20).await;
    let second = again(second.stop().await, "download_kib_s = 1024\n").await;
    connected(&[&second], 1).await;
    begin(&second, "tiny:1b").await;
    let there = came(&second, 1).await;
    assert!(there >= 6 << 20, "only {there} bytes outlived the restart");
    // A limit that is lifted is lifted at once.
    good(&second, Method::PUT, "/api/admin/config", Some(json!({"mesh": {"download_kib_s": 0}}))).await;
    until("it is there", SOON, async || download(&second).await["status"] == "completed").await;
    assert!(holds(&second, &bytes));
    stop([first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_metered_connection_nothing_is_given() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    gather(&first, &network, &[&second]).await;
    let bytes = model(6, 1);
    first.import_bytes("tiny:1b", &bytes).await;
    good(&first, Method::PUT, "/api/v1/profile", Some(json!({"metered": true}))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    begin(&second, "tiny:1b").await;
    // Nobody gives it, so the internet is asked, which is not there.
    until("the internet is asked", SOON, async || download(&second).await["retries"].as_u64() > Some(0)).await;
    good(&second, Method::POST, "/api/admin/downloads/tiny:1b/cancel", None).await;
    assert!(!holds(&second, &bytes));

    good(&first, Method::PUT, "/api/v1/profile", Some(json!({"metered": false}))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    pull(&second, "tiny:1b").await;
    assert!(holds(&second, &bytes));
    stop([first, second]).await;
}
