//! The nodes of the active network, the links to them, how fast these are, and how this node is reached.

use crate::{
    app::App,
    error::ApiError,
    invitations::active,
    mesh::{Peer, PeerPath, Reach, Speed},
    neighbours::{self, Neighbours},
    network_error::{no_such_node, node_id},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use kith_types::{NodeId, Timestamp};
use kith_wire::networks::{
    NatPeer, NatUpnp, NodeInfo, NodeList, SpeedtestHistory, SpeedtestResult, SystemNat, Topology, TopologyEdge, TopologyNode,
};
use std::sync::Arc;

type Given = Result<Path<String>, PathRejection>;

/// The nodes of the active network, this one first.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "mesh", responses((status = 200, body = NodeList)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<NodeList>, ApiError> {
    let (around, now) = (neighbours::look(&app).await?, app.clock.now());
    let mut nodes = vec![neighbours::this_node(&app, &around).await?];
    nodes.extend(around.members.iter().map(|member| neighbours::node(&around, member, now)));
    Ok(Json(NodeList { nodes }))
}

/// This node.
#[utoipa::path(get, path = "/api/v1/nodes/self", tag = "mesh", responses((status = 200, body = NodeInfo)))]
pub async fn this(State(app): State<Arc<App>>) -> Result<Json<NodeInfo>, ApiError> {
    let around = neighbours::look(&app).await?;
    Ok(Json(neighbours::this_node(&app, &around).await?))
}

/// One node.
#[utoipa::path(get, path = "/api/v1/nodes/{node_id}", tag = "mesh", params(("node_id" = String, Path, description = "The node.")),
    responses((status = 200, body = NodeInfo), (status = 404, description = "No such node in the network.")))]
pub async fn get(State(app): State<Arc<App>>, id: Given) -> Result<Json<NodeInfo>, ApiError> {
    let (id, around) = (node_id(&id?.0)?, neighbours::look(&app).await?);
    if id == app.node_id {
        return Ok(Json(neighbours::this_node(&app, &around).await?));
    }
    let member = around.members.iter().find(|member| member.node == id).ok_or_else(no_such_node)?;
    Ok(Json(neighbours::node(&around, member, app.clock.now())))
}

/// A node as it tells of itself: how long it ran when it said so, and since.
fn vertex(around: &Neighbours, node: &NodeId, now: Timestamp) -> TopologyNode {
    let known = around.known.get(node).filter(|known| !known.expired);
    let ran = known.and_then(|known| Some(known.issued.ms() - known.says.started_ms?.ms() + now.ms() - known.heard.ms()));
    TopologyNode {
        id: node.to_string(),
        name: around.name(node),
        uptime_ms: ran.and_then(|ran| u64::try_from(ran).ok()),
        online: around.online(node),
    }
}

/// The connections this node has.
fn own_edges(app: &App, around: &Neighbours) -> Vec<TopologyEdge> {
    let edge = |peer: &Peer| TopologyEdge {
        from: app.node_id.to_string(),
        to: peer.node.to_string(),
        path: neighbours::path(&peer.path),
        latency_ms: neighbours::latency_ms(peer),
    };
    around.peers.values().map(edge).collect()
}

/// The connections among the others, as those who are in good standing tell of them.
fn told_edges(app: &App, around: &Neighbours) -> Vec<TopologyEdge> {
    let is_other = |node: &NodeId| *node != app.node_id && around.members.iter().any(|member| member.node == *node);
    let fresh = around.known.values().filter(|known| !known.expired && is_other(&known.node));
    let links = fresh.flat_map(|known| known.says.links.iter().map(move |link| (&known.node, link)));
    let told = links.filter(|(from, link)| **from != link.node && is_other(&link.node));
    told.map(|(from, link)| TopologyEdge {
        from: from.to_string(),
        to: link.node.to_string(),
        path: neighbours::said_path(&link.path),
        latency_ms: None,
    })
    .collect()
}

/// The nodes, and their connections: this node's as it has them, the others' as they tell of them.
#[utoipa::path(get, path = "/api/v1/network/topology", tag = "mesh", responses((status = 200, body = Topology)))]
pub async fn topology(State(app): State<Arc<App>>) -> Result<Json<Topology>, ApiError> {
    let (around, now) = (neighbours::look(&app).await?, app.clock.now());
    let itself = TopologyNode {
        id: app.node_id.to_string(),
        name: app.lan.node_name().await,
        uptime_ms: Some(app.uptime_ms()),
        online: app.mesh.standing().await.network.is_some(),
    };
    let others = around.members.iter().map(|member| vertex(&around, &member.node, now));
    let mut edges = own_edges(&app, &around);
    edges.extend(told_edges(&app, &around));
    edges.sort_by(|a, b| (a.from != app.node_id.as_str(), &a.from, &a.to).cmp(&(b.from != app.node_id.as_str(), &b.from, &b.to)));
    Ok(Json(Topology { nodes: std::iter::once(itself).chain(others).collect(), edges }))
}

