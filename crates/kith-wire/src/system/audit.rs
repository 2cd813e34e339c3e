//! The audit ring, and reports of problems.

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /api/v1/audit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditList {
    /// The records, newest first.
    pub events: Vec<AuditRecord>,
    /// The last record that left the ring: the one the oldest kept record's hash covers.
    pub anchor: AuditEnd,
    /// The end of the chain.
    pub head: AuditEnd,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditRecord {
    /// Grows by one with each record.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub ts_ms: Timestamp,
    /// What happened, `access.login`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The particulars, by type.
    #[schema(value_type = Object)]
    pub data: Value,
    /// BLAKE3 over the record and the hash before it, in hexadecimal digits.
    pub hash: String,
}

/// A place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEnd {
    /// The record's number; 0 before the first.
    pub seq: u64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
}

/// The first line of `GET /api/v1/audit/export`; records follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditExportStart {
    /// Where the chain of the records that follow begins.
    pub anchor: AuditEnd,
}

/// The last line of an export that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditExportEnd {
    /// The end of the chain.
    pub head: AuditEnd,
    /// Whether every record's hash fits the one before.
    pub verified: bool,
}

/// `GET /api/v1/diagnostics/reports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportList {
    /// The reports, newest first.
    pub reports: Vec<ReportInfo>,
}

/// A report on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportInfo {
    /// By what it is fetched and removed.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
    /// Bytes of the zip.
    pub size: u64,
}
