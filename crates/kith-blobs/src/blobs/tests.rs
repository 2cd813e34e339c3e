//! Promises of the blob store: what is kept, what is refused, what is left behind.

use super::*;
use proptest::prelude::*;
use std::{
    io::Read,
    pin::Pin as Pinned,
    task::{Context, Poll},
};
use tokio::io::ReadBuf;

const ANY: u64 = u64::MAX;

async fn temporary() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    (folder, blobs)
}

async fn put(blobs: &Blobs, bytes: &[u8]) -> Put {
    blobs.put(bytes, None, ANY, |_| ()).await.unwrap()
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| if entry.file_type().unwrap().is_dir() { files_in(&entry.path()) } else { 1 })
        .sum()
}

fn sha256_of(bytes: &[u8]) -> Sha256 {
    use sha2::Digest;
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// Yields `good` bytes of zero, then the error.
struct Failing {
    good: usize,
    kind: io::ErrorKind,
}

impl AsyncRead for Failing {
    fn poll_read(mut self: Pinned<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.good == 0 {
            return Poll::Ready(Err(self.kind.into()));
        }
        let count = self.good.min(buffer.remaining());
        buffer.put_slice(&vec![0; count]);
        self.good -= count;
        Poll::Ready(Ok(()))
    }
}

/// Yields one byte and then nothing, for ever.
struct Stalling(bool);

impl AsyncRead for Stalling {
    fn poll_read(mut self: Pinned<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Pending;
        }
        buffer.put_slice(&[1]);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn bytes_are_found_under_the_digest_that_others_compute() {
    let (_folder, blobs) = temporary().await;
    let put = put(&blobs, b"hello").await;
    assert_eq!(put.hash.as_bytes(), blake3::hash(b"hello").as_bytes());
    assert_eq!(put.sha256, sha256_of(b"hello"));
    assert_eq!(fs::read(blobs.path(&put.hash)).unwrap(), b"hello");
    assert_eq!((blobs.size(&put.hash).await.unwrap(), put.size), (5, 5));
    assert!(blobs.exists(&put.hash).await.unwrap());
    assert!(blobs.verify(&put.hash).await.unwrap());
}

#[tokio::test]
async fn progress_ends_at_the_size() {
    let (_folder, blobs) = temporary().await;
    let bytes = vec![7; 3 * CHUNK + 5];
    let mut seen = Vec::new();
    blobs.put(bytes.as_slice(), None, ANY, |total| seen.push(total)).await.unwrap();
    assert!(seen.is_sorted() && seen.len() > 1);
    assert_eq!(seen.last(), Some(&(bytes.len() as u64)));
}

#[tokio::test]
async fn two_puts_of_the_same_bytes_at_once_make_one_file() {
    let (folder, blobs) = temporary().await;
    let bytes = vec![3; 5 * CHUNK];
    let (one, two) = tokio::join!(put(&blobs, &bytes), put(&blobs, &bytes));
    assert_eq!(one.hash, two.hash);
    assert_eq!(files_in(&folder.path().join("b3")), 1);
    assert_eq!(files_in(&folder.path().join("tmp")), 0);
}

#[tokio::test]
async fn a_wrong_digest_names_both_and_leaves_nothing() {
    let (folder, blobs) = temporary().await;
    let expected = sha256_of(b"other");
    let error = blobs.put(b"hello".as_slice(), Some(expected), ANY, |_| ()).await.unwrap_err();
    assert!(matches!(error, BlobError::WrongDigest { expected: e, actual } if e == expected && actual == sha256_of(b"hello")));
    assert_eq!(files_in(folder.path()), 1, "only the lock");
    blobs.put(b"hello".as_slice(), Some(sha256_of(b"hello")), ANY, |_| ()).await.unwrap();
}

#[tokio::test]
async fn the_limit_is_the_last_size_taken() {
    let (folder, blobs) = temporary().await;
    assert!(blobs.put([0; 10].as_slice(), None, 10, |_| ()).await.is_ok());
    let error = blobs.put([1; 11].as_slice(), None, 10, |_| ()).await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { limit: 10 }));
    assert_eq!(files_in(&folder.path().join("tmp")), 0);
    // An endless source is stopped at the limit, not at the end of the disk.
    let error = blobs.put(tokio::io::repeat(0), None, 1 << 20, |_| ()).await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { .. }));
}

