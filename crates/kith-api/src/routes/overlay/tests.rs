//! EdgeCoder's mesh over HTTP: who is let in, and what of what they say is taken.

use crate::{
    envelopes, signed,
    testing::{Networked, TestApp},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use kith_keys::Identity;
use kith_networks::{NodeSays, Role, SKEW_MS};
use kith_types::{Clock, Timestamp};
use kith_wire::networks::MeshEnvelope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Headers = Vec<(&'static str, String)>;

/// A request signed by that key.
fn sign(by: &Identity, method: &str, path: &str, body: &str, nonce: &str, at: i64) -> Headers {
    sign_for(None, by, (method, path), body, (at, nonce))
}

/// As above, good at that node alone.
fn sign_for(recipient: Option<&str>, by: &Identity, (method, path): (&str, &str), body: &str, stamp: (i64, &str)) -> Headers {
    let (digest, (at, nonce)) = (hex::encode(Sha256::digest(body)), stamp);
    let text = signed::text(stamp, (&method.parse().unwrap(), &path.parse().unwrap()), &digest, recipient);
    let named = recipient.map(|recipient| ("x-recipient", recipient.to_owned()));
    let headers = vec![
        ("x-node-id", by.node_id().to_string()),
        ("x-timestamp-ms", at.to_string()),
        ("x-nonce", nonce.to_owned()),
        ("x-body-sha256", digest),
        ("x-signature", STANDARD.encode(by.sign(text.as_bytes()))),
    ];
    headers.into_iter().chain(named).collect()
}

fn nonce(number: u32) -> String {
    format!("nonce-{number:010}")
}

/// A message signed by that node.
fn envelope(by: &Networked, id: &str, kind: &str, payload: Value, at: Timestamp) -> MeshEnvelope {
    let mut envelope = MeshEnvelope {
        id: id.into(),
        kind: kind.into(),
        from_peer_id: by.id().to_string(),
        issued_at_ms: at,
        ttl_ms: 30_000,
        payload,
        signature: String::new(),
    };
    envelope.signature = STANDARD.encode(by.identity.sign(envelopes::text(&envelope).as_bytes()));
    envelope
}

#[tokio::test]
async fn the_mesh_is_let_in_by_its_token_or_a_members_signature_and_by_nothing_else() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let now = test.node.clock.now().ms();
    for path in ["/identity", "/mesh/peers", "/mesh/capabilities", "/mesh/capabilities?model=a:1"] {
        assert_eq!(test.ask("GET", path, &[], None).await.status, 401, "{path}");
        assert_eq!(test.owner("GET", path, None).await.status, 403, "{path}");
        assert_eq!(test.mesh_token("GET", path, None).await.status, 200, "{path}");
        let signed = sign(&guest.identity, "GET", path, "", &format!("{path}-0123456789abcdef"), now);
        assert_eq!(test.ask("GET", path, &signed, None).await.status, 200, "{path}");
    }
    let identity = test.mesh_token("GET", "/identity", None).await.body;
    assert_eq!((&identity["peerId"], &identity["networkMode"]), (&json!(test.node.id()), &json!("enterprise_overlay")));
    assert_eq!(identity["coordinatorUrl"], "", "it listens nowhere where others reach it");
    test.app.set_listening(vec!["127.0.0.1:4343".parse().unwrap(), "0.0.0.0:4343".parse().unwrap()]);
    let identity = test.mesh_token("GET", "/identity", None).await.body;
    assert_eq!(identity["coordinatorUrl"], "http://192.0.2.1:4343");
    let elsewhere = sign(&guest.identity, "GET", "/api/v1/nodes", "", &nonce(1), now);
    assert_eq!(test.ask("GET", "/api/v1/nodes", &elsewhere, None).await.status, 401, "a signature opens the mesh alone");
}

#[tokio::test]
async fn a_signed_request_is_refused_when_anything_about_it_is_wrong() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let stranger = Networked::new().await;
    let now = test.node.clock.now().ms();
    let good = sign(&guest.identity, "GET", "/mesh/peers", "", &nonce(1), now);
    let without = |name: &str| good.iter().filter(|(header, _)| *header != name).cloned().collect::<Headers>();
    let with = |name: &'static str, value: &str| [without(name), vec![(name, value.to_owned())]].concat();
    let mut cases = vec![
        ("a stranger's key", sign(&stranger.identity, "GET", "/mesh/peers", "", &nonce(2), now)),
        ("another's name", with("x-node-id", test.node.id().as_str())),
        ("no name", with("x-node-id", "me")),
        ("another method", sign(&guest.identity, "POST", "/mesh/peers", "", &nonce(3), now)),
        ("another path", sign(&guest.identity, "GET", "/identity", "", &nonce(4), now)),
        ("an early time", sign(&guest.identity, "GET", "/mesh/peers", "", &nonce(5), now - 120_001)),
        ("a late time", sign(&guest.identity, "GET", "/mesh/peers", "", &nonce(6), now + 120_001)),
        ("an impossible time", with("x-timestamp-ms", "-9223372036854775808")),
        ("no time", with("x-timestamp-ms", "now")),
        ("a short nonce", sign(&guest.identity, "GET", "/mesh/peers", "", "short", now)),
        ("another nonce", with("x-nonce", &nonce(7))),
        ("no digest", with("x-body-sha256", "00")),
        ("no signature", with("x-signature", "AAAA")),
        ("another body", sign(&guest.identity, "GET", "/mesh/peers", "other", &nonce(8), now)),
    ];
    for name in ["x-node-id", "x-timestamp-ms", "x-nonce", "x-body-sha256"] {
        cases.push((name, without(name)));
    }
    for (what, headers) in cases {
        let answer = test.ask("GET", "/mesh/peers", &headers, None).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "UNAUTHORIZED"), "{what}: {answer:?}");
    }
    let with_token = [good.clone(), vec![("x-mesh-token", "wrong".to_owned())]].concat();
    assert_eq!(test.ask("GET", "/mesh/peers", &with_token, None).await.status, 401, "nothing wrong is overlooked");
    assert_eq!(test.ask("GET", "/mesh/peers", &good, None).await.status, 200);
    assert_eq!(test.ask("GET", "/mesh/peers", &good, None).await.status, 401, "it came before");
    test.node.networks.remove(id, guest.id()).await.unwrap();
    let removed = sign(&guest.identity, "GET", "/mesh/peers", "", &nonce(9), now);
    assert_eq!(test.ask("GET", "/mesh/peers", &removed, None).await.status, 401);
}

