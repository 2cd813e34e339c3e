//! Content-addressed bytes on disk: written once, verified, collected when nobody names them. Knows nothing of what the bytes mean.

mod blobs;
mod check;
mod error;
mod intake;
mod partial;
mod pins;
mod room;

pub use blobs::{Blobs, Collected, Put};
pub use error::BlobError;
pub use partial::Partial;
pub use pins::Pin;
pub use room::Room;
