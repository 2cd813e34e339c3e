//! What goes through the node's listeners: requests, how long they take, bytes. Counted since the node started.

use kith_system::{Latencies, LatencyRecorder};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    requests: AtomicU64,
    failed: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    latencies: LatencyRecorder,
}

/// A reading of the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficReading {
    /// Requests answered.
    pub requests: u64,
    /// Those of them answered with status 500 and up.
    pub failed: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Times from a request's arrival to the head of its answer.
    pub latencies: Latencies,
}

impl Traffic {
    /// Counts one answer.
    pub fn answered(&self, status: u16, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        if status >= 500 {
            self.failed.fetch_add(1, Relaxed);
        }
        self.latencies.record(took);
    }

    pub fn read(&self) -> TrafficReading {
        TrafficReading {
            requests: self.requests.load(Relaxed),
            failed: self.failed.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            latencies: self.latencies.read(),
        }
    }
}

/// A socket whose bytes are counted.
pub(crate) struct Counted<S> {
    socket: S,
    traffic: Arc<Traffic>,
}

impl<S> Counted<S> {
    pub fn new(socket: S, traffic: Arc<Traffic>) -> Self {
        Self { socket, traffic }
    }

    fn sent(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = poll {
            self.traffic.bytes_out.fetch_add(length as u64, Relaxed);
        }
        poll
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(cx, buffer);
        self.traffic.bytes_in.fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.sent(poll)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.sent(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn every_byte_is_counted_once_and_in_its_direction() {
        let traffic = Arc::new(Traffic::default());
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Counted::new(near, Arc::clone(&traffic));
        far.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 5];
        near.read_exact(&mut buffer).await.unwrap();
        near.write_all(b"hi").await.unwrap();
        let reading = traffic.read();
        assert_eq!((reading.bytes_in, reading.bytes_out), (5, 2));
    }

    #[test]
    fn answers_are_counted_with_their_faults_and_times() {
        let traffic = Traffic::default();
        for status in [200, 404, 500, 503] {
            traffic.answered(status, Duration::from_millis(5));
        }
        let reading = traffic.read();
        assert_eq!((reading.requests, reading.failed, reading.latencies.count()), (4, 2, 4));
    }
}
