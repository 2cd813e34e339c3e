//! Who comes in, how soon, and who does not.

use super::{
    node::{Node, SOON, until, until_all_meet},
    wires::Wires,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};

/// From the invite to being of use, on a local network.
const USABLE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn five_devices_come_in_by_invite_within_five_seconds_each_without_multicast_or_internet() {
    let Some(wires) = Wires::new() else { return };
    let switch = wires.switch();
    let hosts: Vec<_> = (1..=5).map(|number| wires.host_at(&switch, &format!("192.168.50.{number}/24"))).collect();
    let mut nodes = Vec::new();
    for (host, number) in hosts.iter().zip(1..) {
        host.without_multicast();
        nodes.push(Node::at(host, &format!("192.168.50.{number}")).await);
    }
    let network = nodes[0].found().await;
    for count in 1..nodes.len() {
        let invite = nodes[0].invite(&network, 1).await;
        let begun = Instant::now();
        nodes[count].join(&invite).await;
        // Of use: it and who was there before are all connected, and it knows what they say of themselves.
        until_all_meet(&nodes[..=count], SOON).await;
        until("it has heard what the others say of themselves", SOON, async || {
            let others = nodes[count].others().await;
            others.len() == count && others.iter().all(|other| other["version"] == env!("CARGO_PKG_VERSION"))
        })
        .await;
        let taken = begun.elapsed();
        println!("device {}: {} ms from the invite to being of use", count + 1, taken.as_millis());
        assert!(taken < USABLE, "device {} was of use only after {taken:?}", count + 1);
    }
    for node in &nodes {
        for other in node.others().await {
            assert_eq!(other["path"], "direct", "{other}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_another_key_or_the_key_alone_stays_outside_and_the_audit_tells_of_it() {
    let Some(wires) = Wires::new() else { return };
    let switch = wires.switch();
    let hosts = [1, 2, 3, 4].map(|number| wires.host_at(&switch, &format!("192.168.51.{number}/24")));
    let home = Node::at(&hosts[0], "192.168.51.1").await;
    let member = Node::at(&hosts[1], "192.168.51.2").await;
    let stranger = Node::at(&hosts[2], "192.168.51.3").await;
    let thief = Node::at(&hosts[3], "192.168.51.4").await;
    let network = home.found().await;
    member.join(&home.invite(&network, 1).await).await;
    until("the members are connected", SOON, async || home.peers().await == 1 && member.peers().await == 1).await;

    // Another key: not a word is understood.
    let bootstrap = [home.address("192.168.51.1")];
    stranger.good(Method::POST, "/api/v1/system/setup", Some(json!({"bootstrap": bootstrap}))).await;
    let dialled = json!({"code": home.address("192.168.51.1")});
    let (status, refused) = stranger.ask(Method::POST, "/api/admin/join-network", Some(dialled.clone())).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{refused}");
    until("the audit tells of the stranger", SOON, async || {
        let strangers = home.audit("network.stranger").await;
        strangers.iter().any(|record| record["data"]["address"].as_str().is_some_and(|at| at.starts_with("/ip4/192.168.51.3/")))
    })
    .await;

    // The right key without a certificate: understood, and refused above the encryption, whoever dials.
    let key = home.good(Method::GET, &format!("/api/v1/networks/{network}/key"), None).await;
    let stolen = json!({"swarm_key": key["swarm_key"], "bootstrap": bootstrap});
    thief.good(Method::POST, "/api/v1/system/setup", Some(stolen)).await;
    let (status, refused) = thief.ask(Method::POST, "/api/admin/join-network", Some(dialled)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{refused}");
    let lured = json!({"code": thief.address("192.168.51.4")});
    let (status, refused) = home.ask(Method::POST, "/api/admin/join-network", Some(lured)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{refused}");
    until("the audit tells of the thief", SOON, async || {
        home.audit("network.refused").await.iter().any(|record| record["data"]["node"] == thief.id.as_str())
    })
    .await;

    // Nothing changed by that for those who belong there.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((home.peers().await, member.peers().await), (1, 1));
    assert_eq!((stranger.peers().await, thief.peers().await), (0, 0));
    let members = home.good(Method::GET, &format!("/api/v1/networks/{network}/members"), None).await.to_string();
    assert!(!members.contains(&stranger.id) && !members.contains(&thief.id), "{members}");
}
