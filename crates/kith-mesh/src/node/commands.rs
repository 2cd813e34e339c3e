//! What the handle asked for.

use super::Node;
use crate::{
    address::{Address, node_id, peer_at_end, peer_id},
    book::Told,
    bounds::{EXCHANGED_PEERS, MAX_ADDRESSES, MAX_WAITING_DIALS},
    event::{Event, Fault},
    exchange::Hint,
    mesh::{Command, DialError, ListenError, Reply},
    streams::OpenError,
    transport,
};
use kith_types::NodeId;
use libp2p::{
    Multiaddr, PeerId,
    swarm::{
        self,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::time::{Duration, Instant};

/// Relays that may be asked for by name.
const MAX_WANTED_RELAYS: usize = 8;

impl Node {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Listen(address, reply) => {
                let listening = transport::is_free(&address.0).map_err(|error| error.to_string());
                let listening =
                    listening.and_then(|()| self.swarm.listen_on(address.0).map(|_| ()).map_err(|error| error.to_string()));
                reply.send(listening.map_err(ListenError)).ok();
            }
            Command::DialAddress(addresses, reply) => self.dial_address(addresses, reply),
            Command::DialNode(node, reply) => match peer_id(&node) {
                Some(peer) => self.dial_peer(peer, self.book.addresses(&peer), reply),
                None => drop(reply.send(Err(DialError::NoAddress))),
            },
            Command::Disconnect(node, reply) => {
                let ended = peer_id(&node).is_some_and(|peer| self.part(peer, "This node ended the connection."));
                reply.send(ended).ok();
            }
            Command::Ban(node, time, reason, reply) => {
                if let Some(peer) = peer_id(&node) {
                    self.keep_out(peer, time, &reason);
                }
                reply.send(()).ok();
            }
            Command::LiftBan(node, reply) => drop(reply.send(peer_id(&node).is_some_and(|peer| self.bans.lift(&peer)))),
            Command::Forget(node, reply) => {
                if let Some(peer) = peer_id(&node) {
                    self.part(peer, "This node forgot the peer.");
                    self.book.forget(&peer);
                    self.swarm.behaviour_mut().kad.remove_peer(&peer);
                }
                reply.send(()).ok();
            }
            Command::Peers(reply) => drop(reply.send(self.links.figures())),
            Command::Listening(reply) => drop(reply.send(self.swarm.listeners().cloned().map(Address).collect())),
            Command::Reachability(reply) => drop(reply.send(self.reachability())),
            Command::External(address, reply) => {
                self.external(address.0);
                reply.send(()).ok();
            }
            Command::Open(node, protocols, reply) => match peer_id(&node) {
                Some(peer) => {
                    let protocols = protocols.iter().filter_map(crate::protocol::Protocol::wire).collect();
                    self.swarm.behaviour_mut().streams.open(&peer, protocols, reply);
                }
                None => drop(reply.send(Err(OpenError::NotConnected))),
            },
            Command::Publish(topic, message, reply) => drop(reply.send(self.publish(&topic, message))),
            Command::Subscribe(topic, reply) => drop(reply.send(self.subscribe(&topic))),
            Command::Unsubscribe(topic, reply) => {
                self.unsubscribe(&topic);
                reply.send(()).ok();
            }
            Command::Report(node, fault) => {
                if let Some(peer) = peer_id(&node) {
                    self.charge(peer, fault);
                }
            }
            Command::HintsFor(asker, reply) => drop(reply.send(self.hints_for(&asker))),
            Command::Hints(hints) => self.on_hints(hints, Told::Others),
            Command::Hint(node, addresses) => self.on_hints(vec![Hint { node, addresses }], Told::Itself),
            Command::Carry(on, reply) => {
                for peer in self.carrying.set(on) {
                    self.part(peer, "This node carries no connections of others any more.");
                }
                reply.send(()).ok();
            }
            Command::RelayThrough(relay, reply) => drop(reply.send(self.relay_through(relay))),
            // The loop itself takes it.
            Command::Stop(reply) => drop(reply.send(())),
        }
    }

    fn dial_address(&mut self, addresses: Vec<Address>, reply: Reply<Result<NodeId, DialError>>) {
        let addresses: Vec<Multiaddr> = addresses.into_iter().map(|address| address.0).collect();
        let Some(first) = addresses.first().cloned() else { return drop(reply.send(Err(DialError::NoAddress))) };
        if let Some(peer) = peer_at_end(&first) {
            return self.dial_peer(peer, addresses, reply);
        }
        if self.waiting_anyone.len() >= MAX_WAITING_DIALS {
            return drop(reply.send(Err(DialError::Busy)));
        }
        let options = DialOpts::unknown_peer_id().address(first).build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.waiting_anyone.insert(connection, reply)),
            Err(error) => drop(reply.send(Err(DialError::Unreachable(error.to_string())))),
        }
    }

    fn dial_peer(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, reply: Reply<Result<NodeId, DialError>>) {
        let Some(node) = node_id(&peer) else { return drop(reply.send(Err(DialError::NoAddress))) };
        if self.links.is_connected(&peer) {
            return drop(reply.send(Ok(node)));
        }
        if let Some(reason) = self.bans.reason(&peer) {
            return drop(reply.send(Err(DialError::Banned(reason))));
        }
        let waiting: usize = self.waiting.values().map(Vec::len).sum();
        if waiting >= MAX_WAITING_DIALS {
            return drop(reply.send(Err(DialError::Busy)));
        }
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        match self.swarm.dial(options) {
            // Under way already, or now: both ends are heard of.
            Ok(()) | Err(swarm::DialError::DialPeerConditionFalse(_)) => self.waiting.entry(peer).or_default().push(reply),
            Err(swarm::DialError::NoAddresses) => {
                self.waiting.entry(peer).or_default().push(reply);
                if !self.lookups.values().any(|held| *held == peer) {
                    self.look_up(peer);
                }
            }
            Err(error) => drop(reply.send(Err(DialError::Unreachable(error.to_string())))),
        }
    }

    /// Ends all connections with `peer`; whether there were any.
    pub(super) fn part(&mut self, peer: PeerId, why: &str) -> bool {
        let parting = self.swarm.disconnect_peer_id(peer).is_ok();
        if parting {
            self.parting.insert(peer, why.to_owned());
            // It may come back of its own accord; this node does not run after it.
            self.book.rest(&peer, Duration::from_secs(60), Instant::now());
        }
        parting
    }

    pub(super) fn keep_out(&mut self, peer: PeerId, time: Duration, reason: &str) {
        self.bans.ban(peer, time, reason);
        self.part(peer, reason);
        self.book.rest(&peer, time, Instant::now());
    }

    /// Charges a fault, and cuts the peer off where it was one too many.
    pub(super) fn charge(&mut self, peer: PeerId, fault: Fault) {
        let Some(node) = node_id(&peer) else { return };
        // Somebody cut off is not charged for what was still on its way.
        if peer == *self.swarm.local_peer_id() || self.bans.reason(&peer).is_some() {
            return;
        }
        let over = self.conduct.charge(peer, fault, Instant::now());
        let cut_off = over.then_some(self.bounds.cut_off);
        if let Some(time) = cut_off {
            self.keep_out(peer, time, fault.sentence());
        }
        // A flood is told once, when it ends; so is what a bad line does now and then.
        if over || !matches!(fault, Fault::GossipFlood | Fault::TooManyStreams | Fault::LateFrame) {
            self.tell(Event::Misbehaved { peer: node, fault, cut_off });
        }
    }

    /// Connected peers and their addresses, for `asker`. Addresses of this machine are told on this machine only.
    fn hints_for(&self, asker: &NodeId) -> Vec<Hint> {
        let asking = peer_id(asker);
        let near = asking.and_then(|peer| self.links.best(&peer)).is_some_and(|link| Address(link.address.clone()).is_loopback());
        let told = |peer: &PeerId| -> Option<Hint> {
            let addresses = self.book.addresses(peer).into_iter().map(Address);
            let addresses: Vec<Address> =
                addresses.filter(|address| near || !address.is_loopback()).take(MAX_ADDRESSES).collect();
            (!addresses.is_empty()).then_some(())?;
            Some(Hint { node: node_id(peer)?, addresses })
        };
        self.links.peers().filter(|peer| Some(**peer) != asking).filter_map(told).take(EXCHANGED_PEERS).collect()
    }

    fn relay_through(&mut self, relay: Address) -> Result<(), ListenError> {
        if peer_at_end(&relay.0).is_none() {
            return Err(ListenError("the relay's address does not end in its id".to_owned()));
        }
        if self.wanted_relays.len() >= MAX_WANTED_RELAYS && !self.wanted_relays.contains(&relay.0) {
            return Err(ListenError(format!("at most {MAX_WANTED_RELAYS} relays are asked")));
        }
        self.wanted_relays.insert(relay.0);
        self.upkeep();
        Ok(())
    }
}
