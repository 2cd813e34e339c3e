//! The bounded queue before a loaded model: so many answers run, so many requests wait, the rest are sent away at once.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most requests that may wait for one model.
pub const MAX_WAITING: usize = 512;

/// First come, first served. The number of places can be changed while answers run.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    size: Arc<Mutex<Size>>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
}

#[derive(Debug)]
struct Size {
    /// Places there are to be.
    wanted: usize,
    /// Places over that, still taken by running answers: they are not given on.
    debt: usize,
}

fn lock(size: &Mutex<Size>) -> MutexGuard<'_, Size> {
    size.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts one waiting request for as long as it lives.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The right to run, for as long as it lives.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    size: Arc<Mutex<Size>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        // Given back under the lock, so that a change of size counts it as taken or as free and not as neither.
        let mut size = lock(&self.size);
        if size.debt > 0 {
            size.debt -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
    }
}

/// Too many wait already: this many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full(pub usize);

impl Gate {
    /// A gate that lets `places` through at a time and keeps at most `limit` waiting.
    pub fn new(places: usize, limit: usize) -> Self {
        let size = Arc::new(Mutex::new(Size { wanted: places, debt: 0 }));
        Self { places: Arc::new(Semaphore::new(places)), size, waiting: Arc::default(), limit }
    }

    /// Takes a place in the queue, or refuses at once. A request that can run at once counts as waiting for a moment only.
    pub fn queue(&self) -> Result<Waiting, Full> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(Arc::clone(&self.waiting));
        if before >= self.limit { Err(Full(before)) } else { Ok(waiting) }
    }

    /// Waits for its turn. The place is the right to run.
    pub async fn enter(&self, waiting: Waiting) -> Option<Place> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        drop(waiting);
        permit.map(|permit| Place { permit: Some(permit), size: Arc::clone(&self.size) })
    }

    /// Changes how many run at a time. Who runs goes on to the end; fewer places hold from the next turn on.
    pub fn resize(&self, places: usize) {
        let mut size = lock(&self.size);
        if places >= size.wanted {
            let more = places - size.wanted;
            let paid = more.min(size.debt);
            size.debt -= paid;
            self.places.add_permits(more - paid);
        } else {
            let fewer = size.wanted - places;
            size.debt += fewer - self.places.forget_permits(fewer);
        }
        size.wanted = places;
    }

    /// Requests waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_a_place_left_is_a_place_free() {
        let gate = Gate::new(1, 2);
        let running = gate.enter(gate.queue().unwrap()).await.unwrap();
        let first = gate.queue().unwrap();
        let second = gate.queue().unwrap();
        assert_eq!(gate.queue().unwrap_err(), Full(2));
        assert_eq!(gate.waiting(), 2);
        drop(second);
        let _third = gate.queue().unwrap();
        drop(running);
        assert!(gate.enter(first).await.is_some());
    }

    #[tokio::test]
    async fn a_request_that_gives_up_waiting_leaves_no_trace() {
        let gate = Gate::new(1, 4);
        let _running = gate.enter(gate.queue().unwrap()).await.unwrap();
        let waiting = gate.queue().unwrap();
        let entered = tokio::time::timeout(std::time::Duration::from_millis(5), gate.enter(waiting)).await;
        assert!(entered.is_err());
        assert_eq!(gate.waiting(), 0);
    }

    proptest! {
        /// After any changes, and with any answers still running, exactly the places wanted last are there once all have left.
        #[test]
        fn changes_of_size_hold_from_the_next_turn_on(start in 1usize..9, steps in prop::collection::vec((1usize..9, 0usize..9), 1..20)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let gate = Gate::new(start, 64);
                let mut running = Vec::new();
                let mut wanted = start;
                for (size, leave) in steps {
                    gate.resize(size);
                    wanted = size;
                    running.truncate(running.len().saturating_sub(leave));
                    while let Ok(place) = Arc::clone(&gate.places).try_acquire_owned() {
                        running.push(Place { permit: Some(place), size: Arc::clone(&gate.size) });
                        assert!(running.len() <= size, "{} run in {size} places", running.len());
                    }
                }
                running.clear();
                assert_eq!(gate.places.available_permits(), wanted);
            });
        }
    }
}
