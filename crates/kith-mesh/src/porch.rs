//! Places for those who have dialled in and shown no key yet. They are few, and whoever stood there longest makes room for the next:
//! with silent sockets nobody keeps a member out, who needs its place for one round trip.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::oneshot;

#[derive(Debug, Default)]
struct Standing {
    entered: u64,
    places: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// The places.
#[derive(Debug, Clone)]
pub(crate) struct Porch {
    most: usize,
    standing: Arc<Mutex<Standing>>,
}

/// A place, held until it is dropped or somebody else needs it.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    taken: oneshot::Receiver<()>,
    porch: Porch,
}

impl Porch {
    /// With so many places.
    pub fn new(most: usize) -> Self {
        Self { most, standing: Arc::default() }
    }

    /// A place; where there is none the oldest is taken.
    pub fn enter(&self) -> Place {
        let (take, taken) = oneshot::channel();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.entered += 1;
        let number = standing.entered;
        standing.places.push_back((number, take));
        if standing.places.len() > self.most {
            standing.places.pop_front();
        }
        Place { number, taken, porch: self.clone() }
    }
}

impl Place {
    /// Until the place was taken.
    pub async fn taken(&mut self) {
        (&mut self.taken).await.ok();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut standing = self.porch.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.places.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn the_one_who_stood_longest_makes_room_and_a_place_given_back_is_free() {
        let porch = Porch::new(2);
        let (mut first, mut second) = (porch.enter(), porch.enter());
        assert!(first.taken().now_or_never().is_none());
        let mut third = porch.enter();
        assert!(first.taken().now_or_never().is_some() && second.taken().now_or_never().is_none());
        drop(third);
        third = porch.enter();
        assert!(second.taken().now_or_never().is_none() && third.taken().now_or_never().is_none());
        drop((first, second, third));
        assert!(porch.standing.lock().unwrap().places.is_empty());
    }
}
