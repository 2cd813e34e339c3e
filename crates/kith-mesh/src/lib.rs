//! The mesh between the nodes of one private network: connections, who may have one, and what runs over them.
//!
//! A connection is TCP, then the network's key ([`NetworkKey`], as in libp2p's `pnet`), then Noise, then **admission** ([`Admission`]: both sides
//! show something and judge each other), then Yamux. Relayed and hole-punched connections pass the same door. Above it run the
//! product's protocols ([`Router`], [`Mesh::open`], [`Mesh::request`]) and gossip ([`Mesh::publish`], judged by [`Validation`]).
//!
//! It knows nothing of invites, databases or models; it is handed ports. It is the only crate that names libp2p, and no libp2p type
//! leaves it: a peer is a [`kith_types::NodeId`], an address an [`Address`]. Every bound stands in [`Bounds`] and [`bounds`].

mod address;
mod admission;
mod beacon;
mod behaviour;
mod book;
pub mod bounds;
mod carrying;
mod config;
mod discovery;
mod event;
mod exchange;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod gossip;
mod keyed;
mod links;
mod mesh;
mod muxer;
mod node;
mod porch;
mod ports;
mod protocol;
mod reach;
mod router;
mod standing;
mod strangers;
mod stream;
mod streams;
mod table;
mod traffic;
mod transport;
mod turns;

pub use address::{Address, AddressError};
pub use bounds::Bounds;
pub use config::{MeshConfig, NetworkKey, NodeSeed, StartError};
pub use event::{Event, Fault, Path, Refuser};
pub use frames::{Call, Declined, FrameError, RequestError, read_json, write_json};
pub use gossip::PublishError;
pub use links::PeerFigures;
pub use mesh::{DialError, ListenError, Mesh, Stopped};
pub use node::Ports;
pub use ports::{Admission, CachedPeer, KeyUse, PeerCache, Refusal, Validation, Verdict};
pub use protocol::{Protocol, ProtocolError};
pub use reach::{PortMapping, ReachStatus, Reachability};
pub use router::{Handler, Inbound, RouteError, Router};
pub use stream::Stream;
pub use streams::OpenError;
