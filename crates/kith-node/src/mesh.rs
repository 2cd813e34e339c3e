//! The node on its private network: the mesh is started when a network is connected and ends with it, and what happens there is told.

mod blobs;
mod config;
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
use kith_api::mesh::{Mesh as MeshPort, MeshError, Peer, PeerPath, Reach, Speed, Standing, Throughput};
use kith_blobs::{Blobs, Gate};
use kith_events::Events;
use kith_keys::Identity;
use kith_mesh::{
    Address, Mesh, NetworkKey, NodeSeed, Path, PortMapping, Ports, ReachStatus, StartError, bounds::MAX_RETIRED_KEYS,
};
use kith_models::Library;
use kith_networks::{Applied, KeyPurpose, Membership, Network, NetworkError, NetworkId, Networks};
use kith_store::Store;
use kith_types::{Clock, NodeId};
use ports::{Door, Judge, Remembered};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::sync::{RwLock, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use traffic::Traffic;

/// How long a newcomer waits for a member that takes it in.
const ADMISSION: Duration = Duration::from_secs(20);
/// How often it looks whether it was.
const LOOK: Duration = Duration::from_millis(50);
/// Changes that wait to be carried out; the same one twice is one.
const CHANGES: usize = 16;
/// The pause between two looks for what is over.
const SWEEP: Duration = Duration::from_secs(60 * 60);
/// How long a new key is handed on under the old one before this node goes over to it.
const HAND_ON: Duration = Duration::from_millis(500);

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
    /// Ends what belongs to it.
    ended: CancellationToken,
}

/// What others changed, and what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// This node's record is to be said anew.
    Record,
    /// The key is another one.
    Key,
    /// These are members no longer.
    Removed(Vec<NodeId>),
    /// This node is a member no longer.
    Out,
    /// Somebody who was shut out has the key: an admin changes it again.
    RotateAgain,
}

/// Where ports tell what changed.
#[derive(Clone)]
struct Changes(mpsc::Sender<Change>);

impl Changes {
    fn tell(&self, change: Change) {
        // Full means that much is about to be looked at anyway; the next rotation or record comes again.
        if self.0.try_send(change).is_err() {
            tracing::warn!("changes of the network wait; one is looked at later");
        }
    }

    fn record(&self) {
        self.tell(Change::Record);
    }

    fn key(&self) {
        self.tell(Change::Key);
    }

    fn rotation(&self, applied: &Applied) {
        if !applied.removed.is_empty() {
            self.tell(Change::Removed(applied.removed.clone()));
        }
        if applied.rotate_again {
            self.tell(Change::RotateAgain);
        }
        if applied.out {
            self.tell(Change::Out);
        } else if applied.key_changed {
            self.key();
        }
    }
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
    /// One speed test at a time, of those this node asked for.
    testing: Semaphore,
    /// And of those it is asked for.
    tested: Arc<Semaphore>,
    sharing: Arc<blobs::Sharing>,
    itself: Weak<Self>,
}

impl MeshHost {
    /// The mesh; nothing is connected yet.
    pub fn new(parts: MeshParts) -> Arc<Self> {
        let (changes, waiting) = mpsc::channel(CHANGES);
        let MeshParts { blobs, library, limits, giving, events, stop, .. } = &parts;
        let sharing = blobs::Sharing::new(blobs.clone(), Arc::clone(library), limits, Arc::clone(giving), events.clone());
        let noting = blobs::Sharing::note(Arc::clone(library), blobs.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(noting));
        let host = Arc::new_cyclic(|itself| Self {
            parts,
            changes: Changes(changes),
            online: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            fault: Mutex::default(),
            traffic: Traffic::default(),
            testing: Semaphore::new(1),
            tested: Arc::new(Semaphore::new(1)),
            sharing,
            itself: itself.clone(),
        });
        tokio::spawn(Self::follow_changes(Arc::downgrade(&host), waiting, host.parts.stop.clone()));
        let sweeping = Self::sweep(Arc::downgrade(&host.parts.networks));
        tokio::spawn(host.parts.stop.clone().run_until_cancelled_owned(sweeping));
        host
    }

