//! Reads configuration, builds every service, starts and stops them. The one place where islands meet.

mod config;
mod courtesy;
mod edit;
mod engines;
mod live_config;
mod log;
mod node;
mod place;
mod ports;
mod probe;
mod provider_keys;
mod record;
mod schedule;
mod settings;
pub mod tokens;
mod update;

mod lan;
mod mesh;
mod reader;

pub use config::{Config, ConfigError, DEFAULT_PORT, Environment, Overrides, Provenance, environment};
pub use kith_api::configuration::{Release, Staged, UpdateRefusal, Updates};
pub use kith_models::modelfile;
pub use log::{Aloud, Log, LogError, start_log};
pub use mesh::MeshConfig;
pub use node::{Node, StartError, build_info, machine_memory};
pub use place::{default_data_dir, make_private};
pub use reader::read_document_if_asked;
pub use record::NodeRecord;
pub use schedule::{Allowance, Schedule};
pub use update::{UpdateConfig, take_staged};
