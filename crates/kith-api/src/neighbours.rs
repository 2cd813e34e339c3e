//! The nodes of the active network as this one sees them: by their own signed word, by who is connected, and by what was measured.

use crate::{
    app::App,
    error::ApiError,
    mesh::{Peer, PeerPath},
    stats,
};
use kith_networks::{KnownNode, Member, MemberState, Network, Role};
use kith_types::{NodeId, Timestamp};
use kith_wire::networks::{LinkPath, NodeHardware, NodeInfo, NodeResources};
use std::collections::HashMap;

/// What is called so where a node does not say where it is.
pub(crate) const NOWHERE: &str = "unknown";

/// The active network with everybody in it.
#[derive(Default)]
pub(crate) struct Neighbours {
    /// The network; `None` without an active one.
    pub network: Option<Network>,
    /// Members in good standing, and those of whom others told. Without this node.
    pub members: Vec<Member>,
    /// What nodes say of themselves, this one among them.
    pub known: HashMap<NodeId, KnownNode>,
    /// Who is connected.
    pub peers: HashMap<NodeId, Peer>,
    /// What this node is in the network.
    pub own_role: Option<Role>,
}

impl Neighbours {
    /// When a node was last met or heard.
    pub fn last_seen(&self, member: &Member, now: Timestamp) -> Option<Timestamp> {
        if self.peers.contains_key(&member.node) {
            return Some(now);
        }
        let heard = self.known.get(&member.node).map(|known| known.heard);
        heard.max(member.last_seen)
    }

    /// Whether a node is connected, or its word is fresh.
    pub fn online(&self, node: &NodeId) -> bool {
        self.peers.contains_key(node) || self.known.get(node).is_some_and(|known| !known.expired)
    }

    /// What a node is called.
    pub fn name(&self, node: &NodeId) -> String {
        let said = self.known.get(node).map(|known| known.says.name.clone()).filter(|name| !name.is_empty());
        let listed = || self.members.iter().find(|member| member.node == *node).map(|member| member.name.clone());
        said.or_else(listed).unwrap_or_default()
    }

    /// Where a node says it is.
    pub fn region(&self, node: &NodeId) -> Option<String> {
        self.known.get(node).map(|known| known.says.region.clone()).filter(|region| !region.is_empty())
    }
}

/// Looks at the active network.
pub(crate) async fn look(app: &App) -> Result<Neighbours, ApiError> {
    let Some(network) = app.networks.active().await? else { return Ok(Neighbours::default()) };
    let (mine, members): (Vec<_>, Vec<_>) = app.networks.members(network.id).await?.into_iter().partition(|member| member.itself);
    let known = app.networks.nodes(network.id).await?;
    let online = app.mesh.standing().await.network == Some(network.id);
    let peers = if online { app.mesh.peers().await } else { Vec::new() };
    Ok(Neighbours {
        own_role: mine.iter().find(|member| member.state == MemberState::Active).map(|member| member.role),
        members: members.into_iter().filter(|member| member.state != MemberState::Removed).collect(),
        known: known.into_iter().map(|known| (known.node.clone(), known)).collect(),
        peers: peers.into_iter().map(|peer| (peer.node.clone(), peer)).collect(),
        network: Some(network),
    })
}

/// Whether a node is another member of the active network.
pub(crate) async fn is_member(app: &App, node: &NodeId) -> Result<bool, ApiError> {
    let Some(network) = app.networks.active().await? else { return Ok(false) };
    let members = app.networks.members(network.id).await?;
    Ok(members.iter().any(|member| member.node == *node && !member.itself && member.state != MemberState::Removed))
}

/// How a peer is reached, on the wire.
pub(crate) const fn path(path: &PeerPath) -> LinkPath {
    match path {
        PeerPath::Direct => LinkPath::Direct,
        PeerPath::HolePunched => LinkPath::HolePunched,
        PeerPath::Relayed(_) => LinkPath::Relayed,
    }
}

