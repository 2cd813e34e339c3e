//! Other references' views of the network: NeuroShard's peers and figures, SwarmLLM's peers and map.

use crate::{
    app::App,
    error::ApiError,
    mesh::Peer,
    neighbours::{self, NOWHERE, Neighbours},
};
use axum::{Json, extract::State};
use kith_types::NodeId;
use kith_wire::networks::{
    NetworkCapacity, NetworkMap, NetworkNodeCounts, NetworkStatistics, NodeInfo, PeerInfo, PeerList, RegionMap, SwarmPeer,
    SwarmPeerList,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bytes in a GB.
const GB: f64 = 1e9;
/// Models that gaps and targets are told of. Each region names all of them, and a member chooses both its region and its models.
const MAX_KNOWN: usize = 256;

fn sorted(around: &Neighbours) -> Vec<&Peer> {
    let mut peers: Vec<&Peer> = around.peers.values().collect();
    peers.sort_by(|a, b| a.node.cmp(&b.node));
    peers
}

fn peer(peer: &Peer) -> PeerInfo {
    PeerInfo {
        id: peer.node.to_string(),
        address: peer.address.clone(),
        // Nobody drives or validates a training here.
        role: "worker".to_owned(),
        layers: Vec::new(),
        latency_ms: neighbours::latency_ms(peer),
        connected_since: peer.since.rfc3339(),
    }
}

/// Connected peers.
#[utoipa::path(get, path = "/api/v1/peers", tag = "mesh", responses((status = 200, body = PeerList)))]
pub async fn peers(State(app): State<Arc<App>>) -> Result<Json<PeerList>, ApiError> {
    let around = neighbours::look(&app).await?;
    let peers: Vec<PeerInfo> = sorted(&around).into_iter().map(peer).collect();
    Ok(Json(PeerList { total: peers.len() as u64, peers }))
}

/// This node, and the others that are connected or whose word is fresh.
async fn online(app: &App) -> Result<(Neighbours, Vec<NodeInfo>), ApiError> {
    let (around, now) = (neighbours::look(app).await?, app.clock.now());
    let mut nodes = vec![neighbours::this_node(app, &around).await?];
    let others = around.members.iter().filter(|member| around.online(&member.node));
    nodes.extend(others.map(|member| neighbours::node(&around, member, now)));
    Ok((around, nodes))
}

fn capacity(nodes: &[NodeInfo]) -> NetworkCapacity {
    let total: f64 = nodes.iter().map(|node| node.hardware.memory_bytes as f64).sum();
    // Others do not tell what they use: a sum without them would be none.
    let used = nodes.iter().map(|node| Some(node.resources.memory? * node.hardware.memory_bytes as f64)).sum::<Option<f64>>();
    NetworkCapacity { total_memory_gb: total / GB, used_memory_gb: used.map(|used| used / GB) }
}

/// The network in figures, without names: how many nodes are up, and their memory. Nothing is trained.
#[utoipa::path(get, path = "/api/v1/network", tag = "mesh", responses((status = 200, body = NetworkStatistics)))]
pub async fn network(State(app): State<Arc<App>>) -> Result<Json<NetworkStatistics>, ApiError> {
    let (_, nodes) = online(&app).await?;
    let workers = nodes.iter().filter(|node| !node.models.is_empty()).count() as u64;
    Ok(Json(NetworkStatistics {
        nodes: NetworkNodeCounts { total: nodes.len() as u64, workers, ..NetworkNodeCounts::default() },
        capacity: capacity(&nodes),
        ..NetworkStatistics::default()
    }))
}

fn swarm_peer(around: &Neighbours, peer: &Peer) -> SwarmPeer {
    SwarmPeer {
        peer_id: peer.node.to_string(),
        name: around.name(&peer.node),
        address: peer.address.clone(),
        region: around.region(&peer.node),
        latency_ms: neighbours::latency_ms(peer),
        trust_score: None,
        models: around.known.get(&peer.node).map(|known| known.says.models.clone()).unwrap_or_default(),
    }
}

/// Connected peers and what they hold.
#[utoipa::path(get, path = "/api/admin/peers", tag = "mesh", responses((status = 200, body = SwarmPeerList)))]
pub async fn swarm_peers(State(app): State<Arc<App>>) -> Result<Json<SwarmPeerList>, ApiError> {
    let around = neighbours::look(&app).await?;
    Ok(Json(SwarmPeerList { peers: sorted(&around).into_iter().map(|peer| swarm_peer(&around, peer)).collect() }))
}

/// How many of `pool` nodes should hold a model: more the more there are, and up to three times so many while it is asked for.
fn target(pool: u64, demand: u64) -> u64 {
    let least = (pool / 3).max(2);
    let base = u64::from(pool.max(1).next_power_of_two().trailing_zeros()).clamp(2, least);
    base * (1 + demand).min(3)
}

/// The models that nodes hold and that are asked for: of very many those that are held and asked for the most.
fn known<'a>(nodes: &'a [NodeInfo], demand: &'a BTreeMap<String, u64>) -> BTreeSet<&'a String> {
    let mut weights: BTreeMap<&String, u64> = BTreeMap::new();
    let held = nodes.iter().flat_map(|node| &node.models).map(|model| (model, 1));
    for (model, weight) in held.chain(demand.iter().map(|(model, count)| (model, *count))) {
        let known = weights.entry(model).or_default();
        *known = known.saturating_add(weight);
    }
    let mut known: Vec<(&String, u64)> = weights.into_iter().collect();
    // Sorting keeps those of equal weight in the order of their names.
    known.sort_by_key(|(_, weight)| Reverse(*weight));
    known.into_iter().take(MAX_KNOWN).map(|(model, _)| model).collect()
}

fn regions(nodes: &[NodeInfo], demand: &BTreeMap<String, u64>, own: &NodeId) -> BTreeMap<String, RegionMap> {
    let mut regions: BTreeMap<String, RegionMap> = BTreeMap::new();
    for node in nodes {
        let region = regions.entry(node.country.clone().unwrap_or_else(|| NOWHERE.to_owned())).or_default();
        region.total += 1;
        for model in &node.models {
            *region.models.entry(model.clone()).or_default() += 1;
        }
        if node.id == own.as_str() {
            region.demand = demand.clone();
        }
    }
    let known = known(nodes, demand);
    for region in regions.values_mut() {
        let gaps = known.iter().copied().filter(|model| !region.models.contains_key(*model));
        region.coverage_gaps = gaps.cloned().collect();
        let asked = |model: &String| region.demand.get(model).copied().unwrap_or(0);
        let targets = known.iter().copied().map(|model| (model.clone(), target(region.total, asked(model))));
        region.replication_target = targets.collect();
    }
    regions
}

/// Where nodes are and which models they hold, and how many nodes should. Demand is how often this node was asked in the last hour: of
/// others' nothing is known.
#[utoipa::path(get, path = "/api/admin/network-map", tag = "mesh", responses((status = 200, body = NetworkMap)))]
pub async fn network_map(State(app): State<Arc<App>>) -> Result<Json<NetworkMap>, ApiError> {
    let (_, nodes) = online(&app).await?;
    Ok(Json(NetworkMap { regions: regions(&nodes, &app.inference.demand(), &app.node_id) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_wire::networks::{LinkPath, NodeHardware, NodeResources};

    fn node(byte: u8, country: Option<&str>, models: &[&str]) -> NodeInfo {
        let id = NodeId::from_ed25519(&[byte; 32]).to_string();
        NodeInfo {
            node_id: id.clone(),
            id,
            display_name: String::new(),
            status: "active".into(),
            address: None,
            addresses: Vec::new(),
            country: country.map(str::to_owned),
            platform: String::new(),
            version: String::new(),
            caps: Vec::new(),
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            vaults: Vec::new(),
            resources: NodeResources::default(),
            hardware: NodeHardware { memory_bytes: 4_000_000_000, ..NodeHardware::default() },
            role: "member".into(),
            path: LinkPath::Direct,
            path_reason: String::new(),
            latency_ms: None,
            last_seen_ms: None,
            is_self: false,
        }
    }

    #[test]
    fn replicas_grow_with_the_pool_and_with_demand() {
        let targets = [(1, 0), (3, 0), (10, 0), (100, 0), (1000, 0), (10, 1), (10, 9)].map(|(pool, asked)| target(pool, asked));
        assert_eq!(targets, [2, 2, 3, 7, 10, 6, 9]);
    }

    #[test]
    fn a_map_has_a_region_for_those_who_do_not_tell_and_gaps_where_nobody_holds_what_others_hold_or_is_asked() {
        let nodes = [node(1, Some("US"), &["a:1"]), node(2, Some("US"), &["a:1"]), node(3, Some("US"), &[]), node(4, None, &[])];
        let demand = BTreeMap::from([("a:1".to_owned(), 5), ("b:1".to_owned(), 1)]);
        let regions = regions(&nodes, &demand, &NodeId::from_ed25519(&[1; 32]));
        let us = &regions["US"];
        assert_eq!((us.total, us.models["a:1"], us.coverage_gaps.as_slice()), (3, 2, ["b:1".to_owned()].as_slice()));
        assert_eq!((us.replication_target["a:1"], us.replication_target["b:1"]), (6, 4));
        let nowhere = &regions["unknown"];
        assert_eq!((nowhere.total, nowhere.demand.len(), nowhere.models.len()), (1, 0, 0));
        assert_eq!(nowhere.coverage_gaps, ["a:1", "b:1"], "the one is held elsewhere, the other nowhere");
        assert_eq!(nowhere.replication_target["a:1"], 2);
    }

    #[test]
    fn of_very_many_models_a_map_names_those_held_the_most() {
        let many: Vec<String> = (0..2 * MAX_KNOWN).map(|number| format!("m:{number:04}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let nodes = [node(1, Some("US"), &many), node(2, None, &many[MAX_KNOWN + 7..])];
        let demand = BTreeMap::from([("m:0000".to_owned(), 5)]);
        let regions = regions(&nodes, &demand, &NodeId::from_ed25519(&[1; 32]));
        let (us, nowhere) = (&regions["US"].replication_target, &regions["unknown"]);
        assert_eq!((us.len(), nowhere.coverage_gaps.len()), (MAX_KNOWN, 7));
        assert!(us.contains_key("m:0000") && us.contains_key("m:0511") && !us.contains_key("m:0262"));
    }

    #[test]
    fn used_memory_is_told_only_where_everybody_tells() {
        let mut alone = [node(1, None, &[])];
        assert_eq!(capacity(&alone).used_memory_gb, None);
        alone[0].resources.memory = Some(0.5);
        let told = capacity(&alone);
        assert_eq!((told.total_memory_gb, told.used_memory_gb), (4.0, Some(2.0)));
    }
}
