//! The library of models on this node: names, files, metadata. Knows nothing of loading or running them.

pub mod create;
mod details;
mod error;
pub mod gguf;
mod library;
mod message;
mod model;
pub mod modelfile;
mod nearest;
pub mod quantize;
#[doc(hidden)]
pub mod testing;

pub use details::Details;
pub use error::ModelError;
pub use kith_blobs::Collected;
pub use library::{Cleaned, InUse, Library, NobodyUses, Policy, Pruned, Removed, Space};
pub use message::{Message, Speaker};
pub use model::{Metadata, Model, Overrides, Tensor};
