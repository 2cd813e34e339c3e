//! The pieces of a blob on its way in, in any order: `fetching/<64 hexadecimal digits>` with `.bytes`, `.tree` (verified pairs) and
//! `.have` (which pieces are there). A piece counts after a restart only if `.have` says so, and that is written after the bytes are on
//! the disk; whatever else lies in `.bytes` is never read.

use crate::{
    BlobError, Blobs, Put,
    intake::sync_folder,
    partial::{digests, remove},
    ranges::Ranges,
    tree::{self, GROUP, MAX_SIZE, PAIR},
};
use kith_types::{Blake3, Sha256};
use std::{
    collections::HashMap,
    fs,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::SystemTime,
};
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;

/// Groups of a piece.
pub const PIECE_GROUPS: u64 = 64;
/// Bytes of a piece, but for the last: 1 MiB.
pub const PIECE: u64 = PIECE_GROUPS * GROUP as u64;
/// How a `.have` file begins; it names the version of its form, and with it the size of a piece.
const MAGIC: &[u8; 8] = b"kithhav1";

/// Pieces of a blob of `size` bytes.
pub fn pieces(size: u64) -> u64 {
    tree::groups(size).div_ceil(PIECE_GROUPS)
}

/// The groups of a piece: the first and their number.
pub fn groups_of(size: u64, piece: u64) -> (u64, u64) {
    let first = piece * PIECE_GROUPS;
    (first, PIECE_GROUPS.min(tree::groups(size).saturating_sub(first)))
}

/// Bytes of a piece.
pub fn piece_len(size: u64, piece: u64) -> u64 {
    size.saturating_sub(piece * PIECE).min(PIECE)
}

/// Writes what a `.have` file holds.
fn write_have(root: &Blake3, size: u64, held: &[bool]) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), root.as_bytes(), &size.to_le_bytes()].concat();
    bytes.extend(held.chunks(8).map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << at)));
    let check = *blake3::hash(&bytes).as_bytes();
    bytes.extend(check);
    bytes
}

/// Reads what a `.have` file holds: the blob's size and, for each piece, whether it is there. `None` if it is not whole, or another's.
pub fn read_have(bytes: &[u8], root: &Blake3) -> Option<(u64, Vec<bool>)> {
    let (said, check) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    let rest = said.strip_prefix(MAGIC)?.strip_prefix(root.as_bytes())?;
    let (size, bits) = rest.split_at_checked(8)?;
    let size = u64::from_le_bytes(size.try_into().ok()?);
    if check != blake3::hash(said).as_bytes() || size > MAX_SIZE || bits.len() as u64 != pieces(size).div_ceil(8) {
        return None;
    }
    let bit = |piece: u64| bits.get((piece / 8) as usize).is_some_and(|byte| byte & (1 << (piece % 8)) != 0);
    Some((size, (0..pieces(size)).map(bit).collect()))
}

/// Where the three files lie.
#[derive(Debug, Clone)]
struct Paths {
    folder: PathBuf,
    bytes: PathBuf,
    tree: PathBuf,
    have: PathBuf,
}

impl Paths {
    fn of(folder: &Path, root: &Blake3) -> Self {
        let [bytes, tree, have] = ["bytes", "tree", "have"].map(|end| folder.join(format!("{}.{end}", root.hex())));
        Self { folder: folder.to_owned(), bytes, tree, have }
    }

    /// What is there, if all three files fit together.
    fn read(&self, root: &Blake3) -> io::Result<Option<(u64, Vec<bool>)>> {
        let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
        let read = || -> io::Result<_> {
            let said = read_have(&fs::read(&self.have)?, root);
            let sizes = (length(&self.bytes)?, length(&self.tree)?);
            Ok(said.filter(|(size, _)| sizes == (*size, tree::pairs_len(*size))))
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            done => done,
        }
    }

    /// First goes what says that something is there.
    fn clear(&self) -> io::Result<()> {
        remove(&self.have)?;
        sync_folder(&self.folder)?;
        remove(&self.bytes)?;
        remove(&self.tree)
    }
}

/// What is there of a blob that is being fetched, or was.
pub struct Found {
    /// Bytes of the whole.
    pub size: u64,
    /// The groups that are there.
    pub have: Ranges,
    /// The file of bytes.
    pub bytes: fs::File,
    /// The file of pairs.
    pub pairs: fs::File,
}

