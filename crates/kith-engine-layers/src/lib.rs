//! The inference port on our own layers.

mod cache;
mod family;
mod gguf;
#[cfg(test)]
mod made;
mod shape;
mod stage;
mod vocabulary;
mod weights;

pub use cache::{BLOCK, Track};
pub use stage::{Next, Reads, Stage, StageOptions, Window};
