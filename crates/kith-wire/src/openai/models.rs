//! The list of models, and the error body.

use serde::{Deserialize, Serialize};

/// `GET /v1/models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelList {
    /// `list`.
    pub object: String,
    /// The models.
    pub data: Vec<Model>,
}

impl ModelList {
    /// A list of `data`.
    pub fn new(data: Vec<Model>) -> Self {
        Self { object: "list".to_owned(), data }
    }
}

/// `GET /v1/models/{model}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Model {
    /// Its name, `family:tag`.
    pub id: String,
    /// `model`.
    pub object: String,
    /// When it came into the library, in seconds since 1970.
    pub created: i64,
    /// Who made it, as far as its name tells; else `library`.
    pub owned_by: String,
}

impl Model {
    /// The model `id`, in the library since `created` (seconds since 1970).
    pub fn new(id: impl Into<String>, created: i64, owned_by: impl Into<String>) -> Self {
        Self { id: id.into(), object: "model".to_owned(), created, owned_by: owned_by.into() }
    }
}

/// Why a request failed, in the OpenAI form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiErrorBody)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// The error itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OpenAiErrorDetail)]
pub struct ErrorDetail {
    /// One sentence.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `rate_limit_error`, `server_error`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault, if it is one.
    pub param: Option<String>,
    /// A word a program can match on.
    pub code: Option<String>,
}
