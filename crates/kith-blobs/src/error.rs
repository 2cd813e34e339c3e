//! What can go wrong with bytes on disk, by what the caller can do about it.

use kith_types::{Blake3, Sha256};
use std::{io, path::PathBuf};

/// Reading or writing blobs failed. Whatever the error, nothing half-written is left under a blob's name.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk or the quota is full.
    #[error("there is no room left on the disk")]
    Full,
    /// Bytes that are to come would fill the disk, or take room that is promised to others.
    #[error("there is no room left on the disk: {needed} bytes are needed, {free} are free")]
    NoRoom {
        /// Bytes that are to come.
        needed: u64,
        /// Bytes that they may take.
        free: u64,
    },
    /// The bytes are not the ones that were announced.
    #[error("the bytes have the digest {actual} instead of {expected}")]
    WrongDigest {
        /// What was announced.
        expected: Sha256,
        /// What arrived.
        actual: Sha256,
    },
    /// There are more bytes than allowed.
    #[error("there are more than the {limit} bytes allowed")]
    TooLarge {
        /// The most bytes allowed.
        limit: u64,
    },
    /// No such blob.
    #[error("there is no blob {0}")]
    NotFound(Blake3),
    /// The bytes that lie under this name are not its bytes any more.
    #[error("the blob {0} is damaged")]
    Damaged(Blake3),
    /// Somebody else is fetching the blob already.
    #[error("the blob {0} is being fetched already")]
    Fetching(Blake3),
    /// The path leads to a folder, a device, a pipe or a socket.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file at the given path cannot be opened.
    #[error("`{}` cannot be opened: {source}", path.display())]
    Unreadable {
        /// The path as it was given.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Another process has this folder of blobs open.
    #[error("the folder of blobs `{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The operating system refused; the message is for the log.
    #[error("reading or writing blobs failed: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl From<tokio::task::JoinError> for BlobError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Io(io::Error::other(error))
    }
}
