//! Twenty nodes on one machine.

use super::{
    node::{LATER, Node, until_all_meet},
    wires::{Host, Wires},
};
use std::time::{Duration, Instant};

const NODES: usize = 20;
/// From the first one that comes in until all twenty are connected to all others.
const SETTLED: Duration = Duration::from_secs(30);
/// What a network with nineteen others may cost a node: what it holds then over what it held before it was in a network. What a node
/// without a network holds is measured elsewhere.
const COST: u64 = 40_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_nodes_on_one_machine_settle_within_thirty_seconds_at_under_forty_megabytes_each() {
    let Some(wires) = Wires::new() else { return };
    let switch = wires.switch();
    let hosts: Vec<Host> = (1..=NODES).map(|number| wires.host_at(&switch, &format!("192.168.70.{number}/24"))).collect();
    let mut nodes = Vec::new();
    for (host, number) in hosts.iter().zip(1..) {
        nodes.push(Node::at(host, &format!("192.168.70.{number}")).await);
    }
    let idle: Vec<u64> = nodes.iter().map(|node| node.memory("VmRSS")).collect();
    let network = nodes[0].found().await;
    let invite = nodes[0].invite(&network, NODES - 1).await;
    let begun = Instant::now();
    let (first, newcomers) = nodes.split_first().expect("nodes");
    futures::future::join_all(newcomers.iter().map(|node| node.join(&invite))).await;
    let entered = begun.elapsed();
    until_all_meet(&nodes, LATER).await;
    let settled = begun.elapsed();
    // What they do once they are together belongs to what it costs.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let held: Vec<u64> = nodes.iter().map(|node| node.memory("VmRSS")).collect();
    let cost: Vec<u64> = held.iter().zip(&idle).map(|(held, idle)| held.saturating_sub(*idle)).collect();
    let (most, mean) = (cost.iter().max().copied().unwrap_or(0), cost.iter().sum::<u64>() / NODES as u64);
    println!(
        "{NODES} nodes: all in after {:.1} s, each connected to all after {:.1} s",
        entered.as_secs_f64(),
        settled.as_secs_f64()
    );
    println!(
        "resident: {} to {} MB without a network; {} MB more each in the mean with it, {} MB at most",
        idle.iter().min().copied().unwrap_or(0) / 1_000_000,
        idle.iter().max().copied().unwrap_or(0) / 1_000_000,
        mean / 1_000_000,
        most / 1_000_000
    );
    assert_eq!(first.peers().await, NODES - 1);
    assert!(settled < SETTLED, "settled only after {settled:?}");
    assert!(most < COST, "a network with {} others costs {most} bytes", NODES - 1);
}
