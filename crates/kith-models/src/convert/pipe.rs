//! Lets bytes that are computed as they are read reach those who wait for bytes without blocking.

use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
    task::spawn_blocking,
};

/// Bytes handed over at once.
const CHUNK: usize = 256 << 10;
/// Chunks that may wait to be taken.
const WAITING: usize = 2;

/// What a thread of its own reads from `source`. The thread ends with the source, with an error, or soon after what is returned is
/// dropped.
pub(crate) fn piped(mut source: impl Read + Send + 'static) -> impl AsyncRead + Send + Unpin {
    let (sender, chunks) = mpsc::channel(WAITING);
    spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = match source.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    Ok(chunk)
                }
                Err(error) => Err(error),
            };
            let last = read.is_err();
            if sender.blocking_send(read).is_err() || last {
                return;
            }
        }
    });
    Pipe { chunks, chunk: io::Cursor::default() }
}

struct Pipe {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.chunk.position() >= this.chunk.get_ref().len() as u64 {
            match ready!(this.chunks.poll_recv(context)) {
                Some(chunk) => this.chunk = io::Cursor::new(chunk?),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.chunk.read(buffer.initialize_unfilled())?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn every_byte_arrives_in_order() {
        let bytes: Vec<u8> = (0..3_000_001u32).map(|n| (n % 251) as u8).collect();
        let mut arrived = Vec::new();
        piped(io::Cursor::new(bytes.clone())).read_to_end(&mut arrived).await.unwrap();
        assert!(arrived == bytes);
    }

    #[tokio::test]
    async fn an_error_arrives_after_the_bytes_before_it() {
        struct Broken(u8);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    2 => {
                        buffer[..3].copy_from_slice(b"abc");
                        Ok(3)
                    }
                    _ => Err(io::Error::other("gone")),
                }
            }
        }
        let mut arrived = Vec::new();
        let error = piped(Broken(0)).read_to_end(&mut arrived).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), arrived.as_slice()), ("gone", b"abc".as_slice()));
    }
}
