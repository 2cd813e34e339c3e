//! Promises of the serving side: what may be had is sent and proven; its bounds hold for each peer.

use super::*;
use crate::{Put, wire::MAX_ANSWER};
use kith_types::{Blake3, Sha256};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, DuplexStream};

const SIZE: usize = (1 << 20) + 77;
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything is for everybody but "stranger".
struct Open;
impl Policy for Open {
    fn shares(&self, peer: &str, _: &Blake3) -> bool {
        peer != "stranger"
    }
}

async fn opened(bounds: Bounds, gate: Gate) -> (tempfile::TempDir, Blobs, Put, Server) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let put = blobs.put(bytes.as_slice(), None, u64::MAX, |_| ()).await.unwrap();
    let server = Server::new(blobs.clone(), Open, bounds, Throttle::default(), gate);
    (folder, blobs, put, server)
}

fn dial(server: &Server, peer: &'static str) -> (DuplexStream, tokio::task::JoinHandle<io::Result<Served>>) {
    let (near, far) = tokio::io::duplex(10_000);
    let server = server.clone();
    (near, tokio::spawn(async move { server.serve(peer, far).await }))
}

async fn ask(stream: &mut DuplexStream, request: &Request) -> Result<Offer, Refusal> {
    wire::send_request(stream, request).await.unwrap();
    wire::read_answer(&wire::receive(stream, MAX_ANSWER, PATIENCE).await.unwrap().unwrap()).unwrap()
}

async fn slice(stream: &mut DuplexStream, offer: &Offer) -> Vec<u8> {
    let mut walk = crate::Walk::new(&offer.root, offer.size, offer.sends.clone()).unwrap();
    let mut got = Vec::new();
    while let Some(step) = walk.step() {
        match step {
            crate::Step::Pair(_) => {
                let mut pair = [0; tree::PAIR];
                stream.read_exact(&mut pair).await.unwrap();
                walk.pair(&pair).unwrap();
            }
            crate::Step::Group { len, .. } => {
                let mut group = vec![0; len];
                stream.read_exact(&mut group).await.unwrap();
                walk.group(&group).unwrap();
                got.extend(group);
            }
        }
    }
    got
}

#[tokio::test]
async fn several_requests_are_answered_on_one_stream() {
    let (_folder, _blobs, put, server) = opened(Bounds::default(), Arc::new(|| true)).await;
    let (mut stream, task) = dial(&server, "peer");
    let nothing = Request { what: What::Sha256(put.sha256), ranges: Vec::new(), max: 9 };
    let offer = ask(&mut stream, &nothing).await.unwrap();
    assert_eq!((offer.root, offer.size, offer.have, offer.sends), (put.hash, SIZE as u64, Ranges::up_to(65), Ranges::default()));
    let two = Request { what: What::Blake3(put.hash), ranges: vec![(64, 1), (3, 2)], max: 100 };
    let offer = ask(&mut stream, &two).await.unwrap();
    assert_eq!(slice(&mut stream, &offer).await.len(), 2 * GROUP + 77);
    let few = Request { ranges: vec![(0, 65)], max: 5, ..two.clone() };
    let offer = ask(&mut stream, &few).await.unwrap();
    assert_eq!(offer.sends, Ranges::up_to(5), "no more than asked for");
    slice(&mut stream, &offer).await;
    let absent = Request { what: What::Blake3(Blake3::from_bytes([1; 32])), ..two.clone() };
    assert_eq!(ask(&mut stream, &absent).await.unwrap_err().code, Code::Absent);
    let absent = Request { what: What::Sha256(Sha256::from_bytes([1; 32])), ..two.clone() };
    assert_eq!(ask(&mut stream, &absent).await.unwrap_err().code, Code::Absent);
    let beyond = Request { ranges: vec![(65, 1)], ..two };
    assert_eq!(ask(&mut stream, &beyond).await.unwrap_err().code, Code::Malformed);
    drop(stream);
    assert_eq!(task.await.unwrap().unwrap().requests, 3);
}

#[tokio::test]
async fn who_may_not_have_a_blob_hears_what_others_hear_of_one_that_is_not_there() {
    let (_folder, _blobs, put, server) = opened(Bounds::default(), Arc::new(|| true)).await;
    let (mut stream, _task) = dial(&server, "stranger");
    let request = |root| Request { what: What::Blake3(root), ranges: vec![(0, 1)], max: 1 };
    let refused = ask(&mut stream, &request(put.hash)).await.unwrap_err();
    assert_eq!(refused, ask(&mut stream, &request(Blake3::from_bytes([1; 32]))).await.unwrap_err());
}

#[tokio::test]
async fn a_peer_has_so_many_streams_and_no_more() {
    let bounds = Bounds { streams_per_peer: 2, streams: 3, ..Bounds::default() };
    let (_folder, _blobs, put, server) = opened(bounds, Arc::new(|| true)).await;
    let request = Request { what: What::Blake3(put.hash), ranges: Vec::new(), max: 1 };
    let (mut one, task) = dial(&server, "a");
    let (mut two, _two) = dial(&server, "a");
    ask(&mut one, &request).await.unwrap();
    ask(&mut two, &request).await.unwrap();
    let (mut three, _three) = dial(&server, "a");
    assert_eq!(ask(&mut three, &request).await.unwrap_err().code, Code::Busy);
    let (mut other, _other) = dial(&server, "b");
    ask(&mut other, &request).await.unwrap();
    let (mut last, _last) = dial(&server, "c");
    assert_eq!(ask(&mut last, &request).await.unwrap_err().code, Code::Busy, "all have a bound together");
    drop(one);
    task.await.unwrap().unwrap();
    let (mut again, _again) = dial(&server, "a");
    ask(&mut again, &request).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_while_the_gate_is_closed() {
    let open = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&open);
    let (_folder, _blobs, put, server) = opened(Bounds::default(), Arc::new(move || seen.load(Ordering::Relaxed))).await;
    let (mut stream, _task) = dial(&server, "a");
    let request = Request { what: What::Blake3(put.hash), ranges: Vec::new(), max: 1 };
    assert_eq!(ask(&mut stream, &request).await.unwrap_err().code, Code::Quiet);
    open.store(true, Ordering::Relaxed);
    ask(&mut stream, &request).await.unwrap();
}

#[tokio::test]
async fn who_asks_nonsense_is_silent_or_takes_nothing_is_let_go() {
    let short = Duration::from_millis(40);
    let (_folder, _blobs, put, server) =
        opened(Bounds { idle: short, stall: short, ..Bounds::default() }, Arc::new(|| true)).await;
    let (_silent, task) = dial(&server, "a");
    assert_eq!(task.await.unwrap().unwrap(), Served::default());
    let (mut nonsense, task) = dial(&server, "a");
    nonsense.write_all(&[0, 0, 0, 2, b'{', b'{']).await.unwrap();
    let answer = wire::receive(&mut nonsense, MAX_ANSWER, PATIENCE).await.unwrap().unwrap();
    assert_eq!(wire::read_answer(&answer).unwrap().unwrap_err().code, Code::Malformed);
    assert!(task.await.unwrap().is_err());
    let (mut lazy, task) = dial(&server, "a");
    wire::send_request(&mut lazy, &Request { what: What::Blake3(put.hash), ranges: vec![(0, 65)], max: 65 }).await.unwrap();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
}
