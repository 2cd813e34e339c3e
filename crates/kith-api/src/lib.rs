//! The REST API: routers, access, limits, errors, OpenAPI. Handlers extract, make one domain call and convert; they hold no rules.

mod admin_models;
mod admit;
mod anthropic;
mod app;
mod body;
pub mod configuration;
mod default_model;
mod edgecoder;
mod error;
mod field_error;
mod guard;
mod hardware;
mod metrics;
mod neuroshard;
mod ollama;
mod openai;
mod routes;
mod serve;
mod sockets;
mod source_error;
mod stats;
mod stream;
mod table;
mod transfer;

mod conversations;
mod notice;
mod query;
mod system_error;
mod traffic;
mod window;

pub mod lan;
mod leash;

pub mod documents;

mod envelopes;
mod invitations;
pub mod mesh;
mod neighbours;
mod network_error;
mod qr;
mod registered;
mod seen;
mod signed;

#[cfg(test)]
mod testing;

pub use app::{App, AppParts, BuildInfo, Settings};
pub use error::ApiError;
pub use routes::{document, router};
pub use serve::{LanFront, serve, serve_lan};
pub use table::Route;
pub use traffic::TrafficReading;
pub use window::{Window, WindowFile};
