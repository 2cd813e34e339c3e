//! Founding, joining, connecting, forgetting; and the little world in which the other tests play.

use super::*;
use crate::{Admitted, InviteOrder, Issued, Judged, KeyPurpose, Membership, Refusal};
use kith_keys::{KeyProvider, OsEntropy};
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(crate) fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// One node with its own store, key and clock.
pub(crate) struct Node {
    pub(crate) networks: Networks,
    pub(crate) store: Store,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) events: Events,
    pub(crate) folder: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        let sealer = Sealer::load_or_create(folder.path(), KeyProvider::File, Arc::new(OsEntropy)).unwrap();
        let identity = Identity::load_or_create(folder.path(), &sealer).unwrap();
        let clock = Arc::new(FakeClock(AtomicI64::new(1_700_000_000_000)));
        let events = Events::new(Arc::clone(&clock) as _);
        let networks = Networks::new(NetworksParts {
            store: store.clone(),
            identity: Arc::new(identity),
            sealer: Arc::new(sealer),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(OsEntropy),
            events: events.clone(),
        });
        Self { networks, store, clock, events, folder }
    }

    pub(crate) fn id(&self) -> &NodeId {
        self.networks.identity.node_id()
    }

    pub(crate) fn told(&self, kind: &str) -> usize {
        self.events.recent().iter().filter(|event| event.kind == kind).count()
    }

    /// Founds a network and connects it.
    pub(crate) async fn found(&self) -> NetworkId {
        let id = self.networks.create("Home", "first").await.unwrap().id;
        self.networks.connect(id).await.unwrap().id
    }

    pub(crate) async fn invite(&self, id: NetworkId, order: InviteOrder) -> Issued {
        self.networks.invite(id, order).await.unwrap()
    }

    /// Takes an invite and connects.
    pub(crate) async fn take(&self, issued: &Issued, name: &str) -> NetworkId {
        let id = self.networks.join(&issued.url, name).await.unwrap().id;
        self.networks.connect(id).await.unwrap();
        id
    }

    pub(crate) async fn membership(&self, id: NetworkId) -> Membership {
        self.networks.network(id).await.unwrap().membership
    }

    /// The network it is on.
    pub(crate) async fn on(&self) -> NetworkId {
        self.networks.active().await.unwrap().unwrap().id
    }

    /// Judges what `peer` shows on the network it is on, on a connection of this node's network.
    pub(crate) async fn judge(&self, peer: &Self) -> Result<Judged, Refusal> {
        let hello = peer.networks.hello(peer.on().await, self.id()).await.unwrap();
        self.networks.judge(self.on().await, peer.id(), &hello, KeyPurpose::Current).await
    }

    /// What happens when two nodes connect: both judge, both hear the other's welcome.
    pub(crate) async fn meet(&self, peer: &Self) -> Result<(Admitted, Admitted), Refusal> {
        self.meet_on(peer, KeyPurpose::Current).await
    }

    /// As [`Node::meet`], on a connection that `self` took with such a key.
    pub(crate) async fn meet_on(&self, peer: &Self, key: KeyPurpose) -> Result<(Admitted, Admitted), Refusal> {
        let (on, there) = (self.on().await, peer.on().await);
        let theirs = peer.networks.hello(there, self.id()).await.unwrap();
        let ours = self.networks.hello(on, peer.id()).await.unwrap();
        let judged = self.networks.judge(on, peer.id(), &theirs, key).await?;
        let back = peer.networks.judge(there, self.id(), &ours, KeyPurpose::Current).await?;
        let there = peer.networks.admitted(there, self.id(), &judged.welcome).await.unwrap();
        let here = self.networks.admitted(on, peer.id(), &back.welcome).await.unwrap();
        Ok((here, there))
    }
}

impl Admitted {
    pub(crate) fn key_changed(&self) -> bool {
        self.applied.as_ref().is_some_and(|applied| applied.key_changed)
    }
}

/// A node that came in by an invite of `host`.
pub(crate) async fn guest(host: &Node, id: NetworkId, role: Role, name: &str) -> Node {
    let node = Node::new().await;
    let issued = host.invite(id, InviteOrder { role, ..InviteOrder::default() }).await;
    node.take(&issued, name).await;
    host.meet(&node).await.unwrap();
    node
}

