//! What happens at the door, over a pipe in memory.

use super::*;
use crate::event::Refuser;
use async_trait::async_trait;
use std::{
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{DuplexStream, ReadBuf};

/// One end of a pipe, with the traits that the upgrade asks for.
struct End(DuplexStream);

fn pipe() -> (End, End) {
    let (a, b) = tokio::io::duplex(256 * 1024);
    (End(a), End(b))
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buf);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut read))?;
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.0), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}

/// Lets in whoever shows `wants`, greets with `welcome`, and remembers what it was told.
struct Judge {
    shows: Vec<u8>,
    wants: &'static [u8],
    welcome: Vec<u8>,
    judged: AtomicUsize,
    told: Mutex<Vec<u8>>,
}

impl Judge {
    fn new(shows: &[u8], wants: &'static [u8], welcome: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            shows: shows.to_vec(),
            wants,
            welcome: welcome.to_vec(),
            judged: AtomicUsize::new(0),
            told: Mutex::default(),
        })
    }
}

#[async_trait]
impl Admission for Judge {
    async fn hello(&self, _: &NodeId) -> Vec<u8> {
        self.shows.clone()
    }

    async fn judge(&self, _: &NodeId, hello: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.judged.fetch_add(1, Ordering::SeqCst);
        if hello == self.wants {
            Ok(self.welcome.clone())
        } else {
            Err(Refusal::new("not_a_member", "The certificate is not of this\nnetwork."))
        }
    }

    async fn admitted(&self, _: &NodeId, welcome: &[u8]) -> Result<(), Refusal> {
        *self.told.lock().unwrap() = welcome.to_vec();
        if welcome == b"poison" { Err(Refusal::new("bad_welcome", "The welcome is false.")) } else { Ok(()) }
    }
}

fn door(judge: &Arc<Judge>, seed: u8) -> (Door, PeerId, mpsc::Receiver<Refused>) {
    let keypair = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap();
    let (refusals, told) = mpsc::channel(4);
    let door = Door {
        noise: noise::Config::new(&keypair).unwrap(),
        admission: Arc::clone(judge) as Arc<dyn Admission>,
        bans: Bans::default(),
        traffic: Traffic::default(),
        refusals,
        deadline: Duration::from_millis(500),
    };
    (door, keypair.public().to_peer_id(), told)
}

#[tokio::test]
async fn both_sides_show_judge_and_welcome() {
    let (a, b) = (Judge::new(b"a's", b"b's", b"for b"), Judge::new(b"b's", b"a's", b"for a"));
    let ((door_a, id_a, _), (door_b, id_b, _)) = (door(&a, 1), door(&b, 2));
    let (end_a, end_b) = pipe();
    let (at_a, at_b) = tokio::join!(door_a.pass(id_b, end_a, true), door_b.pass(id_a, end_b, false));
    assert_eq!((at_a.unwrap().0, at_b.unwrap().0), (id_b, id_a));
    assert_eq!(
        (a.told.lock().unwrap().as_slice(), b.told.lock().unwrap().as_slice()),
        (b"for a".as_slice(), b"for b".as_slice())
    );
}

#[tokio::test]
async fn a_refusal_is_told_on_both_sides_whoever_refuses() {
    for dialler_refuses in [true, false] {
        let a = Judge::new(b"a's", if dialler_refuses { b"other" } else { b"b's" }, b"");
        let b = Judge::new(b"b's", if dialler_refuses { b"a's" } else { b"other" }, b"");
        let ((door_a, id_a, mut told_a), (door_b, id_b, mut told_b)) = (door(&a, 1), door(&b, 2));
        let (end_a, end_b) = pipe();
        let (at_a, at_b) = tokio::join!(door_a.pass(id_b, end_a, true), door_b.pass(id_a, end_b, false));
        assert!(at_a.is_err() && at_b.is_err());
        let (at_a, at_b) = (told_a.try_recv().unwrap(), told_b.try_recv().unwrap());
        let (refuser, refused) = if dialler_refuses { (at_a, at_b) } else { (at_b, at_a) };
        assert_eq!((refuser.by, refused.by), (Refuser::ThisNode, Refuser::Peer));
        assert_eq!((refuser.code.as_str(), refused.code.as_str()), ("not_a_member", "not_a_member"));
        assert_eq!(refused.message, "The certificate is not of thisnetwork.", "control characters do not travel into logs");
        assert_eq!(b.judged.load(Ordering::SeqCst), usize::from(!dialler_refuses), "who was refused does not judge");
    }
}

