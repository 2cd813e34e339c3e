//! What this node tells its network, and what it tells its owner of the network.

use super::{Changes, ports, protocols};
use async_trait::async_trait;
use kith_api::mesh::MeshError;
use kith_events::Events;
use kith_mesh::{Event, Mesh, Path, Refuser};
use kith_networks::{Hardware, NetworkId, Networks, NodeRecord, NodeSays, SaidLink};
use kith_types::{NodeId, Timestamp};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How often it is looked whether there is something new to say.
const LOOK: Duration = Duration::from_secs(30);
/// How often it is said anyway: four times while a record is good.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// What a node can say of itself.
#[async_trait]
pub(crate) trait About: Send + Sync {
    /// The names of its models.
    async fn models(&self) -> Vec<String>;
    /// What it runs on.
    fn hardware(&self) -> Hardware;
    /// What it can do, as words.
    fn capabilities(&self) -> Vec<String>;
    /// When it started.
    fn started(&self) -> Timestamp;
}

/// Whether a refusal will not change by itself.
pub(super) fn is_final(code: &str) -> bool {
    [
        "malformed",
        "wrong_network",
        "forged",
        "removed",
        "invite_unknown",
        "wrong_proof",
        "invite_expired",
        "invite_used",
        "invite_revoked",
    ]
    .contains(&code)
}

/// A node among the nodes of its network.
pub(super) struct Talk {
    pub networks: Arc<Networks>,
    pub events: Events,
    pub about: Arc<dyn About>,
    pub mesh: Mesh,
    pub network: NetworkId,
    pub region: String,
    pub changes: Changes,
}

const fn path_name(path: &Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::HolePunched => "hole_punched",
        Path::Relayed { .. } => "relayed",
    }
}

/// What this node says now.
async fn says(mesh: &Mesh, own_name: String, about: &dyn About, region: &str) -> NodeSays {
    let external = mesh.reachability().await.map(|reach| reach.external).unwrap_or_default();
    let listening = mesh.listening().await;
    let addresses = external.into_iter().chain(listening).filter(|address| !address.is_loopback()).map(String::from);
    let links = mesh.peers().await.into_iter().map(|peer| SaidLink { node: peer.peer, path: path_name(&peer.path).to_owned() });
    let mut links: Vec<_> = links.collect();
    links.sort_by(|a, b| a.node.cmp(&b.node));
    NodeSays {
        name: own_name,
        region: region.to_owned(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: about.capabilities(),
        models: about.models().await,
        hardware: about.hardware(),
        addresses: addresses.collect(),
        links,
        started_ms: Some(about.started()),
    }
}

/// Makes this node's record and tells it.
pub(super) async fn say(
    mesh: &Mesh,
    networks: &Networks,
    network: NetworkId,
    about: &dyn About,
    region: &str,
) -> Result<(), MeshError> {
    let own_name = networks.network(network).await?.own_name;
    let record = networks.say(network, says(mesh, own_name, about, region).await).await?;
    if let Err(error) = mesh.publish(ports::RECORDS, record).await {
        // Who comes later asks for it.
        tracing::debug!(%error, "nobody hears this node's record now");
    }
    Ok(())
}

/// Tells the mesh where a node says it is.
async fn hint(mesh: &Mesh, node: NodeId, says: &NodeSays) {
    mesh.hint(node, says.addresses.iter().filter_map(|address| address.parse().ok()).collect()).await;
}

impl Talk {
    /// Tells the mesh where all nodes say they are.
    async fn show_the_way(&self) {
        let nodes = self.networks.nodes(self.network).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the records of the network's nodes cannot be read");
            Vec::new()
        });
        for known in nodes.into_iter().filter(|known| !known.itself && !known.expired) {
            hint(&self.mesh, known.node, &known.says).await;
        }
    }

    /// Says what changed, and says it again before it is forgotten.
    pub async fn keep_saying(self: Arc<Self>) {
        let (mut before, mut at) = (None, None);
        loop {
            let name = self.networks.network(self.network).await.map(|network| network.own_name).unwrap_or_default();
            let now = says(&self.mesh, name, self.about.as_ref(), &self.region).await;
            let old = at.is_none_or(|at: tokio::time::Instant| at.elapsed() >= AGAIN);
            if (before.as_ref() != Some(&now) || old)
                && say(&self.mesh, &self.networks, self.network, self.about.as_ref(), &self.region).await.is_ok()
            {
                (before, at) = (Some(now), Some(tokio::time::Instant::now()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells what happens on the mesh, and hears from whoever comes.
    pub async fn follow(self: Arc<Self>, mut events: Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(event) => self.heard(event),
                // What was missed is seen in the list of peers.
                Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "events of the mesh were missed"),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn heard(self: &Arc<Self>, event: Event) {
        match event {
            Event::Connected { peer, address, path, why } => {
                let data = json!({
                    "network": self.network, "node": peer, "address": String::from(address), "path": path_name(&path), "why": why,
                });
                self.events.publish("mesh.peer_connected", data);
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    if let Err(error) = protocols::exchange(&this.mesh, &this.networks, this.network, &peer).await {
                        tracing::debug!(%peer, %error, "records were not exchanged");
                    }
                    this.show_the_way().await;
                });
            }
            Event::Disconnected { peer, why } => {
                self.events.publish("mesh.peer_disconnected", json!({"network": self.network, "node": peer, "why": why}));
            }
            Event::Stranger { address, why } => {
                let ip = address.ip().map(|ip| ip.to_string()).unwrap_or_default();
                let data = json!({"network": self.network, "address": String::from(address), "reason": why});
                self.events.publish_coalesced("network.stranger", &ip, data);
            }
            // Whom this node refuses, the networks tell themselves.
            Event::Refused { by: Refuser::ThisNode, .. } => {}
            Event::Refused { peer, by: Refuser::Peer, code, message } => {
                let data = json!({"network": self.network, "node": peer, "code": code, "reason": message});
                self.events.publish_coalesced("mesh.refused_by_peer", &format!("{peer} {code}"), data);
            }
            Event::Misbehaved { peer, fault, cut_off } => {
                let data = json!({
                    "network": self.network, "node": peer, "fault": fault, "reason": fault.sentence(),
                    "cut_off_seconds": cut_off.map(|time| time.as_secs()),
                });
                self.events.publish_coalesced("mesh.misbehaved", &format!("{peer} {fault:?}"), data);
            }
            Event::ReachabilityChanged(reach) => {
                self.events.publish("mesh.reachability", json!({"status": reach.status, "why": reach.why}));
                self.changes.record();
            }
            Event::Gossip { topic, message, .. } if topic == ports::RECORDS => {
                // It was judged before it came here.
                let Ok(record) = NodeRecord::open(&message) else { return };
                let this = Arc::clone(self);
                tokio::spawn(async move { hint(&this.mesh, record.node, &record.says).await });
            }
            Event::Listening(_) | Event::NotListening(_) | Event::Gossip { .. } | Event::Stopped => {}
        }
    }
}
