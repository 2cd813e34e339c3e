//! What nodes that call over HTTP said of themselves: where their API is reached, and what they are. Kept across restarts.
//!
//! Registering makes nobody a member: only a member's registration is taken, and only from its own mouth, or from this machine.

use crate::{
    app::App,
    error::ApiError,
    neighbours::{self, Neighbours},
    signed,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use kith_access::{Principal, Who};
use kith_networks::NetworkError;
use kith_store::{Store, StoreError};
use kith_types::{Code, NodeId, Timestamp};
use kith_wire::networks::{MeshPeer, RegisterMeshPeer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use tokio::sync::Mutex;

/// Registrations kept; over that the oldest go. More than one network can have members.
const MAX_REGISTERED: usize = 256;
/// The longest address of an API, in bytes.
const MAX_URL: usize = 512;
/// The setting that holds them.
const KEY: &str = "mesh.registered";
/// The network's mode here: one enters by invitation.
pub(crate) const PRIVATE: &str = "enterprise_overlay";
const MODES: [&str; 2] = [PRIVATE, "public_mesh"];
/// What a peer that does not say otherwise is.
pub(crate) const COORDINATOR: &str = "coordinator";
const ROLES: [&str; 3] = [COORDINATOR, "agent", "phone"];

/// The registrations.
pub(crate) struct Registered {
    store: Store,
    /// Held while what is read decides what is written.
    writing: Mutex<()>,
}

/// One registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    network: String,
    node: String,
    url: String,
    mode: String,
    role: String,
    at_ms: Timestamp,
}

impl Registered {
    /// The registrations in the store.
    pub fn new(store: Store) -> Self {
        Self { store, writing: Mutex::default() }
    }

    async fn all(&self) -> Result<Vec<Registration>, StoreError> {
        let kept = self.store.setting(KEY).await?;
        // What cannot be read is worth nothing: peers register again.
        Ok(kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    async fn put(&self, registration: Registration) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let mut all = self.all().await?;
        all.retain(|known| (&known.network, &known.node) != (&registration.network, &registration.node));
        all.push(registration);
        let over = all.len().saturating_sub(MAX_REGISTERED);
        let text = serde_json::to_string(&all[over..]).unwrap_or_default();
        self.store.setting_put(KEY, &text).await
    }
}

fn failed(error: StoreError) -> ApiError {
    NetworkError::Store(error).into()
}

fn invalid(field: &str, reason: &str) -> ApiError {
    ApiError::new(Code::InvalidRequest, format!("`{field}` {reason}")).with_field(field)
}

/// A node's Ed25519 key as PEM (RFC 8410).
pub(crate) fn public_key_pem(node: &NodeId) -> String {
    const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = [SPKI.as_slice(), &node.ed25519()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

/// Where other nodes reach this node's API; empty where they do not.
pub(crate) async fn own_url(app: &App) -> String {
    let found = reached(app.listening(), &app.mesh.standing().await.listening);
    found.map(|address| format!("http://{address}")).unwrap_or_default()
}

/// Of the addresses that the API listens on one that others reach. Where it listens on all of this machine's, one of those at which
/// members are listened for tells which these are.
fn reached(api: &[SocketAddr], members: &[String]) -> Option<SocketAddr> {
    let named = api.iter().find(|address| is_reached(address.ip())).copied();
    named.or_else(|| {
        let own: Vec<IpAddr> = members.iter().filter_map(|address| host(address)).filter(|ip| is_reached(*ip)).collect();
        let mut everywhere = api.iter().filter(|address| address.ip().is_unspecified());
        let like = |address: &SocketAddr| own.iter().find(|ip| ip.is_ipv4() == address.is_ipv4());
        everywhere.find_map(|address| Some(SocketAddr::new(*like(address)?, address.port())))
    })
}

/// Whether an address means the same machine when another uses it.
fn is_reached(ip: IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || is_link_local)
}

/// The machine's address in one at which members are listened for; none in one of a member that carries for this node.
fn host(address: &str) -> Option<IpAddr> {
    let mut parts = address.split('/').skip(1);
    match (parts.next()?, parts.next()?) {
        ("ip4" | "ip6", ip) if !address.contains("/p2p-circuit") => ip.parse().ok(),
        _ => None,
    }
}

/// Checks a registration's words; the node it speaks of.
fn checked(body: &RegisterMeshPeer) -> Result<NodeId, ApiError> {
    let node: NodeId = body.peer_id.parse().map_err(|_| invalid("peerId", "is no node's id; it has the form 12D3Koo…"))?;
    if !body.public_key_pem.trim().is_empty() && body.public_key_pem.trim() != public_key_pem(&node).trim() {
        return Err(invalid("publicKeyPem", "is not the key of that node"));
    }
    let url = &body.coordinator_url;
    let plain = url.len() <= MAX_URL && url.bytes().all(|byte| byte.is_ascii_graphic());
    if !url.is_empty() && !(plain && (url.starts_with("http://") || url.starts_with("https://"))) {
        return Err(invalid("coordinatorUrl", "must be an address with http:// or https://, at most 512 bytes"));
    }
    if !body.network_mode.is_empty() && !MODES.contains(&body.network_mode.as_str()) {
        return Err(invalid("networkMode", "must be `enterprise_overlay` or `public_mesh`"));
    }
    if body.role.as_ref().is_some_and(|role| !ROLES.contains(&role.as_str())) {
        return Err(invalid("role", "must be `coordinator`, `agent` or `phone`"));
    }
    Ok(node)
}

/// Registers a peer by its own signed request, or by one from this machine. How many peers there are now.
pub(crate) async fn register(app: &App, by: &Principal, body: RegisterMeshPeer) -> Result<u64, ApiError> {
    let node = checked(&body)?;
    match &by.who {
        Who::Node(signer) if *signer != node => {
            let message = "a node registers itself alone: `peerId` is not the key that signed";
            return Err(ApiError::new(Code::Forbidden, message).with_field("peerId"));
        }
        _ => announced(app, node, body).await?,
    }
    Ok(peers(app, &neighbours::look(app).await?).await?.len() as u64)
}

/// Keeps what a member said of itself.
pub(crate) async fn announced(app: &App, node: NodeId, body: RegisterMeshPeer) -> Result<(), ApiError> {
    checked(&body)?;
    let network = app.networks.active().await?.ok_or(NetworkError::NoneActive)?;
    if !signed::approved(app, &node).await? {
        let message = "that node is no member of the active network; invite it first";
        return Err(ApiError::new(Code::Forbidden, message).with_field("peerId"));
    }
    let registration = Registration {
        network: network.id.to_string(),
        node: node.to_string(),
        url: body.coordinator_url,
        mode: if body.network_mode.is_empty() { PRIVATE.to_owned() } else { body.network_mode },
        role: body.role.unwrap_or_else(|| COORDINATOR.to_owned()),
        at_ms: app.clock.now(),
    };
    app.registered.put(registration).await.map_err(failed)?;
    app.events.publish_coalesced("mesh.peer_registered", node.as_str(), json!({"node": node, "network": network.id}));
    Ok(())
}

/// The other members of the active network, with what they said of themselves over HTTP.
pub(crate) async fn peers(app: &App, around: &Neighbours) -> Result<Vec<MeshPeer>, ApiError> {
    let Some(network) = &around.network else { return Ok(Vec::new()) };
    let (all, now, id) = (app.registered.all().await.map_err(failed)?, app.clock.now(), network.id.to_string());
    let said = |node: &NodeId| all.iter().find(|one| one.network == id && one.node == node.as_str());
    let peer = |member: &kith_networks::Member| {
        let said = said(&member.node);
        MeshPeer {
            peer_id: member.node.to_string(),
            public_key_pem: public_key_pem(&member.node),
            coordinator_url: said.map(|said| said.url.clone()).unwrap_or_default(),
            network_mode: said.map_or(PRIVATE, |said| &said.mode).to_owned(),
            role: said.map_or(COORDINATOR, |said| &said.role).to_owned(),
            last_seen_ms: around.last_seen(member, now).max(said.map(|said| said.at_ms)),
        }
    };
    Ok(around.members.iter().map(peer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_rfc_8410_says() {
        // The example of the RFC, section 10.1.
        let key = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        let mut bytes = [0; 32];
        hex::decode_to_slice(key, &mut bytes).unwrap();
        let pem = public_key_pem(&NodeId::from_ed25519(&bytes));
        assert_eq!(pem.lines().nth(1), Some("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="));
    }

    #[test]
    fn an_address_that_means_another_machine_elsewhere_is_told_to_nobody() {
        let sockets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let members = [
            "/ip4/127.0.0.1/tcp/4345/p2p/12D3",
            "/ip4/203.0.113.9/tcp/4345/p2p/12D4/p2p-circuit/p2p/12D3",
            "/ip6/fe80::1/tcp/4345/p2p/12D3",
            "/ip4/192.0.2.1/tcp/4345/p2p/12D3",
        ]
        .map(str::to_owned);
        let of = |texts: &[&str], members: &[String]| reached(&sockets(texts), members).map(|address| address.to_string());
        assert_eq!(of(&[], &members), None);
        assert_eq!(of(&["127.0.0.1:4343", "[::1]:4343"], &members), None);
        assert_eq!(of(&["127.0.0.1:4343", "192.0.2.7:80"], &members).as_deref(), Some("192.0.2.7:80"));
        assert_eq!(of(&["0.0.0.0:4343"], &members).as_deref(), Some("192.0.2.1:4343"));
        assert_eq!(of(&["0.0.0.0:4343"], &[]), None, "offline, nothing is known of its addresses");
        assert_eq!(of(&["[::]:4343"], &members), None, "of its kind there is none");
    }

    #[test]
    fn every_word_of_a_registration_is_checked() {
        let node = NodeId::from_ed25519(&[7; 32]);
        let good = RegisterMeshPeer {
            peer_id: node.to_string(),
            public_key_pem: public_key_pem(&node),
            coordinator_url: "https://box.local:4343".into(),
            network_mode: "public_mesh".into(),
            role: Some("phone".into()),
            registration_token: None,
        };
        assert_eq!(checked(&good).unwrap(), node);
        let other = public_key_pem(&NodeId::from_ed25519(&[8; 32]));
        for (body, field) in [
            (RegisterMeshPeer { peer_id: "me".into(), ..good.clone() }, "peerId"),
            (RegisterMeshPeer { public_key_pem: other, ..good.clone() }, "publicKeyPem"),
            (RegisterMeshPeer { coordinator_url: "ftp://x".into(), ..good.clone() }, "coordinatorUrl"),
            (RegisterMeshPeer { coordinator_url: format!("http://{}", "x".repeat(MAX_URL)), ..good.clone() }, "coordinatorUrl"),
            (RegisterMeshPeer { network_mode: "open".into(), ..good.clone() }, "networkMode"),
            (RegisterMeshPeer { role: Some("king".into()), ..good.clone() }, "role"),
        ] {
            assert_eq!(checked(&body).unwrap_err().field.as_deref(), Some(field));
        }
    }

    #[tokio::test]
    async fn the_oldest_registration_goes_when_there_are_too_many_and_a_second_one_replaces_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let registered = Registered::new(Store::open(&folder.path().join("kith.db")).await.unwrap());
        let one = |index: usize, url: &str| Registration {
            network: "n".into(),
            node: index.to_string(),
            url: url.into(),
            mode: PRIVATE.into(),
            role: COORDINATOR.into(),
            at_ms: Timestamp::from_ms(0),
        };
        let all: Vec<Registration> = (0..MAX_REGISTERED).map(|index| one(index, "http://a")).collect();
        registered.store.setting_put(KEY, &serde_json::to_string(&all).unwrap()).await.unwrap();
        registered.put(one(1, "http://b")).await.unwrap();
        assert_eq!(registered.all().await.unwrap().len(), MAX_REGISTERED);
        registered.put(one(MAX_REGISTERED, "http://a")).await.unwrap();
        let kept = registered.all().await.unwrap();
        assert_eq!((kept.len(), kept[0].node.as_str()), (MAX_REGISTERED, "2"));
        assert!(kept.iter().any(|one| one.node == "1" && one.url == "http://b"));
    }
}
