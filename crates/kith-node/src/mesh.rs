//! The node on its private network: the mesh is started when a network is connected and ends with it, and what happens there is told.

mod blobs;
mod carrying;
mod changes;
mod config;
mod going;
mod keys;
mod limits;
mod models;
mod neighbours;
mod ports;
mod protocols;
mod speed;
mod talk;
mod traffic;

pub use config::MeshConfig;
pub(crate) use config::MeshTable;
pub(crate) use limits::{Limits, giving};
pub(crate) use neighbours::MeshNeighbours;
pub(crate) use talk::About;

use async_trait::async_trait;
use changes::Changes;
use kith_api::mesh::{Mesh as MeshPort, MeshError, Peer, PeerPath, Reach, Rotated, Speed, Standing, Throughput};
use kith_blobs::{Blobs, Gate};
use kith_events::Events;
use kith_keys::Identity;
use kith_mesh::{Address, Mesh, Path, PortMapping, ReachStatus};
use kith_models::Library;
use kith_networks::{Network, NetworkError, NetworkId, Networks};
use kith_store::Store;
use kith_types::{Clock, NodeId};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use traffic::Traffic;
use zeroize::Zeroizing;

/// The pause between two looks for what is over.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// What the mesh of a node is made from.
pub(crate) struct MeshParts {
    pub networks: Arc<Networks>,
    pub identity: Arc<Identity>,
    pub store: Store,
    pub events: Events,
    pub clock: Arc<dyn Clock>,
    pub config: MeshConfig,
    pub about: Arc<dyn About>,
    /// What members are given of.
    pub blobs: Blobs,
    pub library: Arc<Library>,
    pub limits: Limits,
    /// Whether they are given anything now.
    pub giving: Gate,
    /// Ends with the node.
    pub stop: CancellationToken,
}

/// The mesh while a network is connected.
struct Online {
    mesh: Mesh,
    network: NetworkId,
    /// The name of the key it runs with.
    key_id: String,
    /// Ends what belongs to it.
    ended: CancellationToken,
}

/// The node's part in its networks.
pub(crate) struct MeshHost {
    parts: MeshParts,
    changes: Changes,
    online: RwLock<Option<Online>>,
    /// Held while the node goes on or off a network.
    changing: tokio::sync::Mutex<()>,
    fault: Mutex<Option<String>>,
    traffic: Traffic,
    tests: Arc<speed::Tests>,
    sharing: Arc<blobs::Sharing>,
    itself: Weak<Self>,
}

impl MeshHost {
    /// The mesh; nothing is connected yet.
    pub fn new(parts: MeshParts) -> Arc<Self> {
        let MeshParts { blobs, library, limits, giving, events, stop, .. } = &parts;
        let sharing = blobs::Sharing::new(blobs.clone(), Arc::clone(library), limits, Arc::clone(giving), events.clone());
        let noting = blobs::Sharing::note(Arc::clone(library), blobs.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(noting));
        let tests = Arc::new(speed::Tests::new(limits.clone(), Arc::clone(giving)));
        let host = Arc::new_cyclic(|itself| Self {
            parts,
            changes: Changes::default(),
            online: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            fault: Mutex::default(),
            traffic: Traffic::default(),
            tests,
            sharing,
            itself: itself.clone(),
        });
        tokio::spawn(Self::follow_changes(Arc::downgrade(&host), host.changes.clone(), host.parts.stop.clone()));
        let sweeping = Self::sweep(Arc::downgrade(&host.parts.networks));
        tokio::spawn(host.parts.stop.clone().run_until_cancelled_owned(sweeping));
        host
    }

    /// Forgets keys, invites and records whose time is over.
    async fn sweep(networks: Weak<Networks>) {
        loop {
            let Some(networks) = networks.upgrade() else { return };
            if let Err(error) = networks.sweep().await {
                tracing::warn!(%error, "what is over in the networks could not be forgotten");
            }
            drop(networks);
            tokio::time::sleep(SWEEP).await;
        }
    }

    async fn say(&self) -> Result<(), MeshError> {
        let (mesh, network) = self.mesh().await?;
        talk::say(&mesh, &self.parts.networks, network, self.parts.about.as_ref(), &self.parts.config.region).await
    }

    async fn mesh(&self) -> Result<(Mesh, NetworkId), MeshError> {
        self.online.read().await.as_ref().map(|online| (online.mesh.clone(), online.network)).ok_or(MeshError::Offline)
    }

    /// Carries something out to its end, whether or not whoever asked for it still waits: what changes how the node stands must not stop
    /// halfway because a client went away.
    async fn whole<T, F>(&self, work: impl FnOnce(Arc<Self>) -> F + Send) -> Result<T, MeshError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MeshError>> + Send + 'static,
    {
        let host = self.itself.upgrade().ok_or(MeshError::Offline)?;
        tokio::spawn(work(host)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a change of how this node stands in its network broke off");
            Err(MeshError::Offline)
        })
    }
}

