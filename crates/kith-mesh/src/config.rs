//! What a mesh is started with.

use crate::{address::Address, bounds::Bounds};
use std::fmt;
use zeroize::Zeroizing;

/// The 256-bit key that all nodes of a network share. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct NetworkKey(Zeroizing<[u8; 32]>);

impl NetworkKey {
    /// Takes the key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another secret of the network's members, for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, self.bytes()))
    }
}

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkKey(…)")
    }
}

/// The seed of the node's Ed25519 key. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct NodeSeed(Zeroizing<[u8; 32]>);

impl NodeSeed {
    /// Takes the seed.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for NodeSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeSeed(…)")
    }
}

/// One network, as this node takes part in it.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// The key of this node.
    pub seed: NodeSeed,
    /// The key of the network.
    pub key: NetworkKey,
    /// Keys it had before, the latest first; at most [`MAX_RETIRED_KEYS`](crate::bounds::MAX_RETIRED_KEYS). Who dials with one of them is
    /// judged ([`KeyUse::Retired`](crate::KeyUse::Retired)) and welcomed, and then the connection ends. Where the present key is unknown to
    /// whoever is dialled these are tried in their order.
    pub retired: Vec<NetworkKey>,
    /// Names the network in its protocols; letters, digits, `-` and `_`, at most 64 of them. Not secret.
    pub network: String,
    /// What this node calls itself to members, as `kith/0.1.0`.
    pub agent: String,
    /// Where to listen; port 0 takes any free one. Nothing listens where this is empty.
    pub listen: Vec<Address>,
    /// Addresses under which others reach this node, where it knows better than it can find out (a forwarded port).
    pub external: Vec<Address>,
    /// Members to begin with, each address ending in `/p2p/<node id>` or not.
    pub bootstrap: Vec<Address>,
    /// Whether to find members on the local network, by beacons that strangers cannot read meaning from.
    pub discovery: bool,
    /// Whether to ask the router for a port.
    pub upnp: bool,
    /// Whether to carry connections of members that cannot reach each other; [`Mesh::carry`](crate::Mesh::carry) turns it off and on.
    pub relay: bool,
    /// What is taken from peers.
    pub bounds: Bounds,
}

impl MeshConfig {
    /// A quiet configuration: listens nowhere, asks nobody, relays for members.
    pub fn new(seed: NodeSeed, key: NetworkKey, network: impl Into<String>) -> Self {
        Self {
            seed,
            key,
            retired: Vec::new(),
            network: network.into(),
            agent: concat!("kith/", env!("CARGO_PKG_VERSION")).to_owned(),
            listen: Vec::new(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            discovery: false,
            upnp: false,
            relay: true,
            bounds: Bounds::default(),
        }
    }

    pub(crate) fn network_is_named(&self) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !self.network.is_empty() && self.network.len() <= 64 && self.network.chars().all(fits)
    }
}

/// Why a mesh did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The network's name does not fit into a protocol's name.
    #[error("`{0}` cannot name a network: letters, digits, - and _, at most 64")]
    Network(String),
    /// The node's key or the cryptography over it failed.
    #[error("the node's key cannot be used: {0}")]
    Key(String),
    /// A listening address is taken or not of this machine.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Address,
        /// Why not.
        reason: String,
    },
    /// A part of the mesh refused its configuration.
    #[error("the mesh cannot be set up: {0}")]
    Setup(String),
}
