//! What came of a blob whose fetching was given up: verified pieces, for whoever gets the rest of it in another way.

use crate::{
    BlobError, Blobs,
    pieces::{Found, find},
    tree::GROUP,
};
use kith_types::Blake3;
use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// Verified parts of a blob. That it is the blob somebody wants is for the whole to show.
#[derive(Debug)]
pub struct Came {
    size: u64,
    /// The first byte and the one behind the last, in ascending order.
    runs: Vec<(u64, u64)>,
    file: Arc<fs::File>,
}

impl Blobs {
    /// What is there of the blob `root`, if some of it is and it is not there as a whole.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn came(&self, root: &Blake3) -> Result<Option<Came>, BlobError> {
        let (folder, root) = (self.fetching(), *root);
        let found = spawn_blocking(move || find(&folder, &root)).await??;
        Ok(found.map(Came::of).filter(|came| !came.runs.is_empty()))
    }

    /// Removes what is there of a blob that is wanted no more, unless it is being fetched.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn forget_came(&self, root: &Blake3) -> Result<(), BlobError> {
        let Ok(claim) = self.claim(root) else { return Ok(()) };
        Ok(spawn_blocking(move || claim.clear()).await??)
    }
}

impl Came {
    fn of(found: Found) -> Self {
        let Found { size, have, bytes, .. } = found;
        let group = GROUP as u64;
        let run = |(first, count): &(u64, u64)| (first * group, (first + count).saturating_mul(group).min(size));
        Self { size, runs: have.pairs().iter().map(run).collect(), file: Arc::new(bytes) }
    }

    /// Bytes of the whole.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the next part of at least `least` bytes begins that does not begin before `at`.
    pub fn next_part(&self, at: u64, least: u64) -> Option<u64> {
        self.runs.iter().find(|(first, end)| *first >= at && end - first >= least).map(|(first, _)| *first)
    }

    /// The bytes from `at` on, at most `most`, as far as they are there; none where they are not.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn read(&self, at: u64, most: usize) -> Result<Vec<u8>, BlobError> {
        let end = self.runs.iter().find(|(first, end)| (*first..*end).contains(&at)).map_or(at, |(_, end)| *end);
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(most);
        if length == 0 {
            return Ok(Vec::new());
        }
        let file = Arc::clone(&self.file);
        let read = spawn_blocking(move || {
            let mut bytes = vec![0; length];
            // Nobody else reads this file by its place in it.
            let mut file = &*file;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        });
        Ok(read.await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pieces::PIECE, ranges::Ranges, tree};

    #[tokio::test]
    async fn what_is_there_is_read_and_what_is_not_is_not() {
        let size = 3 * PIECE + 5;
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let groups = PIECE / GROUP as u64;
        // The first piece, and the last one, which is short.
        let have = Ranges::read(&[(0, groups), (3 * groups, 1)], tree::groups(size)).unwrap();
        let open = || fs::File::open(file.path()).unwrap();
        let came = Came::of(Found { size, have, bytes: open(), pairs: open() });
        assert_eq!(came.read(PIECE - 2, 10).await.unwrap(), bytes[PIECE as usize - 2..PIECE as usize]);
        assert!(came.read(PIECE, 10).await.unwrap().is_empty());
        assert_eq!(came.read(3 * PIECE + 1, 10).await.unwrap(), bytes[3 * PIECE as usize + 1..]);
        assert!(came.read(size, 10).await.unwrap().is_empty() && came.read(u64::MAX, 1).await.unwrap().is_empty());
        assert_eq!((came.next_part(0, 1), came.next_part(1, 1), came.next_part(1, 6)), (Some(0), Some(3 * PIECE), None));
    }

    #[tokio::test]
    async fn nothing_came_of_what_nobody_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).await.unwrap();
        let root = Blake3::from_bytes([1; 32]);
        assert!(blobs.came(&root).await.unwrap().is_none());
        blobs.forget_came(&root).await.unwrap();
    }
}
