//! Whether the bytes under a blob's name still are the ones that the name says.

use kith_types::Blake3;
use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// What lies where a blob shall come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// The blob, whole.
    Whole,
    /// Something else, which can only be damaged bytes of it.
    Damaged,
}

/// Looks at `path`, where the blob of this name and length shall come; reads what is there if it has the length.
pub fn standing(path: &Path, hash: &Blake3, size: u64) -> io::Result<Standing> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() && there.len() == size => {
            // What cannot be read is damaged too: sound bytes are at hand.
            let whole = fs::File::open(path).and_then(|file| is_whole(file, hash, &AtomicBool::new(false)));
            Ok(if whole.is_ok_and(|whole| whole) { Standing::Whole } else { Standing::Damaged })
        }
        Ok(_) => Ok(Standing::Damaged),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::Free),
        Err(error) => Err(error),
    }
}

/// Reads a whole file and says whether its bytes have this name. Ends early, with an error, once `stopped`.
pub fn is_whole(mut file: fs::File, hash: &Blake3, stopped: &AtomicBool) -> io::Result<bool> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    while !stopped.load(Ordering::Relaxed) {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(hasher.finalize().as_bytes() == hash.as_bytes());
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
    }
    Err(io::ErrorKind::Interrupted.into())
}
