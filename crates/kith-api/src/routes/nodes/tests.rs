//! Nodes, links and speed, over HTTP.

use crate::{
    mesh::{MeshError, PeerPath},
    testing::{Networked, TestApp},
};
use kith_networks::{NodeSays, Role, SaidLink};
use kith_types::{Clock, NodeId};
use serde_json::json;

#[tokio::test]
async fn a_node_without_a_network_knows_itself() {
    let test = TestApp::new().await;
    let nodes = test.good("GET", "/api/v1/nodes", None).await;
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1);
    let itself = test.good("GET", "/api/v1/nodes/self", None).await;
    assert_eq!(
        (&itself["id"], &itself["is_self"], &itself["status"]),
        (&json!(test.node.id().as_str()), &json!(true), &json!("offline"))
    );
    assert_eq!(itself["id"], itself["node_id"]);
    assert!(itself["resources"]["memory"].as_f64().unwrap() > 0.0, "it is measured");
    assert_eq!(test.good("GET", &format!("/api/v1/nodes/{}", test.node.id()), None).await["is_self"], true);
    let nat = test.good("GET", "/api/v1/system/nat", None).await;
    assert_eq!((&nat["online"], &nat["status"], &nat["upnp"]["state"]), (&json!(false), &json!("unknown"), &json!("off")));
    let topology = test.good("GET", "/api/v1/network/topology", None).await;
    assert_eq!((topology["nodes"].as_array().unwrap().len(), &topology["edges"]), (1, &json!([])));
}

#[tokio::test]
async fn nodes_are_known_by_their_word_and_by_their_connections() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let (near, far) = (test.guest(id, Role::Member).await, test.guest(id, Role::Admin).await);
    let says = NodeSays { name: "near one".into(), region: "CH".into(), models: vec!["a:1".into()], ..NodeSays::default() };
    let record = near.networks.say(id, says).await.unwrap();
    test.node.networks.hear(id, near.id(), &record).await.unwrap();
    test.mesh.meets(near.id(), PeerPath::Relayed(far.id().clone()));
    let path = format!("/api/v1/nodes/{}", near.id());
    let told = test.good("GET", &path, None).await;
    assert_eq!((&told["display_name"], &told["country"], &told["status"]), (&json!("near one"), &json!("CH"), &json!("active")));
    assert_eq!((&told["path"], &told["path_reason"]), (&json!("relayed"), &json!("it listens there")));
    assert_eq!((&told["latency_ms"], &told["models"]), (&json!(1.5), &json!(["a:1"])));
    assert_eq!(told["resources"], json!({"cpu": null, "memory": null, "disk": null}), "what is not told is not made up");
    let other = test.good("GET", &format!("/api/v1/nodes/{}", far.id()), None).await;
    assert_eq!((&other["status"], &other["path"], &other["role"]), (&json!("offline"), &json!("none"), &json!("admin")));
    let topology = test.good("GET", "/api/v1/network/topology", None).await;
    assert_eq!(topology["nodes"].as_array().unwrap().len(), 3);
    let own = json!({"from": test.node.id(), "to": near.id(), "path": "relayed", "latency_ms": 1.5});
    assert_eq!(topology["edges"], json!([own]));
    // What the one tells of the other is on the map; of itself, of this node and of strangers it has nothing to tell.
    let link = |node: &NodeId, path: &str| SaidLink { node: node.clone(), path: path.to_owned() };
    let stranger = Networked::new().await;
    let links = [(far.id(), "relayed"), (near.id(), "direct"), (test.node.id(), "direct"), (stranger.id(), "direct")];
    let started = Some(near.clock.now().plus_ms(-5000));
    let links = links.map(|(node, path)| link(node, path)).to_vec();
    let record = near
        .networks
        .say(id, NodeSays { name: "near one".into(), links, started_ms: started, ..NodeSays::default() })
        .await
        .unwrap();
    test.node.networks.hear(id, near.id(), &record).await.unwrap();
    let topology = test.good("GET", "/api/v1/network/topology", None).await;
    let told = json!({"from": near.id(), "to": far.id(), "path": "relayed", "latency_ms": null});
    assert_eq!(topology["edges"], json!([own, told]));
    let uptime = |node: &NodeId| {
        topology["nodes"].as_array().unwrap().iter().find(|it| it["id"] == json!(node)).unwrap()["uptime_ms"].clone()
    };
    assert_eq!((uptime(near.id()), uptime(far.id())), (json!(5000), json!(null)));
    let nat = test.good("GET", "/api/v1/system/nat", None).await;
    assert_eq!((&nat["status"], &nat["upnp"]["mapped"]), (&json!("private"), &json!(true)));
    assert_eq!((&nat["peers"][0]["via"], &nat["peers"][0]["name"]), (&json!(far.id()), &json!("near one")));
    for path in ["/api/v1/nodes/x".to_owned(), format!("/api/v1/nodes/{}", Networked::new().await.id())] {
        assert_eq!(test.bad("GET", &path, None).await, (404, "NODE_NOT_FOUND".into()));
    }
}

