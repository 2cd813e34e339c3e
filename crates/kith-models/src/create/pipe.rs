//! From a thread that writes to the blob store that reads. Bytes whose writer did not come to its end never become a blob.

use crate::ModelError;
use kith_blobs::{BlobError, Blobs, Put};
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
/// What writing leaves free on the disk, in bytes: the database needs room to say so.
const SPARED: u64 = 64 << 20;

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

/// Stores the `size` bytes that `work` writes; the disk keeps room for them from the start. Dropping the future stops the work at its
/// next write, and keeps nothing.
///
/// # Errors
/// [`ModelError::Full`], and what `work` fails with.
pub async fn written(
    blobs: &Blobs,
    size: u64,
    work: impl FnOnce(&mut Writer) -> Result<(), ModelError> + Send + 'static,
) -> Result<Put, ModelError> {
    let mut room = blobs.reserve(size, SPARED).await?;
    let (reader, writer) = tokio::io::duplex(BETWEEN);
    let (complete, runtime) = (Arc::new(AtomicBool::new(false)), Handle::current());
    let reader = Reader { pipe: reader, complete: Arc::clone(&complete) };
    let working = tokio::task::spawn_blocking(move || {
        let mut writer = Writer { pipe: writer, runtime };
        work(&mut writer)?;
        complete.store(true, Ordering::Release);
        Ok::<_, ModelError>(())
    });
    let put = blobs.put(reader, None, size, |done| room.still_to_come(size.saturating_sub(done))).await;
    // A store that fails closes the pipe; its reason counts more than the pipe's.
    match (working.await?, put) {
        (Err(error @ (ModelError::BadFile { .. } | ModelError::Unsupported(_))), _) => Err(error),
        (_, Err(error @ BlobError::Full)) => Err(error.into()),
        (Err(error), _) => Err(error),
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
        let write = |out: &mut Writer, byte, count| out.write_all(&vec![byte; count]).map_err(BlobError::from);
        let put = written(&blobs, 3 << 20, move |out| Ok(write(out, 7, 3 << 20)?)).await.unwrap();
        assert_eq!(put.size, 3 << 20);
        let broken = written(&blobs, 200, move |out| {
            write(out, 8, 100)?;
            Err(ModelError::BadFile { reason: "no".to_owned() })
        });
        assert!(matches!(broken.await, Err(ModelError::BadFile { reason }) if reason == "no"));
        let left = blobs.collect(&std::collections::HashSet::from([put.hash])).await.unwrap();
        assert_eq!(left.files, 0, "nothing of the broken one is left");
    }
    #[tokio::test]
    async fn nothing_is_written_to_a_disk_whose_room_is_promised_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).await.unwrap();
        let mut others = blobs.reserve(0, 0).await.unwrap();
        others.still_to_come(1 << 62);
        let refused = written(&blobs, 100, |_| panic!("it was begun")).await;
        assert!(matches!(refused, Err(ModelError::Full)), "{refused:?}");
        drop(others);
        let put = written(&blobs, 100, |out| Ok(out.write_all(&[1; 100]).map_err(BlobError::from)?)).await.unwrap();
        assert_eq!(put.size, 100);
    }
}
