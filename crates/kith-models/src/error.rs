//! What can go wrong with the library, by what the caller can do about it.

use crate::gguf::GgufError;
use kith_blobs::BlobError;
use kith_store::StoreError;
use kith_types::ModelNameError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The library did not do what was asked; it is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No model of that name: take `nearest`, or pull it.
    #[error("model `{name}` is not in the library{}; get it with: kith pull {name}", nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default())]
    NotFound {
        /// The name as asked for.
        name: String,
        /// The most similar name in the library.
        nearest: Option<String>,
    },
    /// The text cannot be a model's name: choose another.
    #[error(transparent)]
    BadName(#[from] ModelNameError),
    /// The file is not a model that Kith can read: choose another, or mend it as the sentence says.
    #[error("{reason}")]
    BadFile {
        /// A sentence about the file.
        reason: String,
    },
    /// The model's bytes are gone or damaged: import it again, or remove it.
    #[error("the file of the model `{name}` is missing or damaged: import the model again")]
    Damaged {
        /// The model's name.
        name: String,
    },
    /// A field of the request is wrong: change it.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// One sentence.
        message: String,
    },
    /// This cannot be done to this model: ask for something else.
    #[error("{0}")]
    Unsupported(String),
    /// The disk or the quota is full: make room.
    #[error("there is no room left on the disk")]
    Full,
    /// The database is busy: try again.
    #[error("the library is busy; try again")]
    Busy,
    /// No adapter of that id is registered: list them, or register it.
    #[error("no adapter `{id}` is registered")]
    NoAdapter {
        /// The id as asked for.
        id: String,
    },
    /// The id is taken: choose another, or remove the adapter that has it.
    #[error("an adapter `{id}` is registered already")]
    AdapterExists {
        /// The id.
        id: String,
    },
    /// What was said of an adapter cannot be: change this field.
    #[error("{reason}")]
    BadAdapter {
        /// The field.
        field: &'static str,
        /// A sentence about it.
        reason: String,
    },
    /// As many adapters are registered as may be: remove one.
    #[error("{0} adapters are registered, and no more are taken: remove one")]
    TooManyAdapters(u64),
    /// A fault of the node itself; the message is for the log.
    #[error("the library failed: {0}")]
    Failed(#[source] Cause),
}

impl From<StoreError> for ModelError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Busy => Self::Busy,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<BlobError> for ModelError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full | BlobError::NoRoom { .. } => Self::Full,
            error @ (BlobError::NotAFile(_) | BlobError::Unreadable { .. } | BlobError::TooLarge { .. }) => {
                Self::BadFile { reason: error.to_string() }
            }
            error => Self::Failed(error.into()),
        }
    }
}

impl From<GgufError> for ModelError {
    fn from(error: GgufError) -> Self {
        match error {
            GgufError::Refused(reason) => Self::BadFile { reason },
            error => Self::Failed(error.into()),
        }
    }
}

impl From<serde_json::Error> for ModelError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<tokio::task::JoinError> for ModelError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Failed(error.into())
    }
}
