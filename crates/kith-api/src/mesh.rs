//! The mesh as a port: what handlers ask of the part that holds connections to the other nodes of the active network.
//!
//! What a network is, who belongs to it and by which invites, handlers ask of [`kith_networks::Networks`] themselves. Whatever opens,
//! closes or crosses connections goes through here.

use async_trait::async_trait;
use kith_networks::{Network, NetworkError, NetworkId};
use kith_types::{NodeId, Timestamp};
use std::time::Duration;

/// Why something about the mesh could not be done.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The networks refuse it.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No network is connected.
    #[error("no network is connected")]
    Offline,
    /// The mesh cannot be started.
    #[error("the network cannot be connected: {0}")]
    Start(String),
    /// What is given is no address.
    #[error("{0}")]
    Address(String),
    /// The peer cannot be reached, or does not take this node in; the sentence says why.
    #[error("{0}")]
    Unreachable(String),
    /// The peer was reached and does not do it now; the sentence says why.
    #[error("{0}")]
    Declined(String),
    /// A speed test of this node runs.
    #[error("a speed test runs already; try again when it has ended")]
    Busy,
}

/// How the node stands towards its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The connected network; `None` while the node is offline.
    pub network: Option<NetworkId>,
    /// Addresses at which it listens for members, with the node's id at their end.
    pub listening: Vec<String>,
    /// Why it is offline although a network is to be connected.
    pub fault: Option<String>,
}

/// How a connection runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPath {
    /// Straight.
    Direct,
    /// Straight, through two NATs.
    HolePunched,
    /// Through another member.
    Relayed(NodeId),
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its id.
    pub node: NodeId,
    /// The address of the best connection.
    pub address: String,
    /// How that one runs.
    pub path: PeerPath,
    /// Why so, in one sentence.
    pub why: String,
    /// The time of a round trip, once it was measured.
    pub rtt: Option<Duration>,
    /// Bytes that came from it.
    pub bytes_in: u64,
    /// Bytes that went to it.
    pub bytes_out: u64,
    /// What it runs: `kith/0.1.0`.
    pub agent: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// The protocols it speaks.
    pub protocols: Vec<String>,
}

/// Whether others can reach this node, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `unknown`, `public`, `local` or `private`.
    pub status: &'static str,
    /// How that is known, in one sentence.
    pub why: String,
    /// Addresses at which others have reached it.
    pub external: Vec<String>,
    /// Addresses it listens on.
    pub listening: Vec<String>,
    /// `off`, `asking`, `mapped`, `no_gateway` or `not_routable`: what the router said when it was asked for a port.
    pub port_mapping: &'static str,
    /// Members through which it can be reached.
    pub relays: Vec<NodeId>,
}

/// What a speed test found.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// With whom.
    pub node: NodeId,
    /// When it began.
    pub at: Timestamp,
    /// The median round trip, in milliseconds.
    pub rtt_ms: f64,
    /// The mean difference between one round trip and the next, in milliseconds.
    pub jitter_ms: f64,
    /// Bytes per second from this node to the peer.
    pub up: f64,
    /// Bytes per second from the peer to this node.
    pub down: f64,
    /// Bytes that were sent in all, both ways.
    pub bytes: u64,
}

/// A key that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the new key.
    pub epoch: u64,
    /// Members that have said that they took it. The others get it when they come back.
    pub told: usize,
}

/// Ten seconds of traffic with all peers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// When they began.
    pub at: Timestamp,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Bytes that went out.
    pub bytes_out: u64,
}

/// The mesh of one node.
#[async_trait]
pub trait Mesh: Send + Sync {
    /// How the node stands.
    async fn standing(&self) -> Standing;
    /// Goes onto a saved network, away from another. Where it cannot be connected it is tried again, until the node is told otherwise.
    ///
    /// Like all that changes how the node stands, this is carried out to its end even where nobody waits for it any more.
    ///
    /// # Errors
    /// [`MeshError`]
    async fn connect(&self, id: NetworkId) -> Result<Network, MeshError>;
    /// Goes offline; the node itself goes on. Whether it was online.
    ///
    /// # Errors
    /// [`MeshError`]
    async fn disconnect(&self) -> Result<bool, MeshError>;
    /// Joins by an invite and goes onto its network; waits until a member took this node in, or for 20 s. Where none did, the node goes
    /// back to the network it was on, and keeps nothing of the other that it had not before.
    ///
    /// # Errors
    /// [`MeshError::Unreachable`] with what the inviter said.
    async fn join(&self, code: &str, own_name: &str) -> Result<Network, MeshError>;
    /// Addresses to stand in an invite: where a newcomer finds this node.
    async fn addresses(&self) -> Vec<String>;
    /// Who is connected.
    async fn peers(&self) -> Vec<Peer>;
    /// Whether others can reach this node; `None` while it is offline.
    async fn reach(&self) -> Option<Reach>;
    /// Connects to the node at an address.
    ///
    /// # Errors
    /// [`MeshError::Offline`], [`MeshError::Address`], [`MeshError::Unreachable`]
    async fn dial(&self, address: &str) -> Result<NodeId, MeshError>;
    /// Changes the network's key and hands the new one to all who are connected.
    ///
    /// # Errors
    /// [`MeshError`]
    async fn rotate(&self, id: NetworkId) -> Result<Rotated, MeshError>;
    /// Shuts a member out: its connections end, and the key changes without it.
    ///
    /// # Errors
    /// [`MeshError`]
    async fn remove(&self, id: NetworkId, node: &NodeId) -> Result<Rotated, MeshError>;
    /// Measures the way to a connected peer; at most one test at a time.
    ///
    /// # Errors
    /// [`MeshError::Offline`], [`MeshError::Unreachable`], [`MeshError::Declined`], [`MeshError::Busy`]
    async fn speedtest(&self, node: &NodeId) -> Result<Speed, MeshError>;
    /// The last tests with a peer, the newest first; at most 100 are kept of each.
    ///
    /// # Errors
    /// [`MeshError`]
    async fn speeds(&self, node: &NodeId) -> Result<Vec<Speed>, MeshError>;
    /// Traffic of the last ten minutes in steps of ten seconds, the oldest first; nothing while the node is offline.
    async fn throughput(&self) -> Vec<Throughput>;
}
