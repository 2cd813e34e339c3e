//! The members of the network as a source of models: who has one under a name, and its bytes from all who have them at once.

mod crowd;
mod vote;

use super::{Limits, MeshHost, models};
use async_trait::async_trait;
use crowd::Crowd;
use kith_blobs::{
    Blobs,
    fetch::{self, Event, FetchError, Least, Terms, Wanted, Why},
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
use vote::{Meant, Said};

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
/// How long members may be silent when they are asked for bytes that the internet has too.
const SILENCE: Duration = Duration::from_secs(6);
/// How long they may compute a tree for such bytes.
const TREE: Duration = Duration::from_secs(120);
/// What all together shall bring of such bytes: one that drips them would hold up for months what the internet gives in an hour.
const LEAST: Least = Least { rate: 64 << 10, over: Duration::from_secs(60) };
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

/// How members are asked for bytes: with less patience for those that can be had `elsewhere`.
fn terms(elsewhere: bool) -> Terms {
    let patient = Terms { patience: PATIENCE, agreement: PATIENCE, ..Terms::default() };
    if elsewhere { Terms { agreement: SILENCE, prepare: TREE, least: Some(LEAST), ..patient } } else { patient }
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
                Some((sha256, size, overrides)) => said.push(Said { by: peer.to_string(), sha256, size, overrides }),
                None => tracing::info!(%peer, %name, "a member has a model of a kind that is not known here"),
            }
        }
        let Meant { sha256, size, overrides, by } = vote::meant(said)?;
        let names = names(&host, network).await;
        Some(Told { sha256, size, overrides, by: by.iter().map(|id| called(&names, id)).collect() })
    }

    async fn fetch(&self, asked: Asked, tell: Tell) -> Result<kith_blobs::Put, NoNeighbour> {
        let Asked { sha256, size, elsewhere, room, spare } = asked;
        let nobody = || NoNeighbour::Nobody { came: None };
        let host = self.host().ok_or_else(nobody)?;
        let (mesh, _) = host.mesh().await.map_err(|_| nobody())?;
        if speaking(mesh.peers().await, PROTOCOL).is_empty() {
            return Err(nobody());
        }
        let seed: [u8; 32] = host.parts.identity.node_id().ed25519();
        let start = seed.iter().take(8).fold(0, |start: u64, byte| start << 8 | u64::from(*byte));
        let terms = Terms { download: self.limits.download.clone(), start, ..terms(elsewhere) };
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
        // What its origin says of the size is so; a member's word is a bound at most.
        let exact = elsewhere.then_some(size);
        let wanted = Wanted { what: What::Sha256(sha256), sha256: None, size: exact, limit: size, room, spare };
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
            FetchError::NoHolder | FetchError::TooLarge { .. } | FetchError::OtherSize { .. } => {
                NoNeighbour::Nobody { came: heard.root() }
            }
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
    fn members_are_waited_for_longer_where_nobody_else_has_it() {
        let (rich, poor) = (terms(true), terms(false));
        assert!(rich.agreement < poor.agreement && rich.prepare < poor.prepare);
        assert_eq!((rich.least, poor.least), (Some(LEAST), None), "where nobody else has it, slow is better than never");
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
