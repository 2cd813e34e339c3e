//! Connections that come and go, and what peers say on them.

use super::Node;
use crate::{
    address::{Address, is_relayed, node_id, relay_of},
    admission::{AdmissionError, Refused},
    book::Told,
    bounds::MAX_ADDRESSES,
    event::{Event, Refuser},
    exchange,
    keyed::KeyError,
    links::Link,
    mesh::{Command, DialError},
    router::Inbound,
    stream::Stream,
    streams::StreamEvent,
};
use libp2p::{
    Multiaddr, PeerId, TransportError,
    core::ConnectedPoint,
    identify, kad,
    swarm::{
        self, ConnectionError, ConnectionId, ListenError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

/// A peer that refused this node is not dialled again, unasked, for this time: a newcomer may be a member a moment later.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// Times that the network is asked where a peer is, a second apart.
const MAX_LOOKUPS: u32 = 3;

impl Node {
    pub(super) fn on_opened(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let (dialled, address, relay) = match endpoint {
            ConnectedPoint::Dialer { address, .. } => (true, address.clone(), relay_of(address)),
            ConnectedPoint::Listener { local_addr, send_back_addr } => {
                let relayed = is_relayed(local_addr) || is_relayed(send_back_addr);
                let relay = relayed.then(|| relay_of(local_addr).or_else(|| relay_of(send_back_addr))).flatten();
                (false, if relay.is_some() { local_addr.clone() } else { send_back_addr.clone() }, relay)
            }
        };
        let (now, seen) = (Instant::now(), self.ports.clock.now());
        self.book.connected(peer, (dialled && relay.is_none()).then_some(&address), seen, now);
        let before = self.links.path(&peer);
        let link = Link { id, address, relay, dialled, punched: false, opened: now, rtt: None, heard: 0 };
        let first = self.links.opened(peer, link, seen, self.traffic.of(peer));
        self.refused.remove(&peer);
        if let Some(node) = node_id(&peer) {
            let waiting = self.waiting.remove(&peer).unwrap_or_default();
            waiting.into_iter().chain(self.waiting_anyone.remove(&id)).for_each(|reply| drop(reply.send(Ok(node.clone()))));
            if first {
                let mesh = self.mesh.clone();
                self.tasks.spawn(async move {
                    let hints = exchange::ask(&mesh, &node).await;
                    mesh.commands.send(Command::Hints(hints)).await.ok();
                });
            }
        }
        if self.links.path(&peer).map(|(path, _)| path) != before.map(|(path, _)| path) {
            self.tell_path(&peer);
        }
        // The ban came between its admission and this moment.
        if let Some(reason) = self.bans.reason(&peer) {
            self.part(peer, &reason);
        }
    }

    pub(super) fn on_closed(&mut self, peer: PeerId, id: ConnectionId, cause: Option<ConnectionError>) {
        let before = self.links.path(&peer);
        if !self.links.closed(&peer, id) {
            if self.links.path(&peer).map(|(path, _)| path) != before.map(|(path, _)| path) {
                self.tell_path(&peer);
            }
            return;
        }
        self.carrying.left(&peer);
        self.book.disconnected(&peer, self.ports.clock.now(), Instant::now());
        let said = self.parting.remove(&peer);
        if said.is_some() {
            self.book.rest(&peer, AFTER_REFUSAL, Instant::now());
        }
        let why = said.unwrap_or_else(|| match cause {
            Some(error) => format!("The connection ended: {}.", chain(&error)),
            None => "The connection was closed.".to_owned(),
        });
        if let Some(peer) = node_id(&peer) {
            self.tell(Event::Disconnected { peer, why });
        }
    }

    pub(super) fn tell_path(&mut self, peer: &PeerId) {
        if let (Some(node), Some((path, why)), Some(link)) = (node_id(peer), self.links.path(peer), self.links.best(peer)) {
            let address = Address(link.address.clone());
            self.tell(Event::Connected { peer: node, address, path, why });
        }
    }

    pub(super) fn on_refused(&mut self, refused: Refused) {
        if let Some(peer) = crate::address::peer_id(&refused.peer) {
            self.book.rest(&peer, AFTER_REFUSAL, Instant::now());
            // Bounded by the dials that somebody waits for.
            if self.waiting.contains_key(&peer) {
                self.refused.insert(peer, refused.clone());
            }
        }
        if refused.by == Refuser::ThisNode {
            tracing::info!(peer = %refused.peer, code = %refused.code, "a peer was not let in: {}", refused.message);
        } else {
            tracing::info!(peer = %refused.peer, code = %refused.code, "a peer did not let this node in: {}", refused.message);
        }
        let Refused { peer, by, code, message } = refused;
        self.tell(Event::Refused { peer, by, code, message });
    }

    pub(super) fn on_dial_failed(&mut self, connection: ConnectionId, peer: Option<PeerId>, error: swarm::DialError) {
        tracing::debug!(?peer, error = %chain(&error), "a dial failed");
        let anyone = self.waiting_anyone.remove(&connection);
        // Another attempt, or a connection from the other side, still decides for those who wait.
        if matches!(error, swarm::DialError::DialPeerConditionFalse(_)) {
            return;
        }
        // Tests of reachability and dials through routers fail beside a connection that stands.
        if let Some(peer) = peer.filter(|peer| !self.links.is_connected(peer)) {
            self.book.failed(&peer, Instant::now());
        }
        let refused = refusal(&error).or_else(|| peer.and_then(|peer| self.refused.remove(&peer)));
        let outcome = match (refused, error) {
            (Some(Refused { by, code, message, .. }), _) => DialError::Refused { by, code, message },
            (None, swarm::DialError::NoAddresses) => DialError::NoAddress,
            (None, error) => DialError::Unreachable(chain(&error)),
        };
        let waiting = peer.and_then(|peer| self.waiting.remove(&peer)).unwrap_or_default();
        waiting.into_iter().chain(anyone).for_each(|reply| drop(reply.send(Err(outcome.clone()))));
    }

    pub(super) fn on_stream(&mut self, event: StreamEvent) {
        let (peer, stream, protocol, place) = match event {
            StreamEvent::TooMany { peer } => return self.charge(peer, crate::event::Fault::TooManyStreams),
            StreamEvent::Inbound { peer, stream, protocol, place } => (peer, stream, protocol, place),
        };
        let (Some(node), Some((protocol, handler))) = (node_id(&peer), self.router.handler(protocol.as_ref())) else { return };
        let stream = Stream::new(stream, protocol, node, Arc::clone(&self.mesh.in_flight), place);
        let inbound = Inbound { stream, peer, faults: self.faults_in.clone() };
        // Bounded by the places of streams, one of which the handler holds.
        self.tasks.spawn(async move { handler.handle(inbound).await });
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id: peer, info } = event else { return };
        if self.links.is_inbound(&peer, connection_id) && !self.links.is_relayed(&peer) {
            self.reached_at(info.observed_addr.clone());
        }
        let protocols = info.protocols.iter().map(ToString::to_string).collect();
        self.links.identified(&peer, &info.agent_version, protocols);
        // What a peer calls itself on its own machine is of use on that machine only.
        let near = self.links.best(&peer).is_some_and(|link| Address(link.address.clone()).is_loopback());
        let addresses: Vec<Multiaddr> = info
            .listen_addrs
            .into_iter()
            .filter(|address| near || !Address(address.clone()).is_loopback())
            .take(MAX_ADDRESSES)
            .collect();
        crate::table::learn(&mut self.swarm.behaviour_mut().kad, &peer, &addresses);
        self.book.hint(peer, addresses, Told::Itself, Instant::now());
    }

    /// Asks again at the next tick, or says that nobody knows.
    fn not_found(&mut self, peer: PeerId) {
        let asked = self.unfound.entry(peer).or_default();
        *asked += 1;
        if *asked >= MAX_LOOKUPS || !self.waiting.contains_key(&peer) {
            self.unfound.remove(&peer);
            for reply in self.waiting.remove(&peer).unwrap_or_default() {
                reply.send(Err(DialError::NoAddress)).ok();
            }
        }
    }

    /// Asks the network where those are that were not found yet.
    pub(super) fn look_again(&mut self) {
        self.unfound.retain(|peer, _| self.waiting.contains_key(peer));
        let again: Vec<PeerId> =
            self.unfound.keys().filter(|peer| !self.lookups.values().any(|held| held == *peer)).copied().collect();
        again.into_iter().for_each(|peer| self.look_up(peer));
    }

    pub(super) fn look_up(&mut self, peer: PeerId) {
        let query = self.swarm.behaviour_mut().kad.get_closest_peers(peer);
        self.lookups.insert(query, peer);
    }

    pub(super) fn on_kad(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result: kad::QueryResult::GetClosestPeers(result), step, .. } = event
        else {
            return;
        };
        let found = match result {
            Ok(found) => found.peers,
            Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
        };
        for known in found {
            self.hint(known.peer_id, known.addrs.into_iter().take(MAX_ADDRESSES), Told::Others);
        }
        if !step.last {
            return;
        }
        let Some(peer) = self.lookups.remove(&id) else { return };
        let addresses = self.book.addresses(&peer);
        let options = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(addresses).build();
        if let Err(error) = self.swarm.dial(options)
            && !matches!(error, swarm::DialError::DialPeerConditionFalse(_))
        {
            self.not_found(peer);
        }
    }
}

