//! Gossip: reaches everybody, stops at the first honest node, and does not drown anybody.

use crate::net::{Anything, TestNode, eventually, plan};
use kith_mesh::{Event, Fault, PublishError};
use std::{sync::Arc, time::Duration};

async fn following(seed: u8, honest: bool) -> TestNode {
    let mut node = plan(seed);
    if !honest {
        node.validation = Arc::new(Anything);
    }
    let node = node.start().await;
    node.mesh.subscribe("news").await.unwrap();
    node
}

/// The two never meet of their own accord: a line stays a line.
async fn apart(a: &TestNode, b: &TestNode) {
    a.mesh.ban(&b.id(), Duration::from_secs(60), "They are kept apart.").await;
    b.mesh.ban(&a.id(), Duration::from_secs(60), "They are kept apart.").await;
}

/// Publishes until somebody is there to hear it.
async fn publish(node: &TestNode, message: &[u8]) {
    eventually(|| async { node.mesh.publish("news", message.to_vec()).await.is_ok() }).await;
}

/// Publishes one message after the other until `far` hears one: those that come before it follows the topic are not kept for it.
async fn spread(node: &TestNode, far: &mut TestNode) -> (Vec<u8>, kith_types::NodeId) {
    for n in 0..40 {
        node.mesh.publish("news", format!("hello {n}").into_bytes()).await.ok();
        if let Ok(found) = tokio::time::timeout(Duration::from_millis(250), far.until(heard)).await {
            return found;
        }
    }
    panic!("nothing was heard");
}

fn heard(event: &Event) -> Option<(Vec<u8>, kith_types::NodeId)> {
    match event {
        Event::Gossip { topic, author, message, .. } if topic == "news" => Some((message.to_vec(), author.clone())),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_a_node_behind_another_with_its_author_s_name() {
    let (a, b, mut c) = (following(1, true).await, following(2, true).await, following(3, true).await);
    apart(&a, &c).await;
    a.connect(&b).await;
    c.connect(&b).await;
    let (_, author) = spread(&a, &mut c).await;
    assert_eq!(author, a.id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_message_stops_at_the_first_honest_node_and_a_dull_one_costs_nothing() {
    let (a, mut b, mut c) = (following(1, false).await, following(2, true).await, following(3, true).await);
    apart(&a, &c).await;
    a.connect(&b).await;
    c.connect(&b).await;
    spread(&a, &mut c).await;
    publish(&a, b"dull 1").await;
    publish(&a, b"bad 1").await;
    publish(&a, b"last").await;
    let fault = b
        .until(|event| if let Event::Misbehaved { peer, fault, .. } = event { Some((peer.clone(), *fault)) } else { None })
        .await;
    assert_eq!(fault, (a.id(), Fault::BadGossip));
    loop {
        let (message, _) = c.until(heard).await;
        assert!(!message.starts_with(b"bad") && !message.starts_with(b"dull"));
        if message == b"last" {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hands_on_bad_messages_is_cut_off() {
    let (a, mut b) = (following(1, false).await, following(2, true).await);
    a.connect(&b).await;
    publish(&a, b"bad 0").await;
    for n in 1..6 {
        a.mesh.publish("news", format!("bad {n}").into_bytes()).await.ok();
    }
    let cut_off = b.until(|event| if let Event::Misbehaved { cut_off, .. } = event { *cut_off } else { None }).await;
    assert_eq!(cut_off, Duration::from_secs(600));
    eventually(|| async { !b.is_connected_to(&a.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_cut_off_and_told_once() {
    // The flooder allows itself more than its peer does.
    let flooder = plan(1).bounds(|bounds| (bounds.gossip_rate, bounds.gossip_burst) = (100_000, 100_000)).start().await;
    let mut b = plan(2)
        .bounds(|bounds| {
            (bounds.gossip_rate, bounds.gossip_burst) = (10, 20);
            bounds.penalty_limit = 30.0;
        })
        .start()
        .await;
    for node in [&flooder, &b] {
        node.mesh.subscribe("news").await.unwrap();
    }
    flooder.connect(&b).await;
    publish(&flooder, b"first").await;
    for n in 0..200 {
        if flooder.mesh.publish("news", format!("noise {n}").into_bytes()).await.is_err() {
            break;
        }
    }
    let told =
        b.until(|event| if let Event::Misbehaved { fault, cut_off, .. } = event { Some((*fault, *cut_off)) } else { None }).await;
    assert_eq!(told, (Fault::GossipFlood, Some(Duration::from_secs(600))));
    let why = b.until(|event| if let Event::Disconnected { why, .. } = event { Some(why.clone()) } else { None }).await;
    assert_eq!(why, Fault::GossipFlood.sentence());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_published_is_bounded() {
    let node = plan(1).bounds(|bounds| (bounds.gossip_rate, bounds.gossip_burst) = (1, 3)).start().await;
    let most = 64 * 1024;
    assert_eq!(node.mesh.publish("news", vec![0; most + 1]).await, Err(PublishError::TooLarge { size: most + 1, most }));
    assert_eq!(node.mesh.publish("", vec![1]).await, Err(PublishError::Topic));
    for n in 0..3 {
        assert_eq!(node.mesh.publish("news", vec![n]).await, Err(PublishError::NoPeers));
    }
    assert_eq!(node.mesh.publish("news", vec![9]).await, Err(PublishError::TooFast));
    for n in 0..kith_mesh::bounds::MAX_TOPICS {
        node.mesh.subscribe(&n.to_string()).await.unwrap();
    }
    assert_eq!(node.mesh.subscribe("one more").await, Err(PublishError::Topic));
    node.mesh.subscribe("0").await.unwrap();
    node.mesh.unsubscribe("0").await;
    node.mesh.subscribe("one more").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_message_arrives() {
    let (a, mut b) = (following(1, true).await, following(2, true).await);
    a.connect(&b).await;
    publish(&a, &vec![7; 64 * 1024]).await;
    assert_eq!(b.until(heard).await.0.len(), 64 * 1024);
}