fn result(speed: Speed) -> SpeedtestResult {
    SpeedtestResult {
        peer_id: speed.node.to_string(),
        ts_ms: speed.at,
        latency_ms: speed.rtt_ms,
        jitter_ms: speed.jitter_ms,
        up_bytes_per_second: speed.up,
        down_bytes_per_second: speed.down,
        bytes: speed.bytes,
    }
}

/// Measures round trips and throughput with a connected peer. It takes some seconds; one runs at a time.
#[utoipa::path(post, path = "/api/v1/network/speedtest/{peer_id}", tag = "mesh",
    params(("peer_id" = String, Path, description = "The peer.")),
    responses((status = 200, body = SpeedtestResult), (status = 404, description = "No such node."),
              (status = 409, description = "A test runs already, or the peer takes none now."), (status = 502, description = "The peer is not reached."),
              (status = 503, description = "No network is connected.")))]
pub async fn speedtest(State(app): State<Arc<App>>, peer: Given) -> Result<Json<SpeedtestResult>, ApiError> {
    let peer = node_id(&peer?.0)?;
    active(&app).await?;
    if !neighbours::is_member(&app, &peer).await? {
        return Err(no_such_node());
    }
    Ok(Json(result(app.mesh.speedtest(&peer).await?)))
}

/// The last tests with a peer, the newest first; 100 are kept, also of one that is gone.
#[utoipa::path(get, path = "/api/v1/network/speedtest/{peer_id}/history", tag = "mesh",
    params(("peer_id" = String, Path, description = "The peer.")),
    responses((status = 200, body = SpeedtestHistory), (status = 404, description = "No such node.")))]
pub async fn speedtests(State(app): State<Arc<App>>, peer: Given) -> Result<Json<SpeedtestHistory>, ApiError> {
    let peer = node_id(&peer?.0)?;
    let speeds = app.mesh.speeds(&peer).await?;
    if speeds.is_empty() && !neighbours::is_member(&app, &peer).await? {
        return Err(no_such_node());
    }
    Ok(Json(SpeedtestHistory { results: speeds.into_iter().map(result).collect() }))
}

fn nat_peer(around: &Neighbours, peer: &Peer) -> NatPeer {
    NatPeer {
        node_id: peer.node.to_string(),
        name: around.name(&peer.node),
        path: neighbours::path(&peer.path),
        why: peer.why.clone(),
        via: match &peer.path {
            PeerPath::Relayed(by) => Some(by.to_string()),
            PeerPath::Direct | PeerPath::HolePunched => None,
        },
        address: peer.address.clone(),
    }
}

fn nat_of(reach: Option<Reach>, fault: Option<String>) -> SystemNat {
    let Some(reach) = reach else {
        let why = fault.unwrap_or_else(|| "no network is connected, so nobody has tried".to_owned());
        let upnp = NatUpnp { state: "off".to_owned(), mapped: false };
        return SystemNat { status: "unknown".to_owned(), why, upnp, ..SystemNat::default() };
    };
    SystemNat {
        online: true,
        status: reach.status.to_owned(),
        why: reach.why,
        external_addrs: reach.external,
        listen_addrs: reach.listening,
        upnp: NatUpnp { state: reach.port_mapping.to_owned(), mapped: reach.port_mapping == "mapped" },
        relays: reach.relays.iter().map(ToString::to_string).collect(),
        peers: Vec::new(),
    }
}

/// Whether others can reach this node, and how it reaches each of them, with the reasons. Nobody outside the network is asked.
#[utoipa::path(get, path = "/api/v1/system/nat", tag = "mesh", responses((status = 200, body = SystemNat)))]
pub async fn nat(State(app): State<Arc<App>>) -> Result<Json<SystemNat>, ApiError> {
    let around = neighbours::look(&app).await?;
    let mut peers: Vec<NatPeer> = around.peers.values().map(|peer| nat_peer(&around, peer)).collect();
    peers.sort_by(|a, b| a.node_id.cmp(&b.node_id));
    let told = nat_of(app.mesh.reach().await, app.mesh.standing().await.fault);
    Ok(Json(SystemNat { peers, ..told }))
}

#[cfg(test)]
mod tests;
