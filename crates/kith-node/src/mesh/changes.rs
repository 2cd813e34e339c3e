//! What others changed, and what is to be done about it: remembered once, however often it is told, until it is carried out.

use super::MeshHost;
use kith_api::mesh::MeshError;
use kith_networks::{Applied, Membership};
use kith_types::NodeId;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// So long after the network could not be connected it is tried again; twice as long after every further time.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest of these pauses.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// A change, in the order in which they are carried out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// This node is a member no longer.
    Out,
    /// This one is a member no longer.
    Removed(NodeId),
    /// Somebody who was shut out has the key: an admin changes it again.
    RotateAgain,
    /// The key is another one.
    Key,
    /// This node's record is to be said anew.
    Record,
}

#[derive(Default)]
struct Waiting {
    /// One of each kind, and one of each member: nothing is lost, and there is no more than there are members.
    changes: Mutex<BTreeSet<Change>>,
    told: Notify,
}

/// Where ports tell what changed. Clones tell to the same place.
#[derive(Clone, Default)]
pub(super) struct Changes(Arc<Waiting>);

impl Changes {
    fn tell(&self, change: Change) {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner).insert(change);
        self.0.told.notify_one();
    }

    /// This node's record is to be said anew.
    pub fn record(&self) {
        self.tell(Change::Record);
    }

    /// The key is another one.
    pub fn key(&self) {
        self.tell(Change::Key);
    }

    /// This one is a member no longer.
    pub fn removed(&self, node: NodeId) {
        self.tell(Change::Removed(node));
    }

    /// What a rotation changed.
    pub fn rotation(&self, applied: &Applied) {
        applied.removed.iter().cloned().for_each(|node| self.removed(node));
        if applied.rotate_again {
            self.tell(Change::RotateAgain);
        }
        if applied.out {
            self.tell(Change::Out);
        } else if applied.key_changed {
            self.key();
        }
    }

    /// The change that comes first, once there is one. It is lost to nobody when the wait for it is dropped.
    async fn next(&self) -> Change {
        loop {
            let first = self.0.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match first {
                Some(change) => return change,
                None => self.0.told.notified().await,
            }
        }
    }
}

impl MeshHost {
    /// Carries out what changes, and goes onto the network again where that failed.
    pub(super) async fn follow_changes(host: Weak<Self>, changes: Changes, stop: CancellationToken) {
        let mut pause = AGAIN;
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = changes.next() => Some(change),
                () = tokio::time::sleep(pause) => None,
            };
            let Some(this) = host.upgrade() else { return };
            match change {
                Some(change) => {
                    if let Err(error) = this.carry_out(change).await {
                        tracing::warn!(%error, "a change of the network is not carried out");
                    }
                }
                None => pause = if this.mend().await { AGAIN } else { (pause * 2).min(LONGEST) },
            }
        }
    }

    async fn carry_out(&self, change: Change) -> Result<(), MeshError> {
        match change {
            Change::Record => self.say().await,
            Change::Key => self.change_key().await,
            Change::Removed(node) => {
                if let Ok((mesh, _)) = self.mesh().await {
                    mesh.forget(&node).await;
                    mesh.disconnect(&node).await;
                }
                Ok(())
            }
            Change::RotateAgain => {
                let (_, network) = self.mesh().await?;
                if self.parts.networks.network(network).await?.membership == Membership::Admin {
                    self.rotate_now(network).await?;
                }
                Ok(())
            }
            Change::Out => self.leave().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_ed25519(&[n; 32])
    }

    #[tokio::test]
    async fn nothing_that_was_told_is_lost_and_the_same_twice_is_once() {
        let changes = Changes::default();
        for n in 0..=255 {
            changes.record();
            changes.rotation(&Applied { removed: vec![node(n)], key_changed: true, rotate_again: true, ..Applied::default() });
            changes.removed(node(n));
        }
        changes.rotation(&Applied { out: true, key_changed: true, ..Applied::default() });
        assert_eq!(changes.next().await, Change::Out);
        for _ in 0..=255 {
            assert!(matches!(changes.next().await, Change::Removed(_)));
        }
        for change in [Change::RotateAgain, Change::Key, Change::Record] {
            assert_eq!(changes.next().await, change);
        }
        let more = tokio::time::timeout(Duration::from_millis(50), changes.next());
        assert!(more.await.is_err());
    }

    #[tokio::test]
    async fn what_is_told_while_it_is_waited_for_is_heard() {
        let changes = Changes::default();
        let waiting = tokio::spawn({
            let changes = changes.clone();
            async move { changes.next().await }
        });
        tokio::task::yield_now().await;
        changes.key();
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap(), Change::Key);
    }
}
