//! Reads configuration, builds every service, starts and stops them. The one place where islands meet.

mod config;
mod node;
mod ports;
mod provider_keys;
mod probe;
mod record;
pub mod tokens;

pub use config::{Config, ConfigError, DEFAULT_PORT, Environment, Overrides, environment};
pub use kith_models::modelfile;
pub use node::{Node, StartError, build_info, machine_memory};
pub use record::NodeRecord;
