//! Stopping leaves nothing: no socket, no task, no peer that waits.

use crate::net::{eventually, plan};
use kith_mesh::{DialError, Event, Inbound, Mesh, MeshConfig, OpenError, Router, Stopped};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_mesh_leaves_no_task_and_no_socket_and_tells_its_peers() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let stuck = Router::new().route("/kith/stuck/1", |inbound: Inbound| async move {
        let _held = inbound;
        std::future::pending::<()>().await;
    });
    let (mut a, b) = (plan(1).router(stuck.unwrap()).start().await, plan(2).start().await);
    b.connect(&a).await;
    let stream = b.mesh.open(&a.id(), "/kith/stuck/1").await.unwrap();
    let started = Instant::now();
    a.mesh.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    a.until(|event| matches!(event, Event::Stopped).then_some(())).await;
    eventually(|| async { !b.is_connected_to(&a.id()).await }).await;
    drop(stream);

    assert!(a.mesh.peers().await.is_empty());
    assert_eq!(a.mesh.reachability().await, Err(Stopped));
    assert_eq!(a.mesh.dial(b.address()).await, Err(DialError::Stopped));
    assert_eq!(a.mesh.open(&b.id(), "/kith/stuck/1").await.err(), Some(OpenError::Stopped));
    a.mesh.stop().await;

    // The port is free at once.
    let mut again = plan(1);
    again.config.listen = vec![a.address().to_string().split("/p2p/").next().unwrap().parse().unwrap()];
    let again = again.start().await;
    again.mesh.stop().await;
    b.mesh.stop().await;
    eventually(|| async { tasks() <= before }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_that_cannot_be_says_why() {
    let node = plan(1).start().await;
    let taken: MeshConfig = {
        let mut config = plan(2).config;
        config.network = "no/slashes".to_owned();
        config
    };
    let ports = kith_mesh::Ports {
        admission: std::sync::Arc::new(crate::net::Word("friend")),
        validation: std::sync::Arc::new(crate::net::Taste),
        cache: std::sync::Arc::new(crate::net::Memory::default()),
        clock: std::sync::Arc::new(kith_types::SystemClock),
    };
    let refused = Mesh::start(taken, Router::new(), ports.clone()).await.err().unwrap();
    assert!(refused.to_string().starts_with("`no/slashes` cannot name a network"));
    let mut config = plan(2).config;
    config.listen = vec![node.address().to_string().split("/p2p/").next().unwrap().parse().unwrap()];
    let refused = Mesh::start(config, Router::new(), ports.clone()).await.err().unwrap();
    assert!(refused.to_string().starts_with("cannot listen on /ip4/127.0.0.1/tcp/"), "{refused}");
    let router = Router::new().route("/kith/peers/1", |_: Inbound| async {}).unwrap();
    assert!(Mesh::start(plan(2).config, router, ports).await.is_err(), "the exchange of peers is the mesh's own");
}
