//! The folder of blobs: `b3/ab/<64 hexadecimal digits>` for those that have their name, `tmp/` for those on their way in or out.

use crate::{
    BlobError, Pin,
    check::is_whole,
    intake::{Complete, Incoming, allow_replacing, sync_folder},
    names::Names,
    partial::Turns,
    pins::Pins,
    room::Promised,
    trees::Trees,
};
use kith_types::{Blake3, Sha256};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    task::spawn_blocking,
};

/// Bytes handed from the reader to the writer at once.
const CHUNK: usize = 256 << 10;
/// Chunks that may wait for the writer: with the one being read and the one being written, at most 1 MiB is held.
const WAITING: usize = 2;
/// How often the folder's lock is tried: whoever is just stopping may hold it a moment longer.
const LOCK_TRIES: u32 = 20;
/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The open folder of blobs. Clones share it; a second process is refused.
#[derive(Clone)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) folder: PathBuf,
    pub(crate) named: PathBuf,
    pub(crate) temporary: PathBuf,
    pub(crate) pins: Arc<Pins>,
    pub(crate) turns: Turns,
    pub(crate) fetches: Turns<Blake3>,
    pub(crate) trees: Trees,
    pub(crate) names: Names,
    pub(crate) incoming: Arc<Incoming>,
    pub(crate) promised: Arc<Promised>,
    // Held for its lock.
    _lock: fs::File,
}

/// Bytes that are durably stored.
#[derive(Debug)]
pub struct Put {
    /// The blob's name.
    pub hash: Blake3,
    /// The same bytes' SHA-256.
    pub sha256: Sha256,
    /// Their number.
    pub size: u64,
    /// Keeps them until their owner has noted that they are in use.
    pub pin: Pin,
    /// Whether damaged bytes lay under that name, in whose place they came. Who has those open still reads them.
    pub mended: bool,
}

/// What a collection removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Files removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What goes to the writing thread. A channel that closes without `End` means that the bytes are not wanted any more.
enum Part {
    Bytes(Vec<u8>),
    End,
}

impl Blobs {
    /// Opens the folder `dir`, makes it if it is missing, and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`BlobError::InUse`] if another process, or another `Blobs` of this one, has it open.
    pub async fn open(dir: &Path) -> Result<Self, BlobError> {
        for _ in 1..LOCK_TRIES {
            match Self::try_open(dir).await {
                Err(BlobError::InUse(_)) => tokio::time::sleep(LOCK_PAUSE).await,
                opened => return opened,
            }
        }
        Self::try_open(dir).await
    }

