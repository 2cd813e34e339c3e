//! The library of models on this node: names, files, metadata. Knows nothing of loading or running them.

mod convert;
mod details;
mod error;
pub mod gguf;
mod library;
mod model;
mod nearest;
#[doc(hidden)]
pub mod testing;

pub use details::Details;
pub use error::ModelError;
pub use kith_blobs::Collected;
pub use library::{InUse, Library, NobodyUses, Removed};
pub use model::{Metadata, Model, Overrides, Tensor};
