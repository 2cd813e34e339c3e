//! The library of models on this node: names, files, metadata. Knows nothing of loading or running them.

mod adapters;
pub mod create;
mod convert;
mod details;
mod error;
pub mod gguf;
mod library;
pub mod lora;
mod message;
mod model;
pub mod modelfile;
mod nearest;
pub mod quantize;
#[doc(hidden)]
pub mod testing;

pub use adapters::{Adapted, Adapter, Adapters, Derived, NewAdapter};
pub use details::Details;
pub use error::ModelError;
pub use kith_blobs::Collected;
pub use library::{Cleaned, InUse, Library, NobodyUses, Policy, Pruned, Removed, Space};
pub use message::{Message, Speaker};
pub use model::{Metadata, Model, Overrides, Tensor};
