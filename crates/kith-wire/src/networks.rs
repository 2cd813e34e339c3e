//! Private networks: the saved ones, invites to them, who belongs to them, and what their nodes are.

mod changes;
mod mesh;
mod nodes;

pub use changes::{
    CoordinatorFeed, CoordinatorInfo, InvitePreview, MemberDetail, MemberRemoved, NatPeer, NatUpnp, NewInvite, PreviewInvite,
    RemovalConsequences, SystemNat,
};
pub use mesh::{
    CapabilitySummary, CoordinatorCapabilities, IngestAnswer, MeshEnvelope, MeshIdentity, MeshPeer, MeshPeers, ModelAvailability,
    RegisterMeshPeer, RegisteredMeshPeer,
};
pub use nodes::{
    LinkPath, NetworkArchitecture, NetworkCapacity, NetworkMap, NetworkNodeCounts, NetworkStatistics, NetworkTraining,
    NodeHardware, NodeInfo, NodeList, NodeResources, PeerInfo, PeerList, RegionMap, SpeedtestHistory, SpeedtestResult, SwarmPeer,
    SwarmPeerList, Topology, TopologyEdge, TopologyNode,
};

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/networks`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkList {
    /// Every saved network, by name.
    pub networks: Vec<NetworkInfo>,
    /// The id of the active one; null without one.
    pub active: Option<String>,
    /// Why the active one is not connected although it is to be; null where nothing is wrong.
    #[serde(default)]
    pub fault: Option<String>,
}

/// How this node stands in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMembership {
    /// It has an invite, and waits for a member to let it in.
    Invited,
    /// It is in.
    Member,
    /// It is in, and may let in others.
    Admin,
    /// It was removed.
    Removed,
}

/// A saved network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkInfo {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// What its members call it.
    pub name: String,
    /// `connected`, `connecting` or `disconnected`.
    pub state: String,
    /// Whether it is the one that is used.
    pub active: bool,
    /// How this node stands in it.
    pub membership: NetworkMembership,
    /// What this node is called in it.
    pub device_name: String,
    /// The node that founded it.
    pub founder: String,
    /// Members in good standing that this node knows of.
    pub member_count: u64,
    /// Where members are looked for.
    pub bootstrap: Vec<String>,
    /// The number of its key: it grows with every rotation.
    pub key_epoch: u64,
    /// The name of its key, which tells nothing of it.
    pub key_id: String,
    /// When it came to this node, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
}

/// `POST /api/v1/networks`: add a network by an invite.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AddNetwork {
    /// `kith://join/…`, or the text of an invite file.
    #[serde(alias = "invite", alias = "connect_url")]
    pub url: String,
    /// What this node is to be called in it; its own name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Whether it is connected at once.
    #[serde(default)]
    pub connect: bool,
}

/// `POST /api/v1/networks/create`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreateNetwork {
    /// 1 to 64 characters.
    pub name: String,
    /// What this node is to be called in it; its own name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Whether it is connected at once.
    #[serde(default)]
    pub connect: bool,
}

/// `POST /api/v1/networks/disconnect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkDisconnected {
    /// Whether one was connected.
    pub disconnected: bool,
}

/// `PUT /api/v1/networks/{id}/bootstrap` and `POST /api/v1/networks/{id}/peers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapAddresses {
    /// Multiaddresses, at most 16.
    #[serde(alias = "peers", alias = "addresses")]
    pub bootstrap: Vec<String>,
}

/// `PUT /api/v1/networks/{id}/bootstrap-invite`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapInvite {
    /// `kith://join/…` into the same network.
    #[serde(alias = "invite")]
    pub url: String,
}

/// What may be asked of `GET /api/v1/networks/{id}/invite`, as a query.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct InviteQuery {
    /// How many may come in, 1 to 200; one if left out.
    pub uses: Option<u64>,
    /// How long it is good for, 60 to 2,592,000 seconds; a day if left out.
    pub expires_in_s: Option<u64>,
    /// `member` (if left out) or `admin`.
    pub role: Option<String>,
    /// A note for the list of invites.
    pub label: Option<String>,
    /// The only node that may read and use it, `12D3Koo…`.
    pub for_node: Option<String>,
}

