//! Which blob has which SHA-256: noted whenever both digests were computed from the same bytes on this machine. A log of fixed records
//! with check sums, read once; what a crash tore off its end was noted in vain, and is noted again when the bytes are read again.

use crate::Blobs;
use kith_types::{Blake3, Sha256};
use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

/// Bytes of a record: SHA-256, BLAKE3, and the beginning of the BLAKE3 of both.
const RECORD: usize = 72;
/// Names kept in memory: 64 MiB of them. More are found again only after a collection made room.
const MOST: usize = 1 << 20;

/// The log and what it says.
pub struct Names {
    path: PathBuf,
    log: Mutex<Log>,
}

struct Log {
    /// Opened for the first note.
    file: Option<fs::File>,
    roots: HashMap<[u8; 32], [u8; 32]>,
}

fn record(sha256: &[u8; 32], root: &[u8; 32]) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let (both, check) = record.split_at_mut(64);
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(sha256);
    second.copy_from_slice(root);
    check.copy_from_slice(blake3::hash(both).as_bytes().split_at(8).0);
    record
}

/// Reads the log, whatever is in it: records whose check sum is wrong are passed over.
pub fn read_names(bytes: &[u8]) -> HashMap<[u8; 32], [u8; 32]> {
    let mut roots = HashMap::new();
    for part in bytes.chunks_exact(RECORD) {
        let (mut sha256, mut root) = ([0; 32], [0; 32]);
        sha256.copy_from_slice(part.get(..32).unwrap_or_default());
        root.copy_from_slice(part.get(32..64).unwrap_or_default());
        if roots.len() < MOST && record(&sha256, &root) == part {
            roots.insert(sha256, root);
        }
    }
    roots
}

impl Names {
    /// Reads the log in `folder`, if there is one.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("sha256");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, log: Mutex::new(Log { file: None, roots: read_names(&bytes) }) })
    }

    /// Notes that the same bytes have these digests. A failure is logged: the name is found again when the bytes are read again.
    pub fn note(&self, sha256: &Sha256, root: &Blake3) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let known = log.roots.get(sha256.as_bytes()) == Some(root.as_bytes());
        if known || log.roots.len() >= MOST {
            return;
        }
        if let Err(error) = self.append(&mut log.file, &record(sha256.as_bytes(), root.as_bytes())) {
            tracing::debug!(%sha256, %error, "a blob's other digest was not noted");
            // It is opened anew, and its end put right, for the next one.
            log.file = None;
        }
        log.roots.insert(*sha256.as_bytes(), *root.as_bytes());
    }

    fn append(&self, open: &mut Option<fs::File>, record: &[u8]) -> io::Result<()> {
        let file = match open {
            Some(file) => file,
            None => {
                let file = fs::File::options().create(true).append(true).open(&self.path)?;
                // A torn record would put all later ones out of step.
                let length = file.metadata()?.len();
                file.set_len(length - length % RECORD as u64)?;
                open.insert(file)
            }
        };
        file.write_all(record)
    }

    /// The blob that has this SHA-256, whether it is still there or not.
    pub fn root(&self, sha256: &Sha256) -> Option<Blake3> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.roots.get(sha256.as_bytes()).map(|root| Blake3::from_bytes(*root))
    }

    /// Forgets the names of blobs that are not there, and writes the log anew.
    pub fn collect(&self, is_there: impl Fn(&Blake3) -> bool) -> io::Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let before = log.roots.len();
        log.roots.retain(|_, root| is_there(&Blake3::from_bytes(*root)));
        if log.roots.len() == before {
            return Ok(());
        }
        let mut file = NamedTempFile::new_in(self.path.parent().unwrap_or(Path::new(".")))?;
        let records: Vec<u8> = log.roots.iter().flat_map(|(sha256, root)| record(sha256, root)).collect();
        file.write_all(&records)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        log.file = None;
        Ok(())
    }
}

impl Blobs {
    /// The blob with this SHA-256, if it is here and both digests were computed from its bytes on this machine.
    pub async fn root_of(&self, sha256: &Sha256) -> Option<Blake3> {
        let root = self.inner.names.root(sha256)?;
        self.exists(&root).await.unwrap_or(false).then_some(root)
    }

    /// Notes both digests of bytes that were verified on this machine, as [`Blobs::put`] does by itself: for blobs that came before
    /// the digests were noted here.
    pub async fn note_digests(&self, sha256: &Sha256, root: &Blake3) {
        let (blobs, sha256, root) = (self.clone(), *sha256, *root);
        let _ = spawn_blocking(move || blobs.inner.names.note(&sha256, &root)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(byte: u8) -> (Sha256, Blake3) {
        (Sha256::from_bytes([byte; 32]), Blake3::from_bytes([byte + 100; 32]))
    }

    #[test]
    fn names_outlive_a_restart_a_torn_end_and_a_collection() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::open(folder.path()).unwrap();
        for byte in 0..3 {
            let (sha256, root) = digests(byte);
            names.note(&sha256, &root);
            names.note(&sha256, &root);
        }
        let path = names.path.clone();
        drop(names);
        let mut bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 3 * RECORD, "what is known is not noted twice");
        bytes[RECORD + 40] ^= 1;
        bytes.truncate(3 * RECORD - 1);
        fs::write(&path, &bytes).unwrap();
        let names = Names::open(folder.path()).unwrap();
        assert_eq!([0, 1, 2].map(|byte| names.root(&digests(byte).0)), [Some(digests(0).1), None, None]);
        names.note(&digests(3).0, &digests(3).1);
        drop(names);
        let names = Names::open(folder.path()).unwrap();
        assert_eq!(names.root(&digests(3).0), Some(digests(3).1), "what follows a torn end is in step");
        names.collect(|root| *root == digests(3).1).unwrap();
        names.note(&digests(4).0, &digests(4).1);
        drop(names);
        let names = Names::open(folder.path()).unwrap();
        assert_eq!([0, 3, 4].map(|byte| names.root(&digests(byte).0)), [None, Some(digests(3).1), Some(digests(4).1)]);
        assert_eq!(fs::metadata(path).unwrap().len(), 2 * RECORD as u64);
    }
}
