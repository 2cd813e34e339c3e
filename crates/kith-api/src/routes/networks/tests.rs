//! Networks, their invites and members, over HTTP.

use crate::{
    mesh::{MeshError, PeerPath},
    testing::{Networked, TestApp},
};
use kith_networks::{InviteOrder, MAX_INVITES, Role};
use serde_json::{Value, json};

/// The one request that each route without a network refuses.
fn at(id: impl std::fmt::Display, rest: &str) -> String {
    format!("/api/v1/networks/{id}{rest}")
}

#[tokio::test]
async fn a_network_is_founded_connected_left_and_forgotten() {
    let test = TestApp::new().await;
    assert_eq!(test.good("GET", "/api/v1/networks", None).await, json!({"networks": [], "active": null, "fault": null}));
    let made = test.owner("POST", "/api/v1/networks/create", Some(json!({"name": "home"}))).await;
    assert_eq!((made.status.as_u16(), made.body["state"].as_str()), (201, Some("disconnected")));
    assert_eq!((made.body["membership"].as_str(), made.body["device_name"].as_str()), (Some("admin"), Some("this machine")));
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(test.good("POST", &at(&id, "/connect"), None).await["state"], "connected");
    assert_eq!(test.good("GET", &at(&id, ""), None).await["active"], true);
    assert_eq!(test.bad("DELETE", &at(&id, ""), None).await, (409, "CONFLICT".into()));
    test.mesh.falls("the port is taken");
    let list = test.good("GET", "/api/v1/networks", None).await;
    assert_eq!((&list["networks"][0]["state"], &list["fault"]), (&json!("connecting"), &json!("the port is taken")));
    assert_eq!(test.good("POST", "/api/v1/networks/disconnect", None).await, json!({"disconnected": true}));
    assert_eq!(test.good("POST", "/api/v1/networks/disconnect", None).await, json!({"disconnected": false}));
    assert_eq!(test.owner("DELETE", &at(&id, ""), None).await.status, 204);
    assert_eq!(test.bad("GET", &at(&id, ""), None).await, (404, "NETWORK_NOT_FOUND".into()));
}

#[tokio::test]
async fn every_route_refuses_a_network_that_is_not_there() {
    let test = TestApp::new().await;
    let nobody = Networked::new().await;
    let member = format!("/members/{}", nobody.id());
    let list = json!({"bootstrap": ["/ip4/192.0.2.1/tcp/1"]});
    for id in ["x", "00112233445566778899aabbccddeeff"] {
        for (method, rest, body) in [
            ("GET", "", None),
            ("DELETE", "", None),
            ("POST", "/connect", None),
            ("PUT", "/bootstrap", Some(list.clone())),
            ("POST", "/peers", Some(list.clone())),
            ("GET", "/key", None),
            ("POST", "/swarm-key", None),
            ("GET", "/invite", None),
            ("GET", "/invites", None),
            ("POST", "/invites", Some(json!({}))),
            ("DELETE", "/invites/0011223344556677", None),
            ("GET", "/members", None),
            ("GET", &member, None),
            ("DELETE", &member, None),
            ("POST", &format!("{member}/promote"), None),
        ] {
            assert_eq!(test.bad(method, &at(id, rest), body).await, (404, "NETWORK_NOT_FOUND".into()), "{method} {rest}");
        }
    }
}

#[tokio::test]
async fn an_invite_is_made_shown_listed_taken_back_and_previewed() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let order = json!({"label": "for Bob", "uses": 3, "expires_in_s": 600, "role": "admin"});
    let made = test.owner("POST", &at(id, "/invites"), Some(order)).await;
    assert_eq!(made.status, 201);
    let url = made.body["url"].as_str().unwrap();
    assert!(url.starts_with("kith://join/") && made.body["file"].as_str().unwrap().contains(url));
    assert!(made.body["qr_svg"].as_str().unwrap().starts_with("<svg"));
    assert_eq!((&made.body["uses"], &made.body["state"]), (&json!(3), &json!("open")));
    let preview = test.good("POST", "/api/v1/networks/preview", Some(json!({"code": made.body["file"]}))).await;
    assert_eq!((&preview["name"], &preview["role"], &preview["known"]), (&json!("home"), &json!("admin"), &json!(true)));
    assert_eq!(preview["addresses"], json!(["/ip4/192.0.2.1/tcp/4001"]), "where this node is reached now");
    let by_query = test.good("GET", &at(id, "/invite?uses=2&label=again"), None).await;
    assert_eq!((&by_query["uses"], &by_query["label"]), (&json!(2), &json!("again")));
    let list = test.good("GET", &at(id, "/invites"), None).await;
    assert_eq!(list["invites"].as_array().unwrap().len(), 2);
    assert!(list["invites"][0].get("url").is_none(), "codes are told once: {list}");
    let one = at(id, &format!("/invites/{}", made.body["id"].as_str().unwrap()));
    assert_eq!(test.owner("DELETE", &one, None).await.status, 204);
    assert_eq!(test.bad("DELETE", &one, None).await, (410, "INVITE_OVER".into()));
    assert_eq!(test.bad("DELETE", &at(id, "/invites/none"), None).await, (404, "INVITE_NOT_FOUND".into()));
}

