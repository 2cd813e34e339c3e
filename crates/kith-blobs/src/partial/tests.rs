//! Promises of partial blobs: they outlive restarts, have one writer, and become blobs only with the digest they shall have.

use super::*;
use std::{collections::HashSet, time::Duration};

fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

async fn opened() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    (folder, blobs)
}

#[tokio::test]
async fn a_partial_blob_is_continued_after_a_restart_and_verified_as_a_whole() {
    let (folder, blobs) = opened().await;
    let bytes = vec![7u8; 3 << 20];
    let key = sha256(&bytes);
    let mut partial = blobs.partial(&key, u64::MAX).await.unwrap();
    partial.write(&bytes[..2 << 20]).await.unwrap();
    partial.flush().await.unwrap();
    drop((partial, blobs));

    let blobs = Blobs::open(folder.path()).await.unwrap();
    blobs.collect(&HashSet::new()).await.unwrap();
    assert_eq!(blobs.partial_size(&key).await, 2 << 20);
    let mut partial = blobs.partial(&key, u64::MAX).await.unwrap();
    assert_eq!(partial.size(), 2 << 20);
    partial.write(&bytes[2 << 20..]).await.unwrap();
    let put = partial.complete(Some(key)).await.unwrap();
    assert_eq!((put.sha256, put.size), (key, 3 << 20));
    assert!(blobs.verify(&put.hash).await.unwrap());
    assert_eq!(blobs.partial_size(&key).await, 0);
}

#[tokio::test]
async fn wrong_bytes_become_no_blob_and_are_removed() {
    let (_folder, blobs) = opened().await;
    let key = sha256(b"right");
    let mut partial = blobs.partial(&key, 100).await.unwrap();
    partial.write(b"wrong").await.unwrap();
    assert!(matches!(partial.complete(Some(key)).await, Err(BlobError::WrongDigest { expected, .. }) if expected == key));
    assert_eq!(blobs.partial_size(&key).await, 0);
    assert_eq!(blobs.collect(&HashSet::new()).await.unwrap().files, 0);
}

#[tokio::test]
async fn bytes_beyond_the_limit_are_refused() {
    let (_folder, blobs) = opened().await;
    let mut partial = blobs.partial(&sha256(b"x"), 4).await.unwrap();
    partial.write(b"1234").await.unwrap();
    assert!(matches!(partial.write(b"5").await, Err(BlobError::TooLarge { limit: 4 })));
    assert_eq!(partial.size(), 4);
}

#[tokio::test]
async fn a_restarted_or_discarded_partial_blob_holds_nothing() {
    let (_folder, blobs) = opened().await;
    let key = sha256(b"again");
    let mut partial = blobs.partial(&key, 100).await.unwrap();
    partial.write(b"agaim").await.unwrap();
    partial.flush().await.unwrap();
    partial.restart().await.unwrap();
    assert_eq!((partial.size(), blobs.partial_size(&key).await), (0, 0));
    partial.write(b"again").await.unwrap();
    drop(partial.complete(Some(key)).await.unwrap());
    let partial = blobs.partial(&key, 100).await.unwrap();
    partial.discard().await.unwrap();
    assert_eq!(blobs.partial_size(&key).await, 0);
}

#[tokio::test]
async fn a_partial_blob_has_one_writer_at_a_time() {
    let (_folder, blobs) = opened().await;
    let key = sha256(b"x");
    let first = blobs.partial(&key, 100).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(50), blobs.partial(&key, 100)).await;
    assert!(waiting.is_err(), "the second writer waits");
    blobs.partial(&sha256(b"y"), 100).await.unwrap();
    drop(first);
    blobs.partial(&key, 100).await.unwrap();
}

#[tokio::test]
async fn old_partial_blobs_are_forgotten_unless_somebody_writes_them() {
    let (_folder, blobs) = opened().await;
    let (old, held) = (sha256(b"old"), sha256(b"held"));
    for key in [old, held] {
        let mut partial = blobs.partial(&key, 100).await.unwrap();
        partial.write(b"begun").await.unwrap();
        partial.flush().await.unwrap();
    }
    let writer = blobs.partial(&held, 100).await.unwrap();
    assert_eq!(blobs.forget_partials(SystemTime::UNIX_EPOCH).await.unwrap(), 0);
    let later = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(blobs.forget_partials(later).await.unwrap(), 1);
    assert_eq!((blobs.partial_size(&old).await, blobs.partial_size(&held).await), (0, 5));
    drop(writer);
}

#[tokio::test]
async fn bytes_that_are_there_already_are_kept_once() {
    let (_folder, blobs) = opened().await;
    let there = blobs.put(&b"same"[..], None, 100, |_| ()).await.unwrap();
    let mut partial = blobs.partial(&there.sha256, 100).await.unwrap();
    partial.write(b"same").await.unwrap();
    let put = partial.complete(Some(there.sha256)).await.unwrap();
    assert_eq!(put.hash, there.hash);
    assert_eq!(blobs.partial_size(&put.sha256).await, 0);
}
