//! The ports that tests play.

use crate::{
    Window, WindowFile,
    configuration::{Applied, ConfigRefusal, Configuration, Release, ScheduleState, Staged, UpdateRefusal, Updates, View},
    documents::{Documents, Turn, Unread},
    lan::{Invitation, Lan, LanRefusal, LanState},
    mesh::{Mesh, MeshError, Peer, PeerPath, Reach, Rotated, Speed, Standing, Throughput},
};
use async_trait::async_trait;
use kith_blobs::Put;
use kith_documents::Text;
use kith_inference::{Catalogue, InferenceError, KeptProvider, KeyStore, KeyStoreError, ModelCard};
use kith_models::{Asked, Neighbours, NoNeighbour, Overrides, Tell, Told};
use kith_networks::{Network, NetworkId, Networks};
use kith_types::{ModelName, NodeId, Sha256, Timestamp};
use serde_json::{Map, Value};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Whatever is not asked in these tests.
pub(super) struct Fakes;

#[async_trait]
impl Catalogue for Fakes {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        Err(InferenceError::Failed(name.to_owned()))
    }
}

#[async_trait]
impl KeyStore for Fakes {
    async fn load(&self) -> Result<Vec<KeptProvider>, KeyStoreError> {
        Ok(Vec::new())
    }
    async fn save(&self, _: Vec<KeptProvider>) -> Result<(), KeyStoreError> {
        Ok(())
    }
}

#[async_trait]
impl Configuration for Fakes {
    fn view(&self) -> View {
        View { path: "config.toml".into(), settings: Vec::new(), restart_required: Vec::new() }
    }
    async fn change(&self, _: Map<String, Value>) -> Result<Applied, ConfigRefusal> {
        Ok(Applied::default())
    }
    async fn reload(&self) -> Result<Applied, ConfigRefusal> {
        Ok(Applied::default())
    }
    fn schedule(&self) -> ScheduleState {
        unreachable!("nobody asks for quiet hours here")
    }
    fn paused_until(&self) -> Option<Timestamp> {
        None
    }
}

#[async_trait]
impl Updates for Fakes {
    async fn check(&self) -> Result<Release, UpdateRefusal> {
        unreachable!("nobody asks for updates here")
    }
    async fn apply(&self) -> Result<Staged, UpdateRefusal> {
        unreachable!("nobody asks for updates here")
    }
}

impl Window for Fakes {
    fn file(&self, _: &str, _: bool) -> Option<WindowFile> {
        None
    }
}

#[async_trait]
impl Lan for Fakes {
    async fn invite(&self) -> Result<Invitation, LanRefusal> {
        Err(LanRefusal::NoAddress)
    }
    async fn pause(&self, _: bool) -> Result<LanState, LanRefusal> {
        Err(LanRefusal::NoAddress)
    }
    fn state(&self) -> LanState {
        LanState { paused: false, addresses: Vec::new(), fingerprint: None, fault: None }
    }
    async fn node_name(&self) -> String {
        "this machine".to_owned()
    }
    async fn rename_node(&self, _: &str) -> Result<String, LanRefusal> {
        Err(LanRefusal::NoAddress)
    }
}

#[async_trait]
impl Documents for Fakes {
    async fn text(&self, _: Vec<u8>, _: Turn) -> Result<Text, Unread> {
        unreachable!("nobody reads documents here")
    }
}

/// Neighbours that have what tests say, and give it at their leisure: never.
#[derive(Default)]
pub(crate) struct FakeNeighbours(Mutex<Vec<(ModelName, Told)>>);

impl FakeNeighbours {
    /// From now on these have a model of this name.
    pub fn has(&self, name: &str, by: &[&str]) {
        let by = by.iter().map(|name| (*name).to_owned()).collect();
        let told = Told { sha256: Sha256::from_bytes([7; 32]), size: 5, overrides: Overrides::default(), by };
        self.0.lock().unwrap().push((name.parse().unwrap(), told));
    }
}

#[async_trait]
impl Neighbours for FakeNeighbours {
    async fn find(&self, name: &ModelName) -> Option<Told> {
        self.0.lock().unwrap().iter().find(|(known, _)| known == name).map(|(_, told)| told.clone())
    }
    async fn fetch(&self, _: Asked, _: Tell) -> Result<Put, NoNeighbour> {
        std::future::pending().await
    }
}

/// A mesh whose connections tests make up.
pub(crate) struct FakeMesh {
    networks: Arc<Networks>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    online: Option<NetworkId>,
    fault: Option<String>,
    peers: Vec<Peer>,
    /// With whom a speed test was made.
    tested: Vec<NodeId>,
    /// What crossing connections is refused with.
    refusal: Option<fn() -> MeshError>,
}