#[tokio::test]
async fn without_the_admin_scope_an_invite_is_for_one_member_within_a_day_and_the_audit_has_who_asked() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let user = [("authorization", format!("Bearer {}", test.user_key().await))];
    let ask = async |rest: &str| test.ask("GET", &at(id, rest), &user, None).await;
    for more in ["role=admin", "uses=2", "uses=200", "expires_in_s=86401"] {
        let answer = ask(&format!("/invite?{more}")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "FORBIDDEN"), "{more}: {answer:?}");
    }
    let made = ask("/invite?uses=1&role=member&expires_in_s=600&label=phone").await;
    assert_eq!((made.status.as_u16(), &made.body["role"]), (200, &json!("member")));
    assert_eq!(ask("/key").await.status, 200);
    assert_eq!(test.good("GET", &at(id, "/invite?role=admin&uses=2"), None).await["role"], "admin");
    let by = |kind: &str| -> Vec<Value> {
        let recent = test.node.events.recent();
        recent.iter().filter(|event| event.kind == kind).map(|event| event.data["by"].clone()).collect()
    };
    let made = by("network.invite_made");
    assert_eq!((made.len(), &made[1]), (2, &json!("admin token")));
    assert!(made[0].as_str().is_some_and(|by| !by.is_empty() && by != "admin token"), "{made:?}");
    assert_eq!(by("network.key_shown"), made[..1], "the same key asked for both");
}

#[tokio::test]
async fn who_is_no_admin_cannot_take_the_last_places_for_invites() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    for _ in 0..MAX_INVITES / 2 {
        test.node.networks.invite(id, InviteOrder::default()).await.unwrap();
    }
    let user = [("authorization", format!("Bearer {}", test.user_key().await))];
    let full = test.ask("GET", &at(id, "/invite"), &user, None).await;
    assert_eq!((full.status.as_u16(), full.code()), (409, "CONFLICT"));
    test.good("GET", &at(id, "/invite"), None).await;
}

#[tokio::test]
async fn an_invite_tells_which_addresses_are_in_it_and_that_none_are() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let made = test.good("POST", &at(id, "/invites"), Some(json!({}))).await;
    assert_eq!(made["addresses"], json!(["/ip4/192.0.2.1/tcp/4001"]));
    test.good("POST", "/api/v1/networks/disconnect", None).await;
    let made = test.good("POST", &at(id, "/invites"), Some(json!({}))).await;
    assert_eq!(made["addresses"], json!([]), "nobody reaches it, and nothing else is known");
}

#[tokio::test]
async fn every_value_of_an_invite_has_its_bounds() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    for (body, field) in [
        (json!({"uses": 0}), "uses"),
        (json!({"uses": 201}), "uses"),
        (json!({"expires_in_s": 59}), "expires_in_s"),
        (json!({"expires_in_s": u64::MAX}), "expires_in_s"),
        (json!({"role": "king"}), "role"),
        (json!({"for_node": "me"}), "for_node"),
        (json!({"label": "x".repeat(65)}), "label"),
        (json!({"name": 7}), "name"),
    ] {
        let answer = test.owner("POST", &at(id, "/invites"), Some(body.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.body["field"].as_str()), (400, Some(field)), "{body}: {answer:?}");
    }
    assert_eq!(test.bad("GET", &at(id, "/invite?uses=many"), None).await, (400, "INVALID_REQUEST".into()));
}

