//! The network's key on a socket, as libp2p's `pnet` does it: each side sends a nonce of 24 bytes, and everything after it is XSalsa20.
//!
//! Whoever listens also understands keys that were retired: whoever dials begins with words that are known, the header of
//! multistream-select, so the key under which they make sense is the one the dialler has.

use crate::config::NetworkKey;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use salsa20::{
    XSalsa20,
    cipher::{KeyIvInit, StreamCipher},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

/// What a dialler says first under the key, in every version of multistream-select there is.
const HEADER: [u8; 20] = *b"\x13/multistream/1.0.0\n";
const NONCE: usize = 24;
/// Bytes encrypted at a time, and held while the socket takes no more; a frame of Noise is at most four of them.
const UNSENT: usize = 16 * 1024;

/// Why nothing was understood on a socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the connection broke before its first words: {0}")]
    Io(#[from] io::Error),
    #[error("the operating system gives no random bytes: {0}")]
    Nonce(getrandom::Error),
    #[error("the peer has none of the network's keys")]
    Unknown,
    #[error("the peer said nothing")]
    Silent,
    #[error("the peer said nothing, and its place was needed")]
    Displaced,
    #[error("the peer hung up before its first words: it knows none of the keys that were tried")]
    HungUp,
}

/// Whether the other side has said anything under the key. One that hangs up before does not know it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<AtomicBool>);

impl Heard {
    pub fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket under a key.
pub(crate) struct Keyed<S> {
    inner: S,
    reads: XSalsa20,
    writes: XSalsa20,
    /// Read from the socket already, and not yet from here.
    known: &'static [u8],
    /// Encrypted already, and not yet taken by the socket.
    unsent: Vec<u8>,
    heard: Heard,
}

impl<S> Keyed<S> {
    fn new(inner: S, reads: XSalsa20, writes: XSalsa20, known: &'static [u8]) -> Self {
        Self { inner, reads, writes, known, unsent: Vec::new(), heard: Heard::default() }
    }

    /// Tells from now on whether the other side has said anything; it outlives the socket.
    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

/// The side that dialled speaks under one key.
pub(crate) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, key: &NetworkKey) -> Result<Keyed<S>, KeyError> {
    let (own, other) = nonces(&mut socket).await?;
    Ok(Keyed::new(socket, cipher(key, &other), cipher(key, &own), &[]))
}

/// The side that listened finds out which of `keys` the dialler has: the index of the first that fits. Says nothing but its nonce to
/// one that has none of them.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    keys: &[NetworkKey],
) -> Result<(Keyed<S>, usize), KeyError> {
    static KNOWN: [u8; HEADER.len()] = HEADER;
    let (own, other) = nonces(&mut socket).await?;
    let mut said = [0; HEADER.len()];
    socket.read_exact(&mut said).await?;
    for (index, key) in keys.iter().enumerate() {
        let (mut reads, mut plain) = (cipher(key, &other), said);
        reads.apply_keystream(&mut plain);
        if plain == HEADER {
            let writes = cipher(key, &own);
            return Ok((Keyed::new(socket, reads, writes, &KNOWN), index));
        }
    }
    Err(KeyError::Unknown)
}

/// Sends a nonce that was never used with the key, and reads the other side's. The operating system's bytes are asked for themselves: two
/// equal nonces would give away what was said under them.
async fn nonces<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S) -> Result<([u8; NONCE], [u8; NONCE]), KeyError> {
    let (mut own, mut other) = ([0; NONCE], [0; NONCE]);
    getrandom::fill(&mut own).map_err(KeyError::Nonce)?;
    socket.write_all(&own).await?;
    socket.flush().await?;
    socket.read_exact(&mut other).await?;
    Ok((own, other))
}

fn cipher(key: &NetworkKey, nonce: &[u8; NONCE]) -> XSalsa20 {
    XSalsa20::new(key.bytes().into(), nonce.into())
}

/// What is sent under a key and a nonce for `plain`.
pub(crate) fn encrypted(key: &NetworkKey, nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    cipher(key, nonce).apply_keystream(&mut bytes);
    bytes
}

impl<S: AsyncWrite + Unpin> Keyed<S> {
    /// Until the socket has taken all that was encrypted.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        let outcome = loop {
            if sent == self.unsent.len() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.inner).poll_write(cx, &self.unsent[sent..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(taken)) => sent += taken,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.unsent.drain(..sent);
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Keyed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.known.is_empty() {
            let count = self.known.len().min(buf.len());
            let (now, later) = self.known.split_at(count);
            buf[..count].copy_from_slice(now);
            self.known = later;
            return Poll::Ready(Ok(count));
        }
        let count = ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if count > 0 {
            self.heard.0.store(true, Ordering::Relaxed);
        }
        self.reads.apply_keystream(&mut buf[..count]);
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Keyed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_send(cx))?;
        let count = buf.len().min(UNSENT);
        this.unsent.extend_from_slice(&buf[..count]);
        this.writes.apply_keystream(&mut this.unsent);
        // What the socket does not take now it takes before the next bytes are encrypted, or when flushed.
        match this.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests;
