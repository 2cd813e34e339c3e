//! New versions, and the question for the API key.

use super::KeyInfo;
use serde::{Deserialize, Serialize};

/// `POST /api/admin/update/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UpdateCheck {
    /// The version that runs.
    pub current_version: String,
    /// The version of the feed.
    pub latest_version: String,
    /// Whether that is newer.
    pub update_available: bool,
    /// Bytes to download.
    pub size: u64,
    /// What is new, in the publisher's words.
    pub changelog: Option<String>,
}

/// `POST /api/admin/update/apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UpdateApplied {
    /// `staged`: fetched, checked, and laid ready.
    pub status: String,
    /// The version laid ready.
    pub version: String,
    /// Where it lies.
    pub path: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// True: the next start takes it.
    pub restart_required: bool,
    /// The same in a sentence.
    pub message: String,
}

/// `GET /api/admin/api-key`. A key is shown once, when it is made: the node keeps a digest, and cannot show it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiKeyResponse {
    /// Null: no key can be told from its digest.
    pub api_key: Option<String>,
    /// How keys are kept: `digest`.
    pub stored_as: String,
    /// The keys there are, without their secrets.
    pub keys: Vec<KeyInfo>,
    /// How to get a key.
    pub message: String,
}
