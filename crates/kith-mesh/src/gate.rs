//! How many handshakes one host may hold, so that a stranger cannot take every place.

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
};

/// Too many unfinished handshakes from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} has too many unfinished handshakes")]
pub(crate) struct TooManyHandshakes(IpAddr);

/// Counts unfinished inbound handshakes by host. Relayed ones have none; the relay's own bounds hold for them.
#[derive(Debug)]
pub(crate) struct Gate {
    most: u32,
    pending: HashMap<ConnectionId, IpAddr>,
}

impl Gate {
    pub fn new(most: u32) -> Self {
        Self { most, pending: HashMap::new() }
    }

    fn enter(&mut self, id: ConnectionId, ip: IpAddr) -> Result<(), TooManyHandshakes> {
        let ip = host(ip);
        if self.pending.values().filter(|held| **held == ip).count() >= self.most as usize {
            return Err(TooManyHandshakes(ip));
        }
        self.pending.insert(id, ip);
        Ok(())
    }
}

/// What one host is known by: of IPv6 it has a whole /64, and takes another address of it each time.
fn host(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match crate::address::ip(remote) {
            Some(ip) if !crate::address::is_relayed(remote) => self.enter(id, ip).map_err(ConnectionDenied::new),
            _ => Ok(()),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&id);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.pending.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        let mut gate = Gate::new(2);
        let (near, far): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(gate.enter(ConnectionId::new_unchecked(1), near).is_ok());
        assert!(gate.enter(ConnectionId::new_unchecked(2), near).is_ok());
        assert_eq!(gate.enter(ConnectionId::new_unchecked(3), near), Err(TooManyHandshakes(near)));
        assert!(gate.enter(ConnectionId::new_unchecked(4), far).is_ok());
        gate.pending.remove(&ConnectionId::new_unchecked(1));
        assert!(gate.enter(ConnectionId::new_unchecked(5), near).is_ok());
    }

    #[test]
    fn all_addresses_of_one_host_count_as_one() {
        let mut gate = Gate::new(2);
        let mut enter = |id, ip: &str| gate.enter(ConnectionId::new_unchecked(id), ip.parse().unwrap()).is_ok();
        assert!(enter(1, "2001:db8:0:1::1") && enter(2, "2001:db8:0:1:ffff::2") && !enter(3, "2001:db8:0:1::3"));
        assert!(enter(4, "2001:db8:0:2::1"), "the neighbour");
        assert!(enter(5, "10.0.0.1") && enter(6, "::ffff:10.0.0.1") && !enter(7, "10.0.0.1") && enter(8, "10.0.0.2"));
    }
}