#[tokio::test]
async fn a_failing_source_leaves_nothing_and_a_full_disk_is_told_apart() {
    let (folder, blobs) = temporary().await;
    let broken = Failing { good: CHUNK * 3, kind: io::ErrorKind::ConnectionReset };
    assert!(matches!(blobs.put(broken, None, ANY, |_| ()).await.unwrap_err(), BlobError::Io(_)));
    let full = Failing { good: 1, kind: io::ErrorKind::StorageFull };
    assert!(matches!(blobs.put(full, None, ANY, |_| ()).await.unwrap_err(), BlobError::Full));
    assert!(matches!(BlobError::from(io::Error::from(io::ErrorKind::QuotaExceeded)), BlobError::Full));
    assert_eq!(files_in(folder.path()), 1, "only the lock");
}

#[tokio::test]
async fn dropping_a_put_leaves_no_file() {
    let (folder, blobs) = temporary().await;
    let stalled = tokio::time::timeout(Duration::from_millis(50), blobs.put(Stalling(false), None, ANY, |_| ())).await;
    assert!(stalled.is_err());
    for _ in 0..500 {
        if files_in(&folder.path().join("tmp")) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the temporary file stayed");
}

#[tokio::test]
async fn a_file_is_imported_through_a_link_and_stays_where_it_was() {
    let (folder, blobs) = temporary().await;
    let source = folder.path().join("model.gguf");
    fs::write(&source, b"bytes").unwrap();
    let put = blobs.put_file(&source, None, ANY, |_| ()).await.unwrap();
    assert_eq!(put.size, 5);
    assert!(source.exists());
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&source, &link).unwrap();
        assert_eq!(blobs.put_file(&link, None, ANY, |_| ()).await.unwrap().hash, put.hash);
    }
}

#[tokio::test]
async fn what_is_not_a_regular_file_is_refused() {
    let (folder, blobs) = temporary().await;
    let refused = blobs.put_file(folder.path(), None, ANY, |_| ()).await.unwrap_err();
    assert!(matches!(refused, BlobError::NotAFile(_)));
    #[cfg(unix)]
    assert!(matches!(blobs.put_file(Path::new("/dev/zero"), None, ANY, |_| ()).await.unwrap_err(), BlobError::NotAFile(_)));
    let missing = blobs.put_file(&folder.path().join("nowhere"), None, ANY, |_| ()).await.unwrap_err();
    assert!(matches!(missing, BlobError::Unreadable { .. }), "{missing}");
}

#[tokio::test]
async fn a_file_larger_than_the_disk_is_refused_before_it_is_copied() {
    let (folder, blobs) = temporary().await;
    let source = folder.path().join("sparse");
    let room = fs4::available_space(folder.path()).unwrap();
    // Sparse: it takes no room itself. Some file systems cannot make one of this length.
    if fs::File::create(&source).unwrap().set_len(room.saturating_mul(2)).is_ok() {
        assert!(matches!(blobs.put_file(&source, None, ANY, |_| ()).await.unwrap_err(), BlobError::NoRoom { .. }));
    }
}

#[tokio::test]
async fn a_damaged_blob_is_noticed_and_a_truncated_one_replaced() {
    let (_folder, blobs) = temporary().await;
    let first = put(&blobs, b"hello").await;
    let path = blobs.path(&first.hash);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"hellO").unwrap();
    assert!(!blobs.verify(&first.hash).await.unwrap());
    fs::write(&path, b"hel").unwrap();
    put(&blobs, b"hello").await;
    assert!(blobs.verify(&first.hash).await.unwrap());
}

#[tokio::test]
async fn a_pinned_blob_is_neither_removed_nor_collected() {
    let (_folder, blobs) = temporary().await;
    let first = put(&blobs, b"hello").await;
    assert!(!blobs.remove(&first.hash).await.unwrap());
    assert_eq!(blobs.collect(&HashSet::new()).await.unwrap(), Collected::default());
    let again = blobs.pin(&first.hash).await.unwrap();
    drop(first.pin);
    assert!(!blobs.remove(&first.hash).await.unwrap());
    drop(again);
    assert!(blobs.remove(&first.hash).await.unwrap());
    assert!(!blobs.remove(&first.hash).await.unwrap());
    assert!(matches!(blobs.pin(&first.hash).await.unwrap_err(), BlobError::NotFound(_)));
    assert!(matches!(blobs.open_blob(&first.hash).await.unwrap_err(), BlobError::NotFound(_)));
}

#[tokio::test]
async fn a_collection_removes_what_nobody_uses_and_counts_it() {
    let (folder, blobs) = temporary().await;
    let (kept, dropped) = (put(&blobs, b"kept").await.hash, put(&blobs, b"dropped").await.hash);
    fs::write(folder.path().join("tmp/in-left"), b"abc").unwrap();
    fs::write(folder.path().join("b3/notes.txt"), b"somebody's").unwrap();
    let collected = blobs.collect(&HashSet::from([kept])).await.unwrap();
    assert_eq!(collected, Collected { files: 2, bytes: 7 + 3 });
    assert!(blobs.exists(&kept).await.unwrap());
    assert!(!blobs.exists(&dropped).await.unwrap());
    assert!(folder.path().join("b3/notes.txt").exists());
}

