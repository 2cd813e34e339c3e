//! The pairs of the blobs' trees, `trees/<64 hexadecimal digits>` beside the blobs: written while bytes are taken in, or on first use.
//! They are a cache that can always be computed again, and every pair is verified whenever it is used.

use crate::{
    BlobError, Blobs,
    pieces::{Found, find},
    ranges::Ranges,
    slice::{Encoder, Walk},
    tree::{self, PAIR, TreeHasher},
};
use kith_types::{Blake3, Sha256};
use sha2::Digest;
use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::NamedTempFile;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// How files of pairs begin that have no name yet.
const UNNAMED: &str = "in-";

/// The folder of trees.
pub struct Trees {
    folder: PathBuf,
    /// Whoever computes a tree: one at a time, since the disk is what it waits for.
    turn: Arc<Semaphore>,
}

/// Hashes bytes on their way in and keeps the pairs of their tree. It never fails: without room for the pairs, they are computed later.
pub struct Keeper {
    hasher: TreeHasher,
    folder: PathBuf,
    pairs: Kept,
}

enum Kept {
    /// No pair so far.
    None,
    Open(BufWriter<NamedTempFile>),
    /// Writing failed.
    Lost,
}

impl Kept {
    fn keep(&mut self, folder: &Path, pair: &[u8; PAIR]) {
        if let Self::None = self {
            *self = match tempfile::Builder::new().prefix(UNNAMED).tempfile_in(folder) {
                Ok(file) => Self::Open(BufWriter::new(file)),
                Err(_) => Self::Lost,
            };
        }
        if let Self::Open(file) = self
            && file.write_all(pair).is_err()
        {
            *self = Self::Lost;
        }
    }
}

/// The pairs of a tree that waits for its blob to take its name.
pub struct KeptPairs(Kept);

impl Keeper {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let Self { hasher, folder, pairs } = self;
        hasher.update(bytes, |pair| pairs.keep(folder, pair));
    }

    /// The digest of all the bytes, and their pairs.
    pub fn finalize(self) -> (Blake3, KeptPairs) {
        let Self { hasher, folder, mut pairs } = self;
        let hash = hasher.finalize(|pair| pairs.keep(&folder, pair));
        (Blake3::from_bytes(hash), KeptPairs(pairs))
    }
}