/// `GET /api/v1/networks/{id}/invite`. Its code is told this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkInvite {
    /// `kith://join/…`: the right to come in.
    pub url: String,
    /// The URL as a QR code: an SVG image, dark on light, with its quiet zone.
    pub qr_svg: String,
    /// The invite as a file.
    pub file: String,
    /// The addresses in the code. Without any, who has it finds this node on the same local network alone.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// How it stands.
    #[serde(flatten)]
    pub invite: InviteInfo,
}

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InviteStage {
    /// It lets in.
    Open,
    /// As many came in as it says.
    Used,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

/// An invite that this node gave out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteInfo {
    /// By what it is taken back.
    pub id: String,
    /// Its giver's note.
    pub label: String,
    /// `member` or `admin`: what it makes of who comes in.
    pub role: String,
    /// The only node that may use it; null for anybody who has it.
    pub for_node: Option<String>,
    /// How many may come in.
    pub uses: u64,
    /// How many have.
    pub used: u64,
    /// How it stands.
    pub state: InviteStage,
    /// The nodes that came in by it.
    pub members: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub created_at_ms: Timestamp,
    /// From when on it is void, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub expires_at_ms: Timestamp,
}

/// The invites that this node gave out to a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteList {
    /// The newest first.
    pub invites: Vec<InviteInfo>,
}

/// `GET /api/v1/networks/{id}/key`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkKey {
    /// Three lines: `/key/swarm/psk/1.0.0/`, `/base16/`, 64 hexadecimal digits.
    pub swarm_key: String,
}

/// `POST /api/v1/networks/{id}/swarm-key`: what a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyRotated {
    /// The number of the new key.
    pub key_epoch: u64,
    /// Its name.
    pub key_id: String,
    /// Members that it was sealed to.
    pub sealed_to: u64,
    /// Of them, those who are connected and have said that they took it.
    pub told: u64,
    /// The others get it when they come back until then, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub kept_until_ms: Timestamp,
}

/// Somebody who belongs to a network, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberInfo {
    /// The node, `12D3Koo…`.
    pub node_id: String,
    /// What it is called; empty before it was met.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
    /// `active`, `heard` (only others told of it) or `removed`.
    pub state: String,
    /// Whether it is this node.
    pub is_self: bool,
    /// Whether it founded the network.
    pub is_founder: bool,
    /// When this node first heard of it, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub joined_at_ms: Timestamp,
    /// When this node last met it; null if never.
    #[schema(value_type = Option<i64>)]
    pub last_seen_at_ms: Option<Timestamp>,
}

/// Everybody who belongs to a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberList {
    /// By name.
    pub members: Vec<MemberInfo>,
}

/// `POST /api/v1/system/setup`: an invite, or a key of one's own with addresses.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct SystemSetup {
    /// An invite; nothing else is needed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_url: Option<String>,
    /// The key of a network that this node founds, in its three-line form; a fresh one if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swarm_key: Option<String>,
    /// Multiaddresses at which members are looked for.
    pub bootstrap: Vec<String>,
    /// The network's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What this node is to be called in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// `GET /api/v1/system/share`: all that a new device needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SystemShare {
    /// The active network's key, in its three-line form. It opens the door; only an invite lets in.
    pub swarm_key: String,
    /// Where this node is reached.
    pub bootstrap: Vec<String>,
    /// An invite for one device.
    pub connect_url: String,
}

/// `GET /api/v1/system/share-node`: who this node is and where, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SystemShareNode {
    /// The node's id, `12D3Koo…`.
    pub peer_id: String,
    /// What its owner calls it.
    pub name: String,
    /// Where it is reached.
    pub bootstrap: Vec<String>,
}

/// `GET /api/admin/network-code`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkCode {
    /// `kith://join/…`: the right to come in, once. Neither key nor address can be read off it in passing.
    pub code: String,
    /// `solo` (nobody else is in the network), `offline` (others are, none is connected) or `connected`.
    pub phase: String,
    /// Connected nodes.
    pub peers: u64,
    /// From when on the code is void, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub expires_at_ms: Timestamp,
}

/// `POST /api/admin/join-network`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JoinNetwork {
    /// `kith://join/…`, or a multiaddress of a member of the active network.
    #[serde(alias = "invite", alias = "invite_code", alias = "address", alias = "multiaddr", alias = "url")]
    pub code: String,
}

/// What joining did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JoinedNetwork {
    /// `joined` for an invite, `connected` for an address.
    pub status: String,
    /// The node at the address; null for an invite.
    pub peer_id: Option<String>,
    /// The network.
    pub network: NetworkInfo,
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

silent!(AddNetwork, BootstrapInvite, NetworkInvite, NetworkKey, SystemSetup, SystemShare, NetworkCode, JoinNetwork);

#[cfg(test)]
mod tests;
