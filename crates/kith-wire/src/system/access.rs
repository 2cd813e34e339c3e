//! Logging in, and API keys.

use kith_types::{Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /api/v1/auth/login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginRequest {
    /// The window's password.
    #[schema(format = "password")]
    pub password: String,
}

/// A bearer token and its end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenResponse {
    /// Sent as `Authorization: Bearer …`.
    pub token: String,
    /// When it ends, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub expires_at_ms: Timestamp,
}

/// `POST /api/v1/auth/bootstrap-exchange`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapRequest {
    /// The ticket: good once, for 60 s.
    pub ticket: String,
}

/// `POST /api/v1/auth/admin/set-password`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetPasswordRequest {
    /// The new password.
    #[schema(format = "password")]
    pub password: String,
}

/// Asks for an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintKeyRequest {
    /// What the key is for, in the owner's words.
    pub name: String,
    /// How far it reaches.
    pub scope: Scope,
    /// When it ends, in milliseconds since 1970; never if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub expires_at_ms: Option<Timestamp>,
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyInfo {
    /// The key's id, to revoke it by.
    pub id: String,
    /// What the key is for.
    pub name: String,
    /// How far it reaches.
    pub scope: Scope,
    /// When it was made, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
    /// When it ends; null if never.
    #[schema(value_type = Option<i64>)]
    pub expires_at_ms: Option<Timestamp>,
    /// When it was last used; null if never.
    #[schema(value_type = Option<i64>)]
    pub last_used_at_ms: Option<Timestamp>,
}

/// The API keys, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyInfo>,
}

/// An API key just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintedKey {
    /// The key's id, to revoke it by.
    pub id: String,
    /// The secret, `kith_…`. It is shown this once and kept only as a digest.
    pub token: String,
    /// What the key is for.
    pub name: String,
    /// How far it reaches.
    pub scope: Scope,
    /// When it ends; null if never.
    #[schema(value_type = Option<i64>)]
    pub expires_at_ms: Option<Timestamp>,
}

/// Secrets stay out of logs: what holds one prints only its name.
macro_rules! silent {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

silent!(LoginRequest, TokenResponse, BootstrapRequest, SetPasswordRequest, MintedKey);