#[tokio::test]
async fn a_request_that_names_its_recipient_is_good_nowhere_else() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let now = test.node.clock.now().ms();
    let signed = |recipient: Option<&str>, number: u32| {
        sign_for(recipient, &guest.identity, ("GET", "/mesh/peers"), "", (now, &nonce(number)))
    };
    let ask = async |headers: Headers| test.ask("GET", "/mesh/peers", &headers, None).await.status.as_u16();
    let (own, other) = (test.node.id().to_string(), guest.id().to_string());
    assert_eq!(ask(signed(Some(&other), 1)).await, 401, "it was meant for another");
    let taken_off = signed(Some(&other), 2).into_iter().filter(|(name, _)| *name != "x-recipient").collect();
    assert_eq!(ask(taken_off).await, 401, "the recipient is signed");
    let put_on = [signed(None, 3), vec![("x-recipient", own.clone())]].concat();
    assert_eq!(ask(put_on).await, 401, "that there is none is signed as well");
    assert_eq!(ask(signed(Some(""), 4)).await, 401, "an empty name is nobody's");
    assert_eq!(ask(signed(Some(&own), 5)).await, 200);
    assert_eq!(ask(signed(None, 6)).await, 200, "the reference's clients name none");
}

#[tokio::test]
async fn a_message_that_had_no_effect_is_no_duplicate_when_it_comes_again() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let now = test.node.clock.now();
    guest.clock.forward(SKEW_MS + 60_000);
    let said = guest.networks.say(id, NodeSays { region: "CH".into(), ..NodeSays::default() }).await.unwrap();
    let message = envelope(&guest, "1", "node_record", json!({"record": String::from_utf8(said).unwrap()}), now);
    let send = async || test.mesh_token("POST", "/mesh/ingest", Some(serde_json::to_value(&message).unwrap())).await.body;
    let nothing = json!({"ok": false, "duplicate": false});
    assert_eq!([send().await, send().await], [nothing.clone(), nothing], "a record from the future is not kept");
    test.node.clock.forward(60_000);
    assert_eq!(send().await, json!({"ok": true, "duplicate": false}));
    assert_eq!(send().await, json!({"ok": true, "duplicate": true}));
}

