//! Addresses and ids as the rest of the product sees them, and their libp2p forms, which stay inside this crate.

use kith_types::NodeId;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// Where a node can be reached: a multiaddr such as `/ip4/192.168.1.5/tcp/4001`, perhaps ending in `/p2p/<node id>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub(crate) Multiaddr);

/// Longest text that is taken for an address: a relayed one with two node ids has under 200 characters.
const MAX_TEXT: usize = 512;

/// A text was not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: it has the form /ip4/192.168.1.5/tcp/4001")]
pub struct AddressError(pub String);

impl Address {
    /// The IP address it begins with; none where it begins with a name.
    pub fn ip(&self) -> Option<IpAddr> {
        ip(&self.0)
    }

    /// The node named at the end of the address.
    pub fn node(&self) -> Option<NodeId> {
        peer_at_end(&self.0).and_then(|peer| node_id(&peer))
    }

    /// Whether it leads through a relay.
    pub fn is_relayed(&self) -> bool {
        is_relayed(&self.0)
    }

    /// Whether it is only valid on the machine itself.
    pub fn is_loopback(&self) -> bool {
        ip(&self.0).is_some_and(|ip| ip.is_loopback())
    }

    /// The address with the node's name at its end.
    #[must_use]
    pub fn with_node(&self, node: &NodeId) -> Self {
        match (self.node(), peer_id(node)) {
            (None, Some(peer)) => Self(self.0.clone().with(Protocol::P2p(peer))),
            _ => self.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let shown = || AddressError(text.chars().take(64).collect());
        if text.len() > MAX_TEXT {
            return Err(shown());
        }
        text.parse().map(Self).map_err(|_| shown())
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.to_string()
    }
}

/// The product's name of a peer; `None` for a key that is not Ed25519, which admission refuses.
pub(crate) fn node_id(peer: &PeerId) -> Option<NodeId> {
    peer.to_base58().parse().ok()
}

/// libp2p's name of a node. `None` cannot happen for an id that was parsed, and is treated as an unknown peer.
pub(crate) fn peer_id(node: &NodeId) -> Option<PeerId> {
    node.as_str().parse().ok()
}

pub(crate) fn peer_at_end(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The relay that an address leads through.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut last = None;
    for part in address.iter() {
        match part {
            Protocol::P2p(peer) => last = Some(peer),
            Protocol::P2pCircuit => return last,
            _ => {}
        }
    }
    None
}

pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

/// `address` as one IP address where it begins with a name, asked of the system; at most four of them.
pub(crate) async fn resolve(address: Multiaddr) -> Vec<Multiaddr> {
    const MAX_RESULTS: usize = 4;
    let mut parts = address.iter();
    let (name, v4, v6) = match parts.next() {
        Some(Protocol::Dns(name)) => (name.into_owned(), true, true),
        Some(Protocol::Dns4(name)) => (name.into_owned(), true, false),
        Some(Protocol::Dns6(name)) => (name.into_owned(), false, true),
        _ => return vec![address],
    };
    let rest: Vec<Protocol<'_>> = parts.collect();
    let Ok(found) = tokio::net::lookup_host((name.as_str(), 0)).await else { return Vec::new() };
    found
        .map(|socket| socket.ip())
        .filter(|ip| if ip.is_ipv4() { v4 } else { v6 })
        .take(MAX_RESULTS)
        .map(|ip| rest.iter().cloned().fold(Multiaddr::from(ip), |built, part| built.with(part)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn an_address_knows_its_node_and_its_relay() {
        let plain: Address = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
        assert_eq!(plain.node(), None);
        assert!(plain.is_loopback() && !plain.is_relayed());
        let node: NodeId = NODE.parse().unwrap();
        let named = plain.with_node(&node);
        assert_eq!(named.to_string(), format!("/ip4/127.0.0.1/tcp/4001/p2p/{NODE}"));
        assert_eq!((named.node(), named.with_node(&node)), (Some(node), named.clone()));
        let relayed: Address = format!("{named}/p2p-circuit").parse().unwrap();
        assert!(relayed.is_relayed());
        assert_eq!(relay_of(&relayed.0).map(|peer| peer.to_string()).as_deref(), Some(NODE));
    }

    #[test]
    fn other_text_is_refused_and_shown_short() {
        assert!("localhost:4001".parse::<Address>().is_err());
        let AddressError(shown) = "x".repeat(10_000).parse::<Address>().unwrap_err();
        assert_eq!(shown.len(), 64);
    }

    #[tokio::test]
    async fn a_name_is_resolved_by_the_system_and_the_rest_is_kept() {
        let found = resolve("/dns4/localhost/tcp/4001".parse().unwrap()).await;
        assert_eq!(found, vec!["/ip4/127.0.0.1/tcp/4001".parse::<Multiaddr>().unwrap()]);
        let kept: Multiaddr = "/ip6/::1/tcp/1".parse().unwrap();
        assert_eq!(resolve(kept.clone()).await, vec![kept]);
    }
}
