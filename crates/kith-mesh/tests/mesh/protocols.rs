//! Streams and questions: versions, backpressure, bounds.

use crate::net::{eventually, plan};
use kith_mesh::{Call, Declined, Event, Fault, Inbound, OpenError, RequestError, Router, read_json};
use kith_types::NodeId;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn echo(mut inbound: Inbound) {
    let version = inbound.stream.protocol().version();
    inbound.stream.write_u32(version).await.ok();
    let (mut read, mut write) = tokio::io::split(inbound.stream);
    tokio::io::copy(&mut read, &mut write).await.ok();
    write.shutdown().await.ok();
}

fn echoing(versions: &[u32]) -> Router {
    versions.iter().fold(Router::new(), |router, version| router.route(&format!("/kith/echo/{version}"), echo).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_version_that_both_speak_is_taken() {
    let (old, new) = (plan(1).router(echoing(&[1, 2])).start().await, plan(2).router(echoing(&[1, 2, 3])).start().await);
    let asking = plan(3).start().await;
    asking.connect(&old).await;
    asking.connect(&new).await;
    for (node, wanted, spoken) in [
        (&old, vec!["/kith/echo/1", "/kith/echo/3", "/kith/echo/2"], 2),
        (&new, vec!["/kith/echo/2", "/kith/echo/3"], 3),
        (&new, vec!["/kith/echo/1", "/kith/echo/9"], 1),
    ] {
        let mut stream = asking.mesh.open_newest(&node.id(), &wanted).await.unwrap();
        assert_eq!(stream.protocol().version(), spoken);
        assert_eq!(stream.read_u32().await.unwrap(), spoken, "both sides know it");
    }
    assert_eq!(asking.mesh.open(&old.id(), "/kith/echo/3").await.err(), Some(OpenError::Unsupported("/kith/echo/3".to_owned())));
    assert_eq!(asking.mesh.open(&NodeId::from_ed25519(&[9; 32]), "/kith/echo/1").await.err(), Some(OpenError::NotConnected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_carries_megabytes_both_ways_unchanged() {
    let (a, b) = (plan(1).start().await, plan(2).router(echoing(&[1])).start().await);
    a.connect(&b).await;
    let mut stream = a.mesh.open(&b.id(), "/kith/echo/1").await.unwrap();
    assert_eq!(stream.read_u32().await.unwrap(), 1);
    let sent: Vec<u8> = (0..8 * 1024 * 1024u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&copy).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    writing.await.unwrap();
    assert!(back == sent);
    let figures = a.mesh.peers().await.remove(0);
    assert!(figures.bytes_in >= sent.len() as u64 && figures.bytes_out >= sent.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_the_writer_back() {
    let deaf = Router::new().route("/kith/deaf/1", |inbound: Inbound| async move {
        let _held = inbound;
        std::future::pending::<()>().await;
    });
    let (a, b) = (plan(1).start().await, plan(2).router(deaf.unwrap()).start().await);
    a.connect(&b).await;
    let mut stream = a.mesh.open(&b.id(), "/kith/deaf/1").await.unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        while stream.write_all(&[0; 64 * 1024]).await.is_ok() {
            counting.fetch_add(64 * 1024, Ordering::SeqCst);
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = written.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(before, written.load(Ordering::SeqCst), "nothing more is taken");
    assert!(before < 2 * 1024 * 1024, "{before} bytes were taken");
    writing.abort();
}

#[derive(Serialize, Deserialize)]
struct Sum {
    numbers: Vec<u64>,
}

fn summing() -> Call {
    Call::new("/kith/sum/1", 1024, Duration::from_secs(2)).unwrap()
}

fn calculator() -> Router {
    Router::new()
        .answer(&summing(), |_, sum: Sum| async move {
            if sum.numbers.is_empty() {
                return Err(Declined::new("nothing", "There is nothing to add."));
            }
            if sum.numbers == [666] {
                std::future::pending::<()>().await;
            }
            Ok(sum.numbers.iter().sum::<u64>())
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_declined_or_late() {
    let (a, b) = (plan(1).start().await, plan(2).router(calculator()).start().await);
    a.connect(&b).await;
    let ask = |numbers: Vec<u64>, call: Call| {
        let (mesh, b) = (a.mesh.clone(), b.id());
        async move { mesh.request::<_, u64>(&b, &call, &Sum { numbers }).await }
    };
    assert_eq!(ask(vec![1, 2, 3], summing()).await.unwrap(), 6);
    assert!(matches!(ask(vec![], summing()).await, Err(RequestError::Declined(declined)) if declined.code == "nothing"));
    let hurried = Call { deadline: Duration::from_millis(200), ..summing() };
    assert!(matches!(ask(vec![666], hurried).await, Err(RequestError::Late)));
    assert!(matches!(ask(vec![u64::MAX; 500], summing()).await, Err(RequestError::Question(_))), "too large to send");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_frame_is_refused_unread_and_charged() {
    let (a, mut b) = (plan(1).start().await, plan(2).router(calculator()).start().await);
    a.connect(&b).await;
    let mut stream = a.mesh.open(&b.id(), "/kith/sum/1").await.unwrap();
    stream.write_u32(1025).await.unwrap();
    stream.flush().await.unwrap();
    let answer: serde_json::Value = read_json(&mut stream, 1024).await.unwrap();
    assert_eq!(answer["declined"]["code"], "bad_frame");
    let a_id = a.id();
    b.until(|event| {
        matches!(event, Event::Misbehaved { peer, fault: Fault::BadFrame, cut_off: None } if *peer == a_id).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_again_and_again_is_cut_off_with_its_reason() {
    let (a, mut b) = (plan(1).start().await, plan(2).router(calculator()).start().await);
    a.connect(&b).await;
    // Points fade: four in a row are just under a hundred.
    for _ in 0..5 {
        let Ok(mut stream) = a.mesh.open(&b.id(), "/kith/sum/1").await else { break };
        stream.write_all(b"\0\0\0\x04{{{{").await.ok();
        stream.flush().await.ok();
        stream.read_u32().await.ok();
    }
    let cut_off = |event: &Event| match event {
        Event::Misbehaved { fault: Fault::BadFrame, cut_off, .. } => *cut_off,
        _ => None,
    };
    assert_eq!(b.until(cut_off).await, Duration::from_secs(600));
    let why = b.until(|event| if let Event::Disconnected { why, .. } = event { Some(why.clone()) } else { None }).await;
    assert_eq!(why, Fault::BadFrame.sentence());
    eventually(|| async { !a.is_connected_to(&b.id()).await }).await;
}
