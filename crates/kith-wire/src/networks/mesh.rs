//! EdgeCoder's bodies of the mesh: identity, registered peers, gossip over HTTP, capabilities.

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `GET /identity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshIdentity {
    /// The node's id, `12D3Koo…`.
    pub peer_id: String,
    /// Its Ed25519 public key as PEM.
    pub public_key_pem: String,
    /// Where other nodes reach its API; empty where they do not.
    pub coordinator_url: String,
    /// `enterprise_overlay`: networks here are private.
    pub network_mode: String,
}

/// `GET /mesh/peers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MeshPeers {
    /// The peers known to the mesh.
    pub peers: Vec<MeshPeer>,
}

/// A peer of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshPeer {
    /// Its id.
    pub peer_id: String,
    /// Its Ed25519 public key as PEM.
    pub public_key_pem: String,
    /// Where its API is reached; empty if it is not told.
    pub coordinator_url: String,
    /// `enterprise_overlay` or `public_mesh`.
    pub network_mode: String,
    /// `coordinator`, `agent` or `phone`.
    pub role: String,
    /// When it was last heard, in milliseconds since 1970; null if never.
    #[schema(value_type = Option<i64>)]
    pub last_seen_ms: Option<Timestamp>,
}

/// `POST /mesh/register-peer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterMeshPeer {
    /// Its id; it must be that of the key that signed the request.
    pub peer_id: String,
    /// Its Ed25519 public key as PEM.
    #[serde(default)]
    pub public_key_pem: String,
    /// Where its API is reached.
    #[serde(default)]
    pub coordinator_url: String,
    /// `enterprise_overlay` or `public_mesh`.
    #[serde(default)]
    pub network_mode: String,
    /// `coordinator` (if left out), `agent` or `phone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Not needed: members are known by their certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_token: Option<String>,
}

/// What registering did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredMeshPeer {
    /// Whether it is registered.
    pub ok: bool,
    /// Peers from now on.
    pub peer_count: u64,
}

/// `POST /mesh/ingest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshEnvelope {
    /// Tells messages apart; one is taken once.
    pub id: String,
    /// What it is: `capability_summary`, `peer_announce`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Who says it.
    pub from_peer_id: String,
    /// When it was said, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub issued_at_ms: Timestamp,
    /// For how long it is good.
    pub ttl_ms: u64,
    /// What it says.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// The sender's Ed25519 signature, base64.
    pub signature: String,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IngestAnswer {
    /// Whether it was taken.
    pub ok: bool,
    /// Whether it was known already.
    pub duplicate: bool,
}

/// `GET /mesh/capabilities`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CapabilitySummary {
    /// By node.
    pub coordinators: Vec<CoordinatorCapabilities>,
}

/// What one node can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoordinatorCapabilities {
    /// The node.
    pub coordinator_id: String,
    /// Nodes it speaks for: one, itself.
    pub agent_count: u64,
    /// By model.
    pub model_availability: BTreeMap<String, ModelAvailability>,
    /// When it said so, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub timestamp: Timestamp,
    /// Whether it takes chats.
    pub chat_enabled: bool,
}

/// How available a model is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelAvailability {
    /// Nodes that serve it.
    pub agent_count: u64,
    /// Its parameters, in billions, times those nodes; null where the size is not known.
    pub total_param_capacity: Option<f64>,
    /// How busy they are, 0 to 1; null where it is not told.
    pub avg_load: Option<f64>,
}
