//! Names on the wire, as the references have them.

use super::*;
use serde_json::{from_value, json, to_value};

#[test]
fn an_invite_is_one_flat_object_and_prints_no_code() {
    let invite = InviteInfo {
        id: "00ff".into(),
        label: String::new(),
        role: "member".into(),
        for_node: None,
        uses: 1,
        used: 0,
        state: InviteStage::Open,
        members: Vec::new(),
        created_at_ms: Timestamp::from_ms(1),
        expires_at_ms: Timestamp::from_ms(2),
    };
    let (qr_svg, file, addresses) = ("<svg/>".into(), "f".into(), vec!["/ip4/192.0.2.1/tcp/1".into()]);
    let body = NetworkInvite { url: "kith://join/x".into(), qr_svg, file, addresses, invite };
    let value = to_value(&body).unwrap();
    assert_eq!((&value["url"], &value["state"], &value["expires_at_ms"]), (&json!("kith://join/x"), &json!("open"), &json!(2)));
    assert_eq!(value["addresses"], json!(["/ip4/192.0.2.1/tcp/1"]));
    assert_eq!(format!("{body:?}"), "NetworkInvite { .. }");
}

#[test]
fn requests_are_read_in_every_spelling_that_clients_use() {
    for field in ["code", "invite", "invite_code", "address", "multiaddr", "url"] {
        let body: JoinNetwork = from_value(json!({field: "kith://join/x"})).unwrap();
        assert_eq!(body.code, "kith://join/x", "{field}");
    }
    for field in ["bootstrap", "peers", "addresses"] {
        assert_eq!(from_value::<BootstrapAddresses>(json!({field: ["/a"]})).unwrap().bootstrap, ["/a"]);
    }
    let add: AddNetwork = from_value(json!({"connect_url": "kith://join/x"})).unwrap();
    assert_eq!((add.url.as_str(), add.device_name, add.connect), ("kith://join/x", None, false));
    assert!(from_value::<SystemSetup>(json!({})).unwrap() == SystemSetup::default());
}

#[test]
fn a_network_map_is_as_the_reference_prints_it() {
    let mut region = RegionMap { total: 3, ..RegionMap::default() };
    for map in [&mut region.models, &mut region.replication_target] {
        map.insert("tinyllama-1.1b-q4-k-m".into(), 2);
    }
    region.demand.insert("tinyllama-1.1b-q4-k-m".into(), 5);
    let map = NetworkMap { regions: [("US".to_owned(), region)].into() };
    let expected = json!({"regions": {"US": {
        "total": 3,
        "models": {"tinyllama-1.1b-q4-k-m": 2},
        "demand": {"tinyllama-1.1b-q4-k-m": 5},
        "coverage_gaps": [],
        "replication_target": {"tinyllama-1.1b-q4-k-m": 2},
    }}});
    assert_eq!(to_value(map).unwrap(), expected);
}

#[test]
fn the_meshes_bodies_are_in_camel_case() {
    let identity = MeshIdentity {
        peer_id: "p".into(),
        public_key_pem: "k".into(),
        coordinator_url: "u".into(),
        network_mode: "enterprise_overlay".into(),
    };
    let expected = json!({"peerId": "p", "publicKeyPem": "k", "coordinatorUrl": "u", "networkMode": "enterprise_overlay"});
    assert_eq!(to_value(identity).unwrap(), expected);
    let envelope = json!({"id": "1", "type": "peer_announce", "fromPeerId": "p", "issuedAtMs": 5, "ttlMs": 30000, "payload": {}, "signature": "s"});
    let read: MeshEnvelope = from_value(envelope.clone()).unwrap();
    assert_eq!(to_value(read).unwrap(), envelope);
    assert_eq!(to_value(LinkPath::HolePunched).unwrap(), "hole-punched");
}
