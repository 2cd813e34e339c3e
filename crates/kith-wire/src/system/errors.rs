//! Error bodies of the node's own families.

use kith_types::Code;
use serde::{Deserialize, Serialize};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// One sentence.
    pub error: String,
    /// A word a program can match on.
    pub code: Code,
    /// When, RFC 3339.
    pub timestamp: String,
    /// The request's id, as in `X-Request-ID`.
    pub request_id: String,
    /// The field at fault, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Why a request failed, in the NeuroShard form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NeuroShardErrorBody {
    /// The error.
    pub error: NeuroShardError,
}

/// The error itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NeuroShardError {
    /// A word a program can match on.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// More, such as `field`.
    #[schema(value_type = Object)]
    pub details: serde_json::Map<String, serde_json::Value>,
}