    async fn try_open(dir: &Path) -> Result<Self, BlobError> {
        let folder = dir.to_owned();
        spawn_blocking(move || {
            let (named, temporary) = (folder.join("b3"), folder.join("tmp"));
            fs::create_dir_all(&named)?;
            fs::create_dir_all(&temporary)?;
            let lock = fs::File::create(folder.join("lock"))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Err(BlobError::InUse(folder)),
                Err(fs::TryLockError::Error(error)) => return Err(error.into()),
            }
            for entry in fs::read_dir(&temporary)? {
                let entry = entry?;
                tracing::debug!(file = %entry.path().display(), "removing what was left half-written");
                discard(&entry.path())?;
            }
            let (trees, names) = (Trees::open(&folder)?, Names::open(&folder)?);
            let inner = Inner {
                folder,
                named,
                temporary,
                pins: Arc::default(),
                turns: Turns::default(),
                fetches: Turns::default(),
                trees,
                names,
                incoming: Arc::default(),
                promised: Arc::default(),
                _lock: lock,
            };
            Ok(Self { inner: Arc::new(inner) })
        })
        .await?
    }

    /// Stores what `reader` yields until its end: at most `limit` bytes, with the SHA-256 `expect` if one is given.
    ///
    /// The bytes are on the disk when it returns. `progress` is told the number of bytes read so far. On an error, and when the
    /// future is dropped, nothing is kept. A blob that is already there is kept if its bytes still have their digest, and replaced otherwise.
    pub async fn put(
        &self,
        mut reader: impl AsyncRead + Send + Unpin,
        expect: Option<Sha256>,
        limit: u64,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Put, BlobError> {
        let (parts, inbox) = mpsc::channel(WAITING);
        let inner = Arc::clone(&self.inner);
        let writer = spawn_blocking(move || inner.take_in(inbox, expect, limit));
        let feed = async {
            let mut total: u64 = 0;
            loop {
                let mut chunk = vec![0; CHUNK];
                let mut filled = 0;
                while filled < CHUNK {
                    let count = reader.read(chunk.get_mut(filled..).unwrap_or_default()).await?;
                    if count == 0 {
                        break;
                    }
                    filled += count;
                    total += count as u64;
                    progress(total);
                }
                let ended = filled < CHUNK;
                chunk.truncate(filled);
                // A closed channel means that the writer failed; it says why below.
                if parts.send(Part::Bytes(chunk)).await.is_err() || ended {
                    return Ok::<_, BlobError>(());
                }
            }
        };
        let fed = feed.await;
        if fed.is_ok() {
            let _ = parts.send(Part::End).await;
        }
        drop(parts);
        // Waited for in any case, so that an error is returned only once the temporary file is gone.
        let put = writer.await?;
        fed?;
        put?.ok_or_else(|| BlobError::Io(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Stores a copy of the regular file at `path` (a link is followed once), on the terms of [`Blobs::put`].
    ///
    /// Should the file change meanwhile, the blob holds what was read, under the digest of what was read.
    pub async fn put_file(
        &self,
        path: &Path,
        expect: Option<Sha256>,
        limit: u64,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Put, BlobError> {
        let (path, inner) = (path.to_owned(), Arc::clone(&self.inner));
        let (file, mut room, size) = spawn_blocking(move || {
            let unreadable = |source| BlobError::Unreadable { path: path.clone(), source };
            // Opening a pipe would wait for its writer.
            if !fs::metadata(&path).map_err(unreadable)?.is_file() {
                return Err(BlobError::NotAFile(path));
            }
            let file = fs::File::open(&path).map_err(unreadable)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(BlobError::NotAFile(path));
            }
            if metadata.len() > limit {
                return Err(BlobError::TooLarge { limit });
            }
            // Filling the disk to find out that it is too small would take the database's room away.
            let room = Arc::clone(&inner.promised).take(&inner.folder, metadata.len(), 0)?;
            Ok((file, room, metadata.len()))
        })
        .await??;
        let told = |total: u64| {
            room.still_to_come(size.saturating_sub(total));
            progress(total);
        };
        self.put(tokio::fs::File::from_std(file), expect, limit, told).await
    }

    /// Bytes that this user may still write to the disk, and bytes the disk holds in all.
    pub async fn space(&self) -> Result<(u64, u64), BlobError> {
        let folder = self.inner.temporary.clone();
        spawn_blocking(move || Ok((fs4::available_space(&folder)?, fs4::total_space(&folder)?))).await?
    }

    /// Where a blob lies, or would lie.
    pub fn path(&self, hash: &Blake3) -> PathBuf {
        self.inner.path(hash)
    }

    /// Whether the blob is there.
    pub async fn exists(&self, hash: &Blake3) -> Result<bool, BlobError> {
        match self.size(hash).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The blob's length in bytes.
    pub async fn size(&self, hash: &Blake3) -> Result<u64, BlobError> {
        let (path, hash) = (self.path(hash), *hash);
        spawn_blocking(move || match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
            Ok(_) => Err(BlobError::NotFound(hash)),
            Err(error) => Err(absent(error, hash)),
        })
        .await?
    }

    /// Opens the blob for reading.
    pub async fn open_blob(&self, hash: &Blake3) -> Result<fs::File, BlobError> {
        let (blobs, hash) = (self.clone(), *hash);
        spawn_blocking(move || blobs.open_now(&hash)).await?
    }

    /// Opens the blob for reading; blocks.
    pub(crate) fn open_now(&self, hash: &Blake3) -> Result<fs::File, BlobError> {
        fs::File::open(self.path(hash)).map_err(|error| absent(error, *hash))
    }

    /// Pins a blob that is there.
    pub async fn pin(&self, hash: &Blake3) -> Result<Pin, BlobError> {
        // Pinned first: between looking and pinning it could go.
        let pin = self.inner.pins.pin(*hash);
        self.size(hash).await?;
        Ok(pin)
    }

    /// Reads the whole blob and says whether its bytes still have their digest. Dropping the future stops the reading.
    pub async fn verify(&self, hash: &Blake3) -> Result<bool, BlobError> {
        struct Stop(Arc<AtomicBool>);
        impl Drop for Stop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let file = self.open_blob(hash).await?;
        let stop = Stop(Arc::default());
        let (stopped, hash) = (Arc::clone(&stop.0), *hash);
        spawn_blocking(move || Ok(is_whole(file, &hash, &stopped)?)).await?
    }

    /// Removes a blob; says whether it did. A pinned blob stays, and an absent one is no error.
    pub async fn remove(&self, hash: &Blake3) -> Result<bool, BlobError> {
        let (inner, hash) = (Arc::clone(&self.inner), *hash);
        spawn_blocking(move || Ok(inner.remove(&hash)?.is_some())).await?
    }

    /// Removes every blob that is neither in `in_use` nor pinned, and every temporary file that nobody is writing.
    ///
    /// The caller sees to it that no blob outside `in_use` comes into use, unpinned, before this returns. Files whose names are not
    /// blobs' names are left and logged.
    pub async fn collect(&self, in_use: &HashSet<Blake3>) -> Result<Collected, BlobError> {
        let (inner, in_use) = (Arc::clone(&self.inner), in_use.clone());
        spawn_blocking(move || inner.collect(&in_use)).await?
    }
}

impl Inner {
    pub(crate) fn path(&self, hash: &Blake3) -> PathBuf {
        let digits = hash.hex();
        self.named.join(digits.get(..2).unwrap_or_default()).join(digits)
    }

    /// The writing side of a put: `None` if the bytes are not wanted any more.
    fn take_in(&self, mut inbox: mpsc::Receiver<Part>, expect: Option<Sha256>, limit: u64) -> Result<Option<Put>, BlobError> {
        let mut intake = self.incoming.start(&self.temporary, limit, self.trees.keeper())?;
        while let Some(part) = inbox.blocking_recv() {
            match part {
                Part::Bytes(bytes) => intake.write(&bytes)?,
                Part::End => return self.settle(intake.complete(expect)?).map(Some),
            }
        }
        Ok(None)
    }

    fn settle(&self, complete: Complete) -> Result<Put, BlobError> {
        let Complete { hash, sha256, size, .. } = complete;
        let path = self.path(&hash);
        let folder = path.parent().unwrap_or(&self.named);
        match fs::create_dir(folder) {
            Ok(()) => sync_folder(&self.named)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        // Pinned before looking whether it is there already: otherwise a removal could come between.
        let pin = self.pins.pin(hash);
        let (mended, pairs) = complete.settle(&path)?;
        sync_folder(folder)?;
        self.trees.settle(&hash, pairs);
        self.names.note(&sha256, &hash);
        Ok(Put { hash, sha256, size, pin, mended })
    }

    /// Removes an unpinned blob and returns its length.
    pub(crate) fn remove(&self, hash: &Blake3) -> io::Result<Option<u64>> {
        let (path, doomed) = (self.path(hash), self.temporary.join(format!("out-{}", hash.hex())));
        let moved = self.pins.unless_pinned(hash, || {
            let size = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            // Freeing the blocks of a large file takes long; under the lock it is only moved away.
            allow_replacing(&path)?;
            fs::rename(&path, &doomed)?;
            Ok(Some(size))
        });
        let Some(size) = moved.transpose()?.flatten() else { return Ok(None) };
        discard(&doomed)?;
        self.trees.forget(hash);
        Ok(Some(size))
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blobs").field(&self.inner.folder).finish()
    }
}

/// Removes a file in the temporary folder; one already gone is no error.
pub(crate) fn discard(path: &Path) -> io::Result<()> {
    let gone = allow_replacing(path).and_then(|()| match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    });
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn absent(error: io::Error, hash: Blake3) -> BlobError {
    match error.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound(hash),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
