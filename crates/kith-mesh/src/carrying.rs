//! Whether this node carries connections of others now, and who has a place with it for that.

use libp2p::{Multiaddr, PeerId, relay};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// The switch and the places. Who has none left but is connected still may stand among them; those who left do not.
#[derive(Debug)]
pub(crate) struct Carrying {
    on: Arc<AtomicBool>,
    /// Bounded by the connected peers.
    places: HashSet<PeerId>,
}

impl Carrying {
    pub fn new(on: bool) -> Self {
        Self { on: Arc::new(AtomicBool::new(on)), places: HashSet::new() }
    }

    /// What refuses places and circuits while nothing is carried; it is asked before the limits that count.
    pub fn bound(&self, mut bounds: relay::Config) -> relay::Config {
        for limiters in [&mut bounds.reservation_rate_limiters, &mut bounds.circuit_src_rate_limiters] {
            let on = Arc::clone(&self.on);
            limiters.insert(0, Box::new(move |_: PeerId, _: &Multiaddr, _: Instant| on.load(Ordering::Relaxed)));
        }
        bounds
    }

    pub fn happened(&mut self, event: &relay::Event) {
        let (relay::Event::ReservationReqAccepted { src_peer_id: peer, .. }
        | relay::Event::CircuitReqAccepted { dst_peer_id: peer, .. }) = event
        else {
            return;
        };
        self.places.insert(*peer);
    }

    pub fn left(&mut self, peer: &PeerId) {
        self.places.remove(peer);
    }

    /// Turns the switch; those who lose their places by it, and with them the circuits that end there.
    pub fn set(&mut self, on: bool) -> Vec<PeerId> {
        self.on.store(on, Ordering::Relaxed);
        if on { Vec::new() } else { self.places.drain().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_place_loses_it_when_nothing_is_carried_any_more() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut carrying = Carrying::new(true);
        let mut bounds = carrying.bound(relay::Config::default());
        let mut allowed = || {
            let limiters = bounds.reservation_rate_limiters.iter_mut().take(1);
            limiters
                .chain(bounds.circuit_src_rate_limiters.iter_mut().take(1))
                .all(|limiter| limiter.try_next(one, &Multiaddr::empty(), Instant::now()))
        };
        assert!(allowed());
        carrying.happened(&relay::Event::ReservationReqAccepted { src_peer_id: one, renewed: false });
        carrying.happened(&relay::Event::CircuitReqAccepted { src_peer_id: one, dst_peer_id: two });
        carrying.left(&one);
        assert_eq!(carrying.set(false), [two]);
        assert!(!allowed());
        assert!(carrying.set(false).is_empty() && carrying.set(true).is_empty());
        assert!(allowed());
    }
}
