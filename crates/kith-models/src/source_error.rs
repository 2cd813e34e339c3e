//! What can go wrong with hubs, registries and downloads, by what the caller can do about it.

use crate::ModelError;
use kith_blobs::BlobError;
use kith_types::{ModelNameError, Sha256};
use std::time::Duration;

/// A source did not give, or did not take, what it was asked for. Nothing unverified came into the library.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// What was asked for is no name of a model, or not one that this source can have: ask otherwise.
    #[error("{0}")]
    Name(String),
    /// The source does not have it.
    #[error("{0}")]
    NotFound(String),
    /// The source wants credentials, or other ones.
    #[error("{host} refuses: {reason}")]
    Refused {
        /// The source.
        host: String,
        /// One sentence.
        reason: String,
    },
    /// The source asks for patience.
    #[error("{host} is too busy")]
    Busy {
        /// The source.
        host: String,
        /// The least wait it asked for.
        retry_after: Option<Duration>,
    },
    /// The source cannot be reached, or broke off: try again later.
    #[error("{host}: {reason}")]
    Broken {
        /// The source.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The source answered what cannot be right.
    #[error("{host} gave a wrong answer: {reason}")]
    Unexpected {
        /// The source.
        host: String,
        /// One sentence.
        reason: String,
    },
    /// The bytes are not the ones that were promised; they were removed.
    #[error("digest mismatch: the bytes have {actual} instead of {expected}; they were removed")]
    WrongDigest {
        /// What was promised.
        expected: Sha256,
        /// What came.
        actual: Sha256,
    },
    /// Plain HTTP to another machine, which was not asked for.
    #[error("{0} is not encrypted: ask with `insecure` if that is meant")]
    Insecure(String),
    /// The disk has no room for it.
    #[error("there is no room left on the disk: {needed} bytes are needed, {free} are free")]
    Full {
        /// Bytes still to come.
        needed: u64,
        /// Bytes that may be used.
        free: u64,
    },
    /// Too many downloads, or pushes, wait.
    #[error("{0} transfers are waiting already: try again later")]
    QueueFull(usize),
    /// Something else is being downloaded under this name.
    #[error("`{0}` is being downloaded from another source")]
    Conflict(String),
    /// The model has something that Kith cannot take.
    #[error("{0}")]
    Unsupported(String),
    /// Somebody cancelled it. What has come is kept for the next time.
    #[error("the download was cancelled")]
    Cancelled,
    /// The library did not take it.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl SourceError {
    /// Whether the same request may succeed a little later.
    pub(crate) const fn passes(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Broken { .. })
    }

    pub(crate) fn unexpected(host: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unexpected { host: host.into(), reason: reason.into() }
    }
}

impl From<ModelNameError> for SourceError {
    fn from(error: ModelNameError) -> Self {
        Self::Name(error.to_string())
    }
}

impl From<BlobError> for SourceError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::WrongDigest { expected, actual } => Self::WrongDigest { expected, actual },
            BlobError::NoRoom { needed, free } => Self::Full { needed, free },
            error => Self::Model(error.into()),
        }
    }
}
