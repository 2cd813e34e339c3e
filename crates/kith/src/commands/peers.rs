//! `kith peers` and `kith speedtest`: the nodes of the network, how each is reached, and how fast.

use super::invite::read;
use crate::{
    cli::Speedtest,
    client::Client,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use chrono::{DateTime, Utc};
use kith_types::{Code, Timestamp};
use kith_wire::networks::{LinkPath, NodeInfo, NodeList, SpeedtestHistory, SpeedtestResult};
use serde_json::json;

/// Lists the other nodes of the network.
pub async fn peers(context: &Context) -> Result<()> {
    let (list, nobody) = others(nodes(&context.ensured().await?).await?);
    if let Some(nobody) = nobody {
        out::note(nobody);
    }
    match list.nodes.is_empty() {
        _ if context.json => out::json(&list),
        true => Ok(()),
        false => out::text(&table(&list.nodes, Utc::now())),
    }
}

/// The nodes without this one; and why there are none, or none is reached.
fn others(mut list: NodeList) -> (NodeList, Option<&'static str>) {
    let is_offline = list.nodes.iter().any(|node| node.is_self && node.status == "offline");
    list.nodes.retain(|node| !node.is_self);
    let nobody = match (is_offline, list.nodes.is_empty()) {
        (true, _) => Some("no network is connected; connect one with: kith networks connect"),
        (false, true) => Some("nobody else is in the network yet; invite a device with: kith invite"),
        (false, false) => None,
    };
    (list, nobody)
}

async fn nodes(client: &Client) -> Result<NodeList> {
    read(client.get("/api/v1/nodes").await?)
}

/// Measures the way to a peer, or tells of the times it was measured.
pub async fn speedtest(context: &Context, options: &Speedtest) -> Result<()> {
    let client = context.ensured().await?;
    let peer = pick(nodes(&client).await?.nodes, &options.peer)?;
    // Its id came from the node, and is its own.
    let path = format!("/api/v1/network/speedtest/{}", peer.id);
    let history = if options.history {
        read::<SpeedtestHistory>(client.get(&format!("{path}/history")).await?)?
    } else {
        let progress = out::spinner(format!("measuring the way to {}", called(&peer)));
        let result: SpeedtestResult = read(client.post_patiently(&path, &json!({})).await?)?;
        drop(progress);
        if context.json {
            return out::json(&result);
        }
        SpeedtestHistory { results: vec![result] }
    };
    if context.json { out::json(&history) } else { out::text(&speeds(&history.results, Utc::now())) }
}

fn called(node: &NodeInfo) -> String {
    render::printable(if node.display_name.is_empty() { &node.id } else { &node.display_name }, false)
}

fn pick(nodes: Vec<NodeInfo>, given: &str) -> Result<NodeInfo> {
    let mut found = nodes.into_iter().filter(|node| !node.is_self && (node.id == given || node.display_name == given));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (Some(_), Some(_)) => Err(CliError::Usage(format!("more than one node is called `{given}`; give its id"))),
        (None, _) => {
            let message = format!("there is no peer `{given}`; kith peers shows them");
            Err(CliError::Api { message, code: Code::NodeNotFound.as_str().to_owned() })
        }
    }
}

const fn path(path: LinkPath) -> &'static str {
    match path {
        LinkPath::Direct => "direct",
        LinkPath::HolePunched => "hole-punched",
        LinkPath::Relayed => "relayed",
        LinkPath::None => "-",
    }
}

fn ms(time: Option<f64>) -> String {
    time.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"))
}

fn time(at: Option<Timestamp>, now: DateTime<Utc>) -> String {
    let at = at.and_then(|at| DateTime::from_timestamp_millis(at.ms()));
    at.map_or_else(|| "never".to_owned(), |at| render::relative(at, now))
}

fn table(nodes: &[NodeInfo], now: DateTime<Utc>) -> String {
    let row = |node: &NodeInfo| {
        let address = node.address.clone().unwrap_or_else(|| "-".to_owned());
        let (state, link) = (node.status.clone(), path(node.path).to_owned());
        [called(node), node.id.clone(), state, link, ms(node.latency_ms), address, time(node.last_seen_ms, now)]
    };
    let rows: Vec<_> = nodes.iter().map(row).collect();
    render::table(["NAME", "ID", "STATE", "PATH", "ROUND TRIP", "ADDRESS", "LAST SEEN"], &rows)
}

