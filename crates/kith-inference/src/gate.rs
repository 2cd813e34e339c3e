//! The bounded queue before a loaded model: so many answers run, so many requests wait, the rest are sent away at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most requests that may wait for one model.
pub const MAX_WAITING: usize = 512;

/// First come, first served.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
}

/// Counts one waiting request for as long as it lives.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Too many wait already: this many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full(pub usize);

impl Gate {
    /// A gate that lets `places` through at a time and keeps at most `limit` waiting.
    pub fn new(places: usize, limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::default(), limit }
    }

    /// Takes a place in the queue, or refuses at once. A request that can run at once counts as waiting for a moment only.
    pub fn queue(&self) -> Result<Waiting, Full> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(Arc::clone(&self.waiting));
        if before >= self.limit { Err(Full(before)) } else { Ok(waiting) }
    }

    /// Waits for its turn. The permit is the right to run.
    pub async fn enter(&self, waiting: Waiting) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        drop(waiting);
        permit
    }

    /// Requests waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