/// Looks for pieces of a blob in `folder`.
pub fn find(folder: &Path, root: &Blake3) -> io::Result<Option<Found>> {
    let paths = Paths::of(folder, root);
    let Some((size, held)) = paths.read(root)? else { return Ok(None) };
    let (bytes, pairs) = (fs::File::open(&paths.bytes)?, fs::File::open(&paths.tree)?);
    Ok(Some(Found { size, have: held_groups(size, &held), bytes, pairs }))
}

/// The groups of the pieces that are there.
fn held_groups(size: u64, held: &[bool]) -> Ranges {
    let ranges: Vec<_> = (0u64..).zip(held).filter(|(_, held)| **held).map(|(piece, _)| groups_of(size, piece)).collect();
    Ranges::read(&ranges, tree::groups(size)).unwrap_or_default()
}

/// Bytes of the pieces that are there.
fn held_bytes(size: u64, held: &[bool]) -> u64 {
    (0u64..).zip(held).filter(|(_, held)| **held).map(|(piece, _)| piece_len(size, piece)).sum()
}

/// The right to fetch one blob: nobody else has it meanwhile.
pub struct Claim {
    blobs: Blobs,
    root: Blake3,
    _turn: OwnedMutexGuard<()>,
}

/// A blob's pieces, open for writing. All methods but [`Pieces::held`] block.
pub struct Pieces {
    claim: Claim,
    paths: Paths,
    size: u64,
    files: Mutex<Files>,
    held: Mutex<Held>,
    /// Taken while `.have` is written, so that an older one never replaces a newer.
    saving: Mutex<()>,
}

struct Files {
    bytes: fs::File,
    pairs: fs::File,
}

struct Held {
    pieces: Vec<bool>,
    /// Bytes written since the last checkpoint.
    unsaved: u64,
}

/// A verified piece.
pub struct Piece {
    /// Which one.
    pub number: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The verified pairs that came with it, by number.
    pub pairs: Vec<(u64, [u8; PAIR])>,
}

impl Blobs {
    pub(crate) fn fetching(&self) -> PathBuf {
        self.inner.folder.join("fetching")
    }

    /// Takes the right to fetch `root`.
    ///
    /// # Errors
    /// [`BlobError::Fetching`] if somebody else has it.
    pub(crate) fn claim(&self, root: &Blake3) -> Result<Claim, BlobError> {
        let turn = self.inner.fetches.of(root).try_lock_owned().map_err(|_| BlobError::Fetching(*root))?;
        Ok(Claim { blobs: self.clone(), root: *root, _turn: turn })
    }

    /// Bytes of `root` that lie ready in verified pieces from an earlier fetch.
    pub async fn fetched_size(&self, root: &Blake3) -> u64 {
        let (folder, root) = (self.fetching(), *root);
        let read = tokio::task::spawn_blocking(move || Paths::of(&folder, &root).read(&root));
        let said = read.await.ok().and_then(Result::ok).flatten();
        said.map_or(0, |(size, held)| held_bytes(size, &held))
    }

    /// Removes the pieces that nobody has written since `before` and nobody writes now; gives the number of blobs they are of.
    pub(crate) fn forget_pieces(&self, before: SystemTime) -> Result<u64, BlobError> {
        let entries = match fs::read_dir(self.fetching()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let mut written: HashMap<Blake3, SystemTime> = HashMap::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(root) = name.to_str().and_then(|name| name.split('.').next()?.parse().ok()) else { continue };
            let when = entry.metadata()?.modified()?;
            let latest = written.entry(root).or_insert(when);
            *latest = when.max(*latest);
        }
        let mut removed = 0;
        for (root, _) in written.into_iter().filter(|(_, when)| *when < before) {
            let Ok(_claim) = self.claim(&root) else { continue };
            Paths::of(&self.fetching(), &root).clear()?;
            removed += 1;
        }
        Ok(removed)
    }
}

impl Claim {
    /// The size of the blob and what is there of it, if anything is known of an earlier attempt. Blocks.
    pub fn known(&self) -> io::Result<Option<(u64, Vec<bool>)>> {
        Paths::of(&self.blobs.fetching(), &self.root).read(&self.root)
    }

    /// Bytes that are there of it, if it has this size. Blocks.
    pub fn held(&self, size: u64) -> io::Result<u64> {
        let known = self.known()?.filter(|(said, _)| *said == size);
        Ok(known.map_or(0, |(size, held)| held_bytes(size, &held)))
    }

    /// Removes what is there of it. Blocks.
    pub fn clear(self) -> io::Result<()> {
        let paths = Paths::of(&self.blobs.fetching(), &self.root);
        if paths.folder.exists() { paths.clear() } else { Ok(()) }
    }