#[tokio::test]
async fn a_founded_network_is_saved_with_its_founder_as_admin_and_not_yet_active() {
    let ann = Node::new().await;
    let network = ann.networks.create(" Home ", "Ann's laptop").await.unwrap();
    assert_eq!((network.name.as_str(), network.membership, network.members), ("Home", Membership::Admin, 1));
    assert_eq!((network.active, network.connected, network.epoch), (false, false, 0));
    assert_eq!(ann.networks.networks().await.unwrap(), [network]);
    assert_eq!(ann.networks.active().await.unwrap(), None);
    assert_eq!(ann.told("network.created"), 1);
}

#[tokio::test]
async fn names_have_their_bounds() {
    let ann = Node::new().await;
    for wrong in ["", "  ", "a\nb", &"x".repeat(65)] {
        assert!(matches!(ann.networks.create(wrong, "me").await, Err(NetworkError::Invalid { field: "name", .. })));
        assert!(matches!(ann.networks.create("Home", wrong).await, Err(NetworkError::Invalid { field: "device_name", .. })));
    }
}

#[tokio::test]
async fn over_the_bound_no_network_is_saved() {
    let ann = Node::new().await;
    for _ in 0..MAX_NETWORKS {
        ann.networks.create("Home", "me").await.unwrap();
    }
    assert!(matches!(ann.networks.create("Home", "me").await, Err(NetworkError::TooMany { most: 64, .. })));
}

#[tokio::test]
async fn many_are_saved_one_is_active_and_a_connected_one_is_not_forgotten() {
    let ann = Node::new().await;
    let one = ann.networks.create("one", "me").await.unwrap().id;
    let two = ann.networks.create("two", "me").await.unwrap().id;
    ann.networks.connect(one).await.unwrap();
    let active = ann.networks.connect(two).await.unwrap();
    assert!(active.active && active.connected);
    assert!(!ann.networks.network(one).await.unwrap().active);
    assert!(matches!(ann.networks.forget(two).await, Err(NetworkError::Connected)));
    assert!(ann.networks.disconnect().await.unwrap());
    assert!(!ann.networks.disconnect().await.unwrap());
    let offline = ann.networks.active().await.unwrap().unwrap();
    assert_eq!((offline.id, offline.connected), (two, false));
    ann.networks.forget(two).await.unwrap();
    assert!(matches!(ann.networks.forget(two).await, Err(NetworkError::NotFound)));
    assert!(matches!(ann.networks.connect(two).await, Err(NetworkError::NotFound)));
    assert_eq!(ann.networks.networks().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_saved_is_there_after_a_restart_and_its_key_is_not_in_the_file_in_the_clear() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let text = ann.networks.key_text(id, "me").await.unwrap();
    let key = Psk::from_text(&text).unwrap();
    ann.store.close().await;
    for entry in std::fs::read_dir(ann.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == key.as_bytes()));
        let digits = hex::encode(key.as_bytes());
        assert!(!bytes.windows(64).any(|window| window == digits.as_bytes()));
    }
    let store = Store::open(&ann.folder.path().join("kith.db")).await.unwrap();
    let sealer = Sealer::load_or_create(ann.folder.path(), KeyProvider::File, Arc::new(OsEntropy)).unwrap();
    let identity = Identity::load_or_create(ann.folder.path(), &sealer).unwrap();
    let again = Networks::new(NetworksParts {
        store,
        identity: Arc::new(identity),
        sealer: Arc::new(sealer),
        clock: Arc::clone(&ann.clock) as _,
        entropy: Arc::new(OsEntropy),
        events: ann.events.clone(),
    });
    assert_eq!(again.active().await.unwrap().unwrap().id, id);
    assert_eq!(*again.key_text(id, "me").await.unwrap(), *text);
}

