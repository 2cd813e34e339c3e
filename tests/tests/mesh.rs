//! Private networks between real nodes: in by an invite and by nothing else, what the members know of each other, and how one is put out.

use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A node that looks for nobody by itself and listens on this machine alone.
pub const ALONE: &str = "[mesh]\nbind = [\"127.0.0.1\"]\nport = 0\ndiscovery = false\nupnp = false\n";

pub fn engine() -> ScriptedEngine {
    ScriptedEngine::new(|_| Ok("yes".to_owned()))
}

async fn node() -> TestNode {
    TestNode::with(ALONE, engine()).await
}

/// As [`ALONE`], always at the same port, so that it is found after its mesh was started anew.
async fn node_at_a_port() -> TestNode {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    TestNode::with(&ALONE.replace("port = 0", &format!("port = {port}")), engine()).await
}

pub async fn ask(node: &TestNode, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = node.as_admin(method, path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

pub async fn good(node: &TestNode, method: Method, path: &str, body: Option<Value>) -> Value {
    let (status, answer) = ask(node, method.clone(), path, body).await;
    assert!(status.is_success(), "{method} {path}: {status} {answer}");
    answer
}

/// Founds a network and goes onto it. Its id.
pub async fn found(node: &TestNode) -> String {
    let made = good(node, Method::POST, "/api/v1/networks/create", Some(json!({"name": "Home", "connect": true}))).await;
    made["id"].as_str().unwrap().to_owned()
}

pub async fn invite(node: &TestNode, network: &str, wishes: &str) -> Value {
    good(node, Method::GET, &format!("/api/v1/networks/{network}/invite{wishes}"), None).await
}

pub async fn join(node: &TestNode, url: &Value) -> (StatusCode, Value) {
    ask(node, Method::POST, "/api/v1/networks", Some(json!({"url": url, "connect": true}))).await
}

/// The peers that a node is connected to.
pub async fn peers(node: &TestNode) -> Vec<String> {
    let list = good(node, Method::GET, "/api/v1/nodes", None).await;
    let nodes = list["nodes"].as_array().unwrap().iter();
    nodes
        .filter(|node| node["is_self"] == false && node["status"] == "active")
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn epoch(node: &TestNode) -> Value {
    good(node, Method::GET, "/api/v1/networks", None).await["networks"][0]["key_epoch"].clone()
}

/// What the node tells its owner with the first event of that kind since it was started.
async fn told(node: &TestNode, kind: &str) -> Value {
    let stream = node.as_admin(Method::GET, "/api/v1/events/stream").header("last-event-id", "0");
    let mut stream = stream.send().await.unwrap();
    let mut text = String::new();
    let search = async {
        while let Some(chunk) = stream.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
            let mut events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            if let Some(event) = events.find(|event| event["type"] == kind) {
                return event["data"].clone();
            }
        }
        panic!("the events ended before {kind}");
    };
    tokio::time::timeout(SOON, search).await.unwrap()
}

pub async fn until(what: &str, patience: Duration, mut there: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !there().await {
        assert!(begun.elapsed() < patience, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

pub const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_device_joins_by_invite_and_both_know_each_other() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    let invitation = invite(&first, &network, "").await;
    assert!(invitation["url"].as_str().unwrap().starts_with("kith://join/"), "{invitation}");
    assert!(invitation["qr_svg"].as_str().unwrap().contains("<svg"));

    let begun = Instant::now();
    let (status, joined) = join(&second, &invitation["url"]).await;
    assert!(status.is_success(), "{status} {joined}");
    assert_eq!(joined["membership"], "member", "{joined}");
    let (one, two) = (first.node().node_id().to_string(), second.node().node_id().to_string());
    until("both are connected", SOON, async || peers(&first).await == [two.clone()] && peers(&second).await == [one.clone()])
        .await;
    assert!(begun.elapsed() < Duration::from_secs(5), "invite to usable in {:?}", begun.elapsed());

    // What each says of itself is known to the other.
    until("the records are exchanged", SOON, async || {
        let list = good(&first, Method::GET, "/api/v1/nodes", None).await;
        let nodes = list["nodes"].as_array().unwrap();
        nodes.iter().any(|node| node["id"] == two.as_str() && node["version"] == env!("CARGO_PKG_VERSION"))
    })
    .await;

    // The same invite lets nobody in twice.
    let third = node().await;
    let (status, refused) = join(&third, &invitation["url"]).await;
    assert!(status.is_client_error() || status == StatusCode::BAD_GATEWAY, "{status} {refused}");
    assert!(refused.to_string().contains("used already"), "{refused}");
    assert!(peers(&third).await.is_empty());
    let list = good(&third, Method::GET, "/api/v1/networks", None).await;
    assert_eq!(list["networks"], json!([]), "nothing is left of a network that did not let it in");
    for node in [first, second, third] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_was_taken_back_or_is_over_or_was_changed_lets_nobody_in() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    let taken_back = invite(&first, &network, "").await;
    let id = taken_back["id"].as_str().unwrap();
    good(&first, Method::DELETE, &format!("/api/v1/networks/{network}/invites/{id}"), None).await;
    let (status, refused) = join(&second, &taken_back["url"]).await;
    assert!(!status.is_success(), "{refused}");
    assert!(refused.to_string().contains("taken back"), "{refused}");

    let mut changed = invite(&first, &network, "").await["url"].as_str().unwrap().to_owned();
    let at = changed.len() / 2;
    let other = if changed.as_bytes()[at] == b'A' { "B" } else { "A" };
    changed.replace_range(at..=at, other);
    let (status, refused) = join(&second, &json!(changed)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    assert!(peers(&first).await.is_empty());
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_changes_under_all_who_are_there_and_one_who_is_removed_stays_outside() {
    let nodes = [node_at_a_port().await, node_at_a_port().await, node_at_a_port().await];
    let network = found(&nodes[0]).await;
    let invitation = invite(&nodes[0], &network, "?uses=2").await;
    for newcomer in &nodes[1..] {
        let (status, joined) = join(newcomer, &invitation["url"]).await;
        assert!(status.is_success(), "{status} {joined}");
    }
    until("all are connected", SOON, async || {
        peers(&nodes[0]).await.len() == 2 && peers(&nodes[1]).await.len() == 2 && peers(&nodes[2]).await.len() == 2
    })
    .await;

    let rotated = good(&nodes[0], Method::POST, &format!("/api/v1/networks/{network}/swarm-key"), None).await;
    let epoch = rotated["key_epoch"].as_u64().unwrap();
    assert_eq!(epoch, 1, "the first key has the number 0: {rotated}");
    until("all are connected with the new key", SOON, async || {
        for node in &nodes {
            let list = good(node, Method::GET, "/api/v1/networks", None).await;
            if list["networks"][0]["key_epoch"] != epoch || peers(node).await.len() != 2 {
                return false;
            }
        }
        true
    })
    .await;

    let out = nodes[2].node().node_id().to_string();
    good(&nodes[0], Method::DELETE, &format!("/api/v1/networks/{network}/members/{out}"), None).await;
    until("the others are among themselves", SOON, async || {
        peers(&nodes[0]).await.len() == 1 && peers(&nodes[1]).await.len() == 1 && peers(&nodes[2]).await.is_empty()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(peers(&nodes[2]).await.is_empty());
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_away_while_the_key_changed_twice_comes_in_by_itself() {
    let (first, second, away) = (node_at_a_port().await, node_at_a_port().await, node().await);
    let network = found(&first).await;
    let invitation = invite(&first, &network, "?uses=2").await;
    for newcomer in [&second, &away] {
        let (status, joined) = join(newcomer, &invitation["url"]).await;
        assert!(status.is_success(), "{status} {joined}");
    }
    until("all are connected", SOON, async || {
        peers(&first).await.len() == 2 && peers(&second).await.len() == 2 && peers(&away).await.len() == 2
    })
    .await;
    let dir = away.stop().await;
    until("it is away", SOON, async || peers(&first).await.len() == 1 && peers(&second).await.len() == 1).await;

    for changed in [1, 2] {
        let rotated = good(&first, Method::POST, &format!("/api/v1/networks/{network}/swarm-key"), None).await;
        assert_eq!(rotated["key_epoch"], changed, "{rotated}");
        until("the two have the new key", SOON, async || {
            epoch(&second).await == changed && peers(&first).await.len() == 1 && peers(&second).await.len() == 1
        })
        .await;
    }

    let back = TestNode::in_dir(dir, ALONE, engine()).await;
    until("it is back with the present key", SOON, async || {
        epoch(&back).await == 2
            && peers(&back).await.len() == 2
            && peers(&first).await.len() == 2
            && peers(&second).await.len() == 2
    })
    .await;
    for node in [first, second, back] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_removed_while_it_was_away_stays_outside_and_is_told_so() {
    let (first, second, away) = (node_at_a_port().await, node_at_a_port().await, node().await);
    let network = found(&first).await;
    let invitation = invite(&first, &network, "?uses=2").await;
    for newcomer in [&second, &away] {
        let (status, joined) = join(newcomer, &invitation["url"]).await;
        assert!(status.is_success(), "{status} {joined}");
    }
    until("all are connected", SOON, async || {
        peers(&first).await.len() == 2 && peers(&second).await.len() == 2 && peers(&away).await.len() == 2
    })
    .await;
    let out = away.node().node_id().to_string();
    let dir = away.stop().await;
    good(&first, Method::DELETE, &format!("/api/v1/networks/{network}/members/{out}"), None).await;
    until("the two have the new key", SOON, async || {
        epoch(&second).await == 1 && peers(&first).await.len() == 1 && peers(&second).await.len() == 1
    })
    .await;

    let back = TestNode::in_dir(dir, ALONE, engine()).await;
    let refused = told(&back, "mesh.refused_by_peer").await;
    assert_eq!(refused["code"], "removed", "{refused}");
    assert!(!refused["reason"].as_str().unwrap().is_empty(), "{refused}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(epoch(&back).await, 0, "it was not given the new key");
    assert!(peers(&back).await.is_empty());
    assert!(!peers(&first).await.contains(&out) && !peers(&second).await.contains(&out));
    for node in [first, second, back] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_between_two_nodes_is_measured_and_its_history_kept() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    let invitation = invite(&first, &network, "").await;
    let (status, joined) = join(&second, &invitation["url"]).await;
    assert!(status.is_success(), "{status} {joined}");
    let peer = second.node().node_id().to_string();
    until("they are connected", SOON, async || peers(&first).await.len() == 1).await;
    let measured = good(&first, Method::POST, &format!("/api/v1/network/speedtest/{peer}"), None).await;
    let text = measured.to_string();
    let history = good(&first, Method::GET, &format!("/api/v1/network/speedtest/{peer}/history"), None).await;
    assert!(history.to_string().contains(&measured["ts_ms"].to_string()), "{text} {history}");
    let (status, _) = ask(&first, Method::POST, &format!("/api/v1/network/speedtest/{network}"), None).await;
    assert!(status.is_client_error());
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_gone_onto_again_after_a_restart_and_left_when_told() {
    let (first, second) = (node().await, node().await);
    let network = found(&first).await;
    let invitation = invite(&first, &network, "").await;
    let (status, joined) = join(&second, &invitation["url"]).await;
    assert!(status.is_success(), "{status} {joined}");
    let second = TestNode::in_dir(second.stop().await, ALONE, engine()).await;
    until("the restarted one is back", SOON, async || peers(&first).await.len() == 1 && peers(&second).await.len() == 1).await;

    let (status, refused) = ask(&second, Method::DELETE, &format!("/api/v1/networks/{network}"), None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    good(&second, Method::POST, "/api/v1/networks/disconnect", None).await;
    until("it is away", SOON, async || peers(&first).await.is_empty()).await;
    assert!(second.http.get(format!("{}/health", second.url)).send().await.unwrap().status().is_success());
    good(&second, Method::POST, &format!("/api/v1/networks/{network}/connect"), None).await;
    until("it is back", SOON, async || peers(&first).await.len() == 1).await;
    first.stop().await;
    second.stop().await;
}
