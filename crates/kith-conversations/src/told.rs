//! What the event bus is told of conversations: which one, and what of it. No word of what was said.

use kith_events::Events;
use kith_types::Timestamp;
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// A message that is being written is told of at most this often.
const PAUSE_MS: i64 = 1000;
/// Messages being written of which it is known when they were last told of. Beyond that all are forgotten, and told of anew.
const REMEMBERED: usize = 64;

/// Tells the bus.
pub(crate) struct Told {
    events: Events,
    last: Mutex<HashMap<(String, String), Timestamp>>,
}

impl Told {
    pub(crate) fn new(events: Events) -> Self {
        Self { events, last: Mutex::default() }
    }

    pub(crate) fn created(&self, id: &str) {
        self.events.publish("conversation.created", json!({"id": id}));
    }

    /// These fields of a conversation changed.
    pub(crate) fn changed(&self, id: &str, fields: &[&str]) {
        self.events.publish("conversation.changed", json!({"id": id, "fields": fields}));
    }

    pub(crate) fn deleted(&self, id: &str, forever: bool) {
        self.events.publish("conversation.deleted", json!({"id": id, "forever": forever}));
    }

    /// A message was written. Of one that is still being written most times are passed over; its end never is.
    pub(crate) fn written(&self, id: &str, message: &str, ended: bool, now: Timestamp) {
        if ended || self.due(id, message, now) {
            self.events.publish("conversation.changed", json!({"id": id, "fields": ["messages"], "message": message}));
        }
    }

    fn due(&self, id: &str, message: &str, now: Timestamp) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (id.to_owned(), message.to_owned());
        let due = last.get(&key).is_none_or(|last| (now.ms() - last.ms()).abs() >= PAUSE_MS);
        if due {
            if last.len() == REMEMBERED && !last.contains_key(&key) {
                last.clear();
            }
            last.insert(key, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::SystemClock;
    use std::sync::Arc;

    #[test]
    fn a_message_being_written_is_told_of_once_a_second_and_at_its_end() {
        let events = Events::new(Arc::new(SystemClock));
        let told = Told::new(events.clone());
        for ms in 0..2500 {
            told.written("c", "m", false, Timestamp::from_ms(ms));
        }
        told.written("c", "m", true, Timestamp::from_ms(2500));
        assert_eq!(events.last_id(), 3 + 1);
        for n in 0..1000 {
            told.written("c", &n.to_string(), false, Timestamp::from_ms(2500));
        }
        assert_eq!(events.last_id(), 4 + 1000);
        assert!(told.last.lock().unwrap().len() <= REMEMBERED);
    }
}
