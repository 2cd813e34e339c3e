//! A stream to or from a peer: bytes both ways, with backpressure end to end.

use crate::protocol::Protocol;
use futures::{AsyncRead as _, AsyncWrite as _};
use kith_types::NodeId;
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// A negotiated stream. Reading and writing wait for the other side; dropping it ends it at once, `shutdown` ends it in order.
pub struct Stream {
    inner: libp2p::Stream,
    protocol: Protocol,
    peer: NodeId,
    /// What all frames of this node may hold in memory together.
    pub(crate) in_flight: Arc<Semaphore>,
    /// Its place among the peer's streams.
    _place: OwnedSemaphorePermit,
}

impl Stream {
    pub(crate) fn new(
        inner: libp2p::Stream,
        protocol: Protocol,
        peer: NodeId,
        in_flight: Arc<Semaphore>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { inner, protocol, peer, in_flight, _place: place }
    }

    /// What both sides agreed to speak.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The other side.
    pub fn peer(&self) -> &NodeId {
        &self.peer
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} with {})", self.protocol, self.peer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf.initialize_unfilled()))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