#[tokio::test]
async fn a_node_joins_by_an_invite_and_what_is_none_is_refused() {
    let (host, test) = (TestApp::new().await, TestApp::new().await);
    let id = host.founded().await;
    let invite = async || host.good("POST", &at(id, "/invites"), Some(json!({}))).await["url"].clone();
    let code = invite().await;
    let saved = test.owner("POST", "/api/v1/networks", Some(json!({"url": code, "device_name": "guest"}))).await;
    assert_eq!((saved.status.as_u16(), saved.body["membership"].as_str()), (201, Some("invited")));
    assert_eq!((saved.body["state"].as_str(), saved.body["id"].as_str()), (Some("disconnected"), Some(&*id.to_string())));
    let joined = test.owner("POST", "/api/v1/networks", Some(json!({"url": code, "connect": true}))).await;
    assert_eq!((joined.status.as_u16(), joined.body["state"].as_str()), (201, Some("connected")));
    for text in ["kith://join/", "kith://join/AQ", "hello", "kith://vault/x"] {
        assert_eq!(test.bad("POST", "/api/v1/networks", Some(json!({"url": text}))).await, (400, "INVITE_INVALID".into()));
    }
    let own = host.bad("POST", "/api/v1/networks", Some(json!({"url": code}))).await;
    assert_eq!(own, (409, "CONFLICT".into()), "the host is in it already");
    let late = invite().await;
    test.node.clock.forward(2 * 86_400_000);
    assert_eq!(test.bad("POST", "/api/v1/networks", Some(json!({"url": late}))).await, (410, "INVITE_OVER".into()));
    test.mesh.refuse(|| MeshError::Unreachable("nobody answers at /ip4/192.0.2.1/tcp/4001".into()));
    host.node.clock.forward(2 * 86_400_000);
    let late = invite().await;
    let refused = test.owner("POST", "/api/v1/networks", Some(json!({"url": late, "connect": true}))).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (502, "PEER_UNREACHABLE"));
}

#[tokio::test]
async fn where_members_are_looked_for_is_replaced_added_to_and_taken_from_an_invite() {
    let (test, other) = (TestApp::new().await, TestApp::new().await);
    let id = test.founded().await;
    let one = json!({"bootstrap": ["/ip4/192.0.2.1/tcp/1"]});
    assert_eq!(test.good("PUT", &at(id, "/bootstrap"), Some(one)).await["bootstrap"], json!(["/ip4/192.0.2.1/tcp/1"]));
    let more = test.good("POST", &at(id, "/peers"), Some(json!({"peers": ["/ip4/192.0.2.2/tcp/1"]}))).await;
    assert_eq!(more["bootstrap"], json!(["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1"]));
    let wrong = test.owner("PUT", &at(id, "/bootstrap"), Some(json!({"bootstrap": ["192.0.2.1"]}))).await;
    assert_eq!((wrong.status.as_u16(), wrong.body["field"].as_str()), (400, Some("bootstrap")));
    let code = test.good("POST", &at(id, "/invites"), Some(json!({}))).await["url"].clone();
    let taken = test.good("PUT", &at(id, "/bootstrap-invite"), Some(json!({"url": code}))).await;
    assert_eq!(taken["bootstrap"], json!(["/ip4/192.0.2.1/tcp/4001"]));
    let elsewhere = other.founded().await;
    let code = other.good("POST", &at(elsewhere, "/invites"), Some(json!({}))).await["url"].clone();
    let refused = test.owner("PUT", &at(id, "/bootstrap-invite"), Some(json!({"url": code}))).await;
    assert_eq!((refused.status.as_u16(), refused.body["field"].as_str()), (400, Some("url")));
}

#[tokio::test]
async fn the_key_is_shown_and_changed() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    test.guest(id, Role::Member).await;
    test.mesh.meets(guest.id(), PeerPath::Direct);
    let key = async || test.good("GET", &at(id, "/key"), None).await["swarm_key"].as_str().unwrap().to_owned();
    let first = key().await;
    assert!(first.starts_with("/key/swarm/psk/1.0.0/\n/base16/\n"), "{first}");
    let rotated = test.good("POST", &at(id, "/swarm-key"), None).await;
    assert_eq!((&rotated["key_epoch"], &rotated["sealed_to"], &rotated["told"]), (&json!(1), &json!(2), &json!(1)));
    assert_eq!(rotated["kept_until_ms"], json!(1_700_000_000_000_i64 + 30 * 86_400_000));
    assert_ne!(key().await, first);
}

