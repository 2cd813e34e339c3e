//! How peers stand: penalty points that fade, bans that end, and a rate for gossip. Knows no connections.

use crate::{bounds::MAX_BANS, event::Fault};
use libp2p::PeerId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Who is kept out, until when and why. Shared with the door, which tells the banned why.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bans(Arc<Mutex<HashMap<PeerId, (Instant, String)>>>);

impl Bans {
    /// Keeps `peer` out for `time`; a ban already there is not shortened.
    pub fn ban(&self, peer: PeerId, time: Duration, reason: &str) {
        let now = Instant::now();
        // A time beyond the clock's reach is a year.
        let until = now.checked_add(time).unwrap_or(now + Duration::from_secs(31_536_000));
        let mut bans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bans.retain(|_, (end, _)| *end > now);
        if bans.len() >= MAX_BANS
            && let Some(first) = bans.iter().min_by_key(|(_, (end, _))| *end).map(|(peer, _)| *peer)
        {
            bans.remove(&first);
        }
        let entry = bans.entry(peer).or_insert((until, reason.to_owned()));
        if entry.0 < until {
            *entry = (until, reason.to_owned());
        }
    }

    /// Lets `peer` in again; whether it was banned.
    pub fn lift(&self, peer: &PeerId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(peer).is_some()
    }

    /// Why `peer` is kept out at present.
    pub fn reason(&self, peer: &PeerId) -> Option<String> {
        let bans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bans.get(peer).filter(|(end, _)| *end > Instant::now()).map(|(_, reason)| reason.clone())
    }
}

/// Penalty points of peers that did wrong lately. A peer without points is not held, so honest peers cost nothing.
#[derive(Debug)]
pub(crate) struct Conduct {
    limit: f64,
    points: HashMap<PeerId, (f64, Instant)>,
}

impl Conduct {
    pub fn new(limit: f64) -> Self {
        Self { limit, points: HashMap::new() }
    }

    /// Charges a fault; `true` where the peer has reached the limit and is to be cut off.
    pub fn charge(&mut self, peer: PeerId, fault: Fault, now: Instant) -> bool {
        let (points, since) = self.points.entry(peer).or_insert((0.0, now));
        *points = (*points - now.saturating_duration_since(*since).as_secs_f64()).max(0.0) + fault.points();
        *since = now;
        let over = *points >= self.limit;
        if over {
            self.points.remove(&peer);
        }
        over
    }

    /// Forgets those whose points have faded.
    pub fn prune(&mut self, now: Instant) {
        self.points.retain(|_, (points, since)| now.saturating_duration_since(*since).as_secs_f64() < *points);
    }
}

/// A bucket per peer that holds `burst` tokens and gains `rate` a second.
#[derive(Debug)]
pub(crate) struct Rates {
    rate: f64,
    burst: f64,
    buckets: HashMap<PeerId, (f64, Instant)>,
}

impl Rates {
    pub fn new(rate: u32, burst: u32) -> Self {
        Self { rate: f64::from(rate), burst: f64::from(burst), buckets: HashMap::new() }
    }

    /// Takes one token; `false` where there is none.
    pub fn take(&mut self, peer: PeerId, now: Instant) -> bool {
        let (tokens, since) = self.buckets.entry(peer).or_insert((self.burst, now));
        *tokens = (*tokens + now.saturating_duration_since(*since).as_secs_f64() * self.rate).min(self.burst);
        *since = now;
        let enough = *tokens >= 1.0;
        if enough {
            *tokens -= 1.0;
        }
        enough
    }

    /// Forgets full buckets: a new one is as full.
    pub fn prune(&mut self, now: Instant) {
        let (rate, burst) = (self.rate, self.burst);
        self.buckets.retain(|_, (tokens, since)| *tokens + now.saturating_duration_since(*since).as_secs_f64() * rate < burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_fade_by_one_a_second_and_the_limit_cuts_off() {
        let (mut conduct, peer, start) = (Conduct::new(100.0), PeerId::random(), Instant::now());
        for _ in 0..3 {
            assert!(!conduct.charge(peer, Fault::BadGossip, start));
        }
        let later = start + Duration::from_secs(30);
        assert!(!conduct.charge(peer, Fault::BadGossip, later), "75 - 30 + 25 is under 100");
        assert!(!conduct.charge(peer, Fault::BadGossip, later));
        assert!(conduct.charge(peer, Fault::BadGossip, later));
        conduct.charge(peer, Fault::TooManyStreams, later);
        conduct.prune(later + Duration::from_secs(5));
        assert!(conduct.points.is_empty());
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (mut rates, peer, start) = (Rates::new(10, 5), PeerId::random(), Instant::now());
        assert_eq!((0..9).filter(|_| rates.take(peer, start)).count(), 5);
        let later = start + Duration::from_millis(250);
        assert_eq!((0..9).filter(|_| rates.take(peer, later)).count(), 2);
        rates.prune(later + Duration::from_secs(1));
        assert!(rates.buckets.is_empty());
    }

    #[test]
    fn a_ban_ends_is_lifted_and_is_not_shortened() {
        let (bans, peer) = (Bans::default(), PeerId::random());
        bans.ban(peer, Duration::ZERO, "short");
        assert_eq!(bans.reason(&peer), None);
        bans.ban(peer, Duration::from_secs(60), "long");
        bans.ban(peer, Duration::from_secs(1), "short");
        assert_eq!(bans.reason(&peer).as_deref(), Some("long"));
        assert!(bans.lift(&peer) && !bans.lift(&peer));
    }

    #[test]
    fn the_list_of_bans_is_bounded_and_the_first_to_end_makes_room() {
        let bans = Bans::default();
        let first = PeerId::random();
        bans.ban(first, Duration::from_secs(5), "first");
        for _ in 0..MAX_BANS {
            bans.ban(PeerId::random(), Duration::from_secs(600), "x");
        }
        assert_eq!(bans.0.lock().unwrap().len(), MAX_BANS);
        assert_eq!(bans.reason(&first), None);
    }
}
