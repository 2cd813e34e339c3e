//! Paired devices: how one comes in, what it may do, how it goes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::StreamExt;
use kith_access::Level;
use kith_engine::scripted::ScriptedEngine;
use kith_tests::{Served, TestNode, admin_token, client, kith_command};
use kith_types::{Clock, SystemClock, Timestamp};
use kith_wire::system::{
    ClaimRequest, ClaimedDevice, DeviceList, DeviceListener, Fingerprint, PairingInvitation, PairingStage, PairingStatus,
    RenamedDevice,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};

/// An address of this machine for one test alone, so that no other takes its port between two starts.
fn address(test: u8) -> IpAddr {
    if cfg!(target_os = "linux") { [127, 77, 0, test].into() } else { [127, 0, 0, 1].into() }
}

/// The settings of a node that listens for phones there.
fn lan(test: u8) -> String {
    format!("[lan]\nbind = [\"{}\"]\n", address(test))
}

/// The system's clock, set forward.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_ms(self.0.load(Ordering::SeqCst))
    }
}

async fn node(test: u8) -> TestNode {
    let node = TestNode::with(&lan(test), ScriptedEngine::saying("one two three")).await;
    node.import("tiny:1b", 1).await;
    node
}

/// The certificate that a node on this folder shows, as a phone that was told its fingerprint knows it.
fn certificate(dir: &Path) -> Vec<u8> {
    let stored: Value = serde_json::from_slice(&std::fs::read(dir.join("lan-certificate.json")).unwrap()).unwrap();
    STANDARD.decode(stored["certificate"].as_str().unwrap()).unwrap()
}

fn trusting(dir: &Path, from: Option<IpAddr>) -> Client {
    let certificate = reqwest::Certificate::from_der(&certificate(dir)).unwrap();
    let builder = Client::builder().no_proxy().timeout(Duration::from_secs(60)).local_address(from);
    builder.tls_certs_only([certificate]).build().unwrap()
}

/// A phone in the home's network.
struct Phone {
    http: Client,
    base: String,
    token: Option<String>,
}

