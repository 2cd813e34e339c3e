//! The node's own bodies: health, status, access, errors, events, imports.

mod access;
mod config;
mod errors;
mod node_stats;
mod socket;
mod status;
mod update;
mod work;

pub use access::{
    BootstrapRequest, KeyInfo, KeyList, LoginRequest, MintKeyRequest, MintedKey, SetPasswordRequest, TokenResponse,
};
pub use config::{ConfigApplied, ConfigChanges, ConfigView, OverriddenSetting, ScheduleRequest, ScheduleView, SettingView};
pub use errors::{ErrorBody, NeuroShardError, NeuroShardErrorBody};
pub use node_stats::{Cpu, Disk, Hardware, InferenceStats, Latency, LoadedModelStats, MemoryStats, NodeStats};
pub use socket::{SocketRequest, SocketTicket};
pub use status::{AtRest, Health, NetworkStatus, SystemStatus, TlsStatus, WhoAmI};
pub use update::{ApiKeyResponse, UpdateApplied, UpdateCheck};
pub use work::{Envelope, ImportProgress, ImportRequest, LoadRequest, UnloadRequest};

#[cfg(test)]
mod tests;
