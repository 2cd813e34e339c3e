//! Notes when bearers are used: off the request's path, once a minute each, and rather not at all than late.

use kith_store::{Bearer, BearerKind, Store};
use kith_types::Timestamp;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// A bearer's use is noted once in this time.
const INTERVAL_MS: i64 = 60_000;
/// Notes being written at once; with all busy, a use goes unnoted until the next.
const WRITERS: usize = 8;
/// Bearers remembered as noted in the last minute; over that, new ones go unnoted for the rest of it.
const MAX_REMEMBERED: usize = 2048;

pub(crate) struct Touches {
    /// What was noted of late; the row itself is older while its note is being written.
    noted: Mutex<HashMap<String, Timestamp>>,
    writers: Arc<Semaphore>,
}

impl Default for Touches {
    fn default() -> Self {
        Self { noted: Mutex::default(), writers: Arc::new(Semaphore::new(WRITERS)) }
    }
}

impl Touches {
    /// Notes in the background that `bearer` was used. Must be called within a Tokio runtime.
    pub(crate) fn note(&self, store: &Store, bearer: &Bearer, remote: IpAddr, now: Timestamp) {
        let Some(writer) = self.due(bearer, now).then(|| Arc::clone(&self.writers).try_acquire_owned().ok()).flatten() else {
            return;
        };
        if !self.remember(&bearer.id, now) {
            return;
        }
        let (store, id, kind) = (store.clone(), bearer.id.clone(), bearer.kind);
        tokio::spawn(async move {
            let _writer = writer;
            let noted = match kind {
                BearerKind::Device => store.device_seen(&id, now, &remote.to_canonical().to_string()).await,
                _ => store.bearer_touch(&id, now).await,
            };
            if let Err(error) = noted {
                tracing::debug!(%error, "a bearer's use was not noted");
            }
        });
    }

    fn due(&self, bearer: &Bearer, now: Timestamp) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).get(&bearer.id).copied();
        bearer.last_used.max(noted).is_none_or(|last| is_over(last, now))
    }

    /// Says whether this caller is the one to write the note.
    fn remember(&self, id: &str, now: Timestamp) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(id).is_some_and(|last| !is_over(*last, now)) {
            return false;
        }
        if noted.len() >= MAX_REMEMBERED {
            noted.retain(|_, last| !is_over(*last, now));
        }
        let room = noted.len() < MAX_REMEMBERED || noted.contains_key(id);
        if room {
            noted.insert(id.to_owned(), now);
        }
        room
    }
}

/// A note in the future means that the clock was set back; it counts as over.
fn is_over(last: Timestamp, now: Timestamp) -> bool {
    !(0..INTERVAL_MS).contains(&(now.ms() - last.ms()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_bearers_are_remembered_and_for_a_minute() {
        let touches = Touches::default();
        let now = Timestamp::from_ms(1_000_000);
        for index in 0..MAX_REMEMBERED {
            assert!(touches.remember(&index.to_string(), now));
        }
        assert!(!touches.remember("0", now), "noted already");
        assert!(!touches.remember("one more", now), "no room");
        assert!(touches.remember("one more", now.plus_ms(INTERVAL_MS)));
        assert_eq!(touches.noted.lock().unwrap().len(), 1);
    }
}
