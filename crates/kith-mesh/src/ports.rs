//! What the mesh asks of those who use it: who may enter, which gossip is good, and where peers are remembered.

use crate::address::Address;
use async_trait::async_trait;
use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a peer may not enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs, as `certificate_expired`.
    pub code: &'static str,
    /// For people: one sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal with its code and sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// With which of the network's keys a connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// With the present one.
    Present,
    /// With one of [`MeshConfig::retired`](crate::MeshConfig::retired), by its index there: the peer has missed a change of the key, or
    /// both sides have changed it apart from each other. After both welcomes the connection ends; no protocol is spoken on it.
    Retired(usize),
}

/// Decides who belongs to the network. Asked after the peer has proved its key, and before it is told anything else.
/// The side that dialled judges first; a side that was refused is not asked for its own verdict.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// What this node shows to `peer`: at most 64 KiB, opaque to the mesh.
    async fn hello(&self, peer: &NodeId) -> Vec<u8>;

    /// Judges what `peer` showed on a connection with that key.
    ///
    /// # Errors
    /// A [`Refusal`] ends the connection; both sides report it. `Ok` carries at most 64 KiB for the peer.
    async fn judge(&self, peer: &NodeId, hello: &[u8], key: KeyUse) -> Result<Vec<u8>, Refusal>;

    /// Takes what the peer said when it let this node in.
    ///
    /// # Errors
    /// A [`Refusal`] ends the connection, as where the peer's words are not what they should be.
    async fn admitted(&self, peer: &NodeId, welcome: &[u8]) -> Result<(), Refusal>;
}

/// What becomes of a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is good: it is delivered here and handed on.
    Accept,
    /// It is of no use, and nobody's fault: neither delivered nor handed on.
    Ignore,
    /// It must not exist: whoever handed it on loses trust.
    Reject,
}

/// Judges gossip before it is handed on, so that a bad message dies at the first honest node.
#[async_trait]
pub trait Validation: Send + Sync + 'static {
    /// Judges a message that `author` signed and `via` handed on. The signature has been checked.
    async fn validate(&self, topic: &str, author: &NodeId, via: &NodeId, message: &[u8]) -> Verdict;
}

/// A peer as it is remembered between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedPeer {
    /// Who.
    pub node: NodeId,
    /// Where it was reached, the best first; at most 16.
    pub addresses: Vec<Address>,
    /// When it was last connected.
    pub last_seen: Timestamp,
}

/// Where known peers are kept, so that a node finds its network again without a bootstrap.
#[async_trait]
pub trait PeerCache: Send + Sync + 'static {
    /// What was saved last; nothing where there is nothing.
    ///
    /// # Errors
    /// Told in the log; the mesh then starts without.
    async fn load(&self) -> std::io::Result<Vec<CachedPeer>>;

    /// Replaces what is kept. Called at most once a minute, and when the mesh stops.
    ///
    /// # Errors
    /// Told in the log, and tried again a minute later.
    async fn save(&self, peers: &[CachedPeer]) -> std::io::Result<()>;
}
