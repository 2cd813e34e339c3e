//! The inference port on our own layers: GGUF decoders on a CPU, whole or cut into windows of layers.
//!
//! - [`LayersEngine`] is the port: it loads a whole model onto a thread of its own, which writes many answers at once ([`Stage`] does the work,
//!   a scheduler decides what each step reads), shares what conversations have in common, and guesses ahead by looking up what was said before or
//!   asking a small model. Texts are embedded between steps.
//! - [`Stage`] is a window of layers by itself: tokens or hidden states in, hidden states or logits out. A row of stages gives the bits of the
//!   whole.
//! - [`Frame`] is hidden states as bytes, for stages that are not in one process.
//!
//! Families of models are rows of a table (`family.rs`); a file that has something its row does not know is refused with a sentence, so that
//! another engine can be chosen, and never read wrongly.
//!
//! **Determinism.** A prompt, a seed and a model give the same tokens whatever else is answered at the same time, whatever lies in the prefix
//! cache, on however many threads, with or without guesses, and on every processor: the kernels fix the order of all sums, and nothing here
//! depends on time but when tokens come, and how many are guessed at a time.
//!
//! **Adapters** (LoRA) come with requests and are applied while these are answered: sequences with different adapters, or none, are worked on
//! together, and those with none pay nothing.
//!
//! **Memory.** Weights are laid out anew for the kernels when a model is loaded and held in memory, or mapped
//! from a file in which they were kept before ([`LayersEngine::with_panels`]); the model file stays mapped for embeddings. Keys
//! and values are halves in blocks of 64 positions.

mod adapter;
mod answer;
mod cache;
mod draft;
mod drafter;
mod embed;
mod engine;
mod family;
mod frame;
mod gguf;
#[cfg(test)]
mod made;
mod model;
mod pace;
mod panels;
mod prefix;
mod scheduler;
mod shape;
mod stage;
mod turns;
mod vocabulary;
mod weights;

pub use cache::{BLOCK, Track};
pub use engine::{LayersEngine, supported_architectures};
pub use frame::{Encoding, Frame};
pub use panels::remove_stale_panels;
pub use stage::{Cost, Next, Reads, Stage, StageOptions, Window};
