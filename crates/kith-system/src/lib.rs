//! The node as its owner sees it: measures of its last day, the audit ring, reports of problems, folders to choose from, and the
//! owner's profile, contacts and settings.
//!
//! Knows nothing of HTTP, models or the mesh: what the node does is told to it by a [`Probe`] and by the event bus.

pub mod audit;
mod browse;
mod contacts;
mod diagnostics;
mod error;
mod latency;
mod machine;
mod metrics;
mod profile;
mod push;
mod redact;
mod settings;
mod system;
mod throughput;

pub use browse::{Browse, Entry, Listing, MAX_ENTRIES, default_roots};
pub use contacts::{Contact, Contacts, MAX_CONTACTS};
pub use diagnostics::{MAX_REPORTS, Report, Reports};
pub use error::SystemError;
pub use latency::{Latencies, LatencyRecorder};
pub use machine::{Machine, MachineReading};
pub use metrics::{Figures, MINUTES, Metrics, Point, Probe, Reading, Sampler, TICK};
pub use profile::{MAX_AVATAR, Picture, Profile, ProfileChange, Profiles};
pub use push::{PushOutcome, Pusher, is_on_this_machine};
pub use redact::Redactor;
pub use settings::{Settings, SettingsChange, SettingsKeeper};
pub use system::{System, SystemParts};
pub use throughput::{BUCKET_MS, Bucket, Throughput, Window};
