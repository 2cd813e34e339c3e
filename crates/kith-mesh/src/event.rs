//! What a mesh tells: one enum, in the order in which things happened.

use crate::{address::Address, reach::Reachability};
use kith_types::NodeId;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// The way to a connected peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Path {
    /// One side reached the other.
    Direct,
    /// Neither could be reached, and both dialled at the same moment through their routers.
    HolePunched,
    /// Everything passes a third member, which sees only encrypted bytes.
    Relayed {
        /// The member between.
        by: NodeId,
    },
}

/// Who refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refuser {
    /// This node.
    ThisNode,
    /// The other one.
    Peer,
}

/// What a peer did that it must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It handed on gossip that validation rejected.
    BadGossip,
    /// It sent gossip faster than is allowed.
    GossipFlood,
    /// Its gossip was malformed, or its signatures false, until its score fell.
    GossipScore,
    /// It opened more streams than are allowed.
    TooManyStreams,
    /// It sent a frame that is too large, or that cannot be read.
    BadFrame,
    /// It announced a question and did not send it in time.
    LateFrame,
    /// What it sent was found false by the protocol that asked for it.
    FalseContent,
}

impl Fault {
    /// Penalty points: a hundred cut a peer off, one fades each second. What happens by accident weighs little.
    pub(crate) fn points(self) -> f64 {
        match self {
            Self::GossipFlood | Self::LateFrame => 1.0,
            Self::TooManyStreams => 4.0,
            Self::BadGossip | Self::BadFrame | Self::FalseContent => 25.0,
            Self::GossipScore => f64::INFINITY,
        }
    }

    /// One sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadGossip => "It handed on messages that are not valid.",
            Self::GossipFlood => "It sent messages faster than is allowed.",
            Self::GossipScore => "Its messages were malformed or falsely signed.",
            Self::TooManyStreams => "It opened more streams than are allowed.",
            Self::BadFrame => "It sent frames that are too large or cannot be read.",
            Self::LateFrame => "It announced frames and did not send them.",
            Self::FalseContent => "It sent content that is not what it should be.",
        }
    }
}

/// Something happened in the mesh.
#[derive(Debug, Clone)]
pub enum Event {
    /// The node listens on a further address.
    Listening(Address),
    /// It no longer does.
    NotListening(Address),
    /// A peer is connected, or its path became another.
    Connected {
        /// Who.
        peer: NodeId,
        /// Where it is.
        address: Address,
        /// The way to it.
        path: Path,
        /// Why it is this way, in one sentence.
        why: String,
    },
    /// The last connection to a peer ended.
    Disconnected {
        /// Who.
        peer: NodeId,
        /// Why, in one sentence.
        why: String,
    },
    /// A connection was refused during admission.
    Refused {
        /// The other side.
        peer: NodeId,
        /// Who refused.
        by: Refuser,
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// Somebody without any of the network's keys tried to come in. Nothing is known of them but where they came from. Not told of
    /// places where a member was in the last ten minutes: it may have missed a change of the key.
    Stranger {
        /// From where.
        address: Address,
        /// How that is known, in one sentence.
        why: &'static str,
    },
    /// A gossip message was accepted.
    Gossip {
        /// Its topic.
        topic: String,
        /// Who signed it.
        author: NodeId,
        /// Who handed it on.
        via: NodeId,
        /// What it says.
        message: Arc<[u8]>,
    },
    /// What is known of this node's reachability changed.
    ReachabilityChanged(Reachability),
    /// A peer did what it must not do.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        fault: Fault,
        /// Whether it was cut off, and for how long.
        cut_off: Option<Duration>,
    },
    /// The mesh has stopped; nothing follows.
    Stopped,
}
