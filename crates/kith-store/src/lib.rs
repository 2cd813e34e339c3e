//! The node's one SQLite file: rows, statements, migrations. The only crate that names sqlx.

mod error;
mod migrations;
mod store;
mod tables;

pub use error::StoreError;
pub use store::Store;
pub use tables::{
    adapters::AdapterRow,
    audit::{AuditEnd, AuditEntry, AuditRow},
    bearers::{Bearer, BearerKind},
    contacts::{ContactPut, ContactRow},
    conversation_messages::{MessageBounds, MessageNew, MessagePut, MessageRow, PictureRow},
    conversation_search::{ConversationHit, ConversationPlace, ConversationWords},
    conversations::{
        ConversationChange, ConversationChanged, ConversationForked, ConversationPut, ConversationRow, ConversationTexts,
    },
    devices::DeviceRow,
    metrics_points::MetricsRow,
    models::ModelRow,
    network_invites::{InviteClaim, InviteRow},
    network_members::{MemberRow, Vouch},
    network_rotations::{RotationNew, RotationRow},
    networks::{NetworkForget, NetworkRow},
    node_records::{NodeRecordPut, NodeRecordRow},
    profile::ProfileRow,
    providers::ProviderRow,
    responses::{ResponseEnd, ResponseHead, ResponseRow},
    speed_tests::SpeedTestRow,
    uploads::UploadRow,
};
