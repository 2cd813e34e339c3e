//! Bounds, reached.

use crate::net::{PATIENCE, eventually, plan};
use kith_mesh::{Event, Fault, Inbound, OpenError, Router};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn holding() -> Router {
    Router::new()
        .route("/kith/hold/1", |mut inbound: Inbound| async move {
            inbound.stream.write_u8(1).await.ok();
            inbound.stream.read_u8().await.ok();
        })
        .unwrap()
}

fn socket_of(address: &kith_mesh::Address) -> String {
    let text = address.to_string();
    let parts: Vec<&str> = text.split('/').collect();
    format!("{}:{}", parts[2], parts[4])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_to_one_peer_are_bounded_on_the_side_that_opens_them() {
    let a = plan(1).bounds(|bounds| bounds.opened_per_peer = 3).start().await;
    let b = plan(2).router(holding()).start().await;
    a.connect(&b).await;
    // The exchange of peers holds a place for a moment.
    eventually(|| async { a.mesh.peers().await.iter().any(|peer| peer.rtt.is_some()) }).await;
    let mut held = Vec::new();
    eventually(async || {
        match a.mesh.open(&b.id(), "/kith/hold/1").await {
            Ok(stream) => held.push(stream),
            Err(_) if held.len() == 3 => return true,
            Err(_) => {}
        }
        false
    })
    .await;
    assert_eq!(held.len(), 3);
    assert_eq!(a.mesh.open(&b.id(), "/kith/hold/1").await.err(), Some(OpenError::TooMany));
    held.pop();
    a.mesh.open(&b.id(), "/kith/hold/1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_peer_are_bounded_and_too_many_are_charged_until_it_is_cut_off() {
    let a = plan(1).start().await;
    let mut b =
        plan(2).router(holding()).bounds(|bounds| (bounds.streams_per_peer, bounds.penalty_limit) = (2, 20.0)).start().await;
    a.connect(&b).await;
    let mut held = Vec::new();
    for _ in 0..12 {
        match a.mesh.open(&b.id(), "/kith/hold/1").await {
            Ok(stream) => held.push(stream),
            Err(_) => break,
        }
    }
    let told =
        b.until(|event| if let Event::Misbehaved { fault, cut_off, .. } = event { Some((*fault, *cut_off)) } else { None }).await;
    assert_eq!(told, (Fault::TooManyStreams, Some(Duration::from_secs(600))));
    eventually(|| async { !a.is_connected_to(&b.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_and_room_is_made_when_one_leaves() {
    let full = plan(1).bounds(|bounds| bounds.connections = 1).start().await;
    let (a, b) = (plan(2).start().await, plan(3).start().await);
    a.connect(&full).await;
    // The dialler's side of it may come about for a moment.
    b.mesh.dial(full.address()).await.ok();
    eventually(|| async { !b.is_connected_to(&full.id()).await }).await;
    assert_eq!(full.mesh.peers().await.len(), 1);
    assert!(a.mesh.disconnect(&full.id()).await);
    eventually(|| async { b.mesh.dial(full.address()).await.is_ok() && full.is_connected_to(&b.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_stranger_is_sent_away_and_cannot_take_every_place() {
    let node =
        plan(1).bounds(|bounds| (bounds.pending_inbound_per_ip, bounds.handshake) = (2, Duration::from_secs(2))).start().await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(socket_of(node.address())).await.unwrap());
    }
    let mut sent_away = 0;
    let started = std::time::Instant::now();
    for mut socket in silent {
        // Some are turned away at once, the others after the deadline; all see an end.
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await.unwrap().ok();
        sent_away += 1;
    }
    assert_eq!(sent_away, 5);
    assert!(started.elapsed() >= Duration::from_secs(1), "two were waited for");
    let member = plan(2).start().await;
    member.connect(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_a_stranger_ends_its_connection_and_nothing_else() {
    let (node, member) =
        (plan(1).bounds(|bounds| bounds.handshake = Duration::from_secs(2)).start().await, plan(2).start().await);
    member.connect(&node).await;
    let strangers = (0..4u32).map(|seed| {
        let to = socket_of(node.address());
        tokio::spawn(async move {
            let mut socket = TcpStream::connect(to).await.unwrap();
            let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(40_503 + seed) >> 7) as u8).collect();
            socket.write_all(&noise).await.ok();
            let mut rest = Vec::new();
            tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await.unwrap().ok();
        })
    });
    for stranger in strangers.collect::<Vec<_>>() {
        stranger.await.unwrap();
    }
    eventually(|| async { member.is_connected_to(&node.id()).await && node.is_connected_to(&member.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_wait_while_all_together_hold_as_much_memory_as_they_may() {
    use kith_mesh::{Call, Declined};
    let call = Call::new("/kith/len/1", 1000, Duration::from_secs(5)).unwrap();
    let router = Router::new().answer(&call, |_, text: String| async move { Ok::<_, Declined>(text.len()) }).unwrap();
    let (a, b) =
        (plan(1).start().await, plan(2).router(router).bounds(|bounds| bounds.frame_bytes_in_flight = 1000).start().await);
    a.connect(&b).await;
    eventually(|| async { a.mesh.peers().await.iter().any(|peer| peer.rtt.is_some()) }).await;
    // One frame announces all the memory there is, and does not come.
    let mut greedy = a.mesh.open(&b.id(), "/kith/len/1").await.unwrap();
    greedy.write_u32(1000).await.unwrap();
    greedy.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mesh, to, asked) = (a.mesh.clone(), b.id(), call.clone());
    let mut waiting = tokio::spawn(async move { mesh.request::<_, usize>(&to, &asked, &"abc").await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "it waits");
    drop(greedy);
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
}
