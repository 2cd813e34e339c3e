//! Members that were away while the network's key was changed.

use crate::net::{TestNode, eventually, plan};
use async_trait::async_trait;
use kith_mesh::{Address, Admission, DialError, Event, KeyUse, Refusal, Refuser, bounds::MAX_RETIRED_KEYS};
use kith_types::NodeId;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Welcomes everybody with the same words, or refuses everybody, and remembers.
#[derive(Default)]
struct Porter {
    welcome: &'static [u8],
    refuses: bool,
    judged: Mutex<Vec<KeyUse>>,
    told: Mutex<Vec<Vec<u8>>>,
}

#[async_trait]
impl Admission for Porter {
    async fn hello(&self, _: &NodeId) -> Vec<u8> {
        Vec::new()
    }

    async fn judge(&self, _: &NodeId, _: &[u8], key: KeyUse) -> Result<Vec<u8>, Refusal> {
        self.judged.lock().unwrap().push(key);
        if self.refuses { Err(Refusal::new("removed", "It was removed.")) } else { Ok(self.welcome.to_vec()) }
    }

    async fn admitted(&self, _: &NodeId, welcome: &[u8]) -> Result<(), Refusal> {
        self.told.lock().unwrap().push(welcome.to_vec());
        Ok(())
    }
}

/// Never comes to a verdict.
pub struct Slow;

#[async_trait]
impl Admission for Slow {
    async fn hello(&self, _: &NodeId) -> Vec<u8> {
        b"friend".to_vec()
    }

    async fn judge(&self, _: &NodeId, _: &[u8], _: KeyUse) -> Result<Vec<u8>, Refusal> {
        std::future::pending().await
    }