impl Phone {
    /// One that has scanned the code.
    fn at(dir: &Path, url: &str) -> Self {
        let base = url.split_once("/pair#").map_or(url, |(base, _)| base).to_owned();
        Self { http: trusting(dir, None), base, token: None }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn status(&self, method: Method, path: &str) -> StatusCode {
        self.request(method, path).send().await.unwrap().status()
    }

    async fn claim(&self, ticket: &str, name: &str) -> Response {
        let claim = ClaimRequest { ticket: ticket.to_owned(), name: name.to_owned(), kind: kith_types::DeviceKind::Phone };
        self.request(Method::POST, "/api/v1/devices/pair/claim").json(&claim).send().await.unwrap()
    }

    /// Whether nobody takes its calls.
    async fn finds_nobody(&self) -> bool {
        let fresh = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        // Any answer, also one of a certificate it does not know, comes from somebody.
        fresh.get(format!("{}/health", self.base.replace("https:", "http:"))).send().await.is_err_and(|error| error.is_connect())
    }
}

fn ticket_of(invitation: &PairingInvitation) -> &str {
    invitation.url.split_once('#').unwrap().1
}

async fn invite(node: &TestNode) -> PairingInvitation {
    let answer = node.as_admin(Method::POST, "/api/v1/devices/pair").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn pair(node: &TestNode, name: &str) -> (Phone, ClaimedDevice) {
    let invitation = invite(node).await;
    let mut phone = Phone::at(node.dir.path(), &invitation.url);
    let claimed: ClaimedDevice = phone.claim(ticket_of(&invitation), name).await.json().await.unwrap();
    phone.token = Some(claimed.token.clone());
    (phone, claimed)
}

async fn devices(node: &TestNode) -> DeviceList {
    node.as_admin(Method::GET, "/api/v1/devices").send().await.unwrap().json().await.unwrap()
}

async fn stage(node: &TestNode) -> PairingStage {
    let status: PairingStatus = node.as_admin(Method::GET, "/api/v1/devices/pair").send().await.unwrap().json().await.unwrap();
    status.state
}

async fn refused(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Waits for what a node does in the background.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "it did not come to be");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_on(node: &TestNode) -> DeviceListener {
    until(async || devices(node).await.listener.on).await;
    devices(node).await.listener
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_pairs_by_the_code_and_chats() {
    let node = node(1).await;
    assert!(!devices(&node).await.listener.on, "nothing listens before somebody is invited");
    assert_eq!(stage(&node).await, PairingStage::None);
    let invitation = invite(&node).await;
    assert_eq!(invitation.addresses, [address(1).to_string()]);
    assert!(invitation.url.starts_with(&format!("https://{}:{}/pair#kithp_", address(1), invitation.port)), "{}", invitation.url);
    assert!(invitation.qr_svg.starts_with("<svg "));
    let shown = Sha256::digest(certificate(node.dir.path()));
    assert_eq!(invitation.fingerprint, Fingerprint::of(&shown.into()));
    assert_eq!(stage(&node).await, PairingStage::Waiting);
    let mut phone = Phone::at(node.dir.path(), &invitation.url);
    assert_eq!(phone.status(Method::GET, "/health").await, StatusCode::OK);
    assert_eq!(phone.status(Method::GET, "/api/tags").await, StatusCode::UNAUTHORIZED);
    let answer = phone.claim(ticket_of(&invitation), "Ann's phone").await;
    assert!(!answer.headers().contains_key("strict-transport-security"));
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let claimed: ClaimedDevice = answer.json().await.unwrap();
    assert!(claimed.token.starts_with("kithd_") && !claimed.node_name.is_empty());
    phone.token = Some(claimed.token);
    assert_eq!(stage(&node).await, PairingStage::Used);
    let body = json!({"model": "tiny:1b", "messages": [{"role": "user", "content": "hi"}]});
    let text = phone.request(Method::POST, "/api/chat").json(&body).send().await.unwrap().text().await.unwrap();
    let said: String = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"]["content"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(said, "one two three");
    let list = devices(&node).await;
    assert_eq!(list.devices.len(), 1);
    assert_eq!((list.devices[0].name.as_str(), list.devices[0].online), ("Ann's phone", true));
    assert_eq!(list.devices[0].address, "127.0.0.1");
    assert!(list.node.cores > 0 && list.node.memory_bytes > 0 && !list.node.name.is_empty());
    // The phone sees the same list.
    let seen: DeviceList = phone.request(Method::GET, "/api/v1/devices").send().await.unwrap().json().await.unwrap();
    assert_eq!(seen.devices[0].id, list.devices[0].id);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_used_expired_and_withdrawn_tickets_are_told_apart_and_open_nothing() {
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let engine = ScriptedEngine::saying("yes");
    let node = TestNode::set_up(tempfile::tempdir().unwrap(), &lan(2), &[], Arc::clone(&clock) as _, engine).await;
    let first = invite(&node).await;
    let phone = Phone::at(node.dir.path(), &first.url);
    assert_eq!(refused(phone.claim("kithp_guess", "x").await).await, (401, "UNAUTHORIZED".into()));
    let second = invite(&node).await;
    assert_eq!(second.port, first.port);
    assert_eq!(refused(phone.claim(ticket_of(&first), "x").await).await, (410, "TICKET_EXPIRED".into()));
    assert_eq!(refused(phone.claim(ticket_of(&second), " ").await).await, (400, "INVALID_REQUEST".into()));
    let gone = node.as_admin(Method::DELETE, "/api/v1/devices/pair").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(stage(&node).await, PairingStage::Withdrawn);
    until(async || phone.finds_nobody().await).await;
    let third = invite(&node).await;
    clock.0.fetch_add(5 * 60_000, Ordering::SeqCst);
    // Nobody came: the listener goes with the ticket. Told by the other listener, it is the same ticket.
    until(async || phone.finds_nobody().await).await;
    assert_eq!(stage(&node).await, PairingStage::Expired);
    let late = node.post("/api/v1/devices/pair/claim", json!({"ticket": ticket_of(&third), "name": "x"})).await;
    assert_eq!(refused(late).await, (410, "TICKET_EXPIRED".into()));
    let fourth = invite(&node).await;
    let phone = Phone::at(node.dir.path(), &fourth.url);
    assert_eq!(phone.claim(ticket_of(&fourth), "x").await.status(), StatusCode::OK);
    assert_eq!(refused(phone.claim(ticket_of(&fourth), "y").await).await, (410, "TICKET_USED".into()));
    assert_eq!(devices(&node).await.devices.len(), 1);
    node.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_held_back_and_makes_the_ticket_void_and_stands_in_the_audit() {
    let node = node(4).await;
    let invitation = invite(&node).await;
    let phone_at = |last: u8| Phone {
        http: trusting(node.dir.path(), Some(IpAddr::from([127, 0, 0, last]))),
        ..Phone::at(node.dir.path(), &invitation.url)
    };
    let first = phone_at(11);
    for _ in 0..5 {
        assert_eq!(first.claim("kithp_guess", "x").await.status(), StatusCode::UNAUTHORIZED);
    }
    let held = first.claim(ticket_of(&invitation), "x").await;
    assert!(held.headers().contains_key("retry-after"));
    assert_eq!(refused(held).await, (429, "RATE_LIMITED".into()));
    for last in 12..15 {
        let other = phone_at(last);
        for _ in 0..5 {
            assert_eq!(other.claim("kithp_guess", "x").await.status(), StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(stage(&node).await, PairingStage::Guessed);
    until(async || first.finds_nobody().await).await;
    let right = node.post("/api/v1/devices/pair/claim", json!({"ticket": ticket_of(&invitation), "name": "x"})).await;
    assert_eq!(refused(right).await, (410, "TICKET_EXPIRED".into()));
    until(async || {
        let audit = node.as_admin(Method::GET, "/api/v1/audit").send().await.unwrap().text().await.unwrap();
        audit.contains("device.pairing_guessed")
            && audit.contains("device.claim_refused")
            && !audit.contains(ticket_of(&invitation))
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn being_on_this_machine_opens_nothing_there_and_the_owners_part_is_closed() {
    let node = node(5).await;
    let (mut phone, _) = pair(&node, "phone").await;
    let token = phone.token.take();
    let routes: Vec<(Method, String, Level)> = node
        .node()
        .app()
        .routes()
        .iter()
        .map(|route| {
            let path = route.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            (route.method.parse().unwrap(), path.collect::<Vec<_>>().join("/"), route.access)
        })
        .collect();
    // Without credentials, from 127.0.0.1.
    let mut open = BTreeSet::new();
    for (method, path, _) in &routes {
        let status = phone.status(method.clone(), path).await;
        if !matches!(status, StatusCode::UNAUTHORIZED) {
            open.insert(format!("{method} {path}"));
        }
    }
    // The pages hold nothing of the node: they are what a phone without a bearer is paired by.
    let expected = [
        "GET /",
        "GET /api/v1/health",
        "GET /app",
        "GET /app/x",
        "GET /assets/x",
        "GET /favicon.ico",
        "GET /health",
        "GET /icons/x",
        "GET /manifest.webmanifest",
        "GET /pair",
        "HEAD /",
        "POST /api/v1/devices/pair/claim",
    ];
    assert_eq!(open.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    // With what opens everything elsewhere.
    let admin = admin_token(node.dir.path());
    let key = kith_node::tokens::mint(node.dir.path(), "k", "admin".parse().unwrap(), None).await.unwrap().token;
    let get = || phone.request(Method::GET, "/api/v1/auth/keys");
    for request in [get().header("x-kith-admin-token", &admin), get().bearer_auth(&admin), get().bearer_auth(&key)] {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    // As a paired device.
    phone.token = token;
    for (method, path, access) in &routes {
        let networks = path.starts_with("/api/v1/networks")
            && (*method != Method::GET || path.ends_with("/key") || path.ends_with("/invite"));
        let codes = ["/api/v1/system/share", "/api/v1/system/setup", "/api/admin/network-code"].contains(&path.as_str());
        let owners = path.starts_with("/api/v1/auth/") || networks || codes;
        let closed = matches!(access, Level::Admin | Level::Mesh) || owners;
        let answer = phone.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.status() == StatusCode::FORBIDDEN, closed, "{method} {path}: {}", answer.status());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_names_are_hosts_and_origins_there() {
    let node = node(6).await;
    let (phone, _) = pair(&node, "phone").await;
    let own = phone.base.strip_prefix("https://").unwrap().to_owned();
    let port = own.rsplit_once(':').unwrap().1;
    let home = node.url.strip_prefix("http://").unwrap();
    let ask = async |name: &'static str, value: &str| {
        phone.request(Method::GET, "/api/tags").header(name, value).send().await.unwrap().status()
    };
    for host in ["evil.example", "localhost", &format!("localhost:{port}"), &format!("evil.example:{port}"), "127.0.0.1", home] {
        assert_eq!(ask("host", host).await, StatusCode::FORBIDDEN, "{host}");
    }
    for origin in ["https://evil.example", "null", &format!("http://{own}"), &format!("http://{home}"), "tauri://localhost"] {
        assert_eq!(ask("origin", origin).await, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(ask("host", &own).await, StatusCode::OK);
    assert_eq!(ask("origin", &phone.base).await, StatusCode::OK);
    assert_eq!(ask("sec-fetch-site", "cross-site").await, StatusCode::FORBIDDEN);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_phone_is_cut_off_in_mid_answer_and_the_other_is_not() {
    let engine = ScriptedEngine::saying(&"word ".repeat(1500)).with_pace(Duration::from_millis(20));
    let node = TestNode::with(&lan(7), engine).await;
    node.import("tiny:1b", 1).await;
    let (other, _) = pair(&node, "tablet").await;
    let (phone, claimed) = pair(&node, "phone").await;
    let body = json!({"model": "tiny:1b", "messages": [{"role": "user", "content": "hi"}]});
    let mut answer = phone.request(Method::POST, "/api/chat").json(&body).send().await.unwrap().bytes_stream();
    let whole = phone.request(Method::POST, "/api/chat");
    let whole = tokio::spawn(
        whole.json(&json!({"model": "tiny:1b", "stream": false, "messages": [{"role": "user", "content": "hi"}]})).send(),
    );
    let mut events = phone.request(Method::GET, "/api/v1/events/stream").send().await.unwrap().bytes_stream();
    let mut others = other.request(Method::GET, "/api/v1/events/stream").send().await.unwrap().bytes_stream();
    assert!(answer.next().await.unwrap().is_ok() && events.next().await.unwrap().is_ok());
    let mut socket = socket(&node, &phone).await;
    assert!(socket.next().await.unwrap().unwrap().to_string().contains("welcome"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let id = claimed.device.id;
    let gone = node.as_admin(Method::DELETE, &format!("/api/v1/devices/{id}")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let ended = timeout(Duration::from_secs(1), async {
        while answer.next().await.is_some_and(|part| part.is_ok()) {}
        while events.next().await.is_some_and(|part| part.is_ok()) {}
        while socket.next().await.is_some_and(|message| message.is_ok_and(|message| !message.is_close())) {}
        whole.await.unwrap().unwrap().status()
    });
    assert_eq!(ended.await.expect("everything of it ends within a second"), StatusCode::UNAUTHORIZED);
    assert_eq!(phone.status(Method::GET, "/api/tags").await, StatusCode::UNAUTHORIZED);
    assert_eq!(other.status(Method::GET, "/api/tags").await, StatusCode::OK);
    // What the other sees of it.
    let told = timeout(Duration::from_secs(5), async {
        let mut text = String::new();
        while !text.contains("device.revoked") {
            text.push_str(&String::from_utf8_lossy(&others.next().await.unwrap().unwrap()));
        }
        text
    });
    assert!(told.await.unwrap().contains(&id));
    let again = node.as_admin(Method::DELETE, &format!("/api/v1/devices/{id}")).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    // With the last one goes the listener.
    let last = devices(&node).await.devices[0].id.clone();
    node.as_admin(Method::DELETE, &format!("/api/v1/devices/{last}")).send().await.unwrap();
    until(async || other.finds_nobody().await).await;
    node.stop().await;
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

/// A WebSocket as a page opens it: with a ticket.
async fn socket(node: &TestNode, phone: &Phone) -> Socket {
    use tokio_rustls::{TlsConnector, rustls};
    let made: Value = phone.request(Method::POST, "/api/admin/ws-ticket").send().await.unwrap().json().await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from(certificate(node.dir.path()))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let authority = phone.base.strip_prefix("https://").unwrap();
    let name = authority.rsplit_once(':').unwrap().0.to_owned();
    let tcp = TcpStream::connect(authority).await.unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name.try_into().unwrap(), tcp).await.unwrap();
    let url = format!("wss://{authority}/ws?ticket={}", made["ticket"].as_str().unwrap());
    tokio_tungstenite::client_async(url, tls).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paired_phone_finds_its_node_again_after_a_restart_at_the_same_place_with_the_same_certificate() {
    let node = node(8).await;
    let (phone, claimed) = pair(&node, "phone").await;
    let before = devices(&node).await.listener;
    let dir = node.stop().await;
    assert!(phone.finds_nobody().await);
    let node = TestNode::in_dir(dir, &lan(8), ScriptedEngine::saying("yes")).await;
    let after = until_on(&node).await;
    assert_eq!(after, before);
    assert_eq!(phone.status(Method::GET, "/api/tags").await, StatusCode::OK);
    assert_eq!(devices(&node).await.devices[0].id, claimed.device.id);
    assert_eq!(stage(&node).await, PairingStage::None, "tickets are not kept");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_killed_knows_the_phone_that_was_told_it_is_paired() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), lan(9)).unwrap();
    let node = Served::start(dir.path()).await;
    let http = client();
    let invitation: PairingInvitation = http
        .post(format!("{}/api/v1/devices/pair", node.url))
        .header("x-kith-admin-token", admin_token(dir.path()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut phone = Phone::at(dir.path(), &invitation.url);
    let claimed: ClaimedDevice = phone.claim(ticket_of(&invitation), "phone").await.json().await.unwrap();
    node.kill();
    phone.token = Some(claimed.token);
    let node = Served::start(dir.path()).await;
    until(async || !phone.finds_nobody().await).await;
    phone.http = trusting(dir.path(), None);
    assert_eq!(phone.status(Method::GET, "/api/tags").await, StatusCode::OK);
    assert_eq!(node.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_it_takes_no_calls_and_invites_nobody_also_after_a_restart() {
    let node = node(10).await;
    let (phone, _) = pair(&node, "phone").await;
    let pause = async |node: &TestNode, paused: bool| -> DeviceListener {
        let request = node.as_admin(Method::POST, "/api/v1/devices/listener").json(&json!({"paused": paused}));
        request.send().await.unwrap().json().await.unwrap()
    };
    invite(&node).await;
    let state = pause(&node, true).await;
    assert!(state.paused && !state.on && state.urls.is_empty());
    assert!(phone.finds_nobody().await);
    assert_eq!(stage(&node).await, PairingStage::Withdrawn);
    let refusal = node.as_admin(Method::POST, "/api/v1/devices/pair").send().await.unwrap();
    assert_eq!(refused(refusal).await, (409, "CONFLICT".into()));
    let dir = node.stop().await;
    let node = TestNode::in_dir(dir, &lan(10), ScriptedEngine::saying("yes")).await;
    until(async || devices(&node).await.listener.paused).await;
    assert!(phone.finds_nobody().await);
    assert!(pause(&node, false).await.on);
    assert_eq!(phone.status(Method::GET, "/api/tags").await, StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_gives_way_for_the_time_being() {
    let node = node(11).await;
    let (mut phone, _) = pair(&node, "phone").await;
    let port = devices(&node).await.listener.port.unwrap();
    let dir = node.stop().await;
    let taken = tokio::net::TcpListener::bind((address(11), port)).await.unwrap();
    let node = TestNode::in_dir(dir, &lan(11), ScriptedEngine::saying("yes")).await;
    let elsewhere = until_on(&node).await;
    assert_ne!(elsewhere.port, Some(port));
    phone.base = elsewhere.urls[0].clone();
    assert_eq!(phone.status(Method::GET, "/api/tags").await, StatusCode::OK);
    let dir = node.stop().await;
    drop(taken);
    let node = TestNode::in_dir(dir, &lan(11), ScriptedEngine::saying("yes")).await;
    assert_eq!(until_on(&node).await.port, Some(port), "its phones know that one");
    let dir = node.stop().await;
    // A port the owner has fixed is that one or none, and it is said why.
    let taken = tokio::net::TcpListener::bind((address(11), port)).await.unwrap();
    let node = TestNode::in_dir(dir, &format!("{}port = {port}\n", lan(11)), ScriptedEngine::saying("yes")).await;
    until(async || devices(&node).await.listener.fault.is_some()).await;
    let refusal = node.as_admin(Method::POST, "/api/v1/devices/pair").send().await.unwrap();
    assert_eq!(refused(refusal).await, (409, "CONFLICT".into()));
    drop(taken);
    let invitation = invite(&node).await;
    assert_eq!(invitation.port, port);
    assert_eq!(devices(&node).await.listener.fault, None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_and_the_node_are_renamed_by_the_owner() {
    let node = node(12).await;
    let (phone, claimed) = pair(&node, "phone").await;
    let own = devices(&node).await.node.id;
    for (id, name) in [(claimed.device.id.as_str(), "Ann's Pixel"), (own.as_str(), "Study")] {
        let request = node.as_admin(Method::PATCH, &format!("/api/v1/devices/{id}")).json(&json!({"name": format!(" {name} ")}));
        let renamed: RenamedDevice = request.send().await.unwrap().json().await.unwrap();
        assert_eq!((renamed.id.as_str(), renamed.name.as_str()), (id, name));
    }
    let list = devices(&node).await;
    assert_eq!((list.node.name.as_str(), list.devices[0].name.as_str()), ("Study", "Ann's Pixel"));
    let request = node.as_admin(Method::PATCH, "/api/v1/devices/none").json(&json!({"name": "x"}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let refusal = phone.request(Method::PATCH, &format!("/api/v1/devices/{own}")).json(&json!({"name": "Mine"})).send().await;
    assert_eq!(refusal.unwrap().status(), StatusCode::FORBIDDEN);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_limited_by_itself() {
    let toml = format!("{}[limits]\nstandard_per_hour = 40\ninference_per_minute = 2\nadmin_per_minute = 60\n", lan(13));
    let node = TestNode::with(&toml, ScriptedEngine::saying("yes")).await;
    let (phone, _) = pair(&node, "phone").await;
    let (other, _) = pair(&node, "other").await;
    let body = json!({"model": "none", "prompt": "x"});
    let ask = async |phone: &Phone| phone.request(Method::POST, "/api/generate").json(&body).send().await.unwrap().status();
    assert_eq!([ask(&phone).await, ask(&phone).await], [StatusCode::NOT_FOUND; 2]);
    assert_eq!(ask(&phone).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask(&other).await, StatusCode::NOT_FOUND);
    node.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_invites_waits_and_takes_the_ticket_back_when_interrupted() {
    use std::io::BufRead;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), lan(15)).unwrap();
    let node = Served::start(dir.path()).await;
    let begin = || {
        let mut child = kith_command(dir.path())
            .args(["invite", "--phone", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        (child, lines, serde_json::from_str::<PairingInvitation>(&line).unwrap())
    };
    let (mut child, mut lines, invitation) = begin();
    let phone = Phone::at(dir.path(), &invitation.url);
    assert_eq!(phone.claim(ticket_of(&invitation), "phone").await.status(), StatusCode::OK);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let status: PairingStatus = serde_json::from_str(&line).unwrap();
    assert_eq!((status.state, status.device.unwrap().name.as_str()), (PairingStage::Used, "phone"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (mut child, _lines, invitation) = begin();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(refused(phone.claim(ticket_of(&invitation), "late").await).await, (410, "TICKET_EXPIRED".into()));
    assert_eq!(node.terminate(), Some(0));
}