/// How another says it reaches a third; a word of a newer version is taken for the plain case.
pub(crate) fn said_path(said: &str) -> LinkPath {
    match said {
        "hole_punched" => LinkPath::HolePunched,
        "relayed" => LinkPath::Relayed,
        _ => LinkPath::Direct,
    }
}

/// The round trip in milliseconds, once it was measured.
pub(crate) fn latency_ms(peer: &Peer) -> Option<f64> {
    peer.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0)
}

fn role(role: Role) -> String {
    role.as_str().to_owned()
}

/// A member other than this node.
pub(crate) fn node(around: &Neighbours, member: &Member, now: Timestamp) -> NodeInfo {
    let (known, peer) = (around.known.get(&member.node), around.peers.get(&member.node));
    let says = known.map(|known| known.says.clone()).unwrap_or_default();
    let status = match peer {
        Some(_) => "active",
        None if around.online(&member.node) => "idle",
        None => "offline",
    };
    NodeInfo {
        id: member.node.to_string(),
        node_id: member.node.to_string(),
        display_name: around.name(&member.node),
        status: status.to_owned(),
        address: peer.map(|peer| peer.address.clone()),
        addresses: says.addresses,
        country: around.region(&member.node),
        platform: says.platform,
        version: says.version,
        caps: says.capabilities,
        models: says.models,
        vaults: Vec::new(),
        resources: NodeResources::default(),
        hardware: NodeHardware {
            cores: says.hardware.cores,
            memory_bytes: says.hardware.memory_bytes,
            accelerators: says.hardware.accelerators,
            accelerator_memory_bytes: says.hardware.accelerator_memory_bytes,
        },
        role: role(member.role),
        path: peer.map_or(LinkPath::None, |peer| path(&peer.path)),
        path_reason: peer.map_or_else(|| "it is not connected".to_owned(), |peer| peer.why.clone()),
        latency_ms: peer.and_then(latency_ms),
        last_seen_ms: around.last_seen(member, now),
        is_self: false,
    }
}

/// This node, as it is now.
pub(crate) async fn this_node(app: &App, around: &Neighbours) -> Result<NodeInfo, ApiError> {
    let (hardware, standing) = (stats::hardware(app).await, app.mesh.standing().await);
    let says = around.known.get(&app.node_id).map(|known| known.says.clone()).unwrap_or_default();
    let models = app.library.list().await?.into_iter().map(|model| model.name.to_string()).collect();
    let share = |used: u64, total: u64| (total > 0).then(|| used as f64 / total as f64);
    let disk = hardware.disk.as_ref().and_then(|disk| share(disk.total.saturating_sub(disk.available), disk.total));
    Ok(NodeInfo {
        id: app.node_id.to_string(),
        node_id: app.node_id.to_string(),
        display_name: app.lan.node_name().await,
        status: if standing.network.is_some() { "active" } else { "offline" }.to_owned(),
        address: standing.listening.first().cloned(),
        addresses: standing.listening,
        country: around.region(&app.node_id),
        platform: format!("{} {}", hardware.os.as_deref().unwrap_or(NOWHERE), hardware.arch),
        version: app.build.version.clone(),
        caps: says.capabilities,
        models,
        vaults: Vec::new(),
        resources: NodeResources {
            cpu: Some(f64::from(hardware.cpu.percent) / 100.0),
            memory: share(hardware.memory.used, hardware.memory.total),
            disk,
        },
        hardware: NodeHardware {
            cores: u32::try_from(hardware.cpu.logical_cores).unwrap_or(u32::MAX),
            memory_bytes: hardware.memory.total,
            accelerators: says.hardware.accelerators,
            accelerator_memory_bytes: says.hardware.accelerator_memory_bytes,
        },
        role: around.own_role.map(role).unwrap_or_default(),
        path: LinkPath::Direct,
        path_reason: "it is this node".to_owned(),
        latency_ms: None,
        last_seen_ms: Some(app.clock.now()),
        is_self: true,
    })
}
