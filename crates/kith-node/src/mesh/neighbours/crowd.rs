//! The members whom one fetch may ask: they come and go with their connections, and those who have nothing to give are counted.

use super::{MeshHost, called, names, speaking};
use async_trait::async_trait;
use kith_blobs::{
    fetch::{Change, Holder, Wire},
    wire::PROTOCOL,
};
use kith_types::NodeId;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc::Sender},
    time::timeout,
};

/// How often it is looked who is connected.
const LOOK: Duration = Duration::from_millis(500);

/// Who is there. Bounded by the connections of the mesh, and over the life of a fetch by the members of the network.
pub struct Crowd {
    host: Weak<MeshHost>,
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    names: HashMap<String, String>,
    /// Those who are not asked any more, until they come back.
    dropped: HashSet<String>,
    /// Those who gave something, in the order of their ids.
    gave: BTreeSet<String>,
}

/// A member. It is reached over the mesh of the moment: another one after the network's key was changed.
struct Member {
    host: Weak<MeshHost>,
    node: NodeId,
}

#[async_trait]
impl Holder for Member {
    fn id(&self) -> &str {
        self.node.as_str()
    }

    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let host = self.host.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let (mesh, _) = host.mesh().await.map_err(io::Error::other)?;
        let stream = mesh.open(&self.node, PROTOCOL).await.map_err(io::Error::other)?;
        Ok(Box::new(stream))
    }
}

impl Crowd {
    pub fn new(host: Weak<MeshHost>) -> Self {
        Self { host, seen: Mutex::default(), changed: Notify::new() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the owner calls a member.
    pub fn name_of(&self, id: &str) -> String {
        called(&self.seen().names, id)
    }

    /// Notes who gave something; gives the names of all who did.
    pub fn gave<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut seen = self.seen();
        seen.gave.extend(ids.map(str::to_owned));
        seen.gave.iter().map(|id| called(&seen.names, id)).collect()
    }

    /// A member is not asked any more.
    pub fn dropped(&self, id: String) {
        self.seen().dropped.insert(id);
        self.changed.notify_one();
    }

    /// Tells who comes and who goes. Ends when all who are there have nothing to give, and when nobody listens.
    pub async fn follow(&self, changes: Sender<Change>) {
        let mut present = BTreeSet::new();
        loop {
            let Some(now) = self.look().await else { return };
            for node in present.difference(&now) {
                // Who comes back is asked again.
                self.seen().dropped.remove(node.as_str());
                if changes.send(Change::Left(node.to_string())).await.is_err() {
                    return;
                }
            }
            let new: Vec<NodeId> = now.difference(&present).cloned().collect();
            for node in new {
                let member = Member { host: Weak::clone(&self.host), node };
                if changes.send(Change::Joined(Arc::new(member))).await.is_err() {
                    return;
                }
            }
            present = now;
            if self.is_over(&present) {
                return;
            }
            let _ = timeout(LOOK, self.changed.notified()).await;
        }
    }

    /// Who is connected; their names are looked up when somebody is new. `None` once the node ends.
    async fn look(&self) -> Option<BTreeSet<NodeId>> {
        let host = self.host.upgrade()?;
        let Ok((mesh, network)) = host.mesh().await else { return Some(BTreeSet::new()) };
        let now: BTreeSet<NodeId> = speaking(mesh.peers().await, PROTOCOL).into_iter().collect();
        let known = |node: &NodeId| self.seen().names.contains_key(node.as_str());
        if !now.iter().all(known) {
            let mut names = names(&host, network).await;
            for node in &now {
                // One without a name has its id for one: it is not looked up each time.
                let name = called(&names, node.as_str());
                names.insert(node.to_string(), name);
            }
            self.seen().names = names;
        }
        Some(now)
    }

    /// Whether somebody is there, and nobody who has anything to give.
    fn is_over(&self, present: &BTreeSet<NodeId>) -> bool {
        let seen = self.seen();
        !present.is_empty() && present.iter().all(|node| seen.dropped.contains(node.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_all_who_are_there_have_nothing_to_give() {
        let crowd = Crowd::new(Weak::new());
        let nodes: BTreeSet<NodeId> = [1, 2].map(|byte| NodeId::from_ed25519(&[byte; 32])).into();
        assert!(!crowd.is_over(&BTreeSet::new()), "who is away may come back");
        for node in &nodes {
            assert!(!crowd.is_over(&nodes));
            crowd.dropped(node.to_string());
        }
        assert!(crowd.is_over(&nodes));
    }

    #[test]
    fn who_gave_something_is_named_even_after_it_has_gone() {
        let crowd = Crowd::new(Weak::new());
        crowd.seen().names = HashMap::from([("a".to_owned(), "den".to_owned()), ("b".to_owned(), "attic".to_owned())]);
        assert_eq!(crowd.gave(["b"].into_iter()), ["attic"]);
        assert_eq!(crowd.gave(["a"].into_iter()), ["den", "attic"]);
        assert_eq!(crowd.gave([].into_iter()), ["den", "attic"]);
    }

    #[tokio::test]
    async fn it_ends_with_the_node() {
        let (sender, _receiver) = tokio::sync::mpsc::channel(1);
        timeout(Duration::from_secs(1), Crowd::new(Weak::new()).follow(sender)).await.unwrap();
    }
}