    /// Opens the pieces of the blob, whose size is proven. Blocks.
    pub fn open(self, size: u64) -> Result<Pieces, BlobError> {
        let folder = self.blobs.fetching();
        fs::create_dir_all(&folder)?;
        let paths = Paths::of(&folder, &self.root);
        let held = match paths.read(&self.root)?.filter(|(said, _)| *said == size) {
            Some((_, held)) => held,
            None => {
                paths.clear()?;
                for (path, length) in [(&paths.bytes, size), (&paths.tree, tree::pairs_len(size))] {
                    fs::File::create(path)?.set_len(length)?;
                }
                vec![false; usize::try_from(pieces(size)).map_err(io::Error::other)?]
            }
        };
        let open = |path: &Path| fs::File::options().write(true).open(path);
        let files = Mutex::new(Files { bytes: open(&paths.bytes)?, pairs: open(&paths.tree)? });
        Ok(Pieces {
            claim: self,
            paths,
            size,
            files,
            held: Mutex::new(Held { pieces: held, unsaved: 0 }),
            saving: Mutex::default(),
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pieces {
    /// For each piece, whether it is written.
    pub fn held(&self) -> Vec<bool> {
        locked(&self.held).pieces.clone()
    }

    /// Bytes that a crash now would lose.
    pub fn unsaved(&self) -> u64 {
        locked(&self.held).unsaved
    }

    /// Writes a verified piece. It counts after a crash once [`Pieces::checkpoint`] has returned.
    pub fn write(&self, piece: &mut Piece) -> Result<(), BlobError> {
        piece.pairs.sort_unstable_by_key(|(number, _)| *number);
        let mut files = locked(&self.files);
        files.bytes.seek(SeekFrom::Start(piece.number * PIECE))?;
        files.bytes.write_all(&piece.bytes)?;
        for run in piece.pairs.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            let Some((first, _)) = run.first() else { continue };
            files.pairs.seek(SeekFrom::Start(first * PAIR as u64))?;
            files.pairs.write_all(&run.iter().flat_map(|(_, pair)| *pair).collect::<Vec<u8>>())?;
        }
        drop(files);
        let mut held = locked(&self.held);
        if let Some(there) = held.pieces.get_mut(usize::try_from(piece.number).unwrap_or(usize::MAX)) {
            *there = true;
        }
        held.unsaved += piece.bytes.len() as u64;
        Ok(())
    }

    /// Makes the pieces written so far survive a crash.
    pub fn checkpoint(&self) -> Result<(), BlobError> {
        let _saving = locked(&self.saving);
        // What is written now is on the disk after the next two lines; what comes meanwhile counts next time.
        let (pieces, unsaved) = {
            let held = locked(&self.held);
            (held.pieces.clone(), held.unsaved)
        };
        let (bytes, pairs) = {
            let files = locked(&self.files);
            (files.bytes.try_clone()?, files.pairs.try_clone()?)
        };
        bytes.sync_data()?;
        pairs.sync_data()?;
        let mut file = NamedTempFile::new_in(&self.paths.folder)?;
        file.write_all(&write_have(&self.claim.root, self.size, &pieces))?;
        file.as_file().sync_all()?;
        file.persist(&self.paths.have).map_err(|error| error.error)?;
        sync_folder(&self.paths.folder)?;
        let mut held = locked(&self.held);
        held.unsaved -= unsaved.min(held.unsaved);
        Ok(())
    }

    /// Reads everything again and, if it is the blob, and has the digest `expect`, stores it durably under its name.
    ///
    /// # Errors
    /// [`BlobError::WrongDigest`] and [`BlobError::Damaged`]: the pieces are removed. For others they are kept.
    pub fn complete(&self, expect: Option<Sha256>, stopped: &AtomicBool) -> Result<Put, BlobError> {
        let (blobs, root) = (&self.claim.blobs, &self.claim.root);
        let (hash, pairs, sha256, size) = digests(&self.paths.bytes, stopped, blobs.inner.trees.keeper())?;
        if hash != *root {
            // Every piece was right when it came: the disk did not keep it.
            self.paths.clear()?;
            return Err(BlobError::Damaged(*root));
        }
        if let Some(expected) = expect
            && expected != sha256
        {
            self.paths.clear()?;
            return Err(BlobError::WrongDigest { expected, actual: sha256 });
        }
        let file = fs::File::options().write(true).open(&self.paths.bytes)?;
        file.sync_all()?;
        let put = blobs.settle_file(&self.paths.bytes, hash, sha256, size)?;
        blobs.inner.trees.settle(&hash, pairs);
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        self.paths.clear()?;
        Ok(put)
    }
}

#[cfg(test)]
mod tests;
