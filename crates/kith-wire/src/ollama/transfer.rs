//! Fetching and sending models: pull and push, and the lines of their progress.

use super::either;
use serde::{Deserialize, Serialize};

/// `POST /api/pull`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PullRequest {
    /// The model: `smollm2:135m`, `hf.co/user/repository:Q4_K_M`, `host/namespace/model:tag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether plain HTTP to another machine is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Lines of progress, which is the default, or one object at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// `POST /api/push`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PushRequest {
    /// The model, by the name under which the registry shall have it: `namespace/model:tag`, `host/namespace/model:tag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The older word for `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether plain HTTP to another machine is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Lines of progress, which is the default, or one object at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

impl PullRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

impl PushRequest {
    /// The model's name from `model` or `name`; empty if neither is there.
    pub fn model_name(&self) -> &str {
        either(&self.model, &self.name)
    }
}

/// One line of a pull's or push's progress; the last says `success`, or is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TransferLine {
    /// `pulling manifest`, `pulling 0123456789ab`, `verifying sha256 digest`, `writing manifest`, `success`; of a push
    /// `retrieving manifest`, `pushing 0123456789ab`, `pushing manifest`, `success`.
    pub status: String,
    /// The file that is moved, `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its bytes in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Its bytes that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
}
