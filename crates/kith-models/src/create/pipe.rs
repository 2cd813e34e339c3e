//! From a thread that writes to the blob store that reads. Bytes whose writer did not come to its end never become a blob.

use crate::{ModelError, gguf::GgufError};
use kith_blobs::{Blobs, Put};
use std::{
    io::{self, Write},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf},
    runtime::Handle,
};

/// Bytes between the two.
const BETWEEN: usize = 1 << 20;
/// The largest file written, in bytes: the largest that the database can count.
const MAX_FILE: u64 = i64::MAX as u64;

/// The thread's end.
pub struct Writer {
    pipe: DuplexStream,
    runtime: Handle,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.pipe.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The store's end.
struct Reader {
    pipe: DuplexStream,
    complete: Arc<AtomicBool>,
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(context, buffer))?;
        let ended = buffer.filled().len() == before && buffer.remaining() > 0;
        if ended && !self.complete.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }
}

/// Stores what `work` writes. Dropping the future stops it at its next write, and keeps nothing.
pub async fn written(
    blobs: &Blobs,
    work: impl FnOnce(&mut Writer) -> Result<(), GgufError> + Send + 'static,
) -> Result<Put, ModelError> {
    let (reader, writer) = tokio::io::duplex(BETWEEN);
    let (complete, runtime) = (Arc::new(AtomicBool::new(false)), Handle::current());
    let reader = Reader { pipe: reader, complete: Arc::clone(&complete) };
    let working = tokio::task::spawn_blocking(move || {
        let mut writer = Writer { pipe: writer, runtime };
        work(&mut writer)?;
        complete.store(true, Ordering::Release);
        Ok::<_, GgufError>(())
    });
    let put = blobs.put(reader, None, MAX_FILE, |_| {}).await;
    // A store that fails closes the pipe; its reason counts more than the pipe's.
    match (working.await?, put) {
        (Err(error @ GgufError::Refused(_)), _) => Err(error.into()),
        (_, Err(error @ kith_blobs::BlobError::Full)) => Err(error.into()),
        (Err(error), _) => Err(error.into()),
        (Ok(()), put) => Ok(put?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_becomes_a_blob_and_what_breaks_off_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).await.unwrap();
        let put = written(&blobs, |out| Ok(out.write_all(&vec![7; 3 << 20])?)).await.unwrap();
        assert_eq!(put.size, 3 << 20);
        let broken = written(&blobs, |out| {
            out.write_all(&[8; 100])?;
            Err(GgufError::Refused("no".to_owned()))
        });
        assert!(matches!(broken.await, Err(ModelError::BadFile { reason }) if reason == "no"));
        let left = blobs.collect(&std::collections::HashSet::from([put.hash])).await.unwrap();
        assert_eq!(left.files, 0, "nothing of the broken one is left");
    }
}
