//! How many bytes each peer has sent and taken, counted on the wire between Noise and the multiplexer.

use futures::{AsyncRead, AsyncWrite};
use libp2p::PeerId;
use std::{
    collections::HashMap,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

/// What passed between this node and one peer, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counters {
    fn add(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Ordering::Relaxed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// Bytes received and sent.
    pub fn read(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// The counters of all peers with a connection or a handshake, and of all that ever were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    peers: Arc<Mutex<HashMap<PeerId, Arc<Counters>>>>,
    all: Arc<Counters>,
}

impl Traffic {
    /// The counters of `peer`, beginning at nought.
    pub fn of(&self, peer: PeerId) -> Arc<Counters> {
        Arc::clone(self.peers.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default())
    }

    /// Counts what passes over a connection of `peer`.
    pub fn counted<S>(&self, inner: S, peer: PeerId) -> Counted<S> {
        Counted { inner, counters: self.of(peer), all: Arc::clone(&self.all) }
    }

    /// Bytes received and sent, of all peers together.
    pub fn all(&self) -> (u64, u64) {
        self.all.read()
    }

    /// Forgets peers without a connection: nobody else holds their counters.
    pub fn prune(&self) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, counters| Arc::strong_count(counters) > 1);
    }
}

/// A connection that counts.
pub(crate) struct Counted<S> {
    inner: S,
    counters: Arc<Counters>,
    all: Arc<Counters>,
}

impl<S> Counted<S> {
    fn count(&self, received: usize, sent: usize) {
        for counters in [&self.counters, &self.all] {
            counters.add(received as u64, sent as u64);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.count(read, 0);
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.count(0, sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        self.count(0, sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
