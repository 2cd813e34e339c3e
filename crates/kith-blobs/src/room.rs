//! Room on the disk that is promised to bytes still to come, so that those who come at once do not each count on the same room.

use crate::{BlobError, Blobs};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::spawn_blocking;

/// The sum of what is promised, in bytes.
#[derive(Default)]
pub struct Promised(Mutex<u64>);

/// Room on the disk for so many bytes. What was not used is free again when it is dropped.
#[derive(Debug)]
#[must_use = "the room is anybody's once this is dropped"]
pub struct Room {
    promised: Arc<Promised>,
    left: u64,
}

impl Blobs {
    /// Promises room for `bytes` bytes, beside which `spare` bytes stay free.
    ///
    /// # Errors
    /// [`BlobError::NoRoom`] if so many are not free, or are promised to others.
    pub async fn reserve(&self, bytes: u64, spare: u64) -> Result<Room, BlobError> {
        let (promised, folder) = (Arc::clone(&self.inner.promised), self.inner.folder.clone());
        spawn_blocking(move || promised.take(&folder, bytes, spare)).await?
    }

    /// Bytes that are free on the disk and promised to nobody.
    pub async fn unpromised(&self) -> Result<u64, BlobError> {
        let (promised, folder) = (Arc::clone(&self.inner.promised), self.inner.folder.clone());
        spawn_blocking(move || {
            let promised = *promised.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(fs4::available_space(&folder)?.saturating_sub(promised))
        })
        .await?
    }
}

impl Promised {
    /// Promises room on the disk of `folder`, as [`Blobs::reserve`] does.
    pub fn take(self: Arc<Self>, folder: &Path, bytes: u64, spare: u64) -> Result<Room, BlobError> {
        // Looked at under the lock: between looking and promising nobody else promises.
        let mut promised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = fs4::available_space(folder)?.saturating_sub(*promised).saturating_sub(spare);
        if bytes > free {
            return Err(BlobError::NoRoom { needed: bytes, free });
        }
        *promised = promised.saturating_add(bytes);
        drop(promised);
        Ok(Room { promised: self, left: bytes })
    }
}

impl Room {
    /// So many bytes are still to come: the others lie on the disk, which counts them itself. After a new start it may be more again.
    pub fn still_to_come(&mut self, bytes: u64) {
        let mut promised = self.promised.0.lock().unwrap_or_else(PoisonError::into_inner);
        *promised = promised.saturating_sub(self.left).saturating_add(bytes);
        self.left = bytes;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.still_to_come(0);
    }
}

impl std::fmt::Debug for Promised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Promised")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_promised_once_and_free_again_when_it_is_used_or_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).await.unwrap();
        // Others use this disk too: nothing here depends on less than a fifth of it.
        let fifth = blobs.unpromised().await.unwrap() / 5;
        let mut one = blobs.reserve(3 * fifth, 0).await.unwrap();
        let refused = blobs.reserve(3 * fifth, 0).await.unwrap_err();
        assert!(matches!(refused, BlobError::NoRoom { needed, free } if needed == 3 * fifth && free < 3 * fifth), "{refused}");
        assert!(matches!(blobs.reserve(fifth, 2 * fifth).await, Err(BlobError::NoRoom { .. })), "some stays free");
        one.still_to_come(fifth);
        let two = blobs.reserve(3 * fifth, 0).await.unwrap();
        drop((one, two));
        assert!(blobs.unpromised().await.unwrap() > 4 * fifth, "nothing is promised to nobody");
    }
}
