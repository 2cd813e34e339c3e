//! What opens a WebSocket, and what is sent into one.

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /api/admin/ws-ticket`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SocketTicket {
    /// Opens one socket, as `?ticket=`; good once, for 60 s.
    pub ticket: String,
    /// When it is void, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub expires_at_ms: Timestamp,
}

impl std::fmt::Debug for SocketTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketTicket").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

/// A message of the client, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SocketRequest {
    /// From now on only these channels are heard, beside those named before.
    Subscribe {
        /// The channels' names.
        channels: Vec<String>,
    },
    /// These channels are heard no more.
    Unsubscribe {
        /// The channels' names.
        channels: Vec<String>,
    },
    /// Answered by `pong`.
    Ping,
}