impl FakeMesh {
    pub fn new(networks: Arc<Networks>) -> Self {
        Self { networks, state: Mutex::default() }
    }

    /// Connects a peer.
    pub fn meets(&self, node: &NodeId, path: PeerPath) {
        self.state.lock().unwrap().peers.push(Peer {
            node: node.clone(),
            address: "/ip4/192.0.2.7/tcp/4001".into(),
            path,
            why: "it listens there".into(),
            rtt: Some(Duration::from_micros(1500)),
            bytes_in: 10,
            bytes_out: 20,
            agent: Some("kith/0.1.0".into()),
            since: Timestamp::from_ms(0),
            protocols: Vec::new(),
        });
    }

    /// From now on whatever crosses connections is refused so.
    pub fn refuse(&self, refusal: fn() -> MeshError) {
        self.state.lock().unwrap().refusal = Some(refusal);
    }

    /// The connection is lost, for this reason.
    pub fn falls(&self, fault: &str) {
        let mut state = self.state.lock().unwrap();
        (state.online, state.fault) = (None, Some(fault.to_owned()));
    }

    fn check(&self) -> Result<(), MeshError> {
        let state = self.state.lock().unwrap();
        match state.refusal {
            Some(refusal) => Err(refusal()),
            None if state.online.is_none() => Err(MeshError::Offline),
            None => Ok(()),
        }
    }

    fn speed(node: &NodeId) -> Speed {
        let at = Timestamp::from_ms(5);
        Speed { node: node.clone(), at, rtt_ms: 1.5, jitter_ms: 0.5, up: 100.0, down: 200.0, bytes: 300 }
    }
}

#[async_trait]
impl Mesh for FakeMesh {
    async fn standing(&self) -> Standing {
        let state = self.state.lock().unwrap();
        let listening = state.online.map(|_| "/ip4/192.0.2.1/tcp/4001".to_owned()).into_iter().collect();
        Standing { network: state.online, listening, fault: state.fault.clone() }
    }
    async fn connect(&self, id: NetworkId) -> Result<Network, MeshError> {
        let network = self.networks.connect(id).await?;
        if let Some(refusal) = self.state.lock().unwrap().refusal {
            return Err(refusal());
        }
        self.state.lock().unwrap().online = Some(id);
        Ok(network)
    }
    async fn disconnect(&self) -> Result<bool, MeshError> {
        self.state.lock().unwrap().online = None;
        Ok(self.networks.disconnect().await?)
    }
    async fn join(&self, code: &str, own_name: &str) -> Result<Network, MeshError> {
        let network = self.networks.join(code, own_name).await?;
        self.connect(network.id).await
    }
    async fn addresses(&self) -> Vec<String> {
        self.standing().await.listening
    }
    async fn peers(&self) -> Vec<Peer> {
        self.state.lock().unwrap().peers.clone()
    }
    async fn reach(&self) -> Option<Reach> {
        let state = self.state.lock().unwrap();
        state.online.map(|_| Reach {
            status: "private",
            why: "two members tried and came through none".into(),
            external: vec!["/ip4/203.0.113.1/tcp/4001".into()],
            listening: vec!["/ip4/192.0.2.1/tcp/4001".into()],
            port_mapping: "mapped",
            relays: state.peers.iter().map(|peer| peer.node.clone()).collect(),
        })
    }
    async fn dial(&self, address: &str) -> Result<NodeId, MeshError> {
        self.check()?;
        let id = address.rsplit_once("/p2p/").and_then(|(_, id)| id.parse().ok());
        id.ok_or_else(|| MeshError::Address(format!("`{address}` is no address of a node")))
    }
    async fn rotate(&self, id: NetworkId) -> Result<Rotated, MeshError> {
        self.networks.rotate(id).await?;
        Ok(Rotated { epoch: self.networks.network(id).await?.epoch, told: self.peers().await.len() })
    }
    async fn remove(&self, id: NetworkId, node: &NodeId) -> Result<Rotated, MeshError> {
        self.networks.remove(id, node).await?;
        self.state.lock().unwrap().peers.retain(|peer| peer.node != *node);
        Ok(Rotated { epoch: self.networks.network(id).await?.epoch, told: self.peers().await.len() })
    }
    async fn speedtest(&self, node: &NodeId) -> Result<Speed, MeshError> {
        self.check()?;
        self.state.lock().unwrap().tested.push(node.clone());
        Ok(Self::speed(node))
    }
    async fn speeds(&self, node: &NodeId) -> Result<Vec<Speed>, MeshError> {
        let state = self.state.lock().unwrap();
        Ok(state.tested.iter().filter(|tested| *tested == node).map(Self::speed).collect())
    }
    async fn throughput(&self) -> Vec<Throughput> {
        vec![Throughput { at: Timestamp::from_ms(0), bytes_in: 100, bytes_out: 50 }]
    }
}
