//! A partial blob: bytes on their way in that outlive a restart. It is continued from its length, and read again and verified as a
//! whole before it becomes a blob.

use crate::{
    BlobError, Blobs, Put,
    check::{Standing, standing},
    intake::{allow_replacing, sync_folder},
    trees::{Keeper, KeptPairs},
};
use kith_types::{Blake3, Sha256};
use sha2::Digest;
use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard},
    task::spawn_blocking,
};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;
/// Bytes read at once while verifying.
const CHUNK: usize = 1 << 20;

/// Whose turn it is with each partial blob: one writer at a time, others wait.
pub struct Turns<K = Sha256> {
    turns: Mutex<HashMap<K, Weak<Turn<()>>>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { turns: Mutex::default() }
    }
}

impl<K: Copy + Eq + std::hash::Hash> Turns<K> {
    /// The turn with what `key` names.
    pub fn of(&self, key: &K) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(*key, Arc::downgrade(&turn));
        turn
    }
}

/// A file with the right to write it. They travel together, so that a write that is still going on keeps others out.
struct Open {
    file: fs::File,
    turn: OwnedMutexGuard<()>,
}

/// The beginning of a blob, open for its continuation. What is dropped before it is complete stays for the next time, up to the last
/// [`Partial::flush`] or mebibyte.
pub struct Partial {
    blobs: Blobs,
    path: PathBuf,
    open: Option<Open>,
    buffer: Vec<u8>,
    size: u64,
    limit: u64,
}

impl Blobs {
    /// Opens the partial blob under `key` (the digest its bytes shall have, or any digest that stands for them), empty if there is
    /// none. It takes at most `limit` bytes. Waits while somebody else writes it.
    ///
    /// # Errors
    /// [`BlobError::Full`] and [`BlobError::Io`].
    pub async fn partial(&self, key: &Sha256, limit: u64) -> Result<Partial, BlobError> {
        let turn = self.inner.turns.of(key).lock_owned().await;
        let (folder, path) = (self.partials(), self.partial_path(key));
        let (file, size, path) = spawn_blocking(move || {
            fs::create_dir_all(&folder)?;
            let file = fs::File::options().create(true).append(true).open(&path)?;
            let size = file.metadata()?.len();
            Ok::<_, BlobError>((file, size, path))
        })
        .await??;
        Ok(Partial { blobs: self.clone(), path, open: Some(Open { file, turn }), buffer: Vec::new(), size, limit })
    }

    /// Bytes that lie ready under `key` from an earlier attempt.
    pub async fn partial_size(&self, key: &Sha256) -> u64 {
        let path = self.partial_path(key);
        spawn_blocking(move || fs::metadata(path).map_or(0, |metadata| metadata.len())).await.unwrap_or(0)
    }

