//! What goes wrong between machines, and that it heals by itself.

use super::{
    node::{LATER, Node, PORT, SOON, until, until_all_meet},
    wires::{Host, Wires, installed},
};
use reqwest::Method;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long the two halves of a network do not hear each other: longer than a peer may be silent.
const APART: Duration = Duration::from_secs(60);

fn ip(number: usize) -> String {
    format!("192.168.60.{number}")
}

/// One node on each host, all in one network that the first founded. Its id too.
async fn together(hosts: &[Host]) -> (String, Vec<Node<'_>>) {
    let mut nodes = Vec::new();
    for (host, number) in hosts.iter().zip(1..) {
        nodes.push(Node::at(host, &ip(number)).await);
    }
    let network = nodes[0].found().await;
    let invite = nodes[0].invite(&network, nodes.len()).await;
    for node in &nodes[1..] {
        node.join(&invite).await;
    }
    until_all_meet(&nodes, SOON).await;
    (network, nodes)
}

async fn epoch(node: &Node<'_>) -> u64 {
    node.good(Method::GET, "/api/v1/networks", None).await["networks"][0]["key_epoch"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_in_two_halves_goes_on_in_both_and_is_one_again_with_what_happened_meanwhile() {
    let Some(wires) = Wires::new() else { return };
    let (left, right) = (wires.switch(), wires.switch());
    let cable = wires.cable(&left, &right);
    let hosts: Vec<Host> =
        (1..=4).map(|number| wires.host_at(if number <= 2 { &left } else { &right }, &format!("{}/24", ip(number)))).collect();
    let (network, nodes) = together(&hosts).await;
    cable.cut();
    until("each half has missed the other", LATER, async || {
        let mut alone = true;
        for node in &nodes {
            alone &= node.peers().await == 1;
        }
        alone
    })
    .await;
    // The key changes in one half, and the other one cannot hear of it.
    nodes[0].good(Method::POST, &format!("/api/v1/networks/{network}/swarm-key"), None).await;
    until("the near half has the new key", SOON, async || epoch(&nodes[1]).await == 1).await;
    tokio::time::sleep(APART).await;
    assert_eq!(epoch(&nodes[2]).await, 0);
    cable.mend();
    let taken = until_all_meet(&nodes, LATER).await;
    println!("one network again {} s after {} s apart", taken.as_secs(), APART.as_secs());
    for node in &nodes {
        assert_eq!(epoch(node).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_comes_back_into_its_network_by_itself() {
    let Some(wires) = Wires::new() else { return };
    let switch = wires.switch();
    let hosts: Vec<Host> = (1..=3).map(|number| wires.host_at(&switch, &format!("{}/24", ip(number)))).collect();
    let (_, mut nodes) = together(&hosts).await;
    let before = nodes[2].id.clone();
    nodes[2].kill();
    until("the others miss it", LATER, async || nodes[0].peers().await == 1 && nodes[1].peers().await == 1).await;
    nodes[2].start().await;
    assert_eq!(nodes[2].id, before);
    let taken = until_all_meet(&nodes, LATER).await;
    println!("back {} ms after its start", taken.as_millis());
    // The one who founded the network and let the others in is needed by nobody.
    nodes[0].kill();
    nodes[1].kill();
    nodes[1].start().await;
    until("the two find each other without the founder", LATER, async || {
        nodes[1].peers().await == 1 && nodes[2].peers().await == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_lost_packets_of_a_hundred_and_a_long_way_keep_nobody_out() {
    let Some(wires) = Wires::new() else { return };
    // 100 ms there and back between the third and the others.
    let (near, far) = (wires.switch(), wires.switch());
    let Some(_cable) = wires.long_cable(&near, &far, 50) else { return };
    let hosts: Vec<Host> =
        (1..=3).map(|number| wires.host_at(if number <= 2 { &near } else { &far }, &format!("{}/24", ip(number)))).collect();
    hosts.iter().for_each(|host| host.lose(5));
    let (network, nodes) = together(&hosts).await;
    let peer = &nodes[2].id;
    let speed = nodes[0].good(Method::POST, &format!("/api/v1/network/speedtest/{peer}"), None).await;
    assert!(speed["down_bytes_per_second"].as_f64().is_some_and(|figure| figure > 0.0), "{speed}");
    assert!(speed["latency_ms"].as_f64().is_some_and(|figure| figure >= 100.0), "{speed}");
    // What is told to all reaches all.
    nodes[0].good(Method::POST, &format!("/api/v1/networks/{network}/swarm-key"), None).await;
    until("all have the new key", LATER, async || {
        let mut told = true;
        for node in &nodes {
            told &= epoch(node).await == 1;
        }
        told
    })
    .await;
    until_all_meet(&nodes, LATER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_gets_another_address_while_it_is_connected_is_found_again() {
    let Some(wires) = Wires::new() else { return };
    let switch = wires.switch();
    let hosts: Vec<Host> = (1..=3).map(|number| wires.host_at(&switch, &format!("{}/24", ip(number)))).collect();
    // As most are: listening at whatever addresses the machine has.
    let mut nodes = Vec::new();
    for host in &hosts {
        nodes.push(Node::with(host, &format!("port = {PORT}\n"), &[]).await);
    }
    let network = nodes[0].found().await;
    let invite = nodes[0].invite(&network, 2).await;
    nodes[1].join(&invite).await;
    nodes[2].join(&invite).await;
    until_all_meet(&nodes, SOON).await;
    let moved = ip(33);
    hosts[2].move_to(&format!("{moved}/24"));
    until("the others see it at its new address", LATER, async || {
        let mut there = nodes[2].peers().await == 2;
        for node in &nodes[..2] {
            let others = node.others().await;
            let it = others.iter().find(|other| other["id"] == nodes[2].id.as_str());
            there &= it.is_some_and(|it| {
                it["status"] == "active" && it["address"].as_str().is_some_and(|address| address.contains(&moved))
            });
        }
        there
    })
    .await;
    let speed = nodes[2].good(Method::POST, &format!("/api/v1/network/speedtest/{}", nodes[0].id), None).await;
    assert!(speed["up_bytes_per_second"].as_f64().is_some_and(|figure| figure > 0.0), "{speed}");
}

/// What makes a program believe in another time. No part of Linux does: the library is `faketime`'s.
fn other_clock() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|folder| folder.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|library| library.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none() || installed("apt-get").is_none(), "faketime is missing");
        println!("skipped: faketime is not installed; fetch it with: cargo xtask setup");
    }
    found
}

async fn with_clock<'a>(host: &'a Host, number: usize, library: &Path, offset: &str) -> Node<'a> {
    let mesh = format!("bind = [\"{}\"]\nport = {PORT}\n", ip(number));
    let library = library.to_str().expect("a path of letters");
    // Time that passes is left alone: only the date is wrong, as it is on such machines.
    let variables =
        [("LD_PRELOAD", library), ("FAKETIME", offset), ("DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    Node::with(host, &mesh, &variables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_ten_minutes_wrong_keep_nobody_out() {
    let Some(library) = other_clock() else { return };
    let Some(wires) = Wires::new() else { return };
    let switch = wires.switch();
    let hosts: Vec<Host> = (1..=3).map(|number| wires.host_at(&switch, &format!("{}/24", ip(number)))).collect();
    let nodes = [
        Node::at(&hosts[0], &ip(1)).await,
        with_clock(&hosts[1], 2, &library, "+600").await,
        with_clock(&hosts[2], 3, &library, "-600").await,
    ];
    let mut times = Vec::new();
    for node in &nodes {
        node.good(Method::POST, "/api/v1/networks/create", Some(json!({"name": "Trial"}))).await;
        let list = node.good(Method::GET, "/api/v1/networks", None).await;
        times.push(list["networks"][0]["created_at_ms"].as_i64().expect("a time"));
        let trial = list["networks"][0]["id"].as_str().expect("an id").to_owned();
        node.good(Method::DELETE, &format!("/api/v1/networks/{trial}"), None).await;
    }
    assert!(times[1] - times[0] > 590_000 && times[0] - times[2] > 590_000, "the clocks are not wrong: {times:?}");
    let network = nodes[0].found().await;
    let invite = nodes[0].invite(&network, 2).await;
    nodes[1].join(&invite).await;
    nodes[2].join(&invite).await;
    until_all_meet(&nodes, SOON).await;
    until("all have heard of all", SOON, async || {
        for node in &nodes {
            if node.others().await.iter().filter(|other| other["version"] == env!("CARGO_PKG_VERSION")).count() != 2 {
                return false;
            }
        }
        true
    })
    .await;
    nodes[0].good(Method::POST, &format!("/api/v1/networks/{network}/swarm-key"), None).await;
    until("all have the new key", LATER, async || epoch(&nodes[1]).await == 1 && epoch(&nodes[2]).await == 1).await;
    until_all_meet(&nodes, LATER).await;
}
