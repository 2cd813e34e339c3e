//! The members of the network as a source of models: who has one under a name, and its bytes from all who have them at once.

mod crowd;

use super::{Limits, MeshHost, models};
use async_trait::async_trait;
use crowd::Crowd;
use kith_blobs::{
    Blobs,
    fetch::{self, Event, FetchError, Terms, Wanted, Why},
    wire::{PROTOCOL, What},
};
use kith_events::Events;
use kith_mesh::{Fault, Mesh, PeerFigures};
use kith_models::{Asked, Neighbours, NoNeighbour, Step, Tell, Told};
use kith_networks::NetworkId;
use kith_types::{Blake3, ModelName, NodeId, Sha256};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// Members asked for a name at once, and in all: of a larger network somebody among them has what is there at all.
const AT_ONCE: usize = 16;
/// See [`AT_ONCE`].
const MOST_ASKED: usize = 64;
/// How long it is waited for what members say of a name.
const ALL: Duration = Duration::from_secs(6);
/// How long it is waited for others after the first who has it.
const OTHERS: Duration = Duration::from_millis(700);
/// How long nothing may come, from anybody, before the internet is asked: a member that restarts is back by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// Digits of an id that stand for a node that told no name.
const SHORT: usize = 8;

/// The members of the network that is connected, if one is.
pub(crate) struct MeshNeighbours {
    host: OnceLock<Weak<MeshHost>>,
    blobs: Blobs,
    events: Events,
    limits: Limits,
}

impl MeshNeighbours {
    /// Fetches into `blobs`, within `limits`. Nobody is there before [`MeshNeighbours::attach`].
    pub fn new(blobs: Blobs, events: Events, limits: Limits) -> Self {
        Self { host: OnceLock::new(), blobs, events, limits }
    }

    /// The mesh, once there is one. Only the first call counts.
    pub fn attach(&self, host: &Arc<MeshHost>) {
        let _ = self.host.set(Arc::downgrade(host));
    }

    fn host(&self) -> Option<Arc<MeshHost>> {
        self.host.get()?.upgrade()
    }
}

/// Those who speak a protocol, or have not said what they speak yet.
fn speaking(peers: Vec<PeerFigures>, protocol: &str) -> Vec<NodeId> {
    let speaks = |peer: &PeerFigures| peer.protocols.is_empty() || peer.protocols.iter().any(|spoken| spoken == protocol);
    peers.into_iter().filter(speaks).map(|peer| peer.peer).collect()
}

/// What the owners of nodes call them.
async fn names(host: &MeshHost, network: NetworkId) -> HashMap<String, String> {
    let known = host.parts.networks.nodes(network).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the names of members are not known");
        Vec::new()
    });
    known.into_iter().filter(|node| !node.says.name.is_empty()).map(|node| (node.node.to_string(), node.says.name)).collect()
}

/// A node's name, or the end of its id: all ids begin alike.
fn called(names: &HashMap<String, String>, id: &str) -> String {
    let short = || id.get(id.len().saturating_sub(SHORT)..).unwrap_or(id).to_owned();
    names.get(id).cloned().unwrap_or_else(short)
}

/// What the most of them mean by the name; of equals, what was said first.
fn meant<T>(said: &[(T, Sha256)]) -> Option<Sha256> {
    let votes = |sha256: &Sha256| said.iter().filter(|(_, other)| other == sha256).count();
    // Of equals the last is taken by `max_by_key`, so the first must come last.
    said.iter().map(|(_, sha256)| *sha256).rev().max_by_key(votes)
}

async fn ask_all(mesh: &Mesh, name: &ModelName) -> Vec<(NodeId, models::Manifest)> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for peer in speaking(mesh.peers().await, models::PROTOCOL).into_iter().take(MOST_ASKED) {
        let (mesh, name, places) = (mesh.clone(), name.clone(), Arc::clone(&places));
        asking.spawn(async move {
            let _place = places.acquire().await;
            let manifest = models::ask(&mesh, &peer, &name).await;
            manifest.map(|manifest| (peer, manifest))
        });
    }
    let (mut said, mut until) = (Vec::new(), Instant::now() + ALL);
    while let Ok(Some(answer)) = timeout_at(until, asking.join_next()).await {
        if let Ok(Some(answer)) = answer {
            said.push(answer);
            until = until.min(Instant::now() + OTHERS);
        }
    }
    said
}

#[async_trait]
impl Neighbours for MeshNeighbours {
    async fn find(&self, name: &ModelName) -> Option<Told> {
        let host = self.host()?;
        let (mesh, network) = host.mesh().await.ok()?;
        let mut said = Vec::new();
        for (peer, manifest) in ask_all(&mesh, name).await {
            match manifest.read() {
                Some((sha256, size, overrides)) => said.push(((peer, size, overrides), sha256)),
                None => tracing::info!(%peer, %name, "a member has a model of a kind that is not known here"),
            }
        }
        let meant = meant(&said)?;
        said.retain(|(_, sha256)| *sha256 == meant);
        let names = names(&host, network).await;
        let by = said.iter().map(|((peer, ..), _)| called(&names, peer.as_str())).collect();
        let ((_, size, overrides), sha256) = said.into_iter().next()?;
        Some(Told { sha256, size, overrides, by })
    }

