//! One download at a time of the same bytes: who waited finds them in the library.

use kith_types::Sha256;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Bytes that are being fetched. Bounded by the downloads that run.
#[derive(Default)]
pub struct Same {
    turns: Mutex<HashMap<Sha256, Weak<Turn<()>>>>,
}

impl Same {
    /// Waits until nobody else fetches these bytes; nobody does while the answer lives.
    pub async fn turn(&self, key: &Sha256) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            turns.get(key).and_then(Weak::upgrade).unwrap_or_else(|| {
                let turn = Arc::default();
                turns.insert(*key, Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