    /// Goes onto the network that was connected last. A network that cannot be connected is told, and tried again later by its owner.
    pub async fn resume(&self) {
        let active = self.parts.networks.active().await;
        match active {
            Ok(Some(network)) if network.connected => {
                let _one = self.changing.lock().await;
                if let Err(error) = self.start(&network).await {
                    tracing::error!(%error, network = network.name, "the network is not connected");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the networks cannot be read"),
        }
    }

    /// Leaves the mesh, as the node ends.
    pub async fn stop(&self) {
        let _one = self.changing.lock().await;
        self.end().await;
    }

    async fn end(&self) -> bool {
        let Some(online) = self.online.write().await.take() else { return false };
        online.ended.cancel();
        online.mesh.stop().await;
        self.parts.events.publish("mesh.stopped", serde_json::json!({"network": online.network}));
        true
    }

    fn tell_fault(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Starts the mesh of a network, with its present key; whoever comes with an earlier one is given that.
    async fn start(&self, network: &Network) -> Result<(), MeshError> {
        let started = self.try_start(network).await;
        self.tell_fault(started.as_ref().err().map(ToString::to_string));
        started
    }

    async fn try_start(&self, network: &Network) -> Result<(), MeshError> {
        let parts = &self.parts;
        let keys = parts.networks.keys_to_listen(network.id).await?;
        let (present, mut retired): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.purpose == KeyPurpose::Current);
        retired.truncate(MAX_RETIRED_KEYS);
        let key = present.into_iter().next();
        let key = key.ok_or_else(|| MeshError::Start("the network's key is not known".to_owned()))?;
        let mut config = kith_mesh::MeshConfig::new(
            NodeSeed::new(*parts.identity.seed()),
            NetworkKey::new(*key.psk.as_bytes()),
            network.id.to_string(),
        );
        config.retired = retired.iter().map(|key| NetworkKey::new(*key.psk.as_bytes())).collect();
        config.external = parts.config.external.iter().filter_map(|address| address.parse().ok()).collect();
        // A member's own words: what is no address is nowhere.
        config.bootstrap = network.bootstrap.iter().filter_map(|address| address.parse().ok()).collect();
        config.discovery = parts.config.discovery;
        config.upnp = parts.config.upnp;
        config.relay = parts.config.relay;
        config.listen = parts.config.listen(parts.config.port);
        let ports = Ports {
            admission: Arc::new(Door {
                networks: Arc::clone(&parts.networks),
                network: network.id,
                changes: self.changes.clone(),
                retired: retired.into_iter().map(|key| key.purpose).collect(),
                clock: Arc::clone(&parts.clock),
            }),
            validation: Arc::new(Judge {
                networks: Arc::clone(&parts.networks),
                network: network.id,
                changes: self.changes.clone(),
            }),
            cache: Arc::new(Remembered { store: parts.store.clone(), network: network.id }),
            clock: Arc::clone(&parts.clock),
        };
        let router = || protocols::router(parts, &self.changes, &self.tested, &self.sharing, network.id);
        let started = match Mesh::start(config.clone(), router()?, ports.clone()).await {
            Err(StartError::Listen { address, reason }) if !parts.config.port_is_set => {
                tracing::warn!(%address, reason, "the usual port is taken; taking another");
                config.listen = parts.config.listen(0);
                Mesh::start(config, router()?, ports).await
            }
            started => started,
        };
        let (mesh, events) = started.map_err(|error| MeshError::Start(error.to_string()))?;
        for topic in [ports::RECORDS, ports::ROTATIONS] {
            mesh.subscribe(topic).await.map_err(|error| MeshError::Start(error.to_string()))?;
        }
        let ended = parts.stop.child_token();
        parts.events.publish("mesh.started", serde_json::json!({"network": network.id, "name": network.name}));
        let talk = talk::Talk {
            networks: Arc::clone(&parts.networks),
            events: parts.events.clone(),
            about: Arc::clone(&parts.about),
            mesh: mesh.clone(),
            network: network.id,
            region: parts.config.region.clone(),
            changes: self.changes.clone(),
        };
        let talk = Arc::new(talk);
        tokio::spawn(ended.clone().run_until_cancelled_owned(Arc::clone(&talk).follow(events)));
        tokio::spawn(ended.clone().run_until_cancelled_owned(talk.keep_saying()));
        tokio::spawn(ended.clone().run_until_cancelled_owned(Self::measure(self.itself.clone(), mesh.clone())));
        *self.online.write().await = Some(Online { mesh, network: network.id, ended });
        Ok(())
    }

    async fn measure(host: Weak<Self>, mesh: Mesh) {
        loop {
            let Some(this) = host.upgrade() else { return };
            let at = this.parts.clock.now();
            drop(this);
            tokio::time::sleep(traffic::STEP).await;
            let peers = mesh.peers().await;
            let Some(this) = host.upgrade() else { return };
            this.traffic.note(at, peers.into_iter().map(|peer| (peer.peer, peer.bytes_in, peer.bytes_out)));
        }
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

    async fn follow_changes(host: Weak<Self>, mut waiting: mpsc::Receiver<Change>, stop: CancellationToken) {
        while let Some(Some(change)) = stop.run_until_cancelled(waiting.recv()).await {
            let Some(this) = host.upgrade() else { return };
            if let Err(error) = this.carry_out(change).await {
                tracing::warn!(%error, "a change of the network is not carried out");
            }
        }
    }

    async fn carry_out(&self, change: Change) -> Result<(), MeshError> {
        match change {
            Change::Record => self.say().await,
            Change::Key => self.change_key().await,
            Change::Removed(nodes) => {
                if let Ok((mesh, _)) = self.mesh().await {
                    for node in nodes {
                        mesh.forget(&node).await;
                        mesh.disconnect(&node).await;
                    }
                }
                Ok(())
            }
            Change::RotateAgain => {
                let (_, network) = self.mesh().await?;
                if self.parts.networks.network(network).await?.membership == Membership::Admin {
                    self.rotate(network).await?;
                }
                Ok(())
            }
            Change::Out => {
                let _one = self.changing.lock().await;
                self.end().await;
                self.parts.networks.disconnect().await?;
                self.tell_fault(Some("another device removed this one from the network".to_owned()));
                Ok(())
            }
        }
    }

    async fn say(&self) -> Result<(), MeshError> {
        let (mesh, network) = self.mesh().await?;
        talk::say(&mesh, &self.parts.networks, network, self.parts.about.as_ref(), &self.parts.config.region).await
    }

    /// Goes over to the present key, after a moment in which it is handed on under the old one.
    async fn change_key(&self) -> Result<(), MeshError> {
        tokio::time::sleep(HAND_ON).await;
        let _one = self.changing.lock().await;
        let Some(network) = self.online.read().await.as_ref().map(|online| online.network) else { return Ok(()) };
        let network = self.parts.networks.network(network).await?;
        self.end().await;
        self.start(&network).await
    }

    async fn mesh(&self) -> Result<(Mesh, NetworkId), MeshError> {
        self.online.read().await.as_ref().map(|online| (online.mesh.clone(), online.network)).ok_or(MeshError::Offline)
    }

    /// Waits until a member took this node in; what the one who refused said otherwise.
    async fn await_admission(
        &self,
        id: NetworkId,
        mut events: Option<tokio::sync::broadcast::Receiver<kith_mesh::Event>>,
    ) -> Result<Network, MeshError> {
        let begun = Instant::now();
        let mut refused = None;
        loop {
            let network = self.parts.networks.network(id).await?;
            if matches!(network.membership, Membership::Member | Membership::Admin) {
                return Ok(network);
            }
            while let Some(Ok(event)) = events.as_mut().map(tokio::sync::broadcast::Receiver::try_recv) {
                if let kith_mesh::Event::Refused { by: kith_mesh::Refuser::Peer, message, code, .. } = event {
                    refused = Some((code, message));
                }
            }
            if let Some((code, message)) = refused.take_if(|(code, _)| talk::is_final(code)) {
                tracing::info!(code, message, "the invite does not let this node in");
                return Err(MeshError::Unreachable(message));
            }
            if begun.elapsed() > ADMISSION {
                let silence = "no member of the network answers at the addresses in the invite; it is tried again while the network is connected";
                return Err(MeshError::Unreachable(refused.map_or_else(|| silence.to_owned(), |(_, message)| message)));
            }
            tokio::time::sleep(LOOK).await;
        }
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
        let _one = self.changing.lock().await;
        let network = self.parts.networks.connect(id).await?;
        if self.online.read().await.as_ref().is_none_or(|online| online.network != id) {
            self.end().await;
            self.start(&network).await?;
        }
        Ok(network)
    }

    async fn disconnect(&self) -> Result<bool, MeshError> {
        let _one = self.changing.lock().await;
        let was = self.end().await;
        self.tell_fault(None);
        Ok(self.parts.networks.disconnect().await? || was)
    }

    async fn join(&self, code: &str, own_name: &str) -> Result<Network, MeshError> {
        let before = self.parts.networks.active().await?.filter(|network| network.connected);
        let network = self.parts.networks.join(code, own_name).await?;
        self.connect(network.id).await?;
        let events = self.mesh().await.ok().map(|(mesh, _)| mesh.events());
        let joined = self.await_admission(network.id, events).await;
        if let Err(MeshError::Unreachable(_)) = &joined
            && self.parts.networks.network(network.id).await?.membership == Membership::Invited
        {
            // Nothing is gained by a network that does not let this node in; the node goes back to where it was.
            self.disconnect().await?;
            self.parts.networks.forget(network.id).await?;
            if let Some(before) = before {
                self.connect(before.id).await?;
            }
        }
        joined
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

    async fn rotate(&self, id: NetworkId) -> Result<u64, MeshError> {
        let bundle = self.parts.networks.rotate(id).await?;
        self.hand_on(id, &bundle).await;
        Ok(self.parts.networks.network(id).await?.epoch)
    }

    async fn remove(&self, id: NetworkId, node: &NodeId) -> Result<u64, MeshError> {
        let bundle = self.parts.networks.remove(id, node).await?;
        self.changes.tell(Change::Removed(vec![node.clone()]));
        self.hand_on(id, &bundle).await;
        Ok(self.parts.networks.network(id).await?.epoch)
    }

    async fn speedtest(&self, node: &NodeId) -> Result<Speed, MeshError> {
        let (mesh, _) = self.mesh().await?;
        let _one = self.testing.try_acquire().map_err(|_| MeshError::Busy)?;
        let at = self.parts.clock.now();
        let speed = speed::test(&mesh, node, at).await?;
        speed::keep(&self.parts.store, &speed).await.map_err(NetworkError::from)?;
        Ok(speed)
    }

    async fn speeds(&self, node: &NodeId) -> Result<Vec<Speed>, MeshError> {
        Ok(speed::kept(&self.parts.store, node).await.map_err(NetworkError::from)?)
    }

    async fn throughput(&self) -> Vec<Throughput> {
        self.traffic.steps()
    }
}

impl MeshHost {
    /// Tells a new key to all who are connected, and goes over to it.
    async fn hand_on(&self, id: NetworkId, bundle: &kith_networks::RotationBundle) {
        if let Ok((mesh, network)) = self.mesh().await
            && network == id
        {
            protocols::hand_on(&mesh, bundle).await;
            self.changes.key();
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