#[async_trait]
impl MeshPort for MeshHost {
    async fn standing(&self) -> Standing {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.mesh().await {
            Ok((mesh, network)) => Standing { network: Some(network), listening: with_id(&mesh, mesh.listening().await), fault },
            Err(_) => Standing { network: None, listening: Vec::new(), fault },
        }
    }

    async fn connect(&self, id: NetworkId) -> Result<Network, MeshError> {
        self.whole(|host| async move { host.go_on(id).await }).await
    }

    async fn disconnect(&self) -> Result<bool, MeshError> {
        self.whole(|host| async move { host.go_off().await }).await
    }

    async fn join(&self, code: &str, own_name: &str) -> Result<Network, MeshError> {
        let (code, own_name) = (Zeroizing::new(code.to_owned()), own_name.to_owned());
        self.whole(|host| async move { host.enter(&code, &own_name).await }).await
    }

    async fn addresses(&self) -> Vec<String> {
        let Ok((mesh, _)) = self.mesh().await else { return Vec::new() };
        let external = mesh.reachability().await.map(|reach| reach.external).unwrap_or_default();
        let all: Vec<Address> = external.into_iter().chain(mesh.listening().await).collect();
        // Its own machine alone is of use to nobody else; where there is nothing else, to tests and to nodes beside it.
        let (here, away): (Vec<Address>, Vec<Address>) = all.into_iter().partition(Address::is_loopback);
        with_id(&mesh, if away.is_empty() { here } else { away })
    }

    async fn peers(&self) -> Vec<Peer> {
        match self.mesh().await {
            Ok((mesh, _)) => mesh.peers().await.into_iter().map(peer).collect(),
            Err(_) => Vec::new(),
        }
    }

    async fn reach(&self) -> Option<Reach> {
        let (mesh, _) = self.mesh().await.ok()?;
        let reach = mesh.reachability().await.ok()?;
        let texts = |addresses: Vec<Address>| addresses.into_iter().map(String::from).collect();
        Some(Reach {
            status: match reach.status {
                ReachStatus::Unknown => "unknown",
                ReachStatus::Public => "public",
                ReachStatus::Local => "local",
                ReachStatus::Private => "private",
            },
            why: reach.why,
            external: texts(reach.external),
            listening: texts(reach.listening),
            port_mapping: match reach.port_mapping {
                PortMapping::Off => "off",
                PortMapping::Asking => "asking",
                PortMapping::Mapped { .. } => "mapped",
                PortMapping::NoGateway => "no_gateway",
                PortMapping::NotRoutable => "not_routable",
            },
            relays: reach.relays,
        })
    }

    async fn dial(&self, address: &str) -> Result<NodeId, MeshError> {
        let address: Address = address.parse().map_err(|error: kith_mesh::AddressError| MeshError::Address(error.to_string()))?;
        let (mesh, _) = self.mesh().await?;
        mesh.dial(&address).await.map_err(|error| MeshError::Unreachable(error.to_string()))
    }

    async fn rotate(&self, id: NetworkId) -> Result<Rotated, MeshError> {
        self.whole(|host| async move { host.rotate_now(id).await }).await
    }

    async fn remove(&self, id: NetworkId, node: &NodeId) -> Result<Rotated, MeshError> {
        let node = node.clone();
        self.whole(|host| async move { host.remove_now(id, &node).await }).await
    }

    async fn speedtest(&self, node: &NodeId) -> Result<Speed, MeshError> {
        let (mesh, _) = self.mesh().await?;
        let speed = self.tests.test(&mesh, node, self.parts.clock.now()).await?;
        speed::keep(&self.parts.store, &speed).await.map_err(NetworkError::from)?;
        Ok(speed)
    }

    async fn speeds(&self, node: &NodeId) -> Result<Vec<Speed>, MeshError> {
        Ok(speed::kept(&self.parts.store, node).await.map_err(NetworkError::from)?)
    }

    async fn throughput(&self) -> Vec<Throughput> {
        match self.mesh().await {
            Ok(_) => self.traffic.steps(self.parts.clock.now()),
            Err(_) => Vec::new(),
        }
    }
}

fn with_id(mesh: &Mesh, addresses: Vec<Address>) -> Vec<String> {
    addresses.into_iter().map(|address| String::from(address.with_node(mesh.node_id()))).collect()
}

fn peer(figures: kith_mesh::PeerFigures) -> Peer {
    Peer {
        node: figures.peer,
        address: figures.address.into(),
        path: match figures.path {
            Path::Direct => PeerPath::Direct,
            Path::HolePunched => PeerPath::HolePunched,
            Path::Relayed { by } => PeerPath::Relayed(by),
        },
        why: figures.why,
        rtt: figures.rtt,
        bytes_in: figures.bytes_in,
        bytes_out: figures.bytes_out,
        agent: figures.agent,
        since: figures.since,
        protocols: figures.protocols,
    }
}
