//! The library of models on this node: names, files, metadata. Knows nothing of loading or running them.

mod adapters;
mod details;
mod error;
pub mod gguf;
mod library;
pub mod lora;
mod model;
mod nearest;
#[doc(hidden)]
pub mod testing;

pub use adapters::{Adapted, Adapter, Adapters, Derived, NewAdapter};
pub use details::Details;
pub use error::ModelError;
pub use kith_blobs::Collected;
pub use library::{InUse, Library, NobodyUses, Removed};
pub use model::{Metadata, Model, Overrides, Tensor};
