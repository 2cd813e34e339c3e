//! A response being answered, in the hands of whoever answers it.

use crate::{Log, Outcome, Responses, ResponsesError, Status, log::LogFull};
use bytes::Bytes;
use std::sync::Arc;

/// A response being answered. Dropped without an end, it has broken off.
pub struct Running {
    pub(crate) id: String,
    pub(crate) log: Arc<Log>,
    /// Where it is kept; `None` if it is not.
    pub(crate) kept: Option<Arc<Responses>>,
    pub(crate) streamed: bool,
    pub(crate) closed: bool,
}

impl Running {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its frames.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Whether anybody can read its frames.
    pub fn streamed(&self) -> bool {
        self.streamed
    }

    /// Adds a frame: text that ends with an empty line and holds no other.
    ///
    /// # Errors
    /// [`LogFull`] beyond [`crate::MAX_LOG_BYTES`], or [`crate::MAX_LOGS_BYTES`] of all.
    pub fn push(&self, frame: Bytes) -> Result<(), LogFull> {
        self.log.push(frame)
    }

    /// Notes that its turn has come.
    ///
    /// # Errors
    /// [`ResponsesError::Store`].
    pub async fn proceed(&self, body: &str) -> Result<(), ResponsesError> {
        if let Some(responses) = &self.kept {
            responses.store.response_update(&self.id, Status::InProgress.as_str(), body).await?;
        }
        Ok(())
    }

    /// Ends it: first on the disk, then for its readers. After an error it still runs, and [`Running::abandon`] ends it.
    ///
    /// # Errors
    /// [`ResponsesError::TooLarge`] if it is larger than what is kept; [`ResponsesError::Store`].
    pub async fn end(&mut self, status: Status, body: String, last: Bytes) -> Result<(), ResponsesError> {
        if let Some(responses) = self.kept.clone() {
            responses.keep_end(self, status, &body, &last).await?;
        }
        self.close(last, Outcome { status, body });
        Ok(())
    }

    /// Ends it for its readers although the end could not be kept; what is kept of it has broken off.
    pub fn abandon(mut self, body: String, last: Bytes) {
        self.close(last, Outcome { status: Status::Failed, body });
    }

    fn close(&mut self, last: Bytes, outcome: Outcome) {
        self.closed = true;
        // Readers that come after this find it in the database.
        self.leave();
        self.log.close(self.streamed.then_some(last), Some(outcome));
    }

    fn leave(&self) {
        if let Some(responses) = &self.kept {
            responses.leave(&self.id);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.closed {
            self.leave();
            self.log.close(None, None);
        }
    }
}
