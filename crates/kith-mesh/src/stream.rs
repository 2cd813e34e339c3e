//! A stream to or from a peer: bytes both ways, with backpressure end to end.

use crate::{frames::Frames, protocol::Protocol};
use futures::{
    AsyncRead as _, AsyncWrite as _,
    task::{ArcWake, AtomicWaker, waker},
};
use kith_types::NodeId;
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};

/// A negotiated stream. Reading and writing wait for the other side; dropping it ends it at once, `shutdown` ends it in order.
pub struct Stream {
    inner: libp2p::Stream,
    protocol: Protocol,
    peer: NodeId,
    /// What frames may hold in memory.
    pub(crate) in_flight: Arc<Frames>,
    /// Whether the peer has announced a frame and not sent all of it.
    pub(crate) owed: bool,
    /// Its place among the peer's streams.
    _place: OwnedSemaphorePermit,
    halves: Arc<Halves>,
    waker: Waker,
}

/// Wakes the task that reads and the task that writes. Yamux remembers one task for both (a read may have to wait for room to send a
/// window update), so that of two tasks one would sleep for ever.
#[derive(Default)]
struct Halves {
    reading: AtomicWaker,
    writing: AtomicWaker,
}

impl ArcWake for Halves {
    fn wake_by_ref(halves: &Arc<Self>) {
        halves.reading.wake();
        halves.writing.wake();
    }
}

impl Stream {
    pub(crate) fn new(
        inner: libp2p::Stream,
        protocol: Protocol,
        peer: NodeId,
        in_flight: Arc<Frames>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let halves = Arc::new(Halves::default());
        let waker = waker(Arc::clone(&halves));
        Self { inner, protocol, peer, in_flight, owed: false, _place: place, halves, waker }
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
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.halves.reading.register(cx.waker());
        let mut both = Context::from_waker(&this.waker);
        let read = ready!(Pin::new(&mut this.inner).poll_read(&mut both, buf.initialize_unfilled()))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.halves.writing.register(cx.waker());
        Pin::new(&mut this.inner).poll_write(&mut Context::from_waker(&this.waker), buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.halves.writing.register(cx.waker());
        Pin::new(&mut this.inner).poll_flush(&mut Context::from_waker(&this.waker))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.halves.writing.register(cx.waker());
        Pin::new(&mut this.inner).poll_close(&mut Context::from_waker(&this.waker))
    }
}
