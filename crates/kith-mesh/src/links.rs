//! The connections there are: which way each goes, why, and which of several to one peer is one too many.

use crate::{
    address::{Address, node_id},
    event::Path,
    traffic::Counters,
};
use kith_types::{NodeId, Timestamp};
use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a second connection is left alone: both sides must see both, and what began on it may end.
const GRACE: Duration = Duration::from_secs(10);
/// Protocols remembered of one peer; it tells them, so it is bounded.
const MAX_PROTOCOLS: usize = 256;
/// Characters of an agent's version that are kept.
const MAX_AGENT: usize = 128;

/// What is known of one connected peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerFigures {
    /// Who.
    pub peer: NodeId,
    /// Where it is, over the best connection.
    pub address: Address,
    /// The way to it.
    pub path: Path,
    /// Why it is this way, in one sentence.
    pub why: String,
    /// The last round trip, as ping measured it; nothing until it has.
    pub rtt: Option<Duration>,
    /// Bytes received from it on the wire since it is connected.
    pub bytes_in: u64,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// What it speaks; empty until it has said so.
    pub protocols: Vec<String>,
    /// What it calls itself.
    pub agent: Option<String>,
    /// Since when it is connected without a break.
    pub since: Timestamp,
    /// Connections to it at present.
    pub connections: usize,
}

/// One connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub id: ConnectionId,
    pub address: Multiaddr,
    /// The peer between.
    pub relay: Option<PeerId>,
    /// Whether this node dialled.
    pub dialled: bool,
    pub punched: bool,
    pub opened: Instant,
    pub rtt: Option<Duration>,
    /// Bytes that had come from the peer when the connection was last asked whether it lives.
    pub heard: u64,
}

#[derive(Debug)]
struct Linked {
    links: Vec<Link>,
    since: Timestamp,
    agent: Option<String>,
    protocols: Vec<String>,
    /// Why hole punching did not work, once it did not.
    punch_failure: Option<String>,
    counters: Arc<Counters>,
}

/// All connected peers.
#[derive(Debug)]
pub(crate) struct Links {
    own: PeerId,
    peers: HashMap<PeerId, Linked>,
}

impl Links {
    pub fn new(own: PeerId) -> Self {
        Self { own, peers: HashMap::new() }
    }

    /// Adds a connection; whether the peer had none.
    pub fn opened(&mut self, peer: PeerId, link: Link, since: Timestamp, counters: Arc<Counters>) -> bool {
        let linked = self.peers.entry(peer).or_insert_with(|| Linked {
            links: Vec::new(),
            since,
            agent: None,
            protocols: Vec::new(),
            punch_failure: None,
            counters,
        });
        linked.links.push(link);
        linked.links.len() == 1
    }

