//! The network's key over a pipe in memory, against libp2p's own.

use super::*;
use futures::future::join;
use libp2p::pnet::{PnetConfig, PreSharedKey};
use multistream_select::{Version, dialer_select_proto, listener_select_proto};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio_pipe::End;

/// One end of a pipe, with the traits of the other family.
mod tokio_pipe {
    use super::*;
    use tokio::io::ReadBuf;

    pub struct End(pub DuplexStream);

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
}

fn pipe(room: usize) -> (End, End) {
    let (a, b) = tokio::io::duplex(room);
    (End(a), End(b))
}

fn keys(count: u8) -> Vec<NetworkKey> {
    (0..count).map(|n| NetworkKey::new([n + 1; 32])).collect()
}

fn libp2p_s(key: &NetworkKey) -> PnetConfig {
    PnetConfig::new(PreSharedKey::new(*key.bytes()))
}

#[tokio::test]
async fn each_of_one_to_nine_keys_is_found_by_libp2p_s_own_dialler_and_all_that_follows_is_understood() {
    for count in 1..=9 {
        let keys = keys(count);
        for (index, key) in keys.iter().enumerate() {
            // So little room that every write is taken in pieces.
            let (near, far) = pipe(100);
            let dialled = async {
                let mut io = libp2p_s(key).handshake(near).await.unwrap();
                io.write_all(&HEADER).await.unwrap();
                io.write_all(&[7; 50_000]).await.unwrap();
                io.flush().await.unwrap();
                let mut heard = vec![0; 40_000];
                io.read_exact(&mut heard).await.unwrap();
                heard
            };
            let accepted = async {
                let (mut io, found) = accept(far, &keys).await.unwrap();
                let mut heard = vec![0; HEADER.len() + 50_000];
                io.read_exact(&mut heard).await.unwrap();
                io.write_all(&[8; 40_000]).await.unwrap();
                io.flush().await.unwrap();
                (heard, found)
            };
            let (back, (there, found)) = join(dialled, accepted).await;
            assert_eq!(found, index);
            assert!(there[..HEADER.len()] == HEADER && there[HEADER.len()..].iter().all(|byte| *byte == 7));
            assert!(back.iter().all(|byte| *byte == 8));
        }
    }
}

#[tokio::test]
async fn what_dials_here_is_understood_by_libp2p_s_own_listener() {
    let key = &keys(1)[0];
    let (near, far) = pipe(100);
    let dialled = async {
        let mut io = dial(near, key).await.unwrap();
        io.write_all(&[7; 50_000]).await.unwrap();
        io.close().await.unwrap();
        let mut heard = Vec::new();
        assert!(!io.heard().anything());
        io.read_to_end(&mut heard).await.unwrap();
        assert!(io.heard().anything());
        heard
    };
    let accepted = async {
        let mut io = libp2p_s(key).handshake(far).await.unwrap();
        let mut heard = Vec::new();
        io.read_to_end(&mut heard).await.unwrap();
        io.write_all(&[8; 40_000]).await.unwrap();
        io.close().await.unwrap();
        heard
    };
    let (back, there) = join(dialled, accepted).await;
    assert_eq!((back, there), (vec![8; 40_000], vec![7; 50_000]));
}

#[tokio::test]
async fn a_dialler_speaks_first_whether_it_waits_for_an_answer_or_not() {
    for version in [Version::V1, Version::V1Lazy] {
        let keys = keys(3);
        let (near, far) = pipe(1000);
        let dialled = async {
            let io = dial(near, &keys[2]).await.unwrap();
            let (_, mut io) = dialer_select_proto(io, ["/kith/nothing/1"], version).await.unwrap();
            // One that waits to hear first has said its name by then.
            let mut heard = [0; 2];
            io.read_exact(&mut heard).await.unwrap();
            heard
        };
        let accepted = async {
            let (io, found) = accept(far, &keys).await.unwrap();
            assert_eq!(found, 2);
            let (_, mut io) = listener_select_proto(io, ["/kith/nothing/1"]).await.unwrap();
            io.write_all(b"ok").await.unwrap();
            io.flush().await.unwrap();
        };
        let both = tokio::time::timeout(Duration::from_secs(5), join(dialled, accepted));
        assert_eq!(both.await.unwrap().0, *b"ok", "{version:?}");
    }
}

#[tokio::test]
async fn a_stranger_s_key_and_garbage_are_unknown_and_hear_a_nonce_and_no_more() {
    let (near, far) = pipe(1000);
    let stranger = async {
        let mut io = dial(near, &NetworkKey::new([99; 32])).await.unwrap();
        io.write_all(&HEADER).await.unwrap();
        io.flush().await.unwrap();
        let mut heard = Vec::new();
        io.read_to_end(&mut heard).await.unwrap();
        assert!(!io.heard().anything());
        heard
    };
    let (heard, accepted) = join(stranger, async { accept(far, &keys(9)).await.err() }).await;
    assert!(heard.is_empty() && matches!(accepted, Some(KeyError::Unknown)));

    for seed in 0..64u32 {
        let garbage: Vec<u8> =
            (0..200u32).map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed * 7919) >> 13) as u8).collect();
        let (mut near, far) = pipe(1000);
        near.write_all(&garbage).await.unwrap();
        assert!(matches!(accept(far, &keys(9)).await.err(), Some(KeyError::Unknown)));
        let mut heard = Vec::new();
        near.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), NONCE);
    }
}

#[tokio::test]
async fn words_that_are_cut_off_are_an_end_and_slow_ones_are_waited_for() {
    let all = keys(3);
    for said in [0, NONCE - 1, NONCE, NONCE + 1, NONCE + HEADER.len() - 1] {
        let (mut near, far) = pipe(1000);
        near.write_all(&vec![5; said]).await.unwrap();
        // While it may still say more, it is waited for: the bound on the whole handshake ends it.
        let mut accepting = Box::pin(accept(far, &all));
        assert!(tokio::time::timeout(Duration::from_millis(30), &mut accepting).await.is_err());
        near.close().await.unwrap();
        assert!(matches!(accepting.await.err(), Some(KeyError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof));
    }
    let (near, far) = pipe(1000);
    let slow = async {
        let mut io = dial(near, &all[1]).await.unwrap();
        for byte in HEADER {
            io.write_all(&[byte]).await.unwrap();
            io.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        io
    };
    let (_io, accepted) = join(slow, accept(far, &all)).await;
    assert_eq!(accepted.unwrap().1, 1);
}
