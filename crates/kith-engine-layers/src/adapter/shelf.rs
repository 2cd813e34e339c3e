//! The adapters of one model that are in memory: read once, shared by all answers, the one unused for longest gone first.

use super::{Key, Targets, Weights};
use kith_engine::{Adapter, EngineError};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Bytes of all adapters to a model that are alive, at most, those that answers still use among them; as much as the model's weights where
/// these are more.
const LEAST_CEILING: u64 = 1 << 30;
/// Adapters kept, at most.
const MOST: usize = 256;

/// Bytes of one adapter, counted as long as this lives.
pub(super) struct Held {
    bytes: u64,
    all: Arc<AtomicU64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The adapters to one model.
pub(crate) struct Shelf {
    targets: Targets,
    ceiling: u64,
    held: Arc<AtomicU64>,
    kept: Mutex<Kept>,
    /// Held while one is read: one at a time, and whoever wants the same one finds it read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Kept {
    /// The one used last at the end.
    adapters: Vec<Arc<Weights>>,
    /// Whether the model is gone.
    closed: bool,
}

impl Shelf {
    /// An empty shelf beside a model with these matrices and so many bytes of weights.
    pub(crate) fn new(targets: Targets, weights: u64) -> Self {
        Self {
            targets,
            ceiling: weights.max(LEAST_CEILING),
            held: Arc::default(),
            kept: Mutex::default(),
            reading: Arc::default(),
        }
    }

    /// The same with another bound, in bytes.
    #[cfg(test)]
    pub(crate) fn with_ceiling(mut self, bytes: u64) -> Self {
        self.ceiling = bytes;
        self
    }

    /// The adapter, read now if it is not here. It stays here as long as others do not need the room, and alive as long as it is used.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] in `adapter` where it does not fit the model, [`EngineError::Unsupported`] for one larger than the bound,
    /// [`EngineError::OutOfMemory`] where those in use leave no room, and what its source says.
    pub(crate) async fn get(self: &Arc<Self>, adapter: Adapter) -> Result<Arc<Weights>, EngineError> {
        let key = Key::of(&adapter);
        if let Some(found) = self.find(&key) {
            return Ok(found);
        }
        let alone = Arc::clone(&self.reading).lock_owned().await;
        let shelf = Arc::clone(self);
        // Goes on if the caller gives up: the next one will want it too.
        let read = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            if let Some(found) = shelf.find(&key) {
                return Ok(found);
            }
            let mut own = 0;
            let weights = Weights::read(&adapter, &shelf.targets, |bytes| {
                own += bytes;
                shelf.room(bytes, own)
            })?;
            shelf.keep(Arc::new(weights))
        });
        read.await.map_err(|error| EngineError::Failed(format!("reading an adapter: {error}")))?
    }

    /// Bytes of those that are alive.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Lets go of all, and takes no more.
    pub(crate) fn close(&self) {
        let mut kept = self.kept();
        kept.closed = true;
        kept.adapters.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key) -> Option<Arc<Weights>> {
        let mut kept = self.kept();
        let at = kept.adapters.iter().position(|adapter| adapter.key() == key)?;
        let found = kept.adapters.remove(at);
        kept.adapters.push(Arc::clone(&found));
        Some(found)
    }

    /// Counts `bytes` more, of an adapter that takes `own` so far, after letting go of those that nobody uses as far as is needed.
    fn room(&self, bytes: u64, own: u64) -> Result<Held, EngineError> {
        if own > self.ceiling {
            let most = self.ceiling;
            return Err(EngineError::Unsupported(format!(
                "adapters to this model may take {most} bytes of memory; this one takes more"
            )));
        }
        let mut kept = self.kept();
        loop {
            let free = self.ceiling.saturating_sub(self.held());
            if bytes <= free {
                self.held.fetch_add(bytes, Ordering::Relaxed);
                return Ok(Held { bytes, all: Arc::clone(&self.held) });
            }
            // Clones are made under the same lock: nobody else can take up one that only the shelf has.
            let Some(idle) = kept.adapters.iter().position(|adapter| Arc::strong_count(adapter) == 1) else {
                return Err(EngineError::OutOfMemory { needed: bytes, available: free });
            };
            kept.adapters.remove(idle);
        }
    }

    fn keep(&self, adapter: Arc<Weights>) -> Result<Arc<Weights>, EngineError> {
        let mut kept = self.kept();
        if kept.closed {
            return Err(EngineError::Unloaded);
        }
        if kept.adapters.len() >= MOST {
            kept.adapters.remove(0);
        }
        kept.adapters.push(Arc::clone(&adapter));
        Ok(adapter)
    }
}
