//! Who is known, where they may be reached, and when to try again. Hints only: every address is proved by the handshake.

use crate::{
    address::{Address, node_id, peer_at_end},
    bounds::MAX_ADDRESSES,
    ports::CachedPeer,
};
use kith_types::Timestamp;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The first pause after a failed dial; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// A device that was off for the night is found within this time after it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A dial ends within this time; until then nobody dials the same peer again.
const UNDER_WAY: Duration = Duration::from_secs(30);
/// How often at most a pause is cut short, by word of a new address or by the peer's own beacon.
const HURRY: Duration = Duration::from_secs(10);
/// Addresses of a peer that others may tell of; the rest is for what it says itself.
const FROM_OTHERS: usize = MAX_ADDRESSES / 2;

/// Who says where a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The peer.
    Itself,
    /// Somebody else.
    Others,
}

#[derive(Debug, Clone)]
struct Entry {
    addresses: Vec<Multiaddr>,
    last_seen: Option<Timestamp>,
    connected: bool,
    failures: u32,
    next_try: Instant,
    /// Until when nobody dials it, whatever is heard of it.
    rests: Instant,
    /// When its pause was last cut short.
    hurried: Option<Instant>,
}

impl Entry {
    fn hurry(&mut self, now: Instant) {
        if !self.connected && self.hurried.is_none_or(|at| now.saturating_duration_since(at) >= HURRY) {
            self.hurried = Some(now);
            self.failures = 0;
            self.next_try = self.next_try.min(now);
        }
    }
}

/// The known peers.
#[derive(Debug)]
pub(crate) struct Book {
    most: usize,
    own: PeerId,
    entries: HashMap<PeerId, Entry>,
    changed: bool,
}

impl Book {
    pub fn new(own: PeerId, most: usize) -> Self {
        Self { most, own, entries: HashMap::new(), changed: false }
    }

    /// Takes addresses of `peer`, the latest before the earlier ones; only one at which it was reached comes before them. A new one is
    /// tried soon. Returns whether the peer was unknown.
    pub fn hint(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>, told: Told, now: Instant) -> bool {
        if peer == self.own {
            return false;
        }
        let new = !self.entries.contains_key(&peer);
        if new && !self.make_room() {
            return false;
        }
        let entry = self.entries.entry(peer).or_insert(Entry {
            addresses: Vec::new(),
            last_seen: None,
            connected: false,
            failures: 0,
            next_try: now,
            rests: now,
            hurried: None,
        });
        let mut place = 1.min(entry.addresses.len());
        let mut added = false;
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            let address = without_peer(address, &peer);
            if !usable(&address) || entry.addresses.contains(&address) {
                continue;
            }
            match told {
                Told::Itself => {
                    entry.addresses.insert(place, address);
                    entry.addresses.truncate(MAX_ADDRESSES);
                    place = (place + 1).min(entry.addresses.len());
                }
                Told::Others if entry.addresses.len() < FROM_OTHERS => entry.addresses.push(address),
                Told::Others => continue,
            }
            added = true;
        }
        if added && !new {
            entry.hurry(now);
        }
        self.changed |= added;
        new
    }

    /// A sign of life of `peer` itself: if it is not connected, it is dialled soon.
    pub fn heard(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.hurry(now);
        }
    }

    /// A connection to `peer` came about; where it was dialled, the address is the best from now on.
    pub fn connected(&mut self, peer: PeerId, dialled: Option<&Multiaddr>, seen: Timestamp, now: Instant) {
        self.hint(peer, [], Told::Itself, now);
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        entry.last_seen = Some(seen);
        entry.connected = true;
        entry.failures = 0;
        if let Some(address) = dialled {
            let address = without_peer(address.clone(), &peer);
            entry.addresses.retain(|held| *held != address);
            entry.addresses.insert(0, address);
            entry.addresses.truncate(MAX_ADDRESSES);
        }
        self.changed = true;
    }

    pub fn disconnected(&mut self, peer: &PeerId, seen: Timestamp, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.connected = false;
            entry.last_seen = Some(seen);
            entry.failures = 0;
            entry.next_try = now + FIRST_PAUSE;
            self.changed = true;
        }
    }

    /// A dial failed: the pause doubles.
    pub fn failed(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            let pause = FIRST_PAUSE.saturating_mul(1 << entry.failures.min(8)).min(LONGEST_PAUSE);
            entry.failures = entry.failures.saturating_add(1);
            entry.next_try = now + pause;
        }
    }

    /// Addresses of `peer`, the best first.
    pub fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.entries.get(peer).map(|entry| entry.addresses.clone()).unwrap_or_default()
    }

    /// At most `most` peers that are not connected and whose pause is over. They are under way from now on.
    pub fn due(&mut self, most: usize, now: Instant) -> Vec<PeerId> {
        let mut due: Vec<(Instant, PeerId)> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.connected && !entry.addresses.is_empty() && entry.next_try.max(entry.rests) <= now)
            .map(|(peer, entry)| (entry.next_try, *peer))
            .collect();
        due.sort_unstable();
        due.truncate(most);
        let due: Vec<PeerId> = due.into_iter().map(|(_, peer)| peer).collect();
        for peer in &due {
            if let Some(entry) = self.entries.get_mut(peer) {
                entry.next_try = now + UNDER_WAY;
            }
        }
        due
    }

    /// Nobody dials `peer` of their own accord for `pause`, as where it refused us or was cut off.
    pub fn rest(&mut self, peer: &PeerId, pause: Duration, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.rests = now.checked_add(pause).unwrap_or(now + LONGEST_PAUSE);
        }
    }

    pub fn forget(&mut self, peer: &PeerId) {
        self.changed |= self.entries.remove(peer).is_some();
    }

    /// What to save, where something changed since the last call. Peers never connected to are not worth keeping.
    pub fn changes(&mut self) -> Option<Vec<CachedPeer>> {
        std::mem::take(&mut self.changed).then(|| {
            let mut kept: Vec<CachedPeer> = self
                .entries
                .iter()
                .filter_map(|(peer, entry)| {
                    Some(CachedPeer {
                        node: node_id(peer)?,
                        addresses: entry.addresses.iter().cloned().map(Address).collect(),
                        last_seen: entry.last_seen?,
                    })
                })
                .collect();
            kept.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.node.cmp(&b.node)));
            kept
        })
    }

    /// What was not saved is to be saved again.
    pub fn unsaved(&mut self) {
        self.changed = true;
    }

    pub fn remember(&mut self, peer: PeerId, cached: CachedPeer, now: Instant) {
        self.hint(peer, cached.addresses.into_iter().map(|address| address.0), Told::Itself, now);
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.last_seen = Some(cached.last_seen);
        }
    }

    /// Room for one more: the one seen longest ago, and not connected, goes.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.most {
            return true;
        }
        let oldest = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.connected)
            .min_by_key(|(_, entry)| entry.last_seen)
            .map(|(peer, _)| *peer);
        oldest.is_some_and(|peer| self.entries.remove(&peer).is_some())
    }
}

fn without_peer(mut address: Multiaddr, peer: &PeerId) -> Multiaddr {
    if peer_at_end(&address) == Some(*peer) {
        address.pop();
    }
    address
}

/// An address that can be dialled at all: TCP with a port, perhaps through a relay.
fn usable(address: &Multiaddr) -> bool {
    address.len() <= 256
        && address.iter().any(|part| matches!(part, Protocol::Tcp(port) if port > 0))
        && !crate::address::ip(address).is_some_and(|ip| ip.is_unspecified() || ip.is_multicast())
}

#[cfg(test)]
mod tests;
