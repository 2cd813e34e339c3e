//! Where the mesh and the networks meet: who may enter, which gossip is good, whom the node remembers.

use super::Changes;
use async_trait::async_trait;
use kith_mesh::{Admission, CachedPeer, KeyUse, PeerCache, Refusal, Validation, Verdict};
use kith_networks::{Heard, KeyPurpose, NetworkError, NetworkId, Networks};
use kith_store::Store;
use kith_types::{Clock, NodeId};
use std::{io, sync::Arc};

/// The topic of what nodes say of themselves.
pub(super) const RECORDS: &str = "records";
/// The topic of changes of the network's key.
pub(super) const ROTATIONS: &str = "rotations";

/// The networks as the door of the mesh.
pub(super) struct Door {
    pub networks: Arc<Networks>,
    /// The mesh's own network, whichever is the active one by now.
    pub network: NetworkId,
    pub changes: Changes,
    /// What the mesh's retired keys are for, in their order.
    pub retired: Vec<KeyPurpose>,
    pub clock: Arc<dyn Clock>,
}

impl Door {
    /// What a connection with that key is for. A mesh may run for longer than its retired keys are good.
    fn purpose(&self, key: KeyUse) -> Result<KeyPurpose, Refusal> {
        let KeyUse::Retired(index) = key else { return Ok(KeyPurpose::Current) };
        match self.retired.get(index) {
            Some(purpose @ KeyPurpose::Retired { until }) if *until > self.clock.now() => Ok(*purpose),
            _ => Err(Refusal::new("key_given_up", "this key of the network was given up; ask for a new invite")),
        }
    }
}

#[async_trait]
impl Admission for Door {
    async fn hello(&self, peer: &NodeId) -> Vec<u8> {
        // Whoever shows nothing is told what is missing.
        self.networks.hello(self.network, peer).await.unwrap_or_else(|error| {
            tracing::error!(%error, "this node's certificate cannot be shown");
            Vec::new()
        })
    }

    async fn judge(&self, peer: &NodeId, hello: &[u8], key: KeyUse) -> Result<Vec<u8>, Refusal> {
        let judged = self.networks.judge(self.network, peer, hello, self.purpose(key)?).await;
        judged.map(|judged| judged.welcome).map_err(|refusal| Refusal::new(refusal.code.as_str(), refusal.message))
    }

    async fn admitted(&self, peer: &NodeId, welcome: &[u8]) -> Result<(), Refusal> {
        let outcome = self.networks.admitted(self.network, peer, welcome).await;
        let outcome = outcome.map_err(|error| Refusal::new("bad_welcome", error.to_string()))?;
        if outcome.certified {
            self.changes.record();
        }
        if let Some(applied) = &outcome.applied {
            self.changes.rotation(applied);
        }
        Ok(())
    }
}

/// The networks as the judge of gossip.
pub(super) struct Judge {
    pub networks: Arc<Networks>,
    pub network: NetworkId,
    pub changes: Changes,
}

#[async_trait]
impl Validation for Judge {
    async fn validate(&self, topic: &str, author: &NodeId, _via: &NodeId, message: &[u8]) -> Verdict {
        match topic {
            RECORDS => match self.networks.hear(self.network, author, message).await {
                Ok(Heard::Accept(_)) => Verdict::Accept,
                Ok(Heard::Ignore(_)) => Verdict::Ignore,
                Ok(Heard::Reject(_)) => Verdict::Reject,
                Err(error) => {
                    tracing::warn!(%error, "a node's record cannot be kept");
                    Verdict::Ignore
                }
            },
            ROTATIONS => match self.networks.apply_rotation(self.network, author, message).await {
                Ok(applied) => {
                    self.changes.rotation(&applied);
                    if applied.news { Verdict::Accept } else { Verdict::Ignore }
                }
                Err(NetworkError::Refused(_)) => Verdict::Reject,
                // Who has not heard of the signer's removal hands it on in good faith; it is in the audit.
                Err(NetworkError::RemovedSigner) => Verdict::Ignore,
                Err(error) => {
                    tracing::warn!(%error, "a change of the network's key cannot be taken");
                    Verdict::Ignore
                }
            },
            _ => Verdict::Ignore,
        }
    }
}

/// The peers of a network, kept among the settings: as many as the mesh's own bound.
pub(super) struct Remembered {
    pub store: Store,
    pub network: NetworkId,
}

impl Remembered {
    fn key(&self) -> String {
        format!("mesh.peers.{}", self.network)
    }
}

#[async_trait]
impl PeerCache for Remembered {
    async fn load(&self) -> io::Result<Vec<CachedPeer>> {
        let text = self.store.setting(&self.key()).await.map_err(io::Error::other)?;
        // What is not understood any more is found again.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    async fn save(&self, peers: &[CachedPeer]) -> io::Result<()> {
        let text = serde_json::to_string(peers)?;
        self.store.setting_put(&self.key(), &text).await.map_err(io::Error::other)
    }
}
