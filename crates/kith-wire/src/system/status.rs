//! Who the node is and how it does.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// `healthy` or `unhealthy`.
    pub status: String,
    /// Now, RFC 3339.
    pub timestamp: String,
    /// The version of the program.
    pub version: String,
    /// The node's id, `12D3Koo…`.
    pub node_id: String,
    /// The parts of the node: whether they work, and how many there are of what can be counted.
    #[schema(value_type = Object)]
    pub services: Map<String, Value>,
}

/// `GET /api/v1/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WhoAmI {
    /// The node's id, `12D3Koo…`.
    pub node_id: String,
}

/// `GET /api/v1/system/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SystemStatus {
    /// Whether the node serves requests.
    pub running: bool,
    /// Whether the node holds the key of a network.
    pub has_swarm_key: bool,
    /// Whether a first set-up is still to be done.
    pub setup_required: bool,
    /// The node's id, `12D3Koo…`.
    pub peer_id: String,
    /// Where the node listens.
    pub listen_addrs: Vec<String>,
    /// Whether the S3 listener is on.
    pub s3_enabled: bool,
    /// Encryption of the listener.
    pub tls: TlsStatus,
    /// Sealing of secrets on disk.
    pub at_rest: AtRest,
    /// The active network.
    pub network: NetworkStatus,
    /// The version of the program.
    pub version: String,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
}

/// Encryption of the listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TlsStatus {
    /// SHA-256 of the certificate; null without TLS.
    pub fingerprint: Option<String>,
}

/// Sealing of secrets on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AtRest {
    /// Whether secrets are sealed.
    pub enabled: bool,
    /// What holds the sealing key: `keyring` or `file`.
    pub provider: String,
}

/// The active network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkStatus {
    /// `none`, `connecting`, `connected` or `disconnected`.
    pub state: String,
    /// Its id; null without a network.
    pub id: Option<String>,
    /// Its name; null without a network.
    pub name: Option<String>,
}
