//! What a bearer may do.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The reach of a bearer. `Admin` includes everything `User` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everyday use: prompts, reading, own data.
    User,
    /// Changes to the node itself.
    Admin,
}

/// A scope's name was neither `user` nor `admin`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`: use `user` or `admin`")]
pub struct ScopeError(pub String);

impl Scope {
    /// `user` or `admin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text {
            "user" => Ok(Self::User),
            "admin" => Ok(Self::Admin),
            other => Err(ScopeError(other.to_owned())),
        }
    }
}
