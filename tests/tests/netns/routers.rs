//! Devices behind routers: over a third at first, directly where the routers allow it, and the reason told where they do not.

use super::{
    node::{LATER, Node, SOON, until},
    wires::{Host, Ports, Switch, Wires},
};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// Addresses of the internet, in namespaces that lead nowhere: what is private is treated otherwise.
const RELAY: &str = "45.77.0.1";

/// The internet with a machine on it, and two homes behind routers.
struct Country {
    third: Host,
    homes: [(Host, Host, Switch); 2],
}

fn country(wires: &Wires, ports: Ports) -> Country {
    let internet = wires.switch();
    let third = wires.host_at(&internet, &format!("{RELAY}/24"));
    let homes = [2, 3].map(|number| {
        let home = wires.switch();
        let public = format!("45.77.0.{number}/24");
        let router = wires.router(&internet, &public, &home, &format!("192.168.{number}.1/24"), ports);
        let host = wires.host_at(&home, &format!("192.168.{number}.10/24"));
        host.by(&format!("192.168.{number}.1"));
        (host, router, home)
    });
    Country { third, homes }
}

/// A node on the third machine and one in each home, in one network.
async fn settled(country: &Country) -> [Node<'_>; 3] {
    let third = Node::at(&country.third, RELAY).await;
    let one = Node::at(&country.homes[0].0, "192.168.2.10").await;
    let other = Node::at(&country.homes[1].0, "192.168.3.10").await;
    let network = third.found().await;
    one.join(&third.invite(&network, 1).await).await;
    other.join(&third.invite(&network, 1).await).await;
    until("the third has both", SOON, async || third.peers().await == 2).await;
    [third, one, other]
}

/// What the two know of their way to each other, until it is `wanted` on both sides; whether it was relayed before.
async fn until_the_way_is(wanted: &str, one: &Node<'_>, other: &Node<'_>) -> bool {
    let mut relayed = false;
    let what = format!("the way between the two is {wanted}");
    until(&what, LATER, async || {
        let (there, back) = (one.way_to(&other.id).await.0, other.way_to(&one.id).await.0);
        relayed |= there == "relayed" || back == "relayed";
        there == wanted && back == wanted
    })
    .await;
    relayed
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_behind_routers_meet_over_a_third_and_then_directly() {
    let Some(wires) = Wires::new() else { return };
    let country = country(&wires, Ports::Kept);
    let [third, one, other] = settled(&country).await;
    until_the_way_is("hole-punched", &one, &other).await;
    for (from, to) in [(&one, &other), (&other, &one)] {
        let (_, why) = from.way_to(&to.id).await;
        assert_eq!(why, "Both sides dialled at once through their routers.");
    }
    // What they say to each other passes the third no longer: with it gone they stay together.
    drop(third);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(one.way_to(&other.id).await.0, "hole-punched");
    assert_eq!(other.way_to(&one.id).await.0, "hole-punched");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_behind_routers_that_cannot_be_passed_stay_with_the_third_and_say_so() {
    let Some(wires) = Wires::new() else { return };
    let country = country(&wires, Ports::Random);
    let [third, one, other] = settled(&country).await;
    until_the_way_is("relayed", &one, &other).await;
    until("both say why they are not connected directly", LATER, async || {
        let reasons = [one.way_to(&other.id).await, other.way_to(&one.id).await];
        reasons.iter().all(|(path, why)| path == "relayed" && why.contains(&third.id))
            && reasons.iter().any(|(_, why)| why.contains("no direct connection came about"))
    })
    .await;
    for node in [&one, &other] {
        let nat = node.good(Method::GET, "/api/v1/system/nat", None).await;
        assert_eq!(nat["status"], "private", "{nat}");
        assert_eq!(nat["relays"], json!([third.id]), "{nat}");
    }
    // The relayed connection carries what a direct one would.
    let speed = one.good(Method::POST, &format!("/api/v1/network/speedtest/{}", other.id), None).await;
    assert!(speed["down_bytes_per_second"].as_f64().is_some_and(|figure| figure > 0.0), "{speed}");
}