#[tokio::test]
async fn a_network_is_founded_with_a_key_that_exists_and_its_key_is_told_and_audited() {
    let ann = Node::new().await;
    let key = Psk::random(&OsEntropy).unwrap().to_text();
    let bootstrap = vec!["/ip4/192.0.2.1/tcp/4001".to_owned()];
    let network = ann.networks.create_with_key("Home", "me", &key, &bootstrap).await.unwrap();
    assert_eq!(network.bootstrap, bootstrap);
    assert_eq!(*ann.networks.key_text(network.id, "me").await.unwrap(), *key);
    assert_eq!(ann.told("network.key_shown"), 1);
    assert_eq!(ann.events.recent().iter().find(|event| event.kind == "network.key_shown").unwrap().data["by"], "me");
    let wrong = ann.networks.create_with_key("Home", "me", "abc", &[]).await;
    assert!(matches!(wrong, Err(NetworkError::Invalid { field: "swarm_key", .. })));
}

#[tokio::test]
async fn addresses_are_replaced_and_added_and_the_oldest_make_room() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let address = |port: usize| format!("/ip4/192.0.2.1/tcp/{port}");
    let sixteen: Vec<String> = (0..16).map(address).collect();
    assert_eq!(ann.networks.set_bootstrap(id, &sixteen).await.unwrap().bootstrap, sixteen);
    let added = ann.networks.add_bootstrap(id, &[address(99), address(3)]).await.unwrap().bootstrap;
    assert_eq!((added.len(), added[0].as_str(), added[15].as_str()), (16, "/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/3"));
    assert!(matches!(ann.networks.set_bootstrap(id, &["x".into()]).await, Err(NetworkError::Invalid { .. })));
    let share = ann.networks.share_node().await.unwrap();
    assert_eq!((&share.node, share.bootstrap.len()), (ann.id(), 16));
}

#[tokio::test]
async fn addresses_are_taken_from_an_invite_to_the_same_network_only() {
    let (ann, bob) = (Node::new().await, Node::new().await);
    let (id, other) = (ann.found().await, bob.found().await);
    let order = InviteOrder { addresses: vec!["/ip4/192.0.2.7/tcp/1".into()], ..InviteOrder::default() };
    let issued = ann.invite(id, order).await;
    assert!(matches!(bob.networks.bootstrap_from(other, &issued.url).await, Err(NetworkError::Invalid { .. })));
    assert_eq!(ann.networks.bootstrap_from(id, &issued.url).await.unwrap().bootstrap, ["/ip4/192.0.2.7/tcp/1"]);
}

#[tokio::test]
async fn an_invite_is_saved_as_a_network_that_waits_to_be_let_in() {
    let (ann, bob) = (Node::new().await, Node::new().await);
    let id = ann.found().await;
    let order = InviteOrder { addresses: vec!["/ip4/192.0.2.7/tcp/1".into()], ..InviteOrder::default() };
    let issued = ann.invite(id, order).await;
    let network = bob.networks.join(&issued.file(), "Bob").await.unwrap();
    assert_eq!((network.id, network.name.as_str(), network.membership), (id, "Home", Membership::Invited));
    assert_eq!((&network.founder, network.bootstrap.as_slice()), (ann.id(), &["/ip4/192.0.2.7/tcp/1".to_owned()][..]));
    assert_eq!(*bob.networks.key_text(id, "me").await.unwrap(), *ann.networks.key_text(id, "me").await.unwrap());
    assert!(matches!(ann.networks.join(&issued.url, "Ann").await, Err(NetworkError::AlreadyMember(_))));
    assert!(matches!(bob.networks.invite(id, InviteOrder::default()).await, Err(NetworkError::NotMember)));
    let stored = bob.store.networks().await.unwrap().remove(0);
    let claim = String::from_utf8_lossy(&stored.claim.unwrap()).into_owned();
    assert!(!claim.contains(&issued.invite.id), "the claim is sealed at rest");
}

#[tokio::test]
async fn an_invite_over_for_longer_than_clocks_differ_is_not_even_tried() {
    let (ann, bob) = (Node::new().await, Node::new().await);
    let id = ann.found().await;
    let issued = ann.invite(id, InviteOrder { lifetime_ms: 60_000, ..InviteOrder::default() }).await;
    bob.clock.forward(60_000 + SKEW_MS - 1);
    bob.networks.join(&issued.url, "Bob").await.unwrap();
    bob.clock.forward(1);
    let late = bob.networks.join(&issued.url, "Bob").await;
    assert!(matches!(late, Err(NetworkError::Invite(InviteFault::Expired(_)))));
}
