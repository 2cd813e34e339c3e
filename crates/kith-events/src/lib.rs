//! A bounded event bus: islands publish, streams and logs listen. A slow listener loses events and is told how many; a publisher never waits.

mod coalesce;

use coalesce::Coalesced;
use futures::Stream;
use kith_types::{Clock, Timestamp};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

/// Events kept for listeners that reconnect, and the most a listener may lag behind.
pub const RING: usize = 1024;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Grows by one with each event since the node started.
    pub id: u64,
    /// A dotted word: `model.loaded`, `inference.finished`.
    pub kind: &'static str,
    /// When.
    pub at: Timestamp,
    /// The details, a JSON object.
    pub data: Value,
}

/// What a listener receives.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// An event, in order.
    Event(Arc<Event>),
    /// This many events were lost because the listener was too slow, or because they left the ring before it reconnected.
    Missed(u64),
}

struct Ring {
    next: u64,
    recent: VecDeque<Arc<Event>>,
}

struct Bus {
    clock: Arc<dyn Clock>,
    ring: Mutex<Ring>,
    coalesced: Mutex<Coalesced>,
    sender: broadcast::Sender<Arc<Event>>,
}

/// The bus. Clones are the same bus.
#[derive(Clone)]
pub struct Events(Arc<Bus>);

impl Events {
    /// A bus that stamps events by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let ring = Mutex::new(Ring { next: 1, recent: VecDeque::with_capacity(RING) });
        Self(Arc::new(Bus { clock, ring, coalesced: Mutex::default(), sender: broadcast::Sender::new(RING) }))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody who listens. Never waits and never fails.
    pub fn publish(&self, kind: &'static str, data: Value) {
        let mut ring = self.ring();
        let event = Arc::new(Event { id: ring.next, kind, at: self.0.clock.now(), data });
        ring.next += 1;
        if ring.recent.len() == RING {
            ring.recent.pop_front();
        }
        ring.recent.push_back(Arc::clone(&event));
        // Sent under the lock, so that order of ids is order of delivery. Nobody listening is no error.
        let _ = self.0.sender.send(event);
    }

    /// As [`Events::publish`], for what an outsider can cause as often as they like: of happenings with the same kind and key the first
    /// is told at once, the rest once a minute, the last one's `data` with their number as `count`.
    pub fn publish_coalesced(&self, kind: &'static str, key: &str, data: Value) {
        let due = self.coalesced().note(kind, key, data, self.0.clock.now());
        due.into_iter().for_each(|(kind, data)| self.publish(kind, data));
    }

    /// Tells what was held back for a minute. To be called about once a minute, so that the last of them are told too.
    pub fn sweep(&self) {
        let due = self.coalesced().sweep(self.0.clock.now());
        due.into_iter().for_each(|(kind, data)| self.publish(kind, data));
    }

    /// Tells all that is held back. For the end.
    pub fn flush(&self) {
        let due = self.coalesced().drain();
        due.into_iter().for_each(|(kind, data)| self.publish(kind, data));
    }

    fn coalesced(&self) -> MutexGuard<'_, Coalesced> {
        self.0.coalesced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last event; 0 before the first.
    pub fn last_id(&self) -> u64 {
        self.ring().next - 1
    }

    /// The latest events, oldest first, at most [`RING`].
    pub fn recent(&self) -> Vec<Arc<Event>> {
        self.ring().recent.iter().cloned().collect()
    }

    /// Everything from now on; with `after`, first what followed that event and is still kept.
    pub fn listen(&self, after: Option<u64>) -> impl Stream<Item = Delivery> + Send + use<> {
        let ring = self.ring();
        let receiver = self.0.sender.subscribe();
        let mut backlog = VecDeque::new();
        // An id from before a restart is larger than any of ours: nothing is owed for it.
        if let Some(after) = after.filter(|after| *after < ring.next) {
            let oldest = ring.recent.front().map_or(ring.next, |event| event.id);
            if oldest > after + 1 {
                backlog.push_back(Delivery::Missed(oldest - after - 1));
            }
            backlog.extend(ring.recent.iter().filter(|event| event.id > after).cloned().map(Delivery::Event));
        }
        drop(ring);
        futures::stream::unfold((backlog, receiver), |(mut backlog, mut receiver)| async move {
            if let Some(delivery) = backlog.pop_front() {
                return Some((delivery, (backlog, receiver)));
            }
            match receiver.recv().await {
                Ok(event) => Some((Delivery::Event(event), (backlog, receiver))),
                Err(broadcast::error::RecvError::Lagged(missed)) => Some((Delivery::Missed(missed), (backlog, receiver))),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use kith_types::SystemClock;
    use serde_json::json;

    fn bus() -> Events {
        Events::new(Arc::new(SystemClock))
    }

    fn id(delivery: &Delivery) -> Option<u64> {
        match delivery {
            Delivery::Event(event) => Some(event.id),
            Delivery::Missed(_) => None,
        }
    }

    #[tokio::test]
    async fn a_listener_hears_events_in_order() {
        let bus = bus();
        let mut listener = Box::pin(bus.listen(None));
        bus.publish("a", json!({}));
        bus.publish("b", json!({}));
        assert_eq!(id(&listener.next().await.unwrap()), Some(1));
        assert_eq!(id(&listener.next().await.unwrap()), Some(2));
    }

    #[tokio::test]
    async fn a_listener_that_reconnects_gets_what_it_missed() {
        let bus = bus();
        for _ in 0..5 {
            bus.publish("a", json!({}));
        }
        let seen: Vec<_> = Box::pin(bus.listen(Some(3))).take(2).collect().await;
        assert_eq!(seen.iter().filter_map(id).collect::<Vec<_>>(), [4, 5]);
    }

    #[tokio::test]
    async fn what_repeats_is_held_back_until_it_is_flushed() {
        let bus = bus();
        (0..50).for_each(|_| bus.publish_coalesced("a", "key", json!({})));
        assert_eq!((bus.recent().len(), bus.last_id()), (1, 1));
        bus.sweep();
        assert_eq!(bus.last_id(), 1);
        bus.flush();
        assert_eq!(bus.recent()[1].data, json!({"count": 49}));
    }

    #[tokio::test]
    async fn the_ring_is_bounded_and_losses_are_told() {
        let bus = bus();
        let mut slow = Box::pin(bus.listen(None));
        for _ in 0..RING + 10 {
            bus.publish("a", json!({}));
        }
        assert_eq!(bus.recent().len(), RING);
        assert_eq!(slow.next().await, Some(Delivery::Missed(10)));
        let first = Box::pin(bus.listen(Some(2))).next().await;
        assert_eq!(first, Some(Delivery::Missed(8)));
    }
}