#[tokio::test]
async fn a_collection_leaves_what_is_on_its_way_in() {
    let (_folder, blobs) = temporary().await;
    let (mut sender, reader) = tokio::io::duplex(64);
    let (inner, beside) = (blobs.clone(), blobs.clone());
    let putting = tokio::spawn(async move { inner.put(reader, None, ANY, |_| ()).await });
    tokio::io::AsyncWriteExt::write_all(&mut sender, b"first half ").await.unwrap();
    beside.collect(&HashSet::new()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut sender, b"second half").await.unwrap();
    drop(sender);
    let put = putting.await.unwrap().unwrap();
    assert!(blobs.verify(&put.hash).await.unwrap());
}

#[tokio::test]
async fn what_a_crash_left_is_removed_when_opening() {
    let (folder, blobs) = temporary().await;
    let kept = put(&blobs, b"kept").await.hash;
    drop(blobs);
    fs::write(folder.path().join("tmp/in-half"), b"half").unwrap();
    fs::write(folder.path().join("tmp/out-half"), b"half").unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    assert_eq!(files_in(&folder.path().join("tmp")), 0);
    assert!(blobs.verify(&kept).await.unwrap());
}

#[tokio::test]
async fn a_folder_is_open_only_once() {
    let (folder, blobs) = temporary().await;
    assert!(matches!(Blobs::open(folder.path()).await.unwrap_err(), BlobError::InUse(_)));
    drop(blobs);
    Blobs::open(folder.path()).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn blobs_are_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, blobs) = temporary().await;
    let put = put(&blobs, b"hello").await;
    assert_eq!(fs::metadata(blobs.path(&put.hash)).unwrap().permissions().mode() & 0o777, 0o400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_and_removals_at_once_never_leave_a_put_without_its_bytes() {
    let (_folder, blobs) = temporary().await;
    let tasks = (0..8u8).map(|task| {
        let blobs = blobs.clone();
        tokio::spawn(async move {
            for round in 0..40u8 {
                let bytes = [(task + round) % 3; 64];
                let put = blobs.put(bytes.as_slice(), None, ANY, |_| ()).await.unwrap();
                assert_eq!(fs::read(blobs.path(&put.hash)).unwrap(), bytes);
                let hash = put.hash;
                drop(put);
                blobs.remove(&hash).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_put_is_got(bytes in prop::collection::vec(any::<u8>(), 0..4096), repeat in 0usize..200) {
        let bytes = bytes.repeat(repeat);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (_folder, blobs) = temporary().await;
            let put = blobs.put(bytes.as_slice(), Some(sha256_of(&bytes)), bytes.len() as u64, |_| ()).await.unwrap();
            let mut read = Vec::new();
            blobs.open_blob(&put.hash).await.unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            assert_eq!(put.size, bytes.len() as u64);
        });
    }
}

/// Turns one bit of a blob on the disk.
fn damage(blobs: &Blobs, hash: &Blake3) {
    let path = blobs.path(hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn damaged_bytes_of_the_same_length_give_way_to_sound_ones() {
    let (_folder, blobs) = temporary().await;
    let first = put(&blobs, b"hello").await;
    damage(&blobs, &first.hash);
    let again = put(&blobs, b"hello").await;
    assert!(again.mended && !first.mended);
    assert_eq!(fs::read(blobs.path(&first.hash)).unwrap(), b"hello");
    assert!(!put(&blobs, b"hello").await.mended, "sound ones stay");
    damage(&blobs, &first.hash);
    let mut partial = blobs.partial(&first.sha256, ANY).await.unwrap();
    partial.write(b"hello").await.unwrap();
    assert!(partial.complete(Some(first.sha256)).await.unwrap().mended);
    assert!(blobs.verify(&first.hash).await.unwrap());
}

#[tokio::test]
async fn a_file_is_not_copied_into_room_that_is_promised_to_others() {
    let (folder, blobs) = temporary().await;
    let file = folder.path().join("file");
    fs::write(&file, b"hello").unwrap();
    let mut others = blobs.reserve(0, 0).await.unwrap();
    others.still_to_come(1 << 62);
    let refused = blobs.put_file(&file, None, ANY, |_| ()).await;
    assert!(matches!(refused, Err(BlobError::NoRoom { needed: 5, free: 0 })), "{refused:?}");
    drop(others);
    assert_eq!(blobs.put_file(&file, None, ANY, |_| ()).await.unwrap().size, 5);
}
