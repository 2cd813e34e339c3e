//! Ways to a peer: through a relay, and what is said of it.

use crate::net::{eventually, plan};
use kith_mesh::{Event, Inbound, Path, ReachStatus, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn greeting() -> Router {
    Router::new()
        .route("/kith/greeting/1", |mut inbound: Inbound| async move {
            inbound.stream.write_all(b"hello from behind").await.ok();
            inbound.stream.shutdown().await.ok();
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_listens_nowhere_is_reached_through_a_third() {
    let mut relay = plan(1).start().await;
    let outside: kith_mesh::Address = relay.address().to_string().split("/p2p/").next().unwrap().parse().unwrap();
    relay.mesh.add_external(outside).await;
    let reach = relay.until(|event| if let Event::ReachabilityChanged(reach) = event { Some(reach.clone()) } else { None }).await;
    assert!(matches!(reach.status, ReachStatus::Local | ReachStatus::Unknown));

    let mut hidden = plan(2).router(greeting());
    hidden.config.listen.clear();
    let mut hidden = hidden.start().await;
    hidden.connect(&relay).await;
    hidden.mesh.relay_through(relay.address()).await.unwrap();
    let circuit = hidden.until(|event| match event {
        Event::Listening(address) if address.is_relayed() => Some(address.clone()),
        _ => None,
    });
    let circuit = circuit.await;
    eventually(|| async { hidden.mesh.reachability().await.unwrap().relays == [relay.id()] }).await;

    let mut caller = plan(3);
    caller.config.listen.clear();
    let mut caller = caller.start().await;
    assert_eq!(caller.mesh.dial(&circuit.with_node(&hidden.id())).await, Ok(hidden.id()));
    let relay_id = relay.id();
    let (path, why) = caller
        .until(|event| match event {
            Event::Connected { peer, path, why, .. } if *peer == hidden.id() => Some((path.clone(), why.clone())),
            _ => None,
        })
        .await;
    assert_eq!(path, Path::Relayed { by: relay_id.clone() });
    assert!(why.starts_with(&format!("Through {relay_id}")), "{why}");
    let mut stream = caller.mesh.open(&hidden.id(), "/kith/greeting/1").await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello from behind");
    let seen = hidden.mesh.peers().await.into_iter().find(|peer| peer.peer == caller.id()).unwrap();
    assert_eq!(seen.path, Path::Relayed { by: relay_id });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admission_is_asked_on_relayed_connections_too() {
    let relay = plan(1).start().await;
    let outside: kith_mesh::Address = relay.address().to_string().split("/p2p/").next().unwrap().parse().unwrap();
    relay.mesh.add_external(outside).await;
    let mut hidden = plan(2);
    hidden.config.listen.clear();
    let mut hidden = hidden.start().await;
    hidden.connect(&relay).await;
    hidden.mesh.relay_through(relay.address()).await.unwrap();
    let circuit = hidden.until(|event| match event {
        Event::Listening(address) if address.is_relayed() => Some(address.clone()),
        _ => None,
    });
    let circuit = circuit.await;
    let caller = plan(3).start().await;
    caller.connect(&relay).await;
    hidden.mesh.ban(&caller.id(), std::time::Duration::from_secs(60), "It was lost.").await;
    let refused = caller.mesh.dial(&circuit.with_node(&hidden.id())).await;
    assert!(matches!(&refused, Err(kith_mesh::DialError::Refused { code, .. }) if code == "banned"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_found_by_its_id_alone() {
    // The three are told nothing of each other: only the table of the network knows.
    let (hub, a, b) = (plan(1).start().await, plan(2).start().await, plan(3).start().await);
    a.connect(&hub).await;
    eventually(|| async { hub.mesh.peers().await.iter().any(|peer| !peer.protocols.is_empty()) }).await;
    b.connect(&hub).await;
    assert_eq!(b.mesh.dial_node(&a.id()).await, Ok(a.id()));
    let nobody = kith_types::NodeId::from_ed25519(&[9; 32]);
    assert!(b.mesh.dial_node(&nobody).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_carries_nothing_more_gives_up_the_places_and_carries_again_when_told() {
    let relay = plan(1).start().await;
    let outside: kith_mesh::Address = relay.address().to_string().split("/p2p/").next().unwrap().parse().unwrap();
    relay.mesh.add_external(outside).await;
    let mut hidden = plan(2).router(greeting());
    hidden.config.listen.clear();
    let mut hidden = hidden.start().await;
    hidden.connect(&relay).await;
    hidden.mesh.relay_through(relay.address()).await.unwrap();
    let circuit = hidden.until(|event| match event {
        Event::Listening(address) if address.is_relayed() => Some(address.clone()),
        _ => None,
    });
    let circuit = circuit.await.with_node(&hidden.id());
    let mut caller = plan(3);
    caller.config.listen.clear();
    let caller = caller.start().await;
    assert_eq!(caller.mesh.dial(&circuit).await, Ok(hidden.id()));
    let places = async || hidden.mesh.reachability().await.unwrap().relays;

    relay.mesh.carry(false).await;
    eventually(async || places().await.is_empty() && !caller.is_connected_to(&hidden.id()).await).await;
    assert!(caller.mesh.dial(&circuit).await.is_err());

    relay.mesh.carry(true).await;
    eventually(async || places().await == [relay.id()]).await;
    eventually(async || caller.mesh.dial(&circuit).await == Ok(hidden.id())).await;
    let (received, sent) = relay.mesh.bytes();
    assert!(received > 0 && sent > 0);
}
