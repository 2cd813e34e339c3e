//! Nodes of the active network, the links between them, and how fast these are. What was not measured is null.

use kith_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a peer is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkPath {
    /// At an address of its own.
    Direct,
    /// Directly, after both sides opened their way out.
    HolePunched,
    /// Through another node.
    Relayed,
    /// Not now.
    None,
}

/// `GET /api/v1/nodes`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeList {
    /// The nodes, this one first.
    pub nodes: Vec<NodeInfo>,
}

/// `GET /api/v1/nodes/{node_id}` and `/api/v1/nodes/self`: by its own word, and what this node has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeInfo {
    /// Its id, `12D3Koo…`.
    pub id: String,
    /// Its id again, as the other reference calls it.
    pub node_id: String,
    /// What it is called.
    pub display_name: String,
    /// `active` while connected, `idle` while only its word is fresh, `offline` otherwise.
    pub status: String,
    /// Where it is reached now; null while it is not.
    pub address: Option<String>,
    /// Where it may be reached.
    pub addresses: Vec<String>,
    /// Where it is, as its owner says; null if they do not.
    pub country: Option<String>,
    /// Its operating system and architecture.
    pub platform: String,
    /// Its program's version.
    pub version: String,
    /// What it does for others.
    pub caps: Vec<String>,
    /// The models it can answer with.
    pub models: Vec<String>,
    /// Vaults it holds.
    pub vaults: Vec<String>,
    /// How busy it is.
    pub resources: NodeResources,
    /// Its machine.
    pub hardware: NodeHardware,
    /// `member` or `admin` of the network.
    pub role: String,
    /// How it is reached.
    pub path: LinkPath,
    /// Why it is reached that way, in a sentence.
    pub path_reason: String,
    /// The round trip; null before the first one.
    pub latency_ms: Option<f64>,
    /// When it was last met or heard, in milliseconds since 1970; null if never.
    #[schema(value_type = Option<i64>)]
    pub last_seen_ms: Option<Timestamp>,
    /// Whether it is this node.
    pub is_self: bool,
}

/// How busy a node is, each 0 to 1; null where it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ClusterNodeResources)]
pub struct NodeResources {
    /// The processor.
    pub cpu: Option<f64>,
    /// The memory.
    pub memory: Option<f64>,
    /// The disk.
    pub disk: Option<f64>,
}

/// The machine a node runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ClusterNodeHardware)]
pub struct NodeHardware {
    /// Threads that run at once.
    pub cores: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The accelerators' names.
    pub accelerators: Vec<String>,
    /// Bytes of memory of all accelerators together.
    pub accelerator_memory_bytes: u64,
}

/// `GET /api/v1/network/topology`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Topology {
    /// The nodes.
    pub nodes: Vec<TopologyNode>,
    /// The connections that nodes tell of.
    pub edges: Vec<TopologyEdge>,
}

/// A node on the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopologyNode {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Milliseconds since it started; null if it does not tell.
    pub uptime_ms: Option<u64>,
    /// Whether it is connected or its word is fresh.
    pub online: bool,
}

/// A connection on the map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopologyEdge {
    /// The node that tells of it.
    pub from: String,
    /// The other one.
    pub to: String,
    /// How the one reaches the other.
    pub path: LinkPath,
    /// The round trip; null if it is not told.
    pub latency_ms: Option<f64>,
}

/// `POST /api/v1/network/speedtest/{peer_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpeedtestResult {
    /// The peer.
    pub peer_id: String,
    /// When it was begun, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub ts_ms: Timestamp,
    /// The middle one of the round trips.
    pub latency_ms: f64,
    /// The mean difference between one round trip and the next.
    pub jitter_ms: f64,
    /// Bytes per second to the peer.
    pub up_bytes_per_second: f64,
    /// Bytes per second from the peer.
    pub down_bytes_per_second: f64,
    /// Bytes that went through, both ways.
    pub bytes: u64,
}

/// `GET /api/v1/network/speedtest/{peer_id}/history`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpeedtestHistory {
    /// The newest first.
    pub results: Vec<SpeedtestResult>,
}

/// `GET /api/v1/peers`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeerList {
    /// Connected peers.
    pub peers: Vec<PeerInfo>,
    /// How many.
    pub total: u64,
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeerInfo {
    /// Its id.
    pub id: String,
    /// Where it is reached.
    pub address: String,
    /// `worker`, `driver` or `validator`.
    pub role: String,
    /// The layers it holds.
    pub layers: Vec<u32>,
    /// The round trip; null before the first one.
    pub latency_ms: Option<f64>,
    /// Since when, RFC 3339.
    pub connected_since: String,
}

/// `GET /api/v1/network`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkStatistics {
    /// How many nodes there are.
    pub nodes: NetworkNodeCounts,
    /// The model that is trained; null values without one.
    pub architecture: NetworkArchitecture,
    /// Memory of all nodes together.
    pub capacity: NetworkCapacity,
    /// The training; null values without one.
    pub training: NetworkTraining,
}

/// Nodes by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkNodeCounts {
    /// All.
    pub total: u64,
    /// Those that begin a training step.
    pub drivers: u64,
    /// Those that hold layers.
    pub workers: u64,
    /// Those that check.
    pub validators: u64,
}

/// The model that is trained.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkArchitecture {
    /// Its layers.
    pub layers: Option<u32>,
    /// Its width.
    pub hidden_dim: Option<u32>,
    /// Its size: `9.2B`.
    pub parameters: Option<String>,
}

/// Memory of all nodes together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkCapacity {
    /// What they have.
    pub total_memory_gb: f64,
    /// What of it is in use; null where nobody tells.
    pub used_memory_gb: Option<f64>,
}

/// The training.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NetworkTrainingState)]
pub struct NetworkTraining {
    /// The epoch.
    pub epoch: Option<u64>,
    /// Steps so far.
    pub global_step: Option<u64>,
    /// The last loss.
    pub loss: Option<f64>,
}

/// `GET /api/admin/peers`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SwarmPeerList {
    /// Connected peers.
    pub peers: Vec<SwarmPeer>,
}

/// A connected peer and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SwarmPeer {
    /// Its id.
    pub peer_id: String,
    /// What it is called.
    pub name: String,
    /// Where it is reached.
    pub address: String,
    /// Where it is, as its owner says; null if they do not.
    pub region: Option<String>,
    /// The round trip; null before the first one.
    pub latency_ms: Option<f64>,
    /// 0 to 1, by what this node has seen of it; null before anything was.
    pub trust_score: Option<f64>,
    /// The models it can answer with.
    pub models: Vec<String>,
}

/// `GET /api/admin/network-map`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkMap {
    /// By region; `unknown` for nodes that do not tell theirs.
    pub regions: BTreeMap<String, RegionMap>,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RegionMap {
    /// Nodes in it.
    pub total: u64,
    /// By model, how many of them hold it.
    pub models: BTreeMap<String, u64>,
    /// By model, how often this node was asked for it in the last hour. Others do not tell: in their regions it is empty.
    pub demand: BTreeMap<String, u64>,
    /// Models of the network, or asked for, that nobody in it holds.
    pub coverage_gaps: Vec<String>,
    /// By model, how many should hold it.
    pub replication_target: BTreeMap<String, u64>,
}
