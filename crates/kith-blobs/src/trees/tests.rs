//! Promises of trees: they come with the bytes, or on first use; what is wrong with them is noticed and mended.

use super::*;
use crate::{Put, tree::GROUP};
use std::collections::HashSet;

async fn opened(size: usize) -> (tempfile::TempDir, Blobs, Put) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    let put = blobs.put(bytes.as_slice(), None, u64::MAX, |_| ()).await.unwrap();
    assert_eq!(put.hash.as_bytes(), blake3::hash(&bytes).as_bytes());
    (folder, blobs, put)
}

async fn served(blobs: &Blobs, put: &Put) -> Vec<u8> {
    let source = blobs.source(&put.hash).await.unwrap();
    let have = source.have.clone();
    let (mut slice, mut got) = (Vec::new(), Vec::new());
    source.encode(have.clone()).unwrap().fill(&mut slice, usize::MAX).unwrap();
    crate::decode(&slice, &put.hash, put.size, have, |_, bytes| got.extend_from_slice(bytes)).unwrap();
    got
}

#[tokio::test]
async fn blobs_of_every_way_in_are_served_whole() {
    for size in [0, 1, GROUP, GROUP + 1, 300_000, 1 << 20] {
        let (_folder, blobs, put) = opened(size).await;
        assert_eq!(blobs.inner.trees.path(&put.hash).exists(), size > GROUP, "the tree came with the bytes");
        let got = served(&blobs, &put).await;
        assert_eq!(got.len(), size);
        assert_eq!(blobs.root_of(&put.sha256).await, Some(put.hash));
        // A blob of a time before trees.
        let _ = fs::remove_file(blobs.inner.trees.path(&put.hash));
        assert_eq!(served(&blobs, &put).await, got);
        let key = Sha256::from_bytes([9; 32]);
        let mut partial = blobs.partial(&key, u64::MAX).await.unwrap();
        partial.write(&got).await.unwrap();
        let _ = fs::remove_file(blobs.inner.trees.path(&put.hash));
        assert_eq!(partial.complete(None).await.unwrap().hash, put.hash);
        assert_eq!(blobs.inner.trees.path(&put.hash).exists(), size > GROUP);
        assert_eq!(fs::read_dir(&blobs.inner.trees.folder).unwrap().count(), usize::from(size > GROUP), "nothing else is left");
    }
}

#[tokio::test]
async fn a_tree_is_computed_before_somebody_asks_and_not_further_than_that_is_waited_for() {
    let (_folder, blobs, put) = opened(100_000).await;
    let path = blobs.inner.trees.path(&put.hash);
    fs::remove_file(&path).unwrap();
    blobs.prepare(&put.hash).await.unwrap();
    assert!(path.exists());
    blobs.prepare(&put.hash).await.unwrap();
    fs::remove_file(&path).unwrap();
    let stopped = blobs.plant(&put.hash, &AtomicBool::new(true));
    assert!(matches!(stopped, Err(BlobError::Io(_))) && !path.exists());
    assert!(matches!(blobs.prepare(&Blake3::from_bytes([1; 32])).await, Err(BlobError::NotFound(_))));
}

#[tokio::test]
async fn a_tree_of_the_wrong_length_is_computed_again_and_a_doubted_one_too() {
    let (_folder, blobs, put) = opened(100_000).await;
    let path = blobs.inner.trees.path(&put.hash);
    fs::write(&path, b"torn").unwrap();
    assert_eq!(served(&blobs, &put).await.len(), 100_000);
    blobs.doubt_tree(&put.hash);
    assert!(!path.exists());
    assert_eq!(served(&blobs, &put).await.len(), 100_000);
}

#[tokio::test]
async fn a_damaged_blob_is_not_served() {
    let (_folder, blobs, put) = opened(100_000).await;
    let path = blobs.path(&put.hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[77_777] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let mut encoding = blobs.source(&put.hash).await.unwrap().encode(Ranges::up_to(7)).unwrap();
    let (mut out, mut more) = (Vec::new(), Ok(true));
    while let Ok(true) = more {
        more = encoding.fill(&mut out, usize::MAX);
    }
    assert!(matches!(more, Err(crate::EncodeError::Damaged(crate::Mismatch { group: 4 }))));
    blobs.doubt_tree(&put.hash);
    assert!(matches!(blobs.source(&put.hash).await, Err(BlobError::Damaged(_))));
}

#[tokio::test]
async fn a_tree_goes_with_its_blob() {
    let (_folder, blobs, put) = opened(100_000).await;
    let (hash, sha256, tree) = (put.hash, put.sha256, blobs.inner.trees.path(&put.hash));
    drop(put.pin);
    assert!(blobs.remove(&hash).await.unwrap());
    assert!(!tree.exists());
    assert_eq!(blobs.root_of(&sha256).await, None);
    assert!(matches!(blobs.source(&hash).await, Err(BlobError::NotFound(_))));
    fs::write(&tree, b"of nothing").unwrap();
    fs::write(tree.with_file_name("in-half"), b"left").unwrap();
    let collected = blobs.collect(&HashSet::new()).await.unwrap();
    assert_eq!((collected.files, collected.bytes), (1, 10));
    drop(blobs);
    let folder = tree.parent().unwrap().parent().unwrap();
    Blobs::open(folder).await.unwrap();
    assert_eq!(fs::read_dir(tree.parent().unwrap()).unwrap().count(), 0);
}