/// The refusal inside a dial's error, where there is one.
fn refusal(error: &swarm::DialError) -> Option<Refused> {
    let swarm::DialError::Transport(attempts) = error else { return None };
    attempts.iter().find_map(|(_, error)| {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(AdmissionError::Refused(refused)) = error.downcast_ref() {
                return Some(refused.clone());
            }
            // An I/O error hides what it carries from `source`.
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    })
}

/// An error and its causes, each once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Why whoever dialled is a stranger, where the connection ended because it showed none of the network's keys.
pub(super) fn had_no_key(error: &ListenError) -> Option<&'static str> {
    match cause::<KeyError>(error)? {
        KeyError::Unknown => Some("Whoever dialled has none of the network's keys."),
        KeyError::Silent | KeyError::Displaced => Some("Whoever dialled said nothing."),
        KeyError::Io(_) | KeyError::Nonce(_) | KeyError::HungUp => None,
    }
}

/// Whether a connection ended because whoever dialled had a retired key: it proved itself a holder of that.
pub(super) fn had_retired_key(error: &ListenError) -> bool {
    matches!(cause::<AdmissionError>(error), Some(AdmissionError::Retired))
}

/// The cause of that kind, where there is one.
fn cause<E: Error + 'static>(error: &ListenError) -> Option<&E> {
    let ListenError::Transport(TransportError::Other(error)) = error else { return None };
    let mut next: Option<&(dyn Error + 'static)> = error.get_ref().map(|cause| cause as _);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
