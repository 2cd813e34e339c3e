//! Members that were away while the network's key was changed.

use crate::net::{eventually, plan};
use async_trait::async_trait;
use kith_mesh::{Admission, DialError, Event, KeyUse, Refusal, Refuser};
use kith_types::NodeId;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
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
async fn a_key_that_was_given_up_is_a_stranger_s_and_a_member_does_not_dial_with_retired_ones() {
    let at_home = Arc::new(Porter::default());
    let home = plan(1).key(3).retired(&[2]).admission(at_home.clone()).start().await;
    let back = plan(2).key(1).retired(&[3, 2]).admission(Arc::new(Porter::default())).start().await;
    assert!(matches!(back.mesh.dial(home.address()).await, Err(DialError::Unreachable(_))));
    assert!(at_home.judged.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_with_more_retired_keys_than_it_may_have_does_not_start() {
    use kith_mesh::{Mesh, Ports, Router};
    let plan = plan(1).retired(&[2; 9]).bounds(|bounds| bounds.handshake = Duration::from_secs(1));
    let ports = Ports {
        admission: Arc::new(Porter::default()),
        validation: plan.validation,
        cache: plan.cache,
        clock: Arc::new(kith_types::SystemClock),
    };
    let started = Mesh::start(plan.config, Router::new(), ports).await;
    assert!(started.is_err_and(|error| error.to_string().contains("more than 8 retired keys")));
}
