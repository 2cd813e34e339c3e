//! What can go wrong here, by what the caller can do about it.

use kith_keys::EntropyError;
use kith_store::StoreError;

/// A request about the node itself was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// A value is out of its bounds. Send another.
    #[error("`{field}` {reason}")]
    Invalid {
        /// The value's name.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The folder is not under a root that may be looked at.
    #[error("this folder may not be looked at: it is under none of the node's browse roots")]
    Outside,
    /// The system refuses the node this folder.
    #[error("the system does not let the node read this folder")]
    Unreadable,
    /// No such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// As many exist as may. Remove one first.
    #[error("there are {bound} {what} already, as many as may be; remove one first")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        bound: usize,
    },
    /// Something must be set before.
    #[error("{0}")]
    NotSet(&'static str),
    /// There is no folder to write reports to.
    #[error("reports cannot be kept: {0}")]
    NoFolder(String),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("a file failed: {0}")]
    Io(#[from] std::io::Error),
    /// Anything else; the message is for the log.
    #[error("{0}")]
    Internal(String),
}

impl SystemError {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Work that blocks, off the threads that serve requests.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SystemError> + Send + 'static,
) -> Result<T, SystemError> {
    tokio::task::spawn_blocking(work).await.map_err(SystemError::internal)?
}
