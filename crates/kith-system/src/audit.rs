//! The audit ring: what matters, in order, on disk, each record's hash over the one before.
//!
//! Whoever changes a record must change every later one. Whoever cuts the end off, or makes all of it anew, is found out by the head
//! of an earlier export.

mod chain;
mod choice;
mod writer;

pub use chain::{Broken, GENESIS, record_hash, verify};
pub use kith_store::{AuditEnd as End, AuditEntry as Entry, AuditRow as Record};
pub use writer::{KEPT, Writer, append};

use crate::SystemError;
use kith_events::Events;
use kith_store::Store;
use kith_types::{Clock, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The most records one question gives.
pub const MAX_LIMIT: u32 = 1000;
/// Records an export reads at once.
pub const PAGE: u32 = 500;
/// The longest list of kinds, in bytes.
const MAX_KINDS: usize = 1024;
/// How long a reader waits for what has just happened to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which records are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Not before this time, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Of these kinds, with commas between: `access.login`, or `access` for all that begin so.
    pub kinds: Option<String>,
    /// With a number below this one.
    pub before: Option<u64>,
    /// At most so many, 1 to 1000.
    pub limit: Option<u32>,
}

/// Reads the ring.
pub struct Audit {
    store: Store,
    events: Events,
    written: watch::Receiver<u64>,
}

impl Audit {
    pub(crate) fn open(store: Store, events: Events, clock: Arc<dyn Clock>) -> (Arc<Self>, Writer) {
        let (sender, written) = watch::channel(events.last_id());
        let writer = Writer::new(store.clone(), &events, clock, sender);
        (Arc::new(Self { store, events, written }), writer)
    }

    /// Waits, for a second at most, until what has happened up to now is written.
    async fn caught_up(&self) {
        let last = self.events.last_id();
        let mut written = self.written.clone();
        // A writer that is gone or stuck must not hold readers up: they see what there is.
        let _ = tokio::time::timeout(PATIENCE, written.wait_for(|written| *written >= last)).await;
    }

    /// The records that answer the question, newest first.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for a limit, time or kind out of its bounds; [`SystemError::Store`].
    pub async fn search(&self, question: Question) -> Result<Vec<Record>, SystemError> {
        let limit = question.limit.unwrap_or(MAX_LIMIT / 2);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(SystemError::invalid("limit", format!("must be between 1 and {MAX_LIMIT}")));
        }
        let since = question.since.unwrap_or(0);
        if since < 0 {
            return Err(SystemError::invalid("since", "must not be negative"));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ',');
        if question.kinds.as_ref().is_some_and(|kinds| kinds.len() > MAX_KINDS || !kinds.chars().all(word)) {
            return Err(SystemError::invalid("types", "must be words of letters, digits, `.` and `_` with commas between"));
        }
        let kinds = question.kinds.filter(|kinds| !kinds.is_empty());
        self.caught_up().await;
        Ok(self.store.audit_search(Timestamp::from_ms(since), question.before, kinds.as_deref(), limit).await?)
    }

    /// The last record that left the ring.
    ///
    /// # Errors
    /// [`SystemError::Store`].
    pub async fn anchor(&self) -> Result<End, SystemError> {
        Ok(self.store.audit_page(None, 0).await?.0)
    }

    /// The end of the chain.
    ///
    /// # Errors
    /// [`SystemError::Store`].
    pub async fn head(&self) -> Result<End, SystemError> {
        self.caught_up().await;
        Ok(self.store.audit_head().await?)
    }

    /// The next records after `after`, oldest first, at most [`PAGE`]; those that were there when the export began at `head`.
    ///
    /// # Errors
    /// [`SystemError::NotFound`] where the ring has gone on over `after`; [`SystemError::Store`].
    pub async fn page(&self, after: u64, head: u64) -> Result<Vec<Record>, SystemError> {
        let (anchor, mut records) = self.store.audit_page(Some(after), PAGE).await?;
        if anchor.seq > after {
            return Err(SystemError::NotFound("record any more: the ring went on while it was read"));
        }
        records.retain(|record| record.seq <= head);
        Ok(records)
    }

    /// Follows the whole chain on disk and gives its end.
    ///
    /// # Errors
    /// The first record that does not fit, or the store's error.
    pub async fn check(&self) -> Result<Result<End, Broken>, SystemError> {
        let head = self.head().await?;
        let mut end = self.anchor().await?;
        while end.seq < head.seq {
            let records = self.page(end.seq, head.seq).await?;
            if records.is_empty() {
                return Ok(Err(Broken { seq: end.seq + 1 }));
            }
            end = match verify(end, &records) {
                Ok(end) => end,
                Err(broken) => return Ok(Err(broken)),
            };
        }
        Ok(Ok(end))
    }
}

#[cfg(test)]
mod tests;
