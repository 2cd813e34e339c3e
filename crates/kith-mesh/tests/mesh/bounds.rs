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
async fn places_for_handshakes_are_bounded_over_all_addresses() {
    let node = plan(1).bounds(|bounds| (bounds.pending_inbound, bounds.handshake) = (2, Duration::from_secs(2))).start().await;
    let started = std::time::Instant::now();
    let ends = (0..5).map(|_| {
        let to = socket_of(node.address());
        tokio::spawn(async move {
            let mut socket = TcpStream::connect(to).await.unwrap();
            tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await.unwrap().ok();
            started.elapsed()
        })
    });
    let mut waited_for = 0;
    for end in ends.collect::<Vec<_>>() {
        waited_for += usize::from(end.await.unwrap() >= Duration::from_secs(1));
    }
    assert_eq!(waited_for, 2);
    plan(2).start().await.connect(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_gets_in_while_strangers_hold_all_places_and_say_nothing() {
    let node = plan(1).bounds(|bounds| bounds.pending_inbound = 4).start().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut socket = TcpStream::connect(socket_of(node.address())).await.unwrap();
        socket.read_exact(&mut [0; 24]).await.unwrap();
        silent.push(socket);
    }
    let (member, started) = (plan(2).start().await, std::time::Instant::now());
    member.connect(&node).await;
    assert!(started.elapsed() < Duration::from_secs(3), "nobody had to give up a place first: {:?}", started.elapsed());
    // The one that stood longest made room.
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), silent[0].read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    assert!(tokio::time::timeout(Duration::from_millis(100), silent[3].read(&mut [0])).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_silent_or_has_no_key_is_told_of_and_who_is_where_a_member_is_is_not() {
    let mut node = plan(1).bounds(|bounds| bounds.first_words = Duration::from_millis(200)).start().await;
    let why = |event: &Event| if let Event::Stranger { why, .. } = event { Some(*why) } else { None };
    let _silent = TcpStream::connect(socket_of(node.address())).await.unwrap();
    assert_eq!(node.until(why).await, "Whoever dialled said nothing.");
    assert!(plan(2).key(9).start().await.mesh.dial(node.address()).await.is_err());
    assert_eq!(node.until(why).await, "Whoever dialled has none of the network's keys.");
    let member = plan(3).start().await;
    member.connect(&node).await;
    assert!(plan(4).key(9).start().await.mesh.dial(node.address()).await.is_err());
    tokio::time::sleep(Duration::from_secs(5)).await;
    while let Ok(event) = node.events.try_recv() {
        assert!(!matches!(event, Event::Stranger { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_says_its_first_words_too_slowly_is_sent_away_at_the_deadline() {
    let node = plan(1).bounds(|bounds| bounds.handshake = Duration::from_millis(1500)).retired(&[2, 3]).start().await;
    let started = std::time::Instant::now();
    let mut socket = TcpStream::connect(socket_of(node.address())).await.unwrap();
    let mut nonce = [0; 24];
    socket.read_exact(&mut nonce).await.unwrap();
    socket.write_all(&[5; 24]).await.unwrap();
    let (mut hears, mut says) = socket.into_split();
    let slow = tokio::spawn(async move {
        for _ in 0..19 {
            if says.write_all(&[5]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let mut heard = Vec::new();
    tokio::time::timeout(PATIENCE, hears.read_to_end(&mut heard)).await.unwrap().ok();
    assert!(started.elapsed() >= Duration::from_secs(1) && started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert!(heard.is_empty(), "a stranger hears nothing but the nonce");
    slow.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_that_does_not_come_to_an_end_holds_nobody_longer_than_admission_may_take() {
    let judge = std::sync::Arc::new(crate::retired::Slow);
    let slow = plan(1).bounds(|bounds| bounds.admission = Duration::from_millis(300)).admission(judge).start().await;
    let member = plan(2).start().await;
    let started = std::time::Instant::now();
    assert!(member.mesh.dial(slow.address()).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!slow.is_connected_to(&member.id()).await);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_announces_frames_and_sends_none_holds_up_itself_alone_and_is_charged() {
    use kith_mesh::{Call, Declined};
    let call = Call::new("/kith/len/1", 1000, Duration::from_millis(1500)).unwrap().with_questions_of(500);
    let router = Router::new().answer(&call, |_, text: String| async move { Ok::<_, Declined>(text.len()) }).unwrap();
    let (greedy, honest) = (plan(1).start().await, plan(2).start().await);
    let mut node =
        plan(3).router(router).bounds(|bounds| (bounds.frame_bytes_in_flight, bounds.penalty_limit) = (4000, 1.0)).start().await;
    greedy.connect(&node).await;
    honest.connect(&node).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = greedy.mesh.open(&node.id(), "/kith/len/1").await.unwrap();
        stream.write_u32(500).await.unwrap();
        stream.flush().await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(honest.mesh.request::<_, usize>(&node.id(), &call, &"abc").await.unwrap(), 3);
    let told = node
        .until(|event| if let Event::Misbehaved { fault, cut_off, .. } = event { Some((*fault, *cut_off)) } else { None })
        .await;
    assert_eq!(told, (Fault::LateFrame, Some(Duration::from_secs(600))));
    eventually(|| async { !node.is_connected_to(&greedy.id()).await && node.is_connected_to(&honest.id()).await }).await;
}
