//! Writes what the event bus tells into the ring.

use super::{End, Entry, choice, record_hash};
use crate::SystemError;
use futures::{FutureExt, Stream, StreamExt};
use kith_events::{Delivery, Events};
use kith_store::Store;
use kith_types::Clock;
use serde_json::{Value, json};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Records kept.
pub const KEPT: u64 = 10_000;
/// Events written at once, at most.
const BATCH: usize = 256;
/// Times a batch is tried before it is given up, and the pause between them.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// Appends one record from outside a running node, or beside it.
///
/// # Errors
/// [`SystemError::Store`].
pub async fn append(store: &Store, clock: &dyn Clock, kind: &str, data: &Value) -> Result<End, SystemError> {
    let entry = Entry { at: clock.now(), kind: kind.to_owned(), data: choice::bounded(data) };
    Ok(store.audit_append(&[entry], KEPT, record_hash).await?)
}

/// Listens from the moment it is made.
pub struct Writer {
    store: Store,
    clock: Arc<dyn Clock>,
    deliveries: Pin<Box<dyn Stream<Item = Delivery> + Send>>,
    written: watch::Sender<u64>,
    /// Events that were not recorded, and have not been told of yet.
    lost: u64,
}

impl Writer {
    pub(super) fn new(store: Store, events: &Events, clock: Arc<dyn Clock>, written: watch::Sender<u64>) -> Self {
        Self { store, clock, deliveries: Box::pin(events.listen(None)), written, lost: 0 }
    }

    /// Writes until `stop`, and then what was told before it.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                delivery = self.deliveries.next() => match delivery {
                    Some(delivery) => self.take(delivery).await,
                    None => return,
                },
                () = stop.cancelled() => break,
            }
        }
        while let Some(Some(delivery)) = self.deliveries.next().now_or_never() {
            self.take(delivery).await;
        }
    }

    /// Records a delivery and those that wait behind it.
    async fn take(&mut self, first: Delivery) {
        let mut entries = Vec::new();
        let mut last = None;
        let mut next = Some(first);
        while let Some(delivery) = next {
            match delivery {
                Delivery::Event(event) => {
                    last = Some(event.id);
                    if choice::is_recorded(event.kind) {
                        let data = choice::content(&event);
                        entries.push(Entry { at: event.at, kind: event.kind.to_owned(), data });
                    }
                }
                Delivery::Missed(count) => self.lost = self.lost.saturating_add(count),
            }
            next = if entries.len() < BATCH { self.deliveries.next().now_or_never().flatten() } else { None };
        }
        if self.lost > 0 {
            let data = json!({"count": self.lost}).to_string();
            entries.insert(0, Entry { at: self.clock.now(), kind: "audit.missed".to_owned(), data });
        }
        if !entries.is_empty() {
            self.write(&entries).await;
        }
        if let Some(last) = last {
            self.written.send_replace(last);
        }
    }

    async fn write(&mut self, entries: &[Entry]) {
        for attempt in 1..=TRIES {
            match self.store.audit_append(entries, KEPT, record_hash).await {
                Ok(_) => {
                    self.lost = 0;
                    return;
                }
                Err(error) => tracing::error!(%error, attempt, "the audit could not be written"),
            }
            if attempt < TRIES {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.lost = self.lost.saturating_add(entries.len() as u64);
    }
}
