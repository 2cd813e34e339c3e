//! What was seen already, remembered until it cannot come again; so that nothing signed is taken twice.

use kith_types::Timestamp;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// What became of something that may have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is new, and remembered from now on.
    New,
    /// It was seen.
    Known,
    /// As much is remembered as may be. Nothing is forgotten for it before its time, else it could come again.
    Full,
}

/// Remembers digests, each until its time is over.
pub(crate) struct Seen {
    most: usize,
    entries: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Seen {
    /// Remembers at most so many.
    pub fn new(most: usize) -> Self {
        Self { most, entries: Mutex::default() }
    }

    /// Looks whether it was seen, and remembers it until that time.
    pub fn take(&self, digest: [u8; 32], until: Timestamp, now: Timestamp) -> Sight {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let sight = self.sight(&mut entries, &digest, now);
        if sight == Sight::New {
            entries.insert(digest, until);
        }
        sight
    }

    /// Looks whether it was seen, and remembers nothing: for what is remembered only after something came of it.
    pub fn look(&self, digest: &[u8; 32], now: Timestamp) -> Sight {
        self.sight(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner), digest, now)
    }

    fn sight(&self, entries: &mut HashMap<[u8; 32], Timestamp>, digest: &[u8; 32], now: Timestamp) -> Sight {
        if entries.get(digest).is_some_and(|until| *until > now) {
            return Sight::Known;
        }
        // Looking through all of them is worth it when about half may be over.
        if entries.len() >= self.most || entries.len() == entries.capacity() {
            entries.retain(|_, until| *until > now);
        }
        if entries.len() >= self.most { Sight::Full } else { Sight::New }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_taken_once_until_its_time_is_over_and_the_bound_forgets_nothing() {
        let seen = Seen::new(2);
        let at = Timestamp::from_ms;
        assert_eq!([seen.look(&[1; 32], at(0)), seen.look(&[1; 32], at(0))], [Sight::New; 2]);
        assert_eq!(seen.take([1; 32], at(100), at(0)), Sight::New);
        assert_eq!(seen.look(&[1; 32], at(99)), Sight::Known);
        assert_eq!(seen.take([1; 32], at(100), at(99)), Sight::Known);
        assert_eq!(seen.take([2; 32], at(200), at(99)), Sight::New);
        assert_eq!(seen.take([3; 32], at(200), at(99)), Sight::Full);
        assert_eq!(seen.look(&[3; 32], at(99)), Sight::Full);
        assert_eq!(seen.take([1; 32], at(200), at(99)), Sight::Known);
        assert_eq!(seen.take([3; 32], at(300), at(100)), Sight::New);
        assert_eq!(seen.take([2; 32], at(300), at(150)), Sight::Known);
    }
}
