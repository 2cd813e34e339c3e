//! How a node stands in its networks when something goes wrong on the way: nobody answers, the port is taken, whoever asked leaves.

use crate::mesh::{ALONE, SOON, ask, engine, found, good, invite, join, peers, until};
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Always at the same port, so that it is found after its mesh was started anew.
async fn node(more: &str) -> TestNode {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = ALONE.replace("port = 0", &format!("port = {port}"));
    TestNode::with(&format!("{config}{more}"), engine()).await
}

async fn networks(node: &TestNode) -> Vec<Value> {
    good(node, Method::GET, "/api/v1/networks", None).await["networks"].as_array().unwrap().clone()
}

/// Two nodes in one network, whose id is told.
async fn two(more: &str) -> (TestNode, TestNode, String) {
    let (first, second) = (node("").await, node(more).await);
    let network = found(&first).await;
    let invitation = invite(&first, &network, "").await;
    let (status, joined) = join(&second, &invitation["url"]).await;
    assert!(status.is_success(), "{status} {joined}");
    until("they are connected", SOON, async || peers(&first).await.len() == 1 && peers(&second).await.len() == 1).await;
    (first, second, network)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_nobody_answers_leaves_the_node_on_the_network_where_it_was() {
    let (first, second) = (node("").await, node("").await);
    let gone = found(&first).await;
    let invitation = invite(&first, &gone, "").await;
    first.stop().await;
    let own = found(&second).await;
    let (status, refused) = join(&second, &invitation["url"]).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{refused}");
    assert!(refused.to_string().contains("not kept"), "{refused}");
    let left = networks(&second).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0]["id"].as_str(), &left[0]["state"]), (Some(own.as_str()), &json!("connected")));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_whose_asker_has_left_ends_all_the_same() {
    let (first, second) = (node("").await, node("").await);
    let network = found(&first).await;
    found(&second).await;
    let invitation = invite(&first, &network, "").await;
    let request = second.as_admin(Method::POST, "/api/v1/networks").json(&json!({"url": invitation["url"], "connect": true}));
    // Less than any join takes.
    request.timeout(Duration::from_millis(60)).send().await.ok();
    until("it is in", SOON, async || peers(&second).await.len() == 1 && peers(&first).await.len() == 1).await;
    let joined = networks(&second).await.into_iter().find(|known| known["id"] == network.as_str()).unwrap();
    assert_eq!((&joined["membership"], &joined["state"]), (&json!("member"), &json!("connected")));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_key_is_carried_out_although_whoever_asked_has_left() {
    let (first, second, network) = two("").await;
    let path = format!("/api/v1/networks/{network}/swarm-key");
    for after in [1, 3, 10] {
        let request = first.as_admin(Method::POST, &path).timeout(Duration::from_millis(after));
        request.send().await.ok();
    }
    // The last one is waited for: by then those before it have begun, if they were heard at all.
    let rotated = good(&first, Method::POST, &path, None).await;
    let epoch = rotated["key_epoch"].as_u64().unwrap();
    assert!((1..=4).contains(&epoch), "{rotated}");
    until("both go by the same key", SOON, async || {
        let (one, two) = (networks(&first).await, networks(&second).await);
        one[0]["key_id"] == two[0]["key_id"] && peers(&first).await.len() == 1 && peers(&second).await.len() == 1
    })
    .await;
    // And meet under it, not under one that the other merely still understands.
    let stayed = until("they stay", SOON, async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        peers(&first).await.len() == 1 && peers(&second).await.len() == 1
    });
    stayed.await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_took_a_new_key_is_counted_and_nobody_else() {
    let (first, second, network) = two("").await;
    let path = format!("/api/v1/networks/{network}/swarm-key");
    let rotated = good(&first, Method::POST, &path, None).await;
    assert_eq!((&rotated["sealed_to"], &rotated["told"]), (&json!(1), &json!(1)), "{rotated}");
    second.stop().await;
    until("it is away", SOON, async || peers(&first).await.is_empty()).await;
    let rotated = good(&first, Method::POST, &path, None).await;
    assert_eq!((&rotated["sealed_to"], &rotated["told"]), (&json!(1), &json!(0)), "{rotated}");
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_could_not_be_connected_is_connected_once_it_can_be() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let node = TestNode::with(&ALONE.replace("port = 0", &format!("port = {port}")), engine()).await;
    let order = json!({"name": "Home", "connect": true});
    let (status, refused) = ask(&node, Method::POST, "/api/v1/networks/create", Some(order)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{refused}");
    assert_eq!(networks(&node).await[0]["state"], "connecting");
    drop(taken);
    until("it is connected by itself", SOON, async || networks(&node).await[0]["state"] == "connected").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speed_tests_keep_to_what_their_owners_let_pass() {
    let (first, second, _) = two("upload_kib_s = 64\n").await;
    let path = format!("/api/v1/network/speedtest/{}", second.node().node_id());
    good(&second, Method::PUT, "/api/v1/profile", Some(json!({"metered": true}))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, refused) = ask(&first, Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused.to_string().contains("give nothing at this time"), "{refused}");

    good(&second, Method::PUT, "/api/v1/profile", Some(json!({"metered": false}))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let measured = good(&first, Method::POST, &path, None).await;
    let down = measured["down_bytes_per_second"].as_f64().unwrap();
    assert!((20_000.0..100_000.0).contains(&down), "a limit of 65536 bytes a second: {measured}");
    assert!(measured["up_bytes_per_second"].as_f64().unwrap() > down, "{measured}");

    let (status, refused) = ask(&first, Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused.to_string().contains("less than a minute ago"), "{refused}");
    first.stop().await;
    second.stop().await;
}