#[tokio::test]
async fn a_peer_registers_itself_and_nobody_else() {
    let test = TestApp::new().await;
    let guest = Networked::new().await;
    let body = |node: &Networked| json!({"peerId": node.id(), "coordinatorUrl": "http://192.0.2.7:4343", "role": "agent"});
    let offline = test.mesh_token("POST", "/mesh/register-peer", Some(body(&guest))).await;
    assert_eq!((offline.status.as_u16(), offline.code()), (503, "NETWORK_OFFLINE"));
    let id = test.founded().await;
    let stranger = test.mesh_token("POST", "/mesh/register-peer", Some(body(&guest))).await;
    assert_eq!((stranger.status.as_u16(), stranger.code()), (403, "FORBIDDEN"));
    let (guest, other) = (test.guest(id, Role::Member).await, test.guest(id, Role::Member).await);
    let now = test.node.clock.now().ms();
    let signed = |by: &Networked, of: &Networked, number: u32| {
        sign(&by.identity, "POST", "/mesh/register-peer", &body(of).to_string(), &nonce(number), now)
    };
    let done = test.ask("POST", "/mesh/register-peer", &signed(&guest, &guest, 1), Some(body(&guest))).await;
    assert_eq!((done.status.as_u16(), done.body), (200, json!({"ok": true, "peerCount": 2})));
    let again = test.ask("POST", "/mesh/register-peer", &signed(&guest, &guest, 1), Some(body(&guest))).await;
    assert_eq!(again.status, 401, "the same request is taken once");
    let foreign = test.ask("POST", "/mesh/register-peer", &signed(&guest, &other, 2), Some(body(&other))).await;
    assert_eq!((foreign.status.as_u16(), foreign.code()), (403, "FORBIDDEN"));
    let swapped = test.ask("POST", "/mesh/register-peer", &signed(&guest, &guest, 3), Some(body(&other))).await;
    assert_eq!(swapped.status, 401, "the body is the one that was signed");
    let peers = test.mesh_token("GET", "/mesh/peers", None).await.body;
    let told = peers["peers"].as_array().unwrap().iter().find(|peer| peer["peerId"] == json!(guest.id())).unwrap().clone();
    assert_eq!((&told["role"], &told["coordinatorUrl"]), (&json!("agent"), &json!("http://192.0.2.7:4343")));
    let feed = test.good("GET", "/network/coordinators", None).await;
    let ids: Vec<&Value> = feed["coordinators"].as_array().unwrap().iter().map(|one| &one["coordinatorId"]).collect();
    assert_eq!(ids, [&json!(test.node.id()), &json!(other.id())], "agents are no coordinators");
    let key = test.user_key().await;
    let user = [("authorization", format!("Bearer {key}"))];
    assert_eq!(test.ask("GET", "/network/coordinators", &user, None).await.status, 403);
    let wrong = test.mesh_token("POST", "/mesh/register-peer", Some(json!({"peerId": "me"}))).await;
    assert_eq!((wrong.status.as_u16(), wrong.body["field"].as_str()), (400, Some("peerId")));
}

