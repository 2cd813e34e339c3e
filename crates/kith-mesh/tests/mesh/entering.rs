//! Who gets in, and what those who do not are told.

use crate::net::{eventually, plan};
use kith_mesh::{DialError, Event, Path, Refuser};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_connect_and_see_each_other_s_figures() {
    let (a, mut b) = (plan(1).start().await, plan(2).start().await);
    a.connect(&b).await;
    let a_id = a.id();
    b.until(|event| matches!(event, Event::Connected { peer, path: Path::Direct, .. } if *peer == a_id).then_some(())).await;
    eventually(|| async {
        let peers = a.mesh.peers().await;
        peers.iter().any(|peer| peer.peer == b.id() && peer.rtt.is_some() && peer.agent.is_some())
    })
    .await;
    let figures = a.mesh.peers().await.remove(0);
    assert_eq!(figures.path, Path::Direct);
    assert!(figures.why.starts_with("This node reached it at /ip4/127.0.0.1/tcp/"), "{}", figures.why);
    assert!(figures.bytes_in > 0 && figures.bytes_out > 0);
    assert!(figures.protocols.iter().any(|name| name == "/kith/peers/1"));
    assert!(figures.agent.unwrap().starts_with("kith/"));
    assert!(a.mesh.disconnect(&b.id()).await);
    let why = b.until(|event| if let Event::Disconnected { why, .. } = event { Some(why.clone()) } else { None }).await;
    assert!(!why.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_at_an_address_is_reached_without_its_id_but_not_under_another_s() {
    let (a, b) = (plan(1).start().await, plan(2).start().await);
    let text = b.address().to_string();
    let anyone = text.split("/p2p/").next().unwrap();
    let other = format!("{anyone}/p2p/{}", kith_types::NodeId::from_ed25519(&[9; 32])).parse().unwrap();
    assert!(matches!(a.mesh.dial(&other).await, Err(DialError::Unreachable(_))));
    assert_eq!(a.mesh.dial(&anyone.parse().unwrap()).await, Ok(b.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_network_key_does_not_connect_and_never_reaches_admission() {
    let (a, mut b) =
        (plan(1).key(1).start().await, plan(2).key(2).bounds(|bounds| bounds.handshake = Duration::from_secs(2)).start().await);
    assert!(matches!(a.mesh.dial(b.address()).await, Err(DialError::Unreachable(_))));
    assert!(a.mesh.peers().await.is_empty() && b.mesh.peers().await.is_empty());
    while let Ok(event) = b.events.try_recv() {
        assert!(!matches!(event, Event::Refused { .. } | Event::Connected { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_on_both_sides_and_to_whoever_dialled() {
    let (mut a, mut b) = (plan(1).word("friend").start().await, plan(2).word("mellon").start().await);
    let dialled = a.mesh.dial(b.address()).await;
    let code = |event: &Event| match event {
        Event::Refused { by, code, message, .. } => Some((*by, code.clone(), message.clone())),
        _ => None,
    };
    let (at_a, at_b) = (a.until(code).await, b.until(code).await);
    // The dialler judges first.
    assert_eq!(at_a, (Refuser::ThisNode, "wrong_word".to_owned(), "That is not the word.".to_owned()));
    assert_eq!(at_b, (Refuser::Peer, "wrong_word".to_owned(), "That is not the word.".to_owned()));
    let expected = |by| DialError::Refused { by, code: "wrong_word".to_owned(), message: "That is not the word.".to_owned() };
    assert_eq!(dialled, Err(expected(Refuser::ThisNode)));
    let anyone = b.address().to_string().split("/p2p/").next().unwrap().parse().unwrap();
    assert_eq!(a.mesh.dial(&anyone).await, Err(expected(Refuser::ThisNode)), "also where only the address was known");
    assert!(a.mesh.peers().await.is_empty() && b.mesh.peers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_peer_is_cut_off_and_told_why_until_the_ban_is_lifted() {
    let (a, b) = (plan(1).start().await, plan(2).start().await);
    a.connect(&b).await;
    b.mesh.ban(&a.id(), Duration::from_secs(60), "It was sold.").await;
    eventually(|| async { !a.is_connected_to(&b.id()).await && !b.is_connected_to(&a.id()).await }).await;
    let refused = DialError::Refused { by: Refuser::Peer, code: "banned".to_owned(), message: "It was sold.".to_owned() };
    assert_eq!(a.mesh.dial(b.address()).await, Err(refused));
    assert_eq!(b.mesh.dial(a.address()).await, Err(DialError::Banned("It was sold.".to_owned())));
    assert!(b.mesh.lift_ban(&a.id()).await && !b.mesh.lift_ban(&a.id()).await);
    a.connect(&b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_meet_through_one_that_both_know() {
    let (hub, a, b) = (plan(1).start().await, plan(2).start().await, plan(3).start().await);
    a.connect(&hub).await;
    b.connect(&hub).await;
    eventually(|| async { a.is_connected_to(&b.id()).await && b.is_connected_to(&a.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_finds_its_network_from_its_cache() {
    let (a, b) = (plan(1).start().await, plan(2).start().await);
    a.connect(&b).await;
    a.mesh.stop().await;
    assert_eq!(a.cache.0.lock().unwrap().iter().map(|peer| peer.node.clone()).collect::<Vec<_>>(), [b.id()]);
    let mut again = plan(1);
    again.cache = a.cache.clone();
    let again = again.start().await;
    eventually(|| async { again.is_connected_to(&b.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bootstrap_is_dialled_until_it_is_there() {
    let first = plan(1).start().await;
    let address = first.address().clone();
    first.mesh.stop().await;
    let mut late = plan(2);
    late.config.bootstrap = vec![address.clone()];
    let late = late.start().await;
    assert!(late.mesh.peers().await.is_empty());
    let mut again = plan(1);
    again.config.listen = vec![address.to_string().split("/p2p/").next().unwrap().parse().unwrap()];
    let again = again.start().await;
    eventually(|| async { late.is_connected_to(&again.id()).await }).await;
}