    async fn admitted(&self, _: &NodeId, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_with_any_retired_key_is_told_the_present_one_and_connected_only_with_that() {
    let at_home = Arc::new(Porter { welcome: b"the key is 9", ..Porter::default() });
    let retired: Vec<u8> = (1..=8).collect();
    let mut home = plan(20).key(9).retired(&retired).admission(at_home.clone()).start().await;
    for key in 1..=8 {
        let away = Arc::new(Porter::default());
        let mut back = plan(key).key(key).admission(away.clone()).start().await;
        assert!(matches!(back.mesh.dial(home.address()).await, Err(DialError::Unreachable(_))));
        assert_eq!(*away.told.lock().unwrap(), [b"the key is 9"]);
        assert_eq!(*away.judged.lock().unwrap(), [KeyUse::Present], "it does not know that its key is an old one");
        assert_eq!(at_home.judged.lock().unwrap().pop(), Some(KeyUse::Retired(usize::from(key) - 1)));
        for node in [&mut home, &mut back] {
            assert!(node.mesh.peers().await.is_empty());
            while let Ok(event) = node.events.try_recv() {
                assert!(!matches!(event, Event::Connected { .. } | Event::Refused { .. }), "{event:?}");
            }
        }
        back.mesh.stop().await;
    }
    let again = plan(1).key(9).admission(Arc::new(Porter::default())).start().await;
    again.connect(&home).await;
    assert_eq!(at_home.judged.lock().unwrap().pop(), Some(KeyUse::Present));
    eventually(|| async { home.is_connected_to(&again.id()).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_put_out_meanwhile_is_told_so_under_its_old_key() {
    let at_home = Arc::new(Porter { refuses: true, ..Porter::default() });
    let home = plan(1).key(2).retired(&[1]).admission(at_home).start().await;
    let away = Arc::new(Porter::default());
    let mut back = plan(2).key(1).admission(away.clone()).start().await;
    let dialled = back.mesh.dial(home.address()).await;
    let refused = DialError::Refused { by: Refuser::Peer, code: "removed".to_owned(), message: "It was removed.".to_owned() };
    assert_eq!(dialled, Err(refused));
    let code = back.until(|event| if let Event::Refused { code, .. } = event { Some(code.clone()) } else { None }).await;
    assert_eq!(code, "removed");
    assert!(away.told.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_given_up_is_a_stranger_s() {
    let at_home = Arc::new(Porter::default());
    let home = plan(1).key(3).retired(&[2]).admission(at_home.clone()).start().await;
    let back = plan(2).key(1).retired(&[5, 4]).admission(Arc::new(Porter::default())).start().await;
    assert!(matches!(back.mesh.dial(home.address()).await, Err(DialError::Unreachable(_))));
    assert!(matches!(home.mesh.dial(back.address()).await, Err(DialError::Unreachable(_))));
    assert!(at_home.judged.lock().unwrap().is_empty());
}

/// Two members with what each of them tells the other.
struct Two {
    nodes: [TestNode; 2],
    porters: [Arc<Porter>; 2],
}

impl Two {
    /// Each with its present key and those before it.
    async fn with_keys(first: (u8, &[u8]), second: (u8, &[u8])) -> Self {
        let porters = [b"first's", b"other's"].map(|welcome| Arc::new(Porter { welcome, ..Porter::default() }));
        let first = plan(1).key(first.0).retired(first.1).admission(porters[0].clone()).start().await;
        let second = plan(2).key(second.0).retired(second.1).admission(porters[1].clone()).start().await;
        Self { nodes: [first, second], porters }
    }

    async fn dial(&self, from: usize) {
        let dialled = self.nodes[from].mesh.dial(self.nodes[1 - from].address()).await;
        assert!(matches!(dialled, Err(DialError::Unreachable(_))), "{dialled:?}");
    }

    /// Both have heard the other's welcome once, with these uses of a key, and no protocol is spoken.
    async fn told_each_other(&mut self, uses: [KeyUse; 2]) {
        let told = |porter: &Porter| porter.told.lock().unwrap().len();
        eventually(|| async { self.porters.iter().all(|porter| told(porter) == 1) }).await;
        for (index, other) in [(0, b"other's".as_slice()), (1, b"first's".as_slice())] {
            assert_eq!(*self.porters[index].told.lock().unwrap(), [other]);
            assert_eq!(*self.porters[index].judged.lock().unwrap(), [uses[index]]);
            assert!(self.nodes[index].mesh.peers().await.is_empty());
            while let Ok(event) = self.nodes[index].events.try_recv() {
                assert!(!matches!(event, Event::Connected { .. } | Event::Refused { .. }), "{event:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_changed_the_key_apart_from_each_other_tell_each_other_under_the_one_they_had_in_common() {
    for from in [0, 1] {
        let mut two = Two::with_keys((2, &[1]), (3, &[1])).await;
        two.dial(from).await;
        two.told_each_other([KeyUse::Retired(0), KeyUse::Retired(0)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changed_the_key_alone_hands_it_to_those_it_dials() {
    let mut two = Two::with_keys((2, &[1]), (1, &[])).await;
    two.dial(0).await;
    two.told_each_other([KeyUse::Retired(0), KeyUse::Present]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_common_is_found_where_one_side_changed_it_more_often_than_one_dial_has_turns() {
    let often: Vec<u8> = (1..=9).rev().collect();
    let mut two = Two::with_keys((20, &[1]), (10, &often[..])).await;
    two.dial(0).await;
    two.told_each_other([KeyUse::Retired(0), KeyUse::Retired(8)]).await;

    let mut two = Two::with_keys((20, &[1]), (10, &often[..])).await;
    two.dial(1).await;
    assert!(two.porters.iter().all(|porter| porter.judged.lock().unwrap().is_empty()), "7 of 9 had their turn");
    two.dial(1).await;
    two.told_each_other([KeyUse::Retired(0), KeyUse::Retired(8)]).await;
}

/// Takes connections and hangs up: at once, or when it has heard a key that it does not know. Counts them.
async fn hangs_up(at_once: bool) -> (Address, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            if !at_once {
                socket.write_all(&[7; 24]).await.ok();
                socket.read_exact(&mut [0; 44]).await.ok();
            }
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_tries_the_present_key_and_no_more_than_seven_retired_ones() {
    for (at_once, retired, expected) in [(false, 20, 8), (false, 2, 3), (false, 0, 1), (true, 20, 1)] {
        let retired: Vec<u8> = (1..=retired).collect();
        let (node, (address, count)) = (plan(1).retired(&retired).start().await, hangs_up(at_once).await);
        for dials in 1..=2 {
            assert!(matches!(node.mesh.dial(&address).await, Err(DialError::Unreachable(_))));
            assert_eq!(count.load(Ordering::SeqCst), dials * expected, "{} retired", retired.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_with_more_retired_keys_than_it_may_have_does_not_start() {
    use kith_mesh::{Mesh, Ports, Router};
    let plan = plan(1).retired(&[2; MAX_RETIRED_KEYS + 1]).bounds(|bounds| bounds.handshake = Duration::from_secs(1));
    let ports = Ports {
        admission: Arc::new(Porter::default()),
        validation: plan.validation,
        cache: plan.cache,
        clock: Arc::new(kith_types::SystemClock),
    };
    let started = Mesh::start(plan.config, Router::new(), ports).await;
    assert!(started.is_err_and(|error| error.to_string().contains("more than 256 retired keys")));
}
