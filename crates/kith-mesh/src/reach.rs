//! Whether others can reach this node, and how that is known.

use crate::{
    address::{Address, ip},
    bounds::MAX_ADDRESSES,
};
use kith_types::NodeId;
use libp2p::Multiaddr;
use serde::Serialize;
use std::{collections::BTreeSet, net::IpAddr};

/// From where this node can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReachStatus {
    /// Nobody has tested it yet.
    Unknown,
    /// From anywhere.
    Public,
    /// From its own network.
    Local,
    /// By nobody: connections must begin here, or pass a relay.
    Private,
}

/// What the router said when it was asked for a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PortMapping {
    /// It was not asked.
    Off,
    /// It has not answered yet.
    Asking,
    /// It forwards these addresses.
    Mapped {
        /// As the outside sees them.
        addresses: Vec<Address>,
    },
    /// There is no router that understands the question.
    NoGateway,
    /// The router is itself behind another.
    NotRoutable,
}

/// What is known of this node's reachability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reachability {
    /// From where.
    pub status: ReachStatus,
    /// How that is known, in one sentence.
    pub why: String,
    /// Addresses at which others have reached it, or that its owner named.
    pub external: Vec<Address>,
    /// Addresses it listens on.
    pub listening: Vec<Address>,
    /// The router's answer.
    pub port_mapping: PortMapping,
    /// Members that hold a place for connections to this node.
    pub relays: Vec<NodeId>,
}

/// What was learned so far.
#[derive(Debug)]
pub(crate) struct Reach {
    confirmed: BTreeSet<Multiaddr>,
    /// The last test that failed since one passed: address and reason. One is enough: no address is tested twice, and a place with a
    /// relay that was not needed costs nothing.
    failed: Option<(Multiaddr, String)>,
    mapping: PortMapping,
}

impl Reach {
    pub fn new(upnp: bool) -> Self {
        let mapping = if upnp { PortMapping::Asking } else { PortMapping::Off };
        Self { confirmed: BTreeSet::new(), failed: None, mapping }
    }

    /// An address was found, or declared, to work. Relayed ones say nothing about this node's own reachability.
    pub fn confirmed(&mut self, address: &Multiaddr) {
        if !crate::address::is_relayed(address) && self.confirmed.len() < MAX_ADDRESSES {
            self.confirmed.insert(address.clone());
            // That a neighbour on the same switch reaches it says nothing of those beyond the router.
            if is_global(address) || self.failed.as_ref().is_some_and(|(failed, _)| failed == address) {
                self.failed = None;
            }
        }
    }

    /// This node is at another place: what was found out about `address` holds no longer, and what failed may not fail here.
    pub fn moved(&mut self, address: &Multiaddr) {
        self.confirmed.remove(address);
        self.failed = None;
    }

    pub fn expired(&mut self, address: &Multiaddr) {
        self.confirmed.remove(address);
    }

    /// A peer tried to reach this node at `address` and could not.
    pub fn failed(&mut self, address: &Multiaddr, reason: String) {
        self.failed = Some((address.clone(), reason));
    }

    pub fn mapped(&mut self, address: &Multiaddr) {
        let address = Address(address.clone());
        match &mut self.mapping {
            PortMapping::Mapped { addresses } if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) => {
                addresses.push(address)
            }
            PortMapping::Mapped { .. } => {}
            other => *other = PortMapping::Mapped { addresses: vec![address] },
        }
    }

    pub fn unmapped(&mut self, address: &Multiaddr) {
        if let PortMapping::Mapped { addresses } = &mut self.mapping {
            addresses.retain(|held| held.0 != *address);
            if addresses.is_empty() {
                self.mapping = PortMapping::Asking;
            }
        }
    }

    pub fn no_mapping(&mut self, mapping: PortMapping) {
        self.mapping = mapping;
    }

    /// Whether somebody outside could only come in through a relay.
    pub fn needs_relay(&self) -> bool {
        self.failed.is_some() && !self.confirmed.iter().any(is_global)
    }

    pub fn report(&self, listening: Vec<Address>, relays: Vec<NodeId>) -> Reachability {
        let (status, why) = self.status();
        Reachability {
            status,
            why,
            external: self.confirmed.iter().cloned().map(Address).collect(),
            listening,
            port_mapping: self.mapping.clone(),
            relays,
        }
    }

    fn status(&self) -> (ReachStatus, String) {
        if let Some(address) = self.confirmed.iter().find(|address| is_global(address)) {
            return (ReachStatus::Public, format!("A member reached this node at {address}."));
        }
        let outside = match &self.failed {
            Some((address, reason)) => format!(" A member tried {address} in vain: {reason}."),
            None => String::new(),
        };
        match self.confirmed.first() {
            Some(address) => (ReachStatus::Local, format!("Members on its own network reach this node at {address}.{outside}")),
            None if !outside.is_empty() => (ReachStatus::Private, outside.trim_start().to_owned()),
            None => (ReachStatus::Unknown, "No member has tried to reach this node yet.".to_owned()),
        }
    }
}

/// Whether an address is of the internet, and not of a home, a provider's NAT or the machine itself. A name is taken to be.
pub(crate) fn is_global(address: &Multiaddr) -> bool {
    match ip(address) {
        Some(IpAddr::V4(ip)) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || shared)
        }
        Some(IpAddr::V6(ip)) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn reachability_follows_what_members_tried() {
        let mut reach = Reach::new(false);
        assert_eq!(reach.status().0, ReachStatus::Unknown);
        reach.failed(&at("/ip4/203.0.113.9/tcp/4001"), "no answer".to_owned());
        let (status, why) = reach.status();
        assert_eq!((status, reach.needs_relay()), (ReachStatus::Private, true));
        assert_eq!(why, "A member tried /ip4/203.0.113.9/tcp/4001 in vain: no answer.");
        reach.confirmed(&at("/ip4/192.168.1.4/tcp/4001"));
        assert_eq!((reach.status().0, reach.needs_relay()), (ReachStatus::Local, true), "a neighbour is not the outside");
        reach.confirmed(&at("/ip4/203.0.113.9/tcp/4001"));
        assert_eq!((reach.status().0, reach.needs_relay()), (ReachStatus::Public, false));
        reach.expired(&at("/ip4/203.0.113.9/tcp/4001"));
        assert_eq!(reach.status().0, ReachStatus::Local);
    }

    #[test]
    fn a_provider_s_nat_and_a_relay_are_not_the_internet() {
        for text in ["/ip4/100.64.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip6/fe80::1/tcp/1", "/ip6/fd00::1/tcp/1"] {
            assert!(!is_global(&at(text)), "{text}");
        }
        assert!(is_global(&at("/ip4/100.128.0.1/tcp/1")) && is_global(&at("/ip6/2001:db8::1/tcp/1")));
    }

    #[test]
    fn the_router_s_answer_is_told() {
        let mut reach = Reach::new(true);
        assert_eq!(reach.mapping, PortMapping::Asking);
        reach.mapped(&at("/ip4/203.0.113.9/tcp/4001"));
        assert!(matches!(&reach.mapping, PortMapping::Mapped { addresses } if addresses.len() == 1));
        reach.unmapped(&at("/ip4/203.0.113.9/tcp/4001"));
        assert_eq!(reach.mapping, PortMapping::Asking);
    }
}
