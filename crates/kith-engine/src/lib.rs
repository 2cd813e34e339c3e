//! The inference port: what an engine is asked and what it answers, and a scripted engine for tests.
//!
//! An engine turns tokens into tokens. Chat templates, stop sequences, tool calls and queues belong to kith-inference; which node
//! answers belongs to kith-cluster. Neither is known here. What engines that have logits do the same way is kith-decoding's.

mod adapter;
mod embed;
mod error;
mod image;
mod port;
mod request;
pub mod scripted;

pub use adapter::{Adapter, AdapterMatrices, AdapterReading, AdapterSource};
pub use embed::{EmbedInput, EmbedRequest, Embedded};
pub use error::EngineError;
pub use image::{Image, ImageKind, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, MAX_IMAGES};
pub use port::{Engine, ImageMark, InSitu, Loaded, LoadedInfo, Memory, ModelFormat, ModelSpec, TokenStream};
pub use request::{Constraint, Finish, GenerateRequest, Generated, Input, Sampling, Step, Timings, Token, TopToken, Usage};
