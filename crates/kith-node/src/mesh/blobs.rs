//! What this node gives to the members of its network: the bytes of its models and of nothing else, as fast and as long as its owner lets it.

use super::Limits;
use kith_blobs::{Blobs, Bounds, Gate, Mismatch, Policy, Served, Server, wire::PROTOCOL};
use kith_events::Events;
use kith_mesh::{Fault, Inbound, RouteError, Router};
use kith_models::Library;
use kith_types::{Blake3, NodeId};
use serde_json::json;
use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// How often the library is looked at while somebody has a stream open: so long after its removal a model may still be given.
const LOOK: Duration = Duration::from_secs(2);

/// What the models of the library are made of, as it was looked up last.
#[derive(Default)]
struct Listed {
    roots: RwLock<HashSet<Blake3>>,
    at: Mutex<Option<Instant>>,
}

/// Members of the network may have every model, and nothing that is not one: no upload, no picture, no adapter, nothing half-fetched.
struct Models(Arc<Listed>);

impl Policy for Models {
    fn shares(&self, _peer: &str, root: &Blake3) -> bool {
        self.0.roots.read().unwrap_or_else(PoisonError::into_inner).contains(root)
    }
}

/// The giving side.
pub(super) struct Sharing {
    server: Server,
    listed: Arc<Listed>,
    pub library: Arc<Library>,
    events: Events,
    /// Whether anything is given now.
    pub gate: Gate,
}

impl Sharing {
    pub fn new(blobs: Blobs, library: Arc<Library>, limits: &Limits, gate: Gate, events: Events) -> Arc<Self> {
        let listed = Arc::<Listed>::default();
        let upload = limits.upload.clone();
        let server = Server::new(blobs, Models(Arc::clone(&listed)), Bounds::default(), upload, Arc::clone(&gate));
        Arc::new(Self { server, listed, library, events, gate })
    }

    /// Notes under which SHA-256 members will ask for the models that are here, and computes the trees of their bytes, one after the
    /// other: for those that came before such notes were taken and such trees were kept. Otherwise the first who asks would wait.
    pub async fn note(library: Arc<Library>, blobs: Blobs) {
        let models = match library.digests().await {
            Ok(models) => models,
            Err(error) => return tracing::warn!(%error, "members cannot ask for older models by their digests"),
        };
        for (sha256, root) in &models {
            blobs.note_digests(sha256, root).await;
        }
        for (_, root) in models {
            if let Err(error) = blobs.prepare(&root).await {
                tracing::debug!(%root, %error, "a model's tree cannot be computed now");
            }
        }
    }

    /// Looks which models there are, unless somebody did less than `old` ago.
    async fn look(&self, old: Duration) {
        {
            let mut at = self.listed.at.lock().unwrap_or_else(PoisonError::into_inner);
            if at.is_some_and(|at| at.elapsed() < old) {
                return;
            }
            *at = Some(Instant::now());
        }
        match self.library.digests().await {
            Ok(models) => {
                let roots = models.into_iter().map(|(_, root)| root).collect();
                *self.listed.roots.write().unwrap_or_else(PoisonError::into_inner) = roots;
            }
            Err(error) => {
                // What is not known is not given.
                self.listed.roots.write().unwrap_or_else(PoisonError::into_inner).clear();
                tracing::warn!(%error, "the library cannot be read; its models are not given to members");
            }
        }
    }

    async fn serve(&self, mut inbound: Inbound) {
        let peer = inbound.stream.peer().clone();
        self.look(Duration::ZERO).await;
        let ended = {
            let serving = self.server.serve(peer.as_str(), &mut inbound.stream);
            tokio::pin!(serving);
            loop {
                tokio::select! {
                    ended = &mut serving => break ended,
                    () = tokio::time::sleep(LOOK) => self.look(LOOK).await,
                }
            }
        };
        if self.tell(&peer, ended) {
            inbound.report(Fault::BadFrame);
        }
    }

    /// Tells how a stream ended; whether by the peer's fault.
    fn tell(&self, peer: &NodeId, ended: io::Result<Served>) -> bool {
        let error = match ended {
            Ok(served) => {
                tracing::debug!(%peer, requests = served.requests, bytes = served.bytes, "gave bytes of models");
                return false;
            }
            Err(error) => error,
        };
        let own = error.get_ref().is_some_and(|inner| inner.is::<Mismatch>());
        match error.kind() {
            io::ErrorKind::InvalidData if own => {
                let data = json!({"node": peer, "reason": "bytes of a model on this disk are damaged; they were not given"});
                self.events.publish_coalesced("blobs.damaged", "", data);
                false
            }
            io::ErrorKind::InvalidData => {
                let data = json!({"node": peer, "reason": error.to_string()});
                self.events.publish_coalesced("blobs.refused", peer.as_str(), data);
                true
            }
            _ => {
                tracing::debug!(%peer, %error, "a stream with bytes of models broke off");
                false
            }
        }
    }
}

/// Adds what members ask for.
pub(super) fn route(router: Router, sharing: &Arc<Sharing>) -> Result<Router, RouteError> {
    let sharing = Arc::clone(sharing);
    router.route(PROTOCOL, move |inbound: Inbound| {
        let sharing = Arc::clone(&sharing);
        async move { sharing.serve(inbound).await }
    })
}
