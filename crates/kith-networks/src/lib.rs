//! Private networks: who belongs to them, by which invites, under which key, and what their nodes say of themselves.
//!
//! Knows no transport: it makes and judges bytes. A network's id is made of its founder's key, so every certificate, rotation and
//! record can be checked by every node without asking anybody. What is decoded here may come from anywhere: each decoder is a plain
//! function of bytes, bounded, and never panics.
//!
//! Clocks may be wrong by [`SKEW_MS`]: memberships and rotations do not look at the time at all (they are ordered by epochs),
//! invites are judged by the clock of the node that gave them, and only records of nodes are compared with this node's clock, with
//! that much allowance.

mod addresses;
mod admission;
mod certificate;
mod error;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
mod genesis;
mod invite;
mod invites;
mod members;
mod networks;
mod psk;
mod record;
mod records;
mod rotation;
mod rotations;
mod signed;
mod standing;
mod ties;
mod tlv;
mod view;

pub use addresses::{MAX_ADDRESSES, addresses};
pub use admission::{Admitted, Judged, Refusal, RefusalCode};
pub use certificate::{Certificate, Chain, MAX_CHAIN, Role};
pub use error::NetworkError;
pub use frames::{Claim, Hello, HelloBody, MAX_FRAME, Welcome};
pub use genesis::{Genesis, NetworkId, NetworkIdError};
pub use invite::{InviteCode, InviteFault, MAX_CODE};
pub use invites::{Invite, InviteOrder, InvitePreview, InviteState, Issued, MAX_INVITES};
pub use members::{Member, MemberState};
pub use networks::{Membership, Network, Networks, NetworksParts, Share};
pub use psk::{Psk, PskError};
pub use record::{Hardware, MAX_RECORD, NodeRecord, NodeSays, SaidLink};
pub use records::{Heard, KnownNode};
pub use rotation::{MAX_ROTATION, Rotation, RotationBundle};
pub use rotations::{Applied, KEPT_MS, KeyPurpose, ListenKey, MAX_LISTENED};
pub use signed::{Kind, SignedFault};
pub use standing::{Fault, Standing, Verified};

/// How far clocks may be apart before anything is refused for it: two that are each a quarter of an hour wrong, one fast and one slow.
pub const SKEW_MS: i64 = 30 * 60_000;
/// Members of one network at a time. With their sealed keys a rotation fills one frame of 64 KiB.
pub const MAX_MEMBERS: u32 = 200;
/// Removed nodes that are remembered, each for good; for the same reason. Over that a new network is needed.
pub const MAX_REMOVED: usize = 200;
/// Networks saved on one node.
pub const MAX_NETWORKS: u32 = 64;
