//! Many streams on one connection: Yamux, with a bound on what the peer may have on its way to us.

use crate::bounds::MUXED_STREAMS;
use futures::{
    AsyncRead, AsyncWrite,
    future::{Ready, ready},
};
use libp2p::core::{
    StreamMuxer, UpgradeInfo,
    muxing::StreamMuxerEvent,
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready as poll_ready},
    time::Duration,
};
use tokio::time::Sleep;

/// Bytes that one peer may have sent on all its streams before we read them. Enough for 600 MB/s at 100 ms; a window only grows while
/// its stream is read.
const RECEIVE_WINDOW: usize = 64 * 1024 * 1024;

/// For a connection's farewell. One whose cable was pulled never takes the bytes that wait for it, and nobody redials until it is gone.
const FAREWELL: Duration = Duration::from_secs(2);

/// The upgrade to Yamux.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yamux;

impl Yamux {
    fn on<C: AsyncRead + AsyncWrite + Unpin>(io: C, mode: yamux::Mode) -> Muxer<C> {
        let mut config = yamux::Config::default();
        // The order matters: the window must hold the least window of every stream.
        config.set_max_num_streams(MUXED_STREAMS);
        config.set_max_connection_receive_window(Some(RECEIVE_WINDOW));
        config.set_read_after_close(false);
        Muxer { connection: yamux::Connection::new(io, config, mode), inbound: VecDeque::new(), waker: None, farewell: None }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Muxer<C>, io::Error>>;

    fn upgrade_inbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Self::on(io, yamux::Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Muxer<C>, io::Error>>;

    fn upgrade_outbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Self::on(io, yamux::Mode::Client)))
    }
}

/// One connection and its streams.
pub(crate) struct Muxer<C> {
    connection: yamux::Connection<C>,
    /// Streams that the peer opened while only the connection's own progress was asked for; at most [`MUXED_STREAMS`], Yamux's bound.
    inbound: VecDeque<yamux::Stream>,
    waker: Option<Waker>,
    /// Runs from when the connection is to close.
    farewell: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> Muxer<C> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        match poll_ready!(self.connection.poll_next_inbound(cx)) {
            Some(Ok(stream)) => Poll::Ready(Ok(stream)),
            Some(Err(error)) => Poll::Ready(Err(to_io(error))),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        if let Some(stream) = self.inbound.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let polled = self.poll_next(cx);
        if polled.is_pending() {
            self.waker = Some(cx.waker().clone());
        }
        polled
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.connection.poll_new_outbound(cx).map_err(to_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let farewell = self.farewell.get_or_insert_with(|| Box::pin(tokio::time::sleep(FAREWELL)));
        if farewell.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.connection.poll_close(cx).map_err(to_io)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let this = self.get_mut();
        let stream = poll_ready!(this.poll_next(cx))?;
        if this.inbound.len() < MUXED_STREAMS {
            this.inbound.push_back(stream);
        }
        if let Some(waker) = this.waker.take() {
            waker.wake();
        }
        // Yamux makes progress only when polled: come back, after others had their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn to_io(error: yamux::ConnectionError) -> io::Error {
    match error {
        yamux::ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}