#[tokio::test]
async fn a_false_welcome_ends_the_connection_and_a_ban_is_told() {
    let (a, b) = (Judge::new(b"a's", b"b's", b"poison"), Judge::new(b"b's", b"a's", b""));
    let ((door_a, id_a, mut told_a), (door_b, id_b, _)) = (door(&a, 1), door(&b, 2));
    let (end_a, end_b) = pipe();
    let (at_a, at_b) = tokio::join!(door_a.pass(id_b, end_a, true), door_b.pass(id_a, end_b, false));
    assert!(at_a.is_err() && at_b.is_err());
    assert_eq!(told_a.try_recv().unwrap().code, "bad_welcome");

    door_b.bans.ban(id_a, Duration::from_secs(60), "It flooded.");
    let fine = Judge::new(b"a's", b"b's", b"");
    let (door_a, _, mut told_a) = door(&fine, 1);
    let (end_a, end_b) = pipe();
    let (at_a, _) = tokio::join!(door_a.pass(id_b, end_a, true), door_b.pass(id_a, end_b, false));
    assert!(at_a.is_err());
    let told = told_a.try_recv().unwrap();
    assert_eq!((told.code.as_str(), told.message.as_str(), told.by), ("banned", "It flooded.", Refuser::Peer));
}

#[tokio::test]
async fn silence_garbage_and_too_large_frames_end_it() {
    let judge = Judge::new(b"", b"", b"");
    let (door, peer, _) = door(&judge, 1);
    let (end, silent) = pipe();
    assert!(matches!(door.pass(peer, end, false).await, Err(AdmissionError::Late)));
    drop(silent);
    let too_large = u32::try_from(MAX_ADMISSION_FRAME + 2).unwrap().to_be_bytes();
    for (head, why) in [
        ([too_large.as_slice(), &[1]].concat(), "a frame's length is out of bounds"),
        (vec![0, 0, 0, 0, 1], "a frame's length is out of bounds"),
        (vec![0, 0, 0, 1, 9], "an unknown version of admission"),
    ] {
        let (end, mut other) = pipe();
        AsyncWriteExt::write_all(&mut other, &head).await.unwrap();
        match door.pass(peer, end, false).await {
            Err(AdmissionError::Malformed(said)) => assert_eq!(said, why),
            _ => panic!("{why}"),
        }
    }
    assert_eq!(judge.judged.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_largest_hello_passes_and_a_larger_one_is_not_sent() {
    static LARGEST: [u8; MAX_ADMISSION_FRAME] = [7; MAX_ADMISSION_FRAME];
    let (a, b) = (Judge::new(&LARGEST, b"", b""), Judge::new(b"", &LARGEST, b""));
    let ((door_a, id_a, _), (door_b, id_b, _)) = (door(&a, 1), door(&b, 2));
    let (end_a, end_b) = pipe();
    let (at_a, at_b) = tokio::join!(door_a.pass(id_b, end_a, true), door_b.pass(id_a, end_b, false));
    assert!(at_a.is_ok() && at_b.is_ok());
    let too_large = Judge::new(&vec![7; MAX_ADMISSION_FRAME + 1], b"", b"");
    let (door, _, _) = door(&too_large, 1);
    let (end, _other) = pipe();
    assert!(matches!(door.pass(id_b, end, true).await, Err(AdmissionError::Malformed(_))));
}

#[tokio::test]
async fn refusals_beyond_the_queue_are_dropped_and_the_error_still_says_so() {
    let judge = Judge::new(b"", b"never", b"");
    let (door, peer, mut told) = door(&judge, 1);
    for _ in 0..6 {
        let (end, mut other) = pipe();
        let frame = [&[0, 0, 0, 1, PROTOCOL][..], &[0, 0, 0, 2, PROTOCOL, ADMITTED]].concat();
        AsyncWriteExt::write_all(&mut other, &frame).await.unwrap();
        assert!(matches!(door.pass(peer, end, false).await, Err(AdmissionError::Refused(_))));
    }
    assert_eq!(std::iter::from_fn(|| told.try_recv().ok()).count(), 4);
}
