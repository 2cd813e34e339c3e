//! The library of models on this node: names, files, metadata. Knows nothing of loading or running them.

mod adapters;
mod convert;
pub mod create;
mod details;
pub mod downloads;
mod error;
pub mod gguf;
pub mod hub;
mod library;
pub mod lora;
mod message;
mod model;
pub mod modelfile;
mod nearest;
mod neighbours;
pub mod quantize;
mod reference;
pub mod registry;
mod source_error;
#[doc(hidden)]
pub mod testing;
mod web;

pub use adapters::{Adapted, Adapter, Adapters, Apart, Derived, NewAdapter};
pub use details::Details;
pub use downloads::{Downloads, DownloadsParts, Sources};
pub use error::ModelError;
pub use kith_blobs::Collected;
pub use library::{Cleaned, InUse, Library, NobodyUses, Policy, Pruned, Removed, Space};
pub use message::{Message, Speaker};
pub use model::{Metadata, Model, Overrides, Tensor};
pub use neighbours::{Asked, Neighbours, NoNeighbour, NoNeighbours, Step, Tell, Told};
pub use reference::{Choice, Place, Reference};
pub use source_error::SourceError;

/// The families of models in folders that are kept as they are: values of `model_type`.
pub fn folder_families() -> &'static [&'static str] {
    convert::families()
}
