//! The node's own bodies: health, status, access, errors, events, imports.

mod access;
mod errors;
mod status;
mod work;

mod audit;
mod observe;
mod owner;

pub use access::{
    BootstrapRequest, KeyInfo, KeyList, LoginRequest, MintKeyRequest, MintedKey, SetPasswordRequest, TokenResponse,
};
pub use audit::{AuditEnd, AuditExportEnd, AuditExportStart, AuditList, AuditRecord, ReportInfo, ReportList};
pub use errors::{ErrorBody, NeuroShardError, NeuroShardErrorBody};
pub use observe::{MetricsHistory, MetricsPoint, Rates, ThroughputBucket, ThroughputStats, ThroughputWindow};
pub use owner::{
    ContactBody, ContactList, ContactUpdate, FolderEntry, FolderFault, FolderListing, NewContact, ProfileBody, ProfileUpdate,
    PushTest, SecretState, SettingsBody, SettingsUpdate,
};
pub use status::{AtRest, Health, NetworkStatus, SystemStatus, TlsStatus, WhoAmI};
pub use work::{Envelope, ImportProgress, ImportRequest, LoadRequest, UnloadRequest};

#[cfg(test)]
mod tests;
