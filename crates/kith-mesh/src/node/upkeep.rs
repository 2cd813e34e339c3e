//! What the mesh does of its own accord: meets peers it knows of, keeps places with relays, forgets, saves, and ends.

use super::Node;
use crate::{
    address::{Address, is_relayed, node_id, peer_id},
    beacon::Beacon,
    book::Told,
    bounds::{MAX_ADDRESSES, RESERVATIONS, UPKEEP_DIALS},
    event::Event,
    exchange::Hint,
    mesh::Mesh,
};
use futures::StreamExt;
use kith_types::NodeId;
use libp2p::{
    Multiaddr, PeerId,
    core::transport::ListenerId,
    multiaddr::Protocol,
    swarm::{
        SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::task::JoinError;

/// How often what is known is looked over.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// How often changes of the known peers are saved.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Of two nodes that learn of each other the one with the lower id dials at once, the other after this time, so that they seldom meet twice.
const COURTESY: Duration = Duration::from_millis(1500);
/// How long a relay that gave no place is not asked again.
const RELAY_RESTS: Duration = Duration::from_secs(60);
/// For telling peers that this node leaves, and for the last save.
const FAREWELL: Duration = Duration::from_millis(500);

impl Node {
    pub(super) fn upkeep(&mut self) {
        let now = Instant::now();
        for peer in self.book.due(UPKEEP_DIALS, now) {
            if self.links.count() < self.bounds.connections as usize / 2 && self.bans.reason(&peer).is_none() {
                self.meet(peer);
            }
        }
        for (peer, connection) in self.links.surplus(now) {
            // What runs over it is not cut: it is looked at again.
            if self.swarm.behaviour().streams.open_with(&peer) == 0 {
                self.swarm.close_connection(connection);
            }
        }
        self.strangers.members_at(self.links.peers().filter_map(|peer| self.links.best(peer)).map(|link| &link.address), now);
        for (address, why) in self.strangers.due(now) {
            self.tell(Event::Stranger { address: Address(address), why });
        }
        self.judge_scores();
        self.keep_relays();
        self.look_again();
        self.conduct.prune(now);
        self.rates.prune(now);
        self.traffic.prune();
        self.connections.prune();
        self.refused.retain(|peer, _| self.waiting.contains_key(peer));
        if now.saturating_duration_since(self.saved_at) >= SAVE_EVERY {
            self.save();
        }
    }

    fn meet(&mut self, peer: PeerId) {
        let addresses = self.book.addresses(&peer);
        let options = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(addresses).build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::trace!(%peer, %error, "not dialled");
        }
    }

    /// Takes addresses that somebody told.
    pub(super) fn hint(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>, told: Told) {
        let now = Instant::now();
        let new = self.book.hint(peer, addresses, told, now);
        if new && *self.swarm.local_peer_id() > peer {
            self.book.rest(&peer, COURTESY, now);
        }
    }

    pub(super) fn on_hints(&mut self, hints: Vec<Hint>, told: Told) {
        for hint in hints {
            if let Some(peer) = peer_id(&hint.node) {
                self.hint(peer, hint.addresses.into_iter().take(MAX_ADDRESSES).map(|address| address.0), told);
            }
        }
    }

    pub(super) fn on_beacon(&mut self, beacon: Beacon) {
        let peer = peer_id(&beacon.node);
        self.on_hints(vec![Hint { node: beacon.node, addresses: beacon.addresses }], Told::Itself);
        if let Some(peer) = peer {
            self.book.heard(&peer, Instant::now());
        }
    }

    /// Holds places with relays where this node needs them, or was told to.
    fn keep_relays(&mut self) {
        let mut wanted: Vec<(PeerId, Multiaddr)> = self
            .wanted_relays
            .iter()
            .filter_map(|address| Some((crate::address::peer_at_end(address)?, address.clone())))
            .collect();
        let now = Instant::now();
        self.resting_relays.retain(|_, until| *until > now);
        if self.reach.needs_relay() {
            let offered = self.links.relays().into_iter().filter(|(peer, _)| !self.resting_relays.contains_key(peer));
            let offered = offered.map(|(peer, address)| {
                (peer, if crate::address::peer_at_end(&address).is_some() { address } else { address.with(Protocol::P2p(peer)) })
            });
            wanted.extend(offered.take(RESERVATIONS.saturating_sub(wanted.len())));
        }
        for (relay, address) in wanted {
            if self.reservations.values().any(|(held, _)| *held == relay) {
                continue;
            }
            match self.swarm.listen_on(address.clone().with(Protocol::P2pCircuit)) {
                Ok(listener) => drop(self.reservations.insert(listener, (relay, address))),
                Err(error) => {
                    tracing::debug!(%relay, %error, "no place with the relay");
                    self.resting_relays.insert(relay, now + RELAY_RESTS);
                }
            }
        }
    }

    /// The place with a relay ended, or was not given: others are asked first.
    pub(super) fn reservation_ended(&mut self, listener: ListenerId) {
        if let Some((relay, _)) = self.reservations.remove(&listener) {
            self.resting_relays.insert(relay, Instant::now() + RELAY_RESTS);
        }
    }

    /// This node listens at a further address. One of the internet is told to those who ask for a place with this node as a relay: nobody
    /// can be asked to test it where this node is only ever dialled.
    pub(super) fn listens(&mut self, address: Multiaddr) {
        if !is_relayed(&address) && crate::reach::is_global(&address) {
            self.swarm.add_external_address(address.clone());
        }
        self.tell(Event::Listening(Address(address)));
        self.listening_changed();
    }

    /// It does not any more. What was found out about that address holds no longer; and where it was the way to a router, nor does what was
    /// found out about that.
    pub(super) fn listens_no_more(&mut self, address: Multiaddr) {
        let held = crate::address::ip(&address);
        let here: Vec<_> = self.swarm.listeners().filter(|other| **other != address).filter_map(crate::address::ip).collect();
        let gone = |other: &Multiaddr| {
            let ip = crate::address::ip(other);
            let routed = ip.is_some_and(|ip| ip.is_ipv4() && !here.contains(&ip)) && held.is_some_and(|held| held.is_ipv4());
            !self.declared.contains(other) && (ip == held || routed)
        };
        if !is_relayed(&address) {
            let gone: Vec<Multiaddr> = self.swarm.external_addresses().filter(|other| gone(other)).cloned().collect();
            for other in gone {
                self.swarm.remove_external_address(&other);
                self.reach.moved(&other);
            }
        }
        self.tell(Event::NotListening(Address(address)));
        self.listening_changed();
    }

    /// A member reached this node at `address`, as that member says. Believed where the port is one that this node listens on: another
    /// would be that of a router, which only a test shows to be open.
    pub(super) fn reached_at(&mut self, address: Multiaddr) {
        let port =
            |address: &Multiaddr| address.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None });
        if !is_relayed(&address) && self.swarm.listeners().any(|held| !is_relayed(held) && port(held) == port(&address)) {
            self.swarm.add_external_address(address.clone());
            self.reach.confirmed(&address);
            self.tell_reach();
        }
    }

    pub(super) fn external(&mut self, address: Multiaddr) {
        self.declared.insert(address.clone());
        self.swarm.add_external_address(address.clone());
        self.reach.confirmed(&address);
        self.tell_reach();
    }

    pub(super) fn listening_changed(&mut self) {
        let direct = self.swarm.listeners().filter(|address| !crate::address::is_relayed(address)).cloned().collect();
        self.listening.send_replace(direct);
        self.tell_reach();
    }

    pub(super) fn tell_reach(&mut self) {
        let report = self.reachability();
        if self.told_reach.as_ref() != Some(&report) {
            self.told_reach = Some(report.clone());
            self.tell(Event::ReachabilityChanged(report));
        }
    }

    pub(super) fn reachability(&self) -> crate::reach::Reachability {
        let listening: Vec<Address> = self.swarm.listeners().cloned().map(Address).collect();
        // A place is held once its listener has an address.
        let held = |relay: &PeerId| self.swarm.listeners().any(|address| crate::address::relay_of(address) == Some(*relay));
        let mut relays: Vec<_> =
            self.reservations.values().filter(|(relay, _)| held(relay)).filter_map(|(relay, _)| node_id(relay)).collect();
        relays.sort();
        self.reach.report(listening, relays)
    }

    pub(super) async fn remember(&mut self) {
        match self.ports.cache.load().await {
            Ok(known) => {
                for cached in known.into_iter().take(self.bounds.known_peers) {
                    if let Some(peer) = peer_id(&cached.node) {
                        self.book.remember(peer, cached, Instant::now());
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the known peers cannot be read"),
        }
    }

    fn save(&mut self) {
        self.saved_at = Instant::now();
        // One save at a time: the next one has the changes.
        if self.saving.is_empty()
            && let Some(known) = self.book.changes()
        {
            let cache = std::sync::Arc::clone(&self.ports.cache);
            self.saving.spawn(async move { cache.save(&known).await });
        }
    }

    pub(super) fn on_saved(&mut self, saved: Result<std::io::Result<()>, JoinError>) {
        let error = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error, "the known peers were not saved");
        self.book.unsaved();
    }

    /// Ends everything: peers are told, the known peers saved, tasks ended, sockets closed.
    pub(super) async fn wind_up(mut self) {
        self.tasks.shutdown().await;
        self.validating.shutdown().await;
        while self.saving.join_next().await.is_some() {}
        if let Some(known) = self.book.changes() {
            match tokio::time::timeout(FAREWELL, self.ports.cache.save(&known)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the known peers were not saved"),
                Err(_) => tracing::warn!("the known peers were not saved in time"),
            }
        }
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            self.swarm.disconnect_peer_id(peer).ok();
        }
        let farewell = async {
            while self.swarm.connected_peers().next().is_some() {
                if let SwarmEvent::ConnectionClosed { .. } = self.swarm.select_next_some().await {}
            }
        };
        tokio::time::timeout(FAREWELL, farewell).await.ok();
        let Self { swarm, connections, mesh, .. } = self;
        drop(swarm);
        connections.end().await;
        mesh.events.send(Event::Stopped).ok();
    }
}

/// Dials the bootstrap until each of its members was reached once; from then on they are known like all others. All members at once, and
/// each at all its addresses at once: the first of them may lead nowhere.
pub(super) async fn bootstrap(mesh: Mesh, addresses: Vec<Address>) {
    const LONGEST: Duration = Duration::from_secs(120);
    let mut members: HashMap<Option<NodeId>, Vec<Address>> = HashMap::new();
    for address in addresses {
        members.entry(address.node()).or_default().push(address);
    }
    let nameless = members.remove(&None).unwrap_or_default().into_iter().map(|address| vec![address]);
    let all = members.into_values().chain(nameless).map(|addresses| {
        let mesh = &mesh;
        async move {
            let mut pause = Duration::from_secs(1);
            while let Err(error) = mesh.dial_all(&addresses).await {
                tracing::debug!(?addresses, %error, "a member of the bootstrap was not reached");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    });
    futures::future::join_all(all).await;
}
