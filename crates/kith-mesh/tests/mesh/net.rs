//! A network of meshes for tests: every node on a port of its own, an admission of simple words, a cache in memory.

use async_trait::async_trait;
use kith_mesh::{
    Address, Admission, Bounds, CachedPeer, Event, Mesh, MeshConfig, NetworkKey, NodeSeed, PeerCache, Ports, Refusal, Router,
    Validation, Verdict,
};
use kith_types::{NodeId, SystemClock};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::broadcast;

/// No test waits longer for one thing.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Lets in whoever says the word.
pub struct Word(pub &'static str);

#[async_trait]
impl Admission for Word {
    async fn hello(&self, _: &NodeId) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    async fn judge(&self, _: &NodeId, hello: &[u8]) -> Result<Vec<u8>, Refusal> {
        if hello == self.0.as_bytes() { Ok(Vec::new()) } else { Err(Refusal::new("wrong_word", "That is not the word.")) }
    }

    async fn admitted(&self, _: &NodeId, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Rejects what begins with `bad`, and ignores what begins with `dull`.
pub struct Taste;

#[async_trait]
impl Validation for Taste {
    async fn validate(&self, _: &str, _: &NodeId, _: &NodeId, message: &[u8]) -> Verdict {
        match message {
            [b'b', b'a', b'd', ..] => Verdict::Reject,
            [b'd', b'u', b'l', b'l', ..] => Verdict::Ignore,
            _ => Verdict::Accept,
        }
    }
}

/// Accepts everything: a node that hands on what it should not.
pub struct Anything;

#[async_trait]
impl Validation for Anything {
    async fn validate(&self, _: &str, _: &NodeId, _: &NodeId, _: &[u8]) -> Verdict {
        Verdict::Accept
    }
}

#[derive(Default)]
pub struct Memory(pub Mutex<Vec<CachedPeer>>);

#[async_trait]
impl PeerCache for Memory {
    async fn load(&self) -> std::io::Result<Vec<CachedPeer>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn save(&self, peers: &[CachedPeer]) -> std::io::Result<()> {
        *self.0.lock().unwrap() = peers.to_vec();
        Ok(())
    }
}

/// A node to be.
pub struct Plan {
    pub config: MeshConfig,
    pub router: Router,
    pub word: &'static str,
    pub validation: Arc<dyn Validation>,
    pub cache: Arc<Memory>,
}

pub fn plan(seed: u8) -> Plan {
    let mut config = MeshConfig::new(NodeSeed::new([seed; 32]), NetworkKey::new([42; 32]), "test");
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    Plan { config, router: Router::new(), word: "friend", validation: Arc::new(Taste), cache: Arc::default() }
}

impl Plan {
    pub fn key(mut self, key: u8) -> Self {
        self.config.key = NetworkKey::new([key; 32]);
        self
    }

    pub fn word(mut self, word: &'static str) -> Self {
        self.word = word;
        self
    }

    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    pub fn bounds(mut self, change: impl FnOnce(&mut Bounds)) -> Self {
        change(&mut self.config.bounds);
        self
    }

    pub async fn start(self) -> TestNode {
        let ports = Ports {
            admission: Arc::new(Word(self.word)),
            validation: self.validation,
            cache: Arc::clone(&self.cache) as Arc<dyn PeerCache>,
            clock: Arc::new(SystemClock),
        };
        let listens = !self.config.listen.is_empty();
        let (mesh, events) = Mesh::start(self.config, self.router, ports).await.unwrap();
        let mut node = TestNode { mesh, events, address: None, cache: self.cache };
        if listens {
            let address = node.until(|event| match event {
                Event::Listening(address) => Some(address.clone()),
                _ => None,
            });
            node.address = Some(address.await.with_node(node.mesh.node_id()));
        }
        node
    }
}

pub struct TestNode {
    pub mesh: Mesh,
    pub events: broadcast::Receiver<Event>,
    address: Option<Address>,
    pub cache: Arc<Memory>,
}

impl TestNode {
    pub fn id(&self) -> NodeId {
        self.mesh.node_id().clone()
    }

    pub fn address(&self) -> &Address {
        self.address.as_ref().expect("the node listens")
    }

    /// The first event from now on that `wanted` recognises.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                match self.events.recv().await {
                    Ok(event) => {
                        if let Some(found) = wanted(&event) {
                            return found;
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => panic!("the mesh ended"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("the event comes in time")
    }

    pub async fn connect(&self, other: &TestNode) {
        assert_eq!(self.mesh.dial(other.address()).await, Ok(other.id()));
    }

    pub async fn is_connected_to(&self, other: &NodeId) -> bool {
        self.mesh.peers().await.iter().any(|peer| peer.peer == *other)
    }
}

/// Waits until `what` holds.
pub async fn eventually(mut what: impl AsyncFnMut() -> bool) {
    let search = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("it comes to be in time");
}