    /// Removes partial blobs, and pieces of those being fetched, that nobody has written since `before` and nobody writes now. Gives
    /// their number.
    pub async fn forget_partials(&self, before: SystemTime) -> Result<u64, BlobError> {
        let (blobs, folder) = (self.clone(), self.partials());
        spawn_blocking(move || {
            let mut removed = blobs.forget_pieces(before)?;
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(removed),
                Err(error) => return Err(error.into()),
            };
            for entry in entries {
                let entry = entry?;
                let Some(key) = entry.file_name().to_str().and_then(|name| name.parse::<Sha256>().ok()) else { continue };
                let turn = blobs.inner.turns.of(&key);
                let Ok(_turn) = turn.try_lock() else { continue };
                if entry.metadata()?.modified()? < before {
                    fs::remove_file(entry.path())?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await?
    }

    fn partials(&self) -> PathBuf {
        self.inner.folder.join("partial")
    }

    fn partial_path(&self, key: &Sha256) -> PathBuf {
        self.partials().join(key.hex())
    }

    /// Gives the verified file at `from` its blob's name.
    pub(crate) fn settle_file(&self, from: &Path, hash: Blake3, sha256: Sha256, size: u64) -> Result<Put, BlobError> {
        let path = self.path(&hash);
        let folder = path.parent().unwrap_or(&self.inner.named);
        match fs::create_dir(folder) {
            Ok(()) => sync_folder(&self.inner.named)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        // Pinned before looking whether it is there already: otherwise a removal could come between.
        let pin = self.inner.pins.pin(hash);
        let there = standing(&path, &hash, size)?;
        match there {
            Standing::Whole => remove(from)?,
            Standing::Damaged => {
                allow_replacing(&path)?;
                fs::rename(from, &path)?;
            }
            Standing::Free => fs::rename(from, &path)?,
        }
        sync_folder(folder)?;
        self.inner.names.note(&sha256, &hash);
        Ok(Put { hash, sha256, size, pin, mended: there == Standing::Damaged })
    }
}

impl Partial {
    /// Bytes taken so far, in earlier attempts and this one.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`] beyond the limit; [`BlobError::Full`]; [`BlobError::Io`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        if self.size.saturating_add(bytes.len() as u64) > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.flush().await } else { Ok(()) }
    }

    /// Hands gathered bytes to the operating system.
    pub async fn flush(&mut self) -> Result<(), BlobError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.with_file(move |file| {
            let before = file.metadata()?.len();
            // A write that fails half-way would leave bytes whose number nobody knows.
            file.write_all(&bytes).inspect_err(|_| drop(file.set_len(before)))
        })
        .await
    }

    /// Begins again with nothing.
    pub async fn restart(&mut self) -> Result<(), BlobError> {
        self.buffer.clear();
        self.with_file(|file| file.set_len(0)).await?;
        self.size = 0;
        Ok(())
    }

    /// Removes it.
    pub async fn discard(mut self) -> Result<(), BlobError> {
        self.buffer.clear();
        let path = self.path.clone();
        self.with_file(move |_| remove(&path)).await
    }

    /// Reads everything again and, if it has the digest `expect`, makes it a blob that is durably stored. Dropping the future stops
    /// the reading and keeps the bytes.
    ///
    /// # Errors
    /// [`BlobError::WrongDigest`]: the bytes are removed. For others they are kept.
    pub async fn complete(mut self, expect: Option<Sha256>) -> Result<Put, BlobError> {
        struct Stop(Arc<AtomicBool>);
        impl Drop for Stop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        self.flush().await?;
        let Self { blobs, path, open, .. } = self;
        let stop = Stop(Arc::default());
        let stopped = Arc::clone(&stop.0);
        spawn_blocking(move || {
            let Open { file, turn: _turn } = open.ok_or_else(broken)?;
            let (hash, pairs, sha256, size) = digests(&path, &stopped, blobs.inner.trees.keeper())?;
            if let Some(expected) = expect
                && expected != sha256
            {
                drop(file);
                remove(&path)?;
                return Err(BlobError::WrongDigest { expected, actual: sha256 });
            }
            file.sync_all()?;
            let put = blobs.settle_file(&path, hash, sha256, size)?;
            blobs.inner.trees.settle(&hash, pairs);
            // Not before it has its name: a partial file must stay writable, whenever the power goes.
            let mut permissions = file.metadata()?.permissions();
            permissions.set_readonly(true);
            file.set_permissions(permissions)?;
            Ok(put)
        })
        .await?
    }

    async fn with_file(&mut self, act: impl FnOnce(&mut fs::File) -> io::Result<()> + Send + 'static) -> Result<(), BlobError> {
        let mut open = self.open.take().ok_or_else(broken)?;
        let (open, done) = spawn_blocking(move || {
            let done = act(&mut open.file);
            (open, done)
        })
        .await?;
        self.open = Some(open);
        Ok(done?)
    }
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partial").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}

/// An earlier call on this partial blob was given up in the middle.
fn broken() -> io::Error {
    io::Error::other("the partial file is still being written")
}

/// Removes a file; one already gone is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a whole file through both hashes: its digests, its tree and its length. Ends early, with an error, once `stopped`.
pub fn digests(path: &Path, stopped: &AtomicBool, mut tree: Keeper) -> Result<(Blake3, KeptPairs, Sha256, u64), BlobError> {
    let (mut sha256, mut size) = (sha2::Sha256::new(), 0);
    let mut file = fs::File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    while !stopped.load(Ordering::Relaxed) {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            let (hash, pairs) = tree.finalize();
            return Ok((hash, pairs, Sha256::from_bytes(sha256.finalize().into()), size));
        }
        let bytes = chunk.get(..count).unwrap_or_default();
        tree.update(bytes);
        sha256.update(bytes);
        size += count as u64;
    }
    Err(io::Error::from(io::ErrorKind::Interrupted).into())
}

#[cfg(test)]
mod tests;
