//! Content-addressed bytes on disk: written once, verified, collected when nobody names them. Knows nothing of what the bytes mean.

mod blobs;
mod came;
mod check;
mod collect;
mod error;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod intake;
mod names;
mod partial;
mod pieces;
mod pins;
mod ranges;
mod room;
mod serve;
mod slice;
mod throttle;
mod tree;
mod trees;
pub mod wire;

pub use blobs::{Blobs, Collected, Put};
pub use came::Came;
pub use error::BlobError;
pub use names::read_names;
pub use partial::Partial;
pub use pieces::read_have;
pub use pins::Pin;
pub use ranges::Ranges;
pub use room::Room;
pub use serve::{Bounds, Policy, Served, Server};
pub use slice::{DecodeError, EncodeError, Encoder, Mismatch, Step, Walk, decode};
pub use throttle::{Gate, SLOWEST, Throttle};
pub use trees::{Encoding, Source};
