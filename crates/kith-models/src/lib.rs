//! The library of models on this node: names, files, metadata. Knows nothing of loading or running them.

mod details;
pub mod downloads;
mod error;
pub mod gguf;
pub mod hub;
mod library;
mod model;
mod nearest;
mod reference;
pub mod registry;
mod source_error;
#[doc(hidden)]
pub mod testing;
mod web;

pub use details::Details;
pub use downloads::{Downloads, DownloadsParts, Sources};
pub use error::ModelError;
pub use kith_blobs::Collected;
pub use library::{InUse, Library, NobodyUses, Removed};
pub use model::{Metadata, Model, Overrides, Tensor};
pub use reference::{Choice, Place, Reference};
pub use source_error::SourceError;
