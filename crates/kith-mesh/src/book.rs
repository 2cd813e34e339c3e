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
/// A device that was off for the night is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
struct Entry {
    addresses: Vec<Multiaddr>,
    last_seen: Option<Timestamp>,
    connected: bool,
    failures: u32,
    next_try: Instant,
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

    /// Takes addresses that somebody told of `peer`. Returns whether the peer was unknown.
    pub fn hint(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>, now: Instant) -> bool {
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
        });
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            let address = without_peer(address, &peer);
            if usable(&address) && entry.addresses.len() < MAX_ADDRESSES && !entry.addresses.contains(&address) {
                entry.addresses.push(address);
                self.changed = true;
            }
        }
        new
    }

    /// A connection to `peer` came about; where it was dialled, the address is the best from now on.
    pub fn connected(&mut self, peer: PeerId, dialled: Option<&Multiaddr>, seen: Timestamp, now: Instant) {
        self.hint(peer, [], now);
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

    /// At most `most` peers that are not connected and whose pause is over; they are given their next pause.
    pub fn due(&mut self, most: usize, now: Instant) -> Vec<PeerId> {
        let mut due: Vec<(Instant, PeerId)> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.connected && !entry.addresses.is_empty() && entry.next_try <= now)
            .map(|(peer, entry)| (entry.next_try, *peer))
            .collect();
        due.sort_unstable();
        due.truncate(most);
        let due: Vec<PeerId> = due.into_iter().map(|(_, peer)| peer).collect();
        due.iter().for_each(|peer| self.failed(peer, now));
        due
    }

    /// Nobody dials `peer` of their own accord for `pause`, as where it refused us or was cut off.
    pub fn rest(&mut self, peer: &PeerId, pause: Duration, now: Instant) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.next_try = now.checked_add(pause).unwrap_or(now + LONGEST_PAUSE);
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
        self.hint(peer, cached.addresses.into_iter().map(|address| address.0), now);
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
