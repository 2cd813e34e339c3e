//! Pins: while one lives, its blob is neither removed nor collected.

use kith_types::Blake3;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// How often each blob is pinned. Its lock also decides between a pin and a removal that come at the same time.
#[derive(Default)]
pub struct Pins {
    counts: Mutex<HashMap<Blake3, usize>>,
}

/// Keeps one blob from being removed for as long as it lives.
#[must_use = "the blob is unprotected once its pin is dropped"]
pub struct Pin {
    pins: Arc<Pins>,
    hash: Blake3,
}

impl Pins {
    /// Pins a blob, whether it exists or not.
    pub fn pin(self: &Arc<Self>, hash: Blake3) -> Pin {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default() += 1;
        Pin { pins: Arc::clone(self), hash }
    }

    /// Does `act` unless the blob is pinned, and lets nobody pin it meanwhile. `act` must be short.
    pub fn unless_pinned<T>(&self, hash: &Blake3, act: impl FnOnce() -> T) -> Option<T> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        (!counts.contains_key(hash)).then(act)
    }
}

impl Pin {
    /// The pinned blob.
    pub fn hash(&self) -> &Blake3 {
        &self.hash
    }
}

impl Clone for Pin {
    fn clone(&self) -> Self {
        self.pins.pin(self.hash)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut counts = self.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.hash);
            }
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({})", self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_stays_pinned_until_the_last_pin_is_gone() {
        let pins = Arc::new(Pins::default());
        let hash = Blake3::from_bytes([1; 32]);
        let one = pins.pin(hash);
        let two = one.clone();
        drop(one);
        assert_eq!(pins.unless_pinned(&hash, || ()), None);
        assert_eq!(pins.unless_pinned(&Blake3::from_bytes([2; 32]), || ()), Some(()));
        drop(two);
        assert_eq!(pins.unless_pinned(&hash, || ()), Some(()));
        assert!(pins.counts.lock().unwrap().is_empty(), "nothing is remembered of former pins");
    }
}