/// Bytes a second as a size a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rate(bytes: f64) -> String {
    format!("{}/s", render::size(bytes.max(0.0) as u64))
}

fn speeds(results: &[SpeedtestResult], now: DateTime<Utc>) -> String {
    let row = |result: &SpeedtestResult| {
        let (up, down) = (rate(result.up_bytes_per_second), rate(result.down_bytes_per_second));
        [time(Some(result.ts_ms), now), up, down, ms(Some(result.latency_ms)), ms(Some(result.jitter_ms))]
    };
    let rows: Vec<_> = results.iter().map(row).collect();
    render::table(["WHEN", "UP", "DOWN", "ROUND TRIP", "JITTER"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, name: &str) -> NodeInfo {
        let node = json!({
            "id": id, "node_id": id, "display_name": name, "status": "active", "address": "/ip4/192.0.2.7/tcp/1", "addresses": [],
            "country": null, "platform": "", "version": "", "caps": [], "models": [], "vaults": [],
            "resources": {"cpu": null, "memory": null, "disk": null},
            "hardware": {"cores": 1, "memory_bytes": 1, "accelerators": [], "accelerator_memory_bytes": 0},
            "role": "member", "path": "hole-punched", "path_reason": "", "latency_ms": 1.26, "last_seen_ms": null,
            "is_self": id == "me",
        });
        serde_json::from_value(node).unwrap()
    }

    #[test]
    fn a_peer_is_meant_by_name_or_id_and_never_this_node() {
        let nodes = || vec![node("me", "here"), node("a", "box"), node("b", "two"), node("c", "two")];
        assert_eq!(pick(nodes(), "box").unwrap().id, "a");
        assert_eq!(pick(nodes(), "b").unwrap().id, "b");
        assert_eq!(pick(nodes(), "two").unwrap_err().exit_code(), 2);
        for given in ["here", "me", "x"] {
            assert_eq!(pick(nodes(), given).unwrap_err().code(), "NODE_NOT_FOUND");
        }
    }

    #[test]
    fn this_node_is_none_of_its_peers_and_without_any_it_is_told_why() {
        let list = |nodes: Vec<NodeInfo>| others(NodeList { nodes });
        let (peers, nobody) = list(vec![node("me", "here"), node("a", "box")]);
        assert_eq!((peers.nodes.len(), peers.nodes[0].id.as_str(), nobody), (1, "a", None));
        let (peers, nobody) = list(vec![node("me", "here")]);
        assert!(peers.nodes.is_empty() && nobody.unwrap().contains("kith invite"));
        let offline = NodeInfo { status: "offline".into(), ..node("me", "here") };
        let (peers, nobody) = list(vec![offline, node("a", "box")]);
        assert!(peers.nodes.len() == 1 && nobody.unwrap().contains("no network is connected"));
    }

    #[test]
    fn the_tables_tell_how_a_peer_is_reached_and_how_fast() {
        let now = DateTime::from_timestamp_millis(60_000).unwrap();
        let (named, bare) = (node("a", "box"), node("b", ""));
        let text = table(&[named, bare], now);
        assert!(text.contains("box     a     active    hole-punched    1.3 ms        /ip4/192.0.2.7/tcp/1    never\n"), "{text}");
        assert!(text.contains("b       b "), "who has no name goes by the id: {text}");
        let result = SpeedtestResult {
            peer_id: "a".into(),
            ts_ms: Timestamp::from_ms(0),
            latency_ms: 0.84,
            jitter_ms: 0.1,
            up_bytes_per_second: 1.2e8,
            down_bytes_per_second: 9.9e7,
            bytes: 7,
        };
        assert!(speeds(&[result], now).ends_with("60 seconds ago    120 MB/s    99 MB/s    0.8 ms        0.1 ms\n"));
    }
}