impl Trees {
    /// Opens the folder inside `folder` and removes what was left without a name.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = folder.join("trees");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNNAMED)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder, turn: Arc::new(Semaphore::new(1)) })
    }

    /// Begins to hash bytes that are taken in.
    pub fn keeper(&self) -> Keeper {
        Keeper { hasher: TreeHasher::default(), folder: self.folder.clone(), pairs: Kept::None }
    }

    /// Gives pairs their name. A failure is no loss: they are computed again when they are needed.
    pub fn settle(&self, hash: &Blake3, pairs: KeptPairs) {
        let KeptPairs(Kept::Open(file)) = pairs else { return };
        let named = file.into_inner().map_err(|error| error.into_error());
        if let Err(error) = named.and_then(|file| file.persist(self.path(hash)).map_err(|error| error.error)) {
            tracing::debug!(%hash, %error, "a tree was not kept");
        }
    }

    /// Where a blob's pairs lie.
    pub fn path(&self, hash: &Blake3) -> PathBuf {
        self.folder.join(hash.hex())
    }

    /// Removes a blob's pairs.
    pub fn forget(&self, hash: &Blake3) {
        let _ = fs::remove_file(self.path(hash));
    }

    /// Removes the pairs of blobs that are not there. Gives the files and bytes removed.
    pub fn collect(&self, is_there: impl Fn(&Blake3) -> bool) -> io::Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let hash = entry.file_name().to_str().and_then(|name| name.parse::<Blake3>().ok());
            if hash.is_some_and(|hash| !is_there(&hash)) {
                let length = entry.metadata().map_or(0, |metadata| metadata.len());
                if fs::remove_file(entry.path()).is_ok() {
                    (files, bytes) = (files + 1, bytes + length);
                }
            }
        }
        Ok((files, bytes))
    }

    /// Opens the pairs of a blob of `size` bytes; `None` if they are not there.
    fn pairs(&self, hash: &Blake3, size: u64) -> io::Result<Option<fs::File>> {
        match fs::File::open(self.path(hash)) {
            Ok(file) if file.metadata()?.len() == tree::pairs_len(size) => Ok(Some(file)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A blob, or the verified pieces of one that is on its way in, open to be served.
#[derive(Debug)]
pub struct Source {
    /// The digest of the whole.
    pub root: Blake3,
    /// Bytes of the whole.
    pub size: u64,
    /// What of it is here.
    pub have: Ranges,
    bytes: fs::File,
    /// A blob of one group has none.
    pairs: Option<fs::File>,
}

/// The two files of an [`Encoder`]; a blob of one group has no pairs, and its encoder asks for none.
pub type Encoding = Encoder<fs::File, fs::File>;

impl Source {
    /// Begins to encode `ranges`, which are among [`Source::have`].
    pub fn encode(self, ranges: Ranges) -> io::Result<Encoding> {
        let walk = Walk::new(&self.root, self.size, ranges).ok_or(io::ErrorKind::InvalidInput)?;
        let pairs = match self.pairs {
            Some(pairs) => pairs,
            None => self.bytes.try_clone()?,
        };
        Ok(Encoder::new(walk, self.bytes, pairs))
    }
}

impl Blobs {
    /// Opens a blob to be served, or the pieces that are here of one being fetched. Where the blob's tree is missing it is computed,
    /// which reads the whole blob; that goes on when the future is dropped, so that a later call finds the tree.
    ///
    /// # Errors
    /// [`BlobError::NotFound`]; [`BlobError::Damaged`] if the bytes do not have the digest any more.
    pub async fn source(&self, root: &Blake3) -> Result<Source, BlobError> {
        let (blobs, hash) = (self.clone(), *root);
        let known = spawn_blocking(move || blobs.known_source(&hash)).await??;
        if let Some(source) = known {
            return Ok(source);
        }
        let turn = Arc::clone(&self.inner.trees.turn).acquire_owned().await.map_err(io::Error::other)?;
        let blobs = self.clone();
        spawn_blocking(move || {
            let _turn = turn;
            // Somebody else may have computed it meanwhile.
            if blobs.known_source(&hash)?.is_none() {
                blobs.plant(&hash, &AtomicBool::new(false))?;
            }
            blobs.known_source(&hash)?.ok_or(BlobError::NotFound(hash))
        })
        .await?
    }

    /// Computes a blob's tree where it is missing, which reads the whole blob. Dropping the future stops it.
    ///
    /// # Errors
    /// As [`Blobs::source`].
    pub async fn prepare(&self, root: &Blake3) -> Result<(), BlobError> {
        struct Stop(Arc<AtomicBool>);
        impl Drop for Stop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let stop = Stop(Arc::default());
        let turn = Arc::clone(&self.inner.trees.turn).acquire_owned().await.map_err(io::Error::other)?;
        let (blobs, hash, stopped) = (self.clone(), *root, Arc::clone(&stop.0));
        spawn_blocking(move || {
            let _turn = turn;
            if blobs.known_source(&hash)?.is_none() { blobs.plant(&hash, &stopped) } else { Ok(()) }
        })
        .await?
    }

    /// Says that a blob's tree cannot be trusted; the next use computes it again.
    pub(crate) fn doubt_tree(&self, root: &Blake3) {
        self.inner.trees.forget(root);
    }

    /// `None` if only the tree is missing.
    fn known_source(&self, hash: &Blake3) -> Result<Option<Source>, BlobError> {
        let bytes = match fs::File::open(self.path(hash)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.unfinished(hash).map(Some),
            Err(error) => return Err(error.into()),
        };
        let size = bytes.metadata()?.len();
        let have = Ranges::up_to(tree::groups(size));
        if tree::pairs_len(size) == 0 {
            return Ok(Some(Source { root: *hash, size, have, bytes, pairs: None }));
        }
        let pairs = self.inner.trees.pairs(hash, size)?;
        Ok(pairs.map(|pairs| Source { root: *hash, size, have, bytes, pairs: Some(pairs) }))
    }

    fn unfinished(&self, hash: &Blake3) -> Result<Source, BlobError> {
        let Found { size, have, bytes, pairs } = find(&self.fetching(), hash)?.ok_or(BlobError::NotFound(*hash))?;
        Ok(Source { root: *hash, size, have, bytes, pairs: Some(pairs) })
    }

    /// Computes the tree of a blob that is there, and notes its other digest.
    fn plant(&self, hash: &Blake3, stopped: &AtomicBool) -> Result<(), BlobError> {
        let mut file = self.open_now(hash)?;
        let (mut keeper, mut sha256) = (self.inner.trees.keeper(), sha2::Sha256::new());
        let mut chunk = vec![0; CHUNK];
        loop {
            if stopped.load(Ordering::Relaxed) {
                return Err(io::Error::from(io::ErrorKind::Interrupted).into());
            }
            let count = file.read(&mut chunk)?;
            let bytes = chunk.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            keeper.update(bytes);
            sha256.update(bytes);
        }
        let (actual, pairs) = keeper.finalize();
        if actual != *hash {
            tracing::warn!(%hash, "a blob is damaged and is not served");
            return Err(BlobError::Damaged(*hash));
        }
        self.inner.trees.settle(hash, pairs);
        self.inner.names.note(&Sha256::from_bytes(sha256.finalize().into()), hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
