//! The reader of documents as a port: handlers know that documents are read, and not in which process.

use crate::error::ApiError;
use async_trait::async_trait;
use kith_documents::{DocumentError, Text};
use kith_types::Code;
use std::io;
use tokio::sync::SemaphorePermit;

/// A turn at reading. Whoever reads holds it until nothing of the reading goes on, also where nobody waits for the text any more.
pub type Turn = SemaphorePermit<'static>;

/// Why a document's text is not told.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The document does not allow it.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The node cannot read documents.
    #[error("the reader of documents cannot be started: {0}")]
    Reader(#[from] io::Error),
}

/// Reads documents.
#[async_trait]
pub trait Documents: Send + Sync + 'static {
    /// The text of a document. Ends what it began when it is dropped.
    ///
    /// # Errors
    /// [`Unread`].
    async fn text(&self, document: Vec<u8>, turn: Turn) -> Result<Text, Unread>;
}

impl From<Unread> for ApiError {
    fn from(error: Unread) -> Self {
        match error {
            Unread::Document(error) => Self::new(Code::InvalidRequest, error.to_string()),
            error @ Unread::Reader(_) => Self::internal(&error),
        }
    }
}
