//! Promises of pieces: what counts after a crash is on the disk; what is only there by chance does not count.

use super::*;
use crate::{Source, tree::TreeHasher};
use proptest::prelude::*;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8 ^ (at >> 14) as u8).collect()
}

fn root(bytes: &[u8]) -> Blake3 {
    Blake3::from_bytes(*blake3::hash(bytes).as_bytes())
}

async fn opened() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    (folder, blobs)
}

/// A piece with all pairs of the blob.
fn piece(bytes: &[u8], number: u64) -> Piece {
    let (mut hasher, mut pairs) = (TreeHasher::default(), Vec::new());
    hasher.update(bytes, |pair| pairs.push(*pair));
    hasher.finalize(|pair| pairs.push(*pair));
    let from = (number * PIECE) as usize;
    Piece { number, bytes: bytes[from..bytes.len().min(from + PIECE as usize)].to_vec(), pairs: (0..).zip(pairs).collect() }
}

#[tokio::test]
async fn a_piece_counts_after_a_crash_only_behind_a_checkpoint() {
    let (_folder, blobs) = opened().await;
    let bytes = bytes((2 << 20) + 5);
    let root = root(&bytes);
    let pieces = blobs.claim(&root).unwrap().open(bytes.len() as u64).unwrap();
    pieces.write(&mut piece(&bytes, 1)).unwrap();
    assert_eq!((pieces.held(), pieces.unsaved()), (vec![false, true, false], PIECE));
    assert!(matches!(blobs.claim(&root), Err(BlobError::Fetching(_))));
    drop(pieces);

    let pieces = blobs.claim(&root).unwrap().open(bytes.len() as u64).unwrap();
    assert_eq!(pieces.held(), [false; 3], "nobody said that it is on the disk");
    pieces.write(&mut piece(&bytes, 1)).unwrap();
    pieces.checkpoint().unwrap();
    assert_eq!(pieces.unsaved(), 0);
    pieces.write(&mut piece(&bytes, 2)).unwrap();
    drop(pieces);
    assert_eq!(blobs.fetched_size(&root).await, PIECE);

    // What is there is served to others.
    let source: Source = blobs.source(&root).await.unwrap();
    assert_eq!((source.size, source.have.clone()), (bytes.len() as u64, Ranges::one(64, 64)));
    let mut slice = Vec::new();
    source.encode(Ranges::one(64, 64)).unwrap().fill(&mut slice, usize::MAX).unwrap();
    crate::decode(&slice, &root, bytes.len() as u64, Ranges::one(64, 64), |_, _| ()).unwrap();

    let claim = blobs.claim(&root).unwrap();
    assert_eq!(claim.known().unwrap(), Some((bytes.len() as u64, vec![false, true, false])));
    let pieces = claim.open(bytes.len() as u64).unwrap();
    pieces.write(&mut piece(&bytes, 0)).unwrap();
    pieces.write(&mut piece(&bytes, 2)).unwrap();
    let put = pieces.complete(None, &AtomicBool::new(false)).unwrap();
    assert_eq!((put.hash, put.size), (root, bytes.len() as u64));
    assert!(blobs.verify(&root).await.unwrap());
    assert_eq!(fs::read_dir(blobs.fetching()).unwrap().count(), 0);
    assert_eq!(blobs.root_of(&put.sha256).await, Some(root));
}

#[tokio::test]
async fn what_does_not_fit_together_begins_again() {
    let (_folder, blobs) = opened().await;
    let bytes = bytes((1 << 20) + 5);
    let (root, size) = (root(&bytes), bytes.len() as u64);
    let begin = || {
        let pieces = blobs.claim(&root).unwrap().open(size).unwrap();
        pieces.write(&mut piece(&bytes, 0)).unwrap();
        pieces.checkpoint().unwrap();
        pieces.paths.clone()
    };
    let known = || blobs.claim(&root).unwrap().known().unwrap();
    let paths = begin();
    assert!(known().is_some());
    let mut have = fs::read(&paths.have).unwrap();
    have[50] ^= 2;
    fs::write(&paths.have, &have).unwrap();
    assert_eq!(known(), None, "a changed note");
    begin();
    fs::write(&paths.bytes, b"short").unwrap();
    assert_eq!(known(), None, "other bytes");
    begin();
    fs::remove_file(&paths.tree).unwrap();
    assert_eq!(known(), None, "no tree");
    begin();
    assert_eq!(blobs.claim(&root).unwrap().open(size + 1).unwrap().held(), [false; 2], "another size");
    begin();
    assert_eq!(blobs.forget_partials(SystemTime::UNIX_EPOCH).await.unwrap(), 0);
    let later = SystemTime::now() + std::time::Duration::from_secs(60);
    let claim = blobs.claim(&root).unwrap();
    assert_eq!(blobs.forget_partials(later).await.unwrap(), 0, "somebody has it");
    drop(claim);
    assert_eq!(blobs.forget_partials(later).await.unwrap(), 1);
    assert_eq!(fs::read_dir(blobs.fetching()).unwrap().count(), 0);
}

#[tokio::test]
async fn bytes_that_the_disk_changed_become_no_blob() {
    let (_folder, blobs) = opened().await;
    let bytes = bytes(1 << 20);
    let root = root(&bytes);
    let pieces = blobs.claim(&root).unwrap().open(bytes.len() as u64).unwrap();
    pieces.write(&mut piece(&bytes, 0)).unwrap();
    let mut changed = bytes.clone();
    changed[7] ^= 1;
    fs::write(&pieces.paths.bytes, changed).unwrap();
    assert!(matches!(pieces.complete(None, &AtomicBool::new(false)), Err(BlobError::Damaged(_))));
    assert_eq!(fs::read_dir(blobs.fetching()).unwrap().count(), 0);
    drop(pieces);
    let pieces = blobs.claim(&root).unwrap().open(bytes.len() as u64).unwrap();
    pieces.write(&mut piece(&bytes, 0)).unwrap();
    let other = Sha256::from_bytes([1; 32]);
    assert!(matches!(pieces.complete(Some(other), &AtomicBool::new(false)), Err(BlobError::WrongDigest { .. })));
    assert!(!blobs.exists(&root).await.unwrap());
}

proptest! {
    #[test]
    fn notes_are_read_as_written_and_nonsense_is_refused(size in 0u64..40 << 20, seed in any::<u64>(), nonsense in prop::collection::vec(any::<u8>(), 0..200), at in any::<usize>()) {
        let root = Blake3::from_bytes([7; 32]);
        let held: Vec<bool> = (0..pieces(size)).map(|piece| seed.rotate_left(piece as u32) & 1 == 1).collect();
        let mut bytes = write_have(&root, size, &held);
        prop_assert_eq!(read_have(&bytes, &root), Some((size, held)));
        prop_assert_eq!(read_have(&bytes, &Blake3::from_bytes([8; 32])), None);
        prop_assert_eq!(read_have(&nonsense, &root), None);
        let at = at % bytes.len();
        bytes[at] ^= 1;
        prop_assert_eq!(read_have(&bytes, &root), None);
    }
}
