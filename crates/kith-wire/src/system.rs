//! The node's own bodies: health, status, access, errors, events, imports.

mod access;
mod adapters;
mod config;
mod downloads;
mod errors;
mod hub;
mod node_stats;
mod socket;
mod status;
mod update;
mod work;

mod audit;
mod observe;
mod owner;

mod devices;

pub use access::{
    BootstrapRequest, KeyInfo, KeyList, LoginRequest, MintKeyRequest, MintedKey, SetPasswordRequest, TokenResponse,
};
pub use adapters::{AdapterInfo, AdapterList, RegisterAdapterRequest, RegisteredAdapter, RemovedAdapter};
pub use audit::{AuditEnd, AuditExportEnd, AuditExportStart, AuditList, AuditRecord, ReportInfo, ReportList};
pub use config::{ConfigApplied, ConfigChanges, ConfigView, OverriddenSetting, ScheduleRequest, ScheduleView, SettingView};
pub use devices::{
    ClaimRequest, ClaimedDevice, DeviceInfo, DeviceList, DeviceListener, Fingerprint, ListenerChange, PairingInvitation,
    PairingStage, PairingStatus, RenameDevice, RenamedDevice, ThisNode,
};
pub use downloads::{Download, DownloadAnswer, DownloadList, DownloadShard, PullProgress, ShardDownload};
pub use errors::{ErrorBody, NeuroShardError, NeuroShardErrorBody};
pub use hub::{DownloadShardsRequest, HubProbe, HubRepository, HubShard, HubSource, HubVariant};
pub use node_stats::{Cpu, Disk, Hardware, InferenceStats, Latency, LoadedModelStats, MemoryStats, NodeStats};
pub use observe::{MeshBucket, MetricsHistory, MetricsPoint, Rates, ThroughputBucket, ThroughputStats, ThroughputWindow};
pub use owner::{
    ContactBody, ContactList, ContactUpdate, FolderEntry, FolderFault, FolderListing, NewContact, ProfileBody, ProfileUpdate,
    PushTest, SecretState, SettingsBody, SettingsUpdate,
};
pub use socket::{SocketRequest, SocketTicket};
pub use status::{AtRest, Health, NetworkStatus, SystemStatus, TlsStatus, WhoAmI};
pub use update::{ApiKeyResponse, UpdateApplied, UpdateCheck};
pub use work::{Envelope, ImportProgress, ImportRequest, LoadRequest, UnloadRequest};

#[cfg(test)]
mod tests;
