//! One blob on its way in: bytes go to a temporary file and through both hashes in the same pass, then take their name at once.

use crate::{
    BlobError,
    check::{Standing, standing},
    trees::{Keeper, KeptPairs},
};
use kith_types::{Blake3, Sha256};
use sha2::Digest;
use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::NamedTempFile;

/// The names of the temporary files now being written, which a collection must leave alone.
#[derive(Default)]
pub struct Incoming {
    names: Mutex<HashSet<OsString>>,
}

/// The note of one name among [`Incoming`].
struct Active {
    incoming: Arc<Incoming>,
    name: OsString,
}

/// A temporary file and the hashes of what it holds so far. Dropped, it takes its file with it.
pub struct Intake {
    file: NamedTempFile,
    tree: Keeper,
    sha256: sha2::Sha256,
    size: u64,
    limit: u64,
    // After the file: the note outlives it.
    active: Active,
}

/// All bytes are in the temporary file; it has no blob's name yet.
pub struct Complete {
    file: NamedTempFile,
    // After the file: the note outlives it.
    _active: Active,
    /// The pairs of its tree.
    pub pairs: KeptPairs,
    /// The blob's name.
    pub hash: Blake3,
    /// Its other digest.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

impl Incoming {
    /// Starts a temporary file in `folder` that takes at most `limit` bytes; `tree` hashes them.
    pub fn start(self: &Arc<Self>, folder: &Path, limit: u64, tree: Keeper) -> io::Result<Intake> {
        // Made and noted under one lock: a collection never sees the file without the note.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let file = tempfile::Builder::new().prefix("in-").tempfile_in(folder)?;
        let name = file.path().file_name().unwrap_or_default().to_owned();
        names.insert(name.clone());
        drop(names);
        let active = Active { incoming: Arc::clone(self), name };
        Ok(Intake { file, tree, sha256: sha2::Sha256::new(), size: 0, limit, active })
    }

    /// Does `act` for a file of this name unless it is being written.
    pub fn unless_active<T>(&self, name: &std::ffi::OsStr, act: impl FnOnce() -> T) -> Option<T> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        (!names.contains(name)).then(act)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.incoming.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Intake {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        self.tree.update(bytes);
        self.sha256.update(bytes);
        Ok(self.file.as_file_mut().write_all(bytes)?)
    }

    /// Checks the digest and makes the bytes durable and read-only.
    pub fn complete(self, expect: Option<Sha256>) -> Result<Complete, BlobError> {
        let Self { file, tree, sha256, size, active, .. } = self;
        let sha256 = Sha256::from_bytes(sha256.finalize().into());
        if let Some(expected) = expect
            && expected != sha256
        {
            return Err(BlobError::WrongDigest { expected, actual: sha256 });
        }
        let (hash, pairs) = tree.finalize();
        let mut permissions = file.as_file().metadata()?.permissions();
        permissions.set_readonly(true);
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        Ok(Complete { file, _active: active, pairs, hash, sha256, size })
    }
}

impl Complete {
    /// Gives the file its name, in a folder that exists. Bytes already there are kept if they are the same, and replaced otherwise:
    /// under that name they can only be damaged. Says whether they were; gives the pairs of the tree.
    pub fn settle(self, path: &Path) -> Result<(bool, KeptPairs), BlobError> {
        let there = standing(path, &self.hash, self.size)?;
        match there {
            Standing::Whole => return Ok((false, self.pairs)),
            Standing::Damaged => allow_replacing(path)?,
            Standing::Free => {}
        }
        self.file.persist(path).map_err(|error| error.error)?;
        Ok((there == Standing::Damaged, self.pairs))
    }
}

/// Windows neither deletes nor replaces a read-only file.
#[cfg(windows)]
pub fn allow_replacing(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions)
}

/// Elsewhere the folder's permissions decide.
#[cfg(not(windows))]
#[allow(clippy::unnecessary_wraps)]
pub fn allow_replacing(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a rename inside `folder` durable. Windows keeps its own journal of names and cannot open folders this way.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { fs::File::open(folder)?.sync_all() }
}