    async fn fetch(&self, asked: Asked, tell: Tell) -> Result<kith_blobs::Put, NoNeighbour> {
        let Asked { sha256, size, room, spare } = asked;
        let nobody = || NoNeighbour::Nobody { came: None };
        let host = self.host().ok_or_else(nobody)?;
        let (mesh, _) = host.mesh().await.map_err(|_| nobody())?;
        if speaking(mesh.peers().await, PROTOCOL).is_empty() {
            return Err(nobody());
        }
        let seed: [u8; 32] = host.parts.identity.node_id().ed25519();
        let start = seed.iter().take(8).fold(0, |start: u64, byte| start << 8 | u64::from(*byte));
        let terms = Terms { download: self.limits.download.clone(), patience: PATIENCE, start, ..Terms::default() };
        let host = Arc::downgrade(&host);
        let crowd = Arc::new(Crowd::new(Weak::clone(&host)));
        let heard = Arc::new(Heard {
            sha256,
            tell,
            crowd: Arc::clone(&crowd),
            host,
            events: self.events.clone(),
            root: Mutex::default(),
        });
        // Further ones wait until those are known.
        let (sender, holders) = mpsc::channel(AT_ONCE);
        let wanted = Wanted { what: What::Sha256(sha256), sha256: None, limit: size, room, spare };
        let hear: fetch::Tell = Arc::new({
            let heard = Arc::clone(&heard);
            move |event| heard.hear(event)
        });
        let fetching = fetch::fetch(&self.blobs, wanted, holders, terms, hear);
        let following = crowd.follow(sender);
        tokio::pin!(fetching, following);
        let fetched = tokio::select! {
            fetched = &mut fetching => fetched,
            // Nobody else comes: it goes on with those who are there.
            () = &mut following => fetching.await,
        };
        fetched.map_err(|error| match error {
            FetchError::Blob(error) => NoNeighbour::Blob(error),
            FetchError::NoHolder | FetchError::TooLarge { .. } => NoNeighbour::Nobody { came: heard.root() },
        })
    }
}

/// What a fetch tells, and to whom it is told on.
struct Heard {
    sha256: Sha256,
    tell: Tell,
    crowd: Arc<Crowd>,
    host: Weak<MeshHost>,
    events: Events,
    root: Mutex<Option<Blake3>>,
}

impl Heard {
    fn root(&self) -> Option<Blake3> {
        *self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: Event) {
        match event {
            Event::Proven { root, held, .. } => {
                *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(root);
                (self.tell)(Step::Came { bytes: held, from: Vec::new() });
            }
            Event::Progress(progress) => {
                let gave = progress.holders.iter().filter(|(_, pace)| pace.bytes > 0).map(|(id, _)| id.as_str());
                (self.tell)(Step::Came { bytes: progress.held, from: self.crowd.gave(gave) });
            }
            Event::Verifying => (self.tell)(Step::Verifying),
            Event::Rests { holder, why } => tracing::debug!(holder, %why, "a member rests"),
            Event::Dropped { holder, why } => {
                if is_false(&why) {
                    self.accuse(&holder, &why);
                }
                tracing::debug!(holder, %why, "a member is not asked any more");
                self.crowd.dropped(holder);
            }
        }
    }

    /// Tells the owner and the mesh that a member gave what is not true.
    fn accuse(&self, holder: &str, why: &Why) {
        let data = json!({
            "node": holder, "name": self.crowd.name_of(holder), "sha256": self.sha256.to_string(), "reason": why.to_string(),
        });
        self.events.publish("blobs.false_content", data);
        let (Some(host), Ok(node)) = (self.host.upgrade(), holder.parse::<NodeId>()) else { return };
        tokio::spawn(async move {
            if let Ok((mesh, _)) = host.mesh().await {
                mesh.report(&node, Fault::FalseContent).await;
            }
        });
    }
}

/// Whether a member said or sent what is not so, and did not merely fail.
fn is_false(why: &Why) -> bool {
    matches!(why, Why::Corrupt { .. } | Why::Lied(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_most_mean_is_meant_and_of_equals_what_was_said_first() {
        let digest = |byte| Sha256::from_bytes([byte; 32]);
        let said = |digests: &[u8]| digests.iter().map(|byte| ((), digest(*byte))).collect::<Vec<_>>();
        assert_eq!(meant(&said(&[])), None);
        assert_eq!(meant(&said(&[1, 2])), Some(digest(1)));
        assert_eq!(meant(&said(&[1, 2, 2])), Some(digest(2)));
        assert_eq!(meant(&said(&[3, 1, 2, 1, 2])), Some(digest(1)));
    }

    #[test]
    fn who_told_no_name_is_called_by_the_end_of_its_id() {
        let names = HashMap::from([("12D3KooWabcdefgh".to_owned(), "den".to_owned())]);
        assert_eq!(called(&names, "12D3KooWabcdefgh"), "den");
        assert_eq!(called(&names, "12D3KooWijklmnop"), "ijklmnop");
    }

    #[test]
    fn failing_is_no_lie() {
        assert!(is_false(&Why::Corrupt { group: 1 }) && is_false(&Why::Lied(String::new())));
        assert!(![Why::Absent, Why::Stalled, Why::Slow, Why::Broken(String::new())].iter().any(is_false));
    }
}