    /// Removes a connection; whether it was the peer's last.
    pub fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        let Some(linked) = self.peers.get_mut(peer) else { return false };
        linked.links.retain(|link| link.id != id);
        let last = linked.links.is_empty();
        if last {
            self.peers.remove(peer);
        }
        last
    }

    pub fn punched(&mut self, peer: &PeerId, id: ConnectionId) {
        if let Some(link) = self.link(peer, id) {
            link.punched = true;
        }
    }

    pub fn punch_failed(&mut self, peer: &PeerId, reason: String) {
        if let Some(linked) = self.peers.get_mut(peer) {
            linked.punch_failure = Some(reason);
        }
    }

    pub fn measured(&mut self, peer: &PeerId, id: ConnectionId, rtt: Duration) {
        if let Some(link) = self.link(peer, id) {
            link.rtt = Some(rtt);
        }
        self.spoke(peer, id);
    }

    /// Whether anything came from the peer since the last time this was asked of the connection.
    pub fn spoke(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        let Some((received, _)) = self.peers.get(peer).map(|linked| linked.counters.read()) else { return false };
        self.link(peer, id).is_some_and(|link| std::mem::replace(&mut link.heard, received) < received)
    }

    /// Whether a peer is connected through a relay too, as while both dial at once.
    pub fn is_relayed(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|linked| linked.links.iter().any(|link| link.relay.is_some()))
    }

    /// Whether a connection is one that the peer dialled, at an address of this node.
    pub fn is_inbound(&self, peer: &PeerId, id: ConnectionId) -> bool {
        let link = self.peers.get(peer).and_then(|linked| linked.links.iter().find(|link| link.id == id));
        link.is_some_and(|link| !link.dialled && link.relay.is_none() && !link.punched)
    }

    pub fn identified(&mut self, peer: &PeerId, agent: &str, protocols: Vec<String>) {
        if let Some(linked) = self.peers.get_mut(peer) {
            linked.agent = Some(agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect());
            linked.protocols = protocols;
            linked.protocols.truncate(MAX_PROTOCOLS);
        }
    }

    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    pub fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.peers.keys()
    }

    pub fn count(&self) -> usize {
        self.peers.len()
    }

    /// The connection that is used: direct before relayed, then the one that the lower id dialled, then the oldest.
    pub fn best(&self, peer: &PeerId) -> Option<&Link> {
        let linked = self.peers.get(peer)?;
        linked.links.iter().min_by_key(|link| self.order(peer, link))
    }

    /// The way to `peer`, and why.
    pub fn path(&self, peer: &PeerId) -> Option<(Path, String)> {
        let (linked, link) = (self.peers.get(peer)?, self.best(peer)?);
        Some(match link.relay {
            Some(relay) => {
                let by = node_id(&relay)?;
                let why = match &linked.punch_failure {
                    Some(reason) => format!("Through {by}, since no direct connection came about: {reason}."),
                    None => format!("Through {by}, while a direct connection is tried."),
                };
                (Path::Relayed { by }, why)
            }
            None if link.punched => (Path::HolePunched, "Both sides dialled at once through their routers.".to_owned()),
            None if link.dialled => (Path::Direct, format!("This node reached it at {}.", link.address)),
            None => (Path::Direct, format!("It reached this node from {}.", link.address)),
        })
    }

    pub fn figures(&self) -> Vec<PeerFigures> {
        let mut figures: Vec<PeerFigures> = self.peers.keys().filter_map(|peer| self.figures_of(peer)).collect();
        figures.sort_by(|a, b| a.peer.cmp(&b.peer));
        figures
    }

    fn figures_of(&self, peer: &PeerId) -> Option<PeerFigures> {
        let (linked, link, (path, why)) = (self.peers.get(peer)?, self.best(peer)?, self.path(peer)?);
        let (bytes_in, bytes_out) = linked.counters.read();
        Some(PeerFigures {
            peer: node_id(peer)?,
            address: Address(link.address.clone()),
            path,
            why,
            rtt: link.rtt.or_else(|| linked.links.iter().find_map(|link| link.rtt)),
            bytes_in,
            bytes_out,
            protocols: linked.protocols.clone(),
            agent: linked.agent.clone(),
            since: linked.since,
            connections: linked.links.len(),
        })
    }

    /// Connected peers, reached directly, that offer to relay and may be reachable for others too.
    pub fn relays(&self) -> Vec<(PeerId, Multiaddr)> {
        let hop = libp2p::relay::HOP_PROTOCOL_NAME;
        let offers = |linked: &Linked| linked.protocols.iter().any(|name| name == hop.as_ref());
        let mut relays: Vec<(PeerId, Multiaddr)> = self
            .peers
            .iter()
            .filter(|(_, linked)| offers(linked))
            .filter_map(|(peer, _)| {
                Some((*peer, self.best(peer).filter(|link| link.relay.is_none() && link.dialled)?.address.clone()))
            })
            .collect();
        relays.sort();
        relays
    }

    /// Connections that another one makes needless, and that this side is to close. The two sides never close both of a pair: they
    /// order them alike, and among those that one side dialled only that side chooses.
    pub fn surplus(&self, now: Instant) -> Vec<(PeerId, ConnectionId)> {
        let mut surplus = Vec::new();
        for (peer, linked) in &self.peers {
            let Some(best) = self.best(peer) else { continue };
            for link in &linked.links {
                let settled = now.saturating_duration_since(link.opened.max(best.opened)) >= GRACE;
                let ours_to_close = best.relay.is_none() && link.relay.is_some() || best.dialled != link.dialled || link.dialled;
                if link.id != best.id && settled && ours_to_close {
                    surplus.push((*peer, link.id));
                }
            }
        }
        surplus
    }

    fn order(&self, peer: &PeerId, link: &Link) -> (bool, bool, Instant) {
        let by_lower = (self.own < *peer) == link.dialled;
        (link.relay.is_some(), !by_lower, link.opened)
    }

    fn link(&mut self, peer: &PeerId, id: ConnectionId) -> Option<&mut Link> {
        self.peers.get_mut(peer)?.links.iter_mut().find(|link| link.id == id)
    }
}

#[cfg(test)]
mod tests;