#[tokio::test]
async fn a_member_is_promoted_and_removed_and_the_consequences_are_told_before_and_after() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let (guest, other) = (test.guest(id, Role::Member).await, test.guest(id, Role::Member).await);
    test.mesh.meets(guest.id(), PeerPath::Direct);
    test.mesh.meets(other.id(), PeerPath::Direct);
    test.good("POST", &at(id, "/invites"), Some(json!({}))).await;
    let member = at(id, &format!("/members/{}", guest.id()));
    assert_eq!(test.good("POST", &format!("{member}/promote"), None).await["role"], "admin");
    let told = test.good("GET", &member, None).await;
    assert_eq!((&told["name"], &told["state"]), (&json!("guest"), &json!("active")));
    let removal = json!({"refused": null, "disconnects": true, "told_now": 1, "told_later": 0, "kept_for_s": 2_592_000,
                         "invites_ended": 1});
    assert_eq!(told["removal"], removal);
    let removed = test.good("DELETE", &member, None).await;
    assert_eq!((&removed["node_id"], &removed["invites_ended"]), (&json!(guest.id().as_str()), &json!(1)));
    assert_eq!((&removed["key_epoch"], &removed["sealed_to"], &removed["told"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(test.bad("DELETE", &member, None).await, (404, "NODE_NOT_FOUND".into()));
    let gone = test.good("GET", &member, None).await;
    assert_eq!(gone["state"], "removed");
    assert!(gone["removal"]["refused"].is_string(), "{gone}");
    let itself = at(id, &format!("/members/{}", test.node.id()));
    assert!(test.good("GET", &itself, None).await["removal"]["refused"].is_string());
    assert_eq!(test.bad("DELETE", &itself, None).await, (409, "CONFLICT".into()));
    let stranger = Networked::new().await;
    for path in [at(id, &format!("/members/{}", stranger.id())), at(id, "/members/x")] {
        assert_eq!(test.bad("GET", &path, None).await, (404, "NODE_NOT_FOUND".into()));
        assert_eq!(test.bad("POST", &format!("{path}/promote"), None).await, (404, "NODE_NOT_FOUND".into()));
    }
    let list = test.good("GET", &at(id, "/members"), None).await;
    assert_eq!(list["members"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn who_is_no_admin_of_the_network_changes_nothing_of_it() {
    let (host, test) = (TestApp::new().await, TestApp::new().await);
    let id = host.founded().await;
    let code = host.good("POST", &at(id, "/invites"), Some(json!({}))).await["url"].clone();
    test.good("POST", "/api/v1/networks", Some(json!({"url": code, "connect": true}))).await;
    let node = host.node.id();
    for (method, rest, body) in [
        ("POST", "/swarm-key".to_owned(), None),
        ("GET", "/invite".to_owned(), None),
        ("POST", "/invites".to_owned(), Some(json!({}))),
        ("POST", format!("/members/{node}/promote"), None),
        ("DELETE", format!("/members/{node}"), None),
    ] {
        assert_eq!(test.bad(method, &at(id, &rest), body).await, (403, "FORBIDDEN".into()), "{method} {rest}");
    }
}

#[tokio::test]
async fn a_new_device_is_set_up_by_an_invite_a_key_or_nothing() {
    let (host, test) = (TestApp::new().await, TestApp::new().await);
    host.founded().await;
    let share = host.good("GET", "/api/v1/system/share", None).await;
    assert!(share["swarm_key"].as_str().unwrap().starts_with("/key/swarm"));
    assert_eq!(share["bootstrap"], json!(["/ip4/192.0.2.1/tcp/4001"]));
    assert_eq!(host.good("GET", "/api/v1/system/share", None).await["connect_url"], share["connect_url"], "told again");
    let both = json!({"connect_url": share["connect_url"], "swarm_key": share["swarm_key"]});
    assert_eq!(test.bad("POST", "/api/v1/system/setup", Some(both)).await, (400, "INVALID_REQUEST".into()));
    let joined = test.good("POST", "/api/v1/system/setup", Some(json!({"connect_url": share["connect_url"]}))).await;
    assert_eq!((&joined["name"], &joined["membership"]), (&json!("home"), &json!("invited")));
    let keyed = json!({"swarm_key": share["swarm_key"], "bootstrap": ["/ip4/192.0.2.9/tcp/1"], "name": "mine"});
    let founded = test.good("POST", "/api/v1/system/setup", Some(keyed)).await;
    assert_eq!((&founded["membership"], &founded["bootstrap"]), (&json!("admin"), &json!(["/ip4/192.0.2.9/tcp/1"])));
    assert_ne!(founded["id"], joined["id"], "a key alone makes nobody a member of somebody else's network");
    let wrong = test.owner("POST", "/api/v1/system/setup", Some(json!({"swarm_key": "secret"}))).await;
    assert_eq!((wrong.status.as_u16(), wrong.body["field"].as_str()), (400, Some("swarm_key")));
    assert_eq!(test.good("POST", "/api/v1/system/setup", Some(json!({}))).await["name"], "network of this machine");
    let node = test.good("GET", "/api/v1/system/share-node", None).await;
    assert_eq!((&node["peer_id"], &node["name"]), (&json!(test.node.id().as_str()), &json!("this machine")));
    assert!(!node.to_string().contains("psk"));
    let status = test.good("GET", "/api/v1/system/status", None).await;
    assert_eq!((&status["has_swarm_key"], &status["network"]["state"]), (&json!(true), &json!("connected")));
}

#[tokio::test]
async fn the_networks_code_is_the_same_until_it_is_used_taken_back_or_the_key_changes() {
    let test = TestApp::new().await;
    let offline: Value = test.owner("GET", "/api/admin/network-code", None).await.body;
    assert_eq!(offline["code"], "NETWORK_OFFLINE");
    for path in ["/api/v1/system/share", "/api/v1/system/share-node"] {
        assert_eq!(test.bad("GET", path, None).await, (503, "NETWORK_OFFLINE".into()), "{path}");
    }
    let id = test.founded().await;
    let code = async || test.good("GET", "/api/admin/network-code", None).await;
    let first = code().await;
    assert_eq!((&first["phase"], &first["peers"]), (&json!("solo"), &json!(0)));
    assert_eq!(code().await["code"], first["code"]);
    test.good("POST", &at(id, "/swarm-key"), None).await;
    let second = code().await;
    assert_ne!(second["code"], first["code"]);
    let invites = test.good("GET", &at(id, "/invites"), None).await;
    for invite in invites["invites"].as_array().unwrap() {
        test.good("DELETE", &at(id, &format!("/invites/{}", invite["id"].as_str().unwrap())), None).await;
    }
    let third = code().await;
    assert_ne!(third["code"], second["code"]);
    test.node.clock.forward(86_400_000 - 3_000_000);
    assert_ne!(code().await["code"], third["code"], "it is nearly over");
    let guest = test.guest(id, Role::Member).await;
    assert_eq!(code().await["phase"], "offline");
    test.mesh.meets(guest.id(), PeerPath::Direct);
    assert_eq!((&code().await["phase"], &code().await["peers"]), (&json!("connected"), &json!(1)));
}

#[tokio::test]
async fn a_code_that_was_shown_offline_gives_way_to_one_with_the_addresses() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let shown = async || test.good("GET", "/api/admin/network-code", None).await["code"].as_str().unwrap().to_owned();
    let addresses = |code: &str| test.node.networks.preview(code).unwrap().addresses;
    test.good("POST", "/api/v1/networks/disconnect", None).await;
    let blind = shown().await;
    assert_eq!((addresses(&blind).len(), shown().await), (0, blind.clone()));
    test.good("POST", &at(id, "/connect"), None).await;
    let seeing = shown().await;
    assert_eq!((addresses(&seeing), shown().await), (vec!["/ip4/192.0.2.1/tcp/4001".to_owned()], seeing.clone()));
    assert_ne!(seeing, blind);
    test.good("POST", "/api/v1/networks/disconnect", None).await;
    assert_eq!(shown().await, seeing, "nothing better is known");
}

#[tokio::test]
async fn a_network_is_joined_by_a_code_or_an_address() {
    let (host, test) = (TestApp::new().await, TestApp::new().await);
    host.founded().await;
    let join = |code: &str| Some(json!({"code": code}));
    let address = format!("/ip4/192.0.2.1/tcp/4001/p2p/{}", host.node.id());
    assert_eq!(test.bad("POST", "/api/admin/join-network", join(&address)).await, (503, "NETWORK_OFFLINE".into()));
    assert_eq!(test.bad("POST", "/api/admin/join-network", join("nonsense")).await, (400, "INVITE_INVALID".into()));
    let code = host.good("GET", "/api/admin/network-code", None).await["code"].as_str().unwrap().to_owned();
    let joined = test.good("POST", "/api/admin/join-network", join(&code)).await;
    assert_eq!((&joined["status"], &joined["network"]["state"]), (&json!("joined"), &json!("connected")));
    let dialled = test.good("POST", "/api/admin/join-network", join(&address)).await;
    assert_eq!((&dialled["status"], &dialled["peer_id"]), (&json!("connected"), &json!(host.node.id().as_str())));
    assert!(dialled["network"]["bootstrap"].as_array().unwrap().contains(&json!(address)), "it is remembered");
    assert_eq!(test.bad("POST", "/api/admin/join-network", join("/ip4/1")).await, (400, "INVALID_REQUEST".into()));
}