#[tokio::test]
async fn a_message_counts_by_its_senders_signature_and_once() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let (guest, stranger) = (test.guest(id, Role::Member).await, Networked::new().await);
    let now = test.node.clock.now();
    let send = async |envelope: &MeshEnvelope| {
        test.mesh_token("POST", "/mesh/ingest", Some(serde_json::to_value(envelope).unwrap())).await
    };
    let held = json!({"agentCount": 1, "totalParamCapacity": 7.0, "avgLoad": 0.5});
    let payload = |of: &Networked| json!({"coordinatorId": of.id(), "agentCount": 1, "modelAvailability": {"a:1": held}, "timestamp": now, "chatEnabled": true});
    let summary = envelope(&guest, "1", "capability_summary", payload(&guest), now);
    assert_eq!(send(&summary).await.body, json!({"ok": true, "duplicate": false}));
    assert_eq!(send(&summary).await.body, json!({"ok": true, "duplicate": true}));
    let told = test.mesh_token("GET", "/mesh/capabilities?model=a:1", None).await.body;
    assert_eq!(told["coordinators"].as_array().unwrap().len(), 1);
    assert_eq!(told["coordinators"][0]["modelAvailability"]["a:1"]["avgLoad"], 0.5);
    assert_eq!(test.mesh_token("GET", "/mesh/capabilities?model=b", None).await.body, json!({"coordinators": []}));
    let announce = json!({"peerId": guest.id(), "coordinatorUrl": "https://box.local", "role": "phone"});
    assert_eq!(send(&envelope(&guest, "2", "peer_announce", announce.clone(), now)).await.body["ok"], true);
    assert_eq!(test.mesh_token("GET", "/mesh/peers", None).await.body["peers"][0]["role"], "phone");
    let said = guest.networks.say(id, NodeSays { region: "CH".into(), ..NodeSays::default() }).await.unwrap();
    let record = json!({"record": String::from_utf8(said).unwrap()});
    assert_eq!(send(&envelope(&guest, "3", "node_record", record.clone(), now)).await.body["ok"], true);
    assert_eq!(send(&envelope(&guest, "4", "node_record", record, now)).await.body["ok"], false, "nothing new came of it");

    let tampered = MeshEnvelope { payload: json!({"record": "x"}), ..summary.clone() };
    let late = envelope(&guest, "5", "capability_summary", payload(&guest), now.plus_ms(-150_001));
    let early = envelope(&guest, "6", "capability_summary", payload(&guest), now.plus_ms(120_001));
    let long = MeshEnvelope { ttl_ms: 60_001, ..summary.clone() };
    let unnamed = MeshEnvelope { id: "a\nb".into(), ..summary.clone() };
    let nobody = MeshEnvelope { from_peer_id: "me".into(), ..summary.clone() };
    let unsigned = MeshEnvelope { signature: String::new(), ..summary.clone() };
    for (wrong, field) in [
        (tampered, "signature"),
        (late, "issuedAtMs"),
        (early, "issuedAtMs"),
        (long, "ttlMs"),
        (unnamed, "id"),
        (nobody, "fromPeerId"),
        (unsigned, "signature"),
        (envelope(&guest, "7", "task_offer", json!({}), now), "type"),
        (envelope(&guest, "8", "capability_summary", payload(&test.node), now), "payload"),
        (envelope(&guest, "9", "peer_announce", json!({"peerId": test.node.id()}), now), "payload"),
        (envelope(&guest, "10", "node_record", json!({}), now), "payload"),
        (envelope(&guest, "11", "node_record", json!({"record": "x"}), now), "payload"),
        (envelope(&guest, "12", "capability_summary", json!(7), now), "payload"),
    ] {
        let answer = send(&wrong).await;
        assert_eq!((answer.status.as_u16(), answer.body["field"].as_str()), (400, Some(field)), "{}: {answer:?}", wrong.id);
    }
    let foreign = send(&envelope(&stranger, "13", "peer_announce", announce, now)).await;
    assert_eq!((foreign.status.as_u16(), foreign.code()), (403, "FORBIDDEN"));
}

#[tokio::test]
async fn a_sender_of_too_many_messages_waits() {
    let test = TestApp::new().await;
    let id = test.founded().await;
    let guest = test.guest(id, Role::Member).await;
    let send = async |number: u32| {
        let message = envelope(&guest, &number.to_string(), "task_offer", json!({}), test.node.clock.now());
        test.mesh_token("POST", "/mesh/ingest", Some(serde_json::to_value(message).unwrap())).await.status.as_u16()
    };
    for number in 0..50 {
        assert_eq!(send(number).await, 400);
    }
    assert_eq!(send(50).await, 429);
    test.node.clock.forward(10_000);
    assert_eq!(send(51).await, 400);
}