#[tokio::test]
async fn the_other_references_see_the_same_peers() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let says = NodeSays { region: "CH".into(), models: vec!["a:1".into()], ..NodeSays::default() };
    let record = guest.networks.say(id, says).await.unwrap();
    test.node.networks.hear(id, guest.id(), &record).await.unwrap();
    test.mesh.meets(guest.id(), PeerPath::HolePunched);
    let peers = test.good("GET", "/api/v1/peers", None).await;
    assert_eq!((&peers["total"], &peers["peers"][0]["connected_since"]), (&json!(1), &json!("1970-01-01T00:00:00.000Z")));
    let network = test.ask("GET", "/api/v1/network", &[], None).await;
    assert_eq!(
        (network.status.as_u16(), &network.body["nodes"]["total"], &network.body["nodes"]["workers"]),
        (200, &json!(2), &json!(1))
    );
    assert_eq!((&network.body["training"]["loss"], &network.body["capacity"]["used_memory_gb"]), (&json!(null), &json!(null)));
    let swarm = test.good("GET", "/api/admin/peers", None).await;
    assert_eq!((&swarm["peers"][0]["models"], &swarm["peers"][0]["trust_score"]), (&json!(["a:1"]), &json!(null)));
    let map = test.good("GET", "/api/admin/network-map", None).await;
    assert_eq!(map["regions"]["unknown"]["coverage_gaps"], json!(["a:1"]), "this node tells no region, and has no model");
    assert_eq!((&map["regions"]["CH"]["models"]["a:1"], &map["regions"]["unknown"]["total"]), (&json!(1), &json!(1)));
    let throughput = test.good("GET", "/api/v1/stats/throughput", None).await;
    assert_eq!(throughput["mesh"], json!([{"ts_ms": 0, "in_bytes_per_second": 10.0, "out_bytes_per_second": 5.0}]));
    assert_eq!(test.good("GET", "/api/v1/status", None).await["peer_count"], 1);
    assert_eq!(test.good("GET", "/health", None).await["services"]["p2p_peers"], 1);
    let unauthorized = test.ask("GET", "/api/v1/peers", &[], None).await;
    assert_eq!(unauthorized.body["error"]["code"], "UNAUTHORIZED", "in NeuroShard's form");
}

#[tokio::test]
async fn a_speed_test_is_told_and_every_reason_against_one() {
    let test = TestApp::new().await;
    let of = |node: &NodeId| format!("/api/v1/network/speedtest/{node}");
    let stranger = Networked::new().await;
    assert_eq!(test.bad("POST", &of(stranger.id()), None).await, (503, "NETWORK_OFFLINE".into()));
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let path = of(guest.id());
    for nobody in [stranger.id(), test.node.id()] {
        assert_eq!(test.bad("POST", &of(nobody), None).await, (404, "NODE_NOT_FOUND".into()));
        assert_eq!(test.bad("GET", &format!("{}/history", of(nobody)), None).await, (404, "NODE_NOT_FOUND".into()));
    }
    assert_eq!(test.good("GET", &format!("{path}/history"), None).await, json!({"results": []}));
    let told = test.good("POST", &path, None).await;
    assert_eq!((&told["latency_ms"], &told["down_bytes_per_second"]), (&json!(1.5), &json!(200.0)));
    let history = test.good("GET", &format!("{path}/history"), None).await;
    assert_eq!(history["results"], json!([told]));
    test.node.networks.remove(id, guest.id()).await.unwrap();
    assert_eq!(test.bad("POST", &path, None).await, (404, "NODE_NOT_FOUND".into()));
    assert_eq!(test.good("GET", &format!("{path}/history"), None).await["results"], json!([told]), "what was measured stays");
    let path = of(test.guest(id, Role::Member).await.id());
    for (refusal, expected) in [
        ((|| MeshError::Busy) as fn() -> MeshError, (409, "CONFLICT")),
        (|| MeshError::Unreachable("it is not connected".into()), (502, "PEER_UNREACHABLE")),
    ] {
        test.mesh.refuse(refusal);
        let (status, code) = test.bad("POST", &path, None).await;
        assert_eq!((status, code.as_str()), expected);
    }
    for path in ["/api/v1/network/speedtest/x", "/api/v1/network/speedtest/x/history"] {
        let method = if path.ends_with("history") { "GET" } else { "POST" };
        assert_eq!(test.bad(method, path, None).await, (404, "NODE_NOT_FOUND".into()));
    }
}
