//! Request and response bodies of the REST API, and event envelopes: the dialects of OpenAI, Anthropic and Ollama, and the node's own.
//!
//! Bodies only: no I/O, no rules. Compiles to wasm32. Unknown fields of requests are ignored, as the servers these dialects come
//! from do; a known field of a wrong type is an error, and a deserializer that keeps the path can name the field even inside the
//! "string or list" kinds of values, which is why those are read by hand here and never by trial and error.

pub mod anthropic;
pub mod conversations;
pub mod documents;
pub mod edgecoder;
mod keep_alive;
pub mod models;
pub mod networks;
pub mod neuroshard;
pub mod ollama;
pub mod openai;
pub mod providers;
pub mod system;
mod union;

pub use keep_alive::{KeepAlive, KeepAliveError};
