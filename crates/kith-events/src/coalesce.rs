//! Holds back what repeats: the first of a kind is told at once, the rest once a minute with their number.

use kith_types::Timestamp;
use serde_json::Value;
use std::collections::HashMap;

/// How long repetitions are gathered before they are told.
pub(crate) const WINDOW_MS: i64 = 60_000;
/// Different things gathered at once; over that, what is new is gathered under its kind alone.
pub(crate) const MAX_KEYS: usize = 256;

struct Window {
    start: Timestamp,
    held: u64,
    data: Value,
}

/// What is to be told now.
pub(crate) type Due = Vec<(&'static str, Value)>;

#[derive(Default)]
pub(crate) struct Coalesced {
    windows: HashMap<(&'static str, String), Window>,
}

fn with_count(mut data: Value, count: u64) -> Value {
    if let Value::Object(map) = &mut data {
        map.insert("count".to_owned(), count.into());
    }
    data
}

impl Coalesced {
    /// Takes one happening; gives what is to be told now.
    pub fn note(&mut self, kind: &'static str, key: &str, data: Value, now: Timestamp) -> Due {
        let mut due = self.sweep(now);
        let full = self.windows.len() >= MAX_KEYS;
        let mut key = (kind, key.to_owned());
        if full && !self.windows.contains_key(&key) {
            key.1.clear();
        }
        match self.windows.get_mut(&key) {
            Some(window) => {
                window.held += 1;
                window.data = data;
            }
            None => {
                due.push((kind, with_count(data.clone(), 1)));
                self.windows.insert(key, Window { start: now, held: 0, data });
            }
        }
        due
    }

    /// What was held back for a whole window.
    pub fn sweep(&mut self, now: Timestamp) -> Due {
        let mut due = Due::new();
        self.windows.retain(|(kind, _), window| {
            let age = now.ms().saturating_sub(window.start.ms());
            // A clock that was set back ends a window too.
            if (0..WINDOW_MS).contains(&age) {
                return true;
            }
            if window.held == 0 {
                return false;
            }
            due.push((*kind, with_count(window.data.take(), window.held)));
            false
        });
        due
    }
}

impl Coalesced {
    /// All that is held back, whether or not its window is over.
    pub fn drain(&mut self) -> Due {
        let held = self.windows.drain().filter(|(_, window)| window.held > 0);
        held.map(|((kind, _), window)| (kind, with_count(window.data, window.held))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_with_their_number() {
        let mut coalesced = Coalesced::default();
        assert_eq!(coalesced.note("x", "a", json!({"n": 1}), at(0)), [("x", json!({"n": 1, "count": 1}))]);
        for n in 2..=5 {
            assert_eq!(coalesced.note("x", "a", json!({"n": n}), at(n)), []);
        }
        assert_eq!(coalesced.note("x", "b", json!({}), at(6)), [("x", json!({"count": 1}))]);
        assert_eq!(coalesced.sweep(at(WINDOW_MS)), [("x", json!({"n": 5, "count": 4}))]);
        assert_eq!(coalesced.note("x", "a", json!({}), at(WINDOW_MS + 1)), [("x", json!({"count": 1}))]);
    }

    #[test]
    fn at_the_end_nothing_is_held_back() {
        let mut coalesced = Coalesced::default();
        coalesced.note("x", "a", json!({}), at(0));
        coalesced.note("x", "b", json!({}), at(0));
        coalesced.note("x", "b", json!({}), at(0));
        assert_eq!(coalesced.drain(), [("x", json!({"count": 1}))]);
        assert_eq!(coalesced.drain(), []);
    }

    #[test]
    fn a_thousand_different_ones_are_at_most_so_many_windows() {
        let mut coalesced = Coalesced::default();
        let told: usize = (0..1000).map(|n| coalesced.note("x", &n.to_string(), json!({}), at(0)).len()).sum();
        assert_eq!(told, MAX_KEYS + 1);
        assert_eq!(coalesced.windows.len(), MAX_KEYS + 1);
        let due = coalesced.sweep(at(WINDOW_MS));
        assert_eq!(due, [("x", json!({"count": 1000 - MAX_KEYS as u64 - 1}))]);
        assert!(coalesced.windows.is_empty());
    }
}
