//! What can go wrong with conversations, by what the caller can do about it.

use kith_blobs::BlobError;
use kith_store::StoreError;

/// Why a conversation could not be read or changed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConversationsError {
    /// There is none of that id: it never was, was thrown away, or is gone for good.
    #[error("there is no conversation `{0}`")]
    NotFound(String),
    /// The conversation has no message of that id.
    #[error("the conversation has no message `{0}`")]
    NoMessage(String),
    /// The conversation shows no picture of that digest.
    #[error("the conversation has no image `{0}`")]
    NoPicture(String),
    /// The id is taken by something else.
    #[error("{0}")]
    Clash(String),
    /// A message that is to be followed is not in the conversation.
    #[error("`{field}`: the conversation has no message `{id}`")]
    NotInConversation {
        /// Which field names it: `parent` or `head`.
        field: &'static str,
        /// What it names.
        id: String,
    },
    /// A value is out of its bounds.
    #[error("`{field}` {message}")]
    Invalid {
        /// Which field.
        field: String,
        /// What it must be.
        message: String,
    },
    /// There are as many as may be: delete some.
    #[error("there are {limit} {what}, and no more are kept; delete some")]
    TooMany {
        /// Of what: `conversations`, `messages in this conversation`.
        what: &'static str,
        /// The most that are kept.
        limit: u64,
    },
    /// It is larger than what is kept.
    #[error("{what} would have more than the {limit} bytes that are kept")]
    TooLarge {
        /// Which field is too large.
        field: &'static str,
        /// What would be.
        what: &'static str,
        /// The most bytes that are kept.
        limit: u64,
    },
    /// The disk or the quota is full.
    #[error("there is no room left on the disk")]
    Full,
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
    /// The pictures cannot be read or written.
    #[error(transparent)]
    Blobs(BlobError),
    /// A fault of the node itself; the message is for the log.
    #[error("{0}")]
    Internal(String),
}

impl ConversationsError {
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<StoreError> for ConversationsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            other => Self::Store(other),
        }
    }
}

impl From<BlobError> for ConversationsError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full => Self::Full,
            other => Self::Blobs(other),
        }
    }
}
