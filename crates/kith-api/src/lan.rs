//! The listener for paired devices, as a port: what handlers ask of the part that opens sockets, and what the edge holds against a
//! request that came by it.
//!
//! On that listener nobody is at home. A request is a paired device's, or it asks for one of the few things that are open there.

use async_trait::async_trait;
use axum::http::Method;
use kith_access::{AccessError, Level};
use kith_types::Timestamp;
use std::{net::SocketAddr, sync::Arc};

/// A ticket and how a device comes to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// `https://address:port/pair#ticket`.
    pub url: String,
    /// Where the node listens for devices, the likeliest first.
    pub addresses: Vec<SocketAddr>,
    /// The SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// When the ticket ends.
    pub expires: Timestamp,
    /// The URL as a QR code.
    pub qr_svg: String,
}

/// How the listener stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LanState {
    /// Whether the owner has paused it.
    pub paused: bool,
    /// Where it listens, the likeliest first; empty while it is off.
    pub addresses: Vec<SocketAddr>,
    /// The SHA-256 of its certificate, once there is one.
    pub fingerprint: Option<[u8; 32]>,
    /// Why it is off although it should be on.
    pub fault: Option<String>,
}

/// Why no device can be invited. The texts are fit for callers, except that of the last.
#[derive(Debug, thiserror::Error)]
pub enum LanRefusal {
    /// The owner has paused the listener.
    #[error("sharing with devices is paused; resume it first")]
    Paused,
    /// There is no address a device could reach.
    #[error(
        "this machine has no address in a private network that a device could reach; join one, or name addresses in lan.bind"
    )]
    NoAddress,
    /// The addresses cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// Tickets or settings failed.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Certificate, QR code or disk.
    #[error("{0}")]
    Failed(String),
}

/// Turns the listener for paired devices on and off, and invites devices to it.
#[async_trait]
pub trait Lan: Send + Sync + 'static {
    /// Turns the listener on if need be and makes a ticket; the one before it is void.
    ///
    /// # Errors
    /// [`LanRefusal`].
    async fn invite(&self) -> Result<Invitation, LanRefusal>;

    /// Pauses the listener or lets it go on, also across restarts. Pausing takes an outstanding ticket back.
    ///
    /// # Errors
    /// [`LanRefusal`]; it is as it was then.
    async fn pause(&self, paused: bool) -> Result<LanState, LanRefusal>;

    /// How the listener stands.
    fn state(&self) -> LanState;

    /// What the owner calls this node.
    async fn node_name(&self) -> String;

    /// Gives this node another name.
    ///
    /// # Errors
    /// [`LanRefusal::Access`] for a name that is none.
    async fn rename_node(&self, name: &str) -> Result<String, LanRefusal>;
}

/// The names under which the listener for paired devices is reached: `address:port` and `name:port`, lower case. Nothing else may
/// stand in the Host header there, and no page of another origin may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanNames(Vec<String>);

impl LanNames {
    /// These authorities.
    pub fn new(authorities: impl IntoIterator<Item = String>) -> Self {
        Self(authorities.into_iter().map(|authority| authority.to_ascii_lowercase()).collect())
    }

    /// Whether this Host names the listener.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        // Clients leave the scheme's own port out.
        self.0.iter().any(|own| *own == host || own.strip_suffix(":443").is_some_and(|bare| bare == host))
    }

    /// Whether this Origin is the listener's own.
    pub(crate) fn has_origin(&self, origin: &str) -> bool {
        origin.to_ascii_lowercase().strip_prefix("https://").is_some_and(|host| self.has_host(host))
    }
}

/// Marks a request that came by the listener for paired devices.
#[derive(Debug, Clone)]
pub(crate) struct OnLan(pub Arc<LanNames>);

/// What of the API is open to everybody there: whether the node is well, and the door itself.
const OPEN: [(&str, &str); 4] =
    [("GET", "/health"), ("HEAD", "/health"), ("GET", "/api/v1/health"), ("POST", "/api/v1/devices/pair/claim")];
/// First parts of paths that are the API's, where nothing is open unless it stands above.
const API: [&str; 5] = ["/api", "/v1", "/metrics", "/ws", "/models"];
/// Passwords and sessions are for those who sit at the machine, and would open more than a device may.
const CLOSED: &str = "/api/v1/auth/";
/// What is under here stands for the private networks: a device looks at them, but changes none.
const NETWORKS: &str = "/api/v1/networks";
/// What lets others into a network, or puts this node onto another one: who lost a phone has not lost the network.
const WAYS_IN: [&str; 5] = [
    "/api/v1/networks/{id}/key",
    "/api/v1/networks/{id}/invite",
    "/api/v1/system/share",
    "/api/v1/system/setup",
    "/api/admin/network-code",
];

/// How much the listener for paired devices asks for a route: `None` where it is closed there to everybody.
///
/// The window's own files (`/`, `/pair`, scripts, styles) lie outside the API and are open; they hold nothing of anybody.
pub(crate) fn level_there(method: &Method, route: &str, level: Level) -> Option<Level> {
    let under = |root: &str| route.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match level {
        Level::Admin | Level::Mesh => None,
        _ if route.starts_with(CLOSED) || WAYS_IN.contains(&route) => None,
        _ if under(NETWORKS) && !matches!(*method, Method::GET | Method::HEAD) => None,
        Level::Open if OPEN.contains(&(method.as_str(), route)) => Some(Level::Open),
        Level::Open if !API.iter().any(|root| under(root)) && matches!(*method, Method::GET | Method::HEAD) => Some(Level::Open),
        Level::Open | Level::Loopback | Level::User => Some(Level::User),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_addresses_and_name_with_its_port_are_its_hosts() {
        let names = LanNames::new(["192.168.1.5:4344".into(), "[fd00::1]:4344".into(), "Box.local:4344".into()]);
        for host in ["192.168.1.5:4344", "[fd00::1]:4344", "box.local:4344", "BOX.LOCAL:4344"] {
            assert!(names.has_host(host), "{host}");
            assert!(names.has_origin(&format!("https://{host}")), "{host}");
            assert!(!names.has_origin(&format!("http://{host}")), "{host}");
        }
        for host in [
            "192.168.1.5",
            "192.168.1.5:4343",
            "localhost:4344",
            "127.0.0.1:4344",
            "box:4344",
            "evil.example:4344",
            "",
            "\0",
            "192.168.1.5:4344.evil",
        ] {
            assert!(!names.has_host(host), "{host}");
        }
        assert!(!names.has_origin("null") && !names.has_origin("https://evil.example"));
        let standard = LanNames::new(["10.0.0.1:443".into()]);
        assert!(standard.has_host("10.0.0.1") && standard.has_origin("https://10.0.0.1"));
    }

    #[test]
    fn there_the_api_asks_for_a_device_and_the_owners_part_is_closed() {
        let get = |route, level| level_there(&Method::GET, route, level);
        for route in ["/", "/pair", "/assets/app.js", "/health", "/api/v1/health", "/apifox"] {
            assert_eq!(get(route, Level::Open), Some(Level::Open), "{route}");
        }
        for route in
            ["/metrics", "/api/openapi.json", "/api/v1/system/status", "/api/v1/metrics", "/api/docs", "/v1/x", "/models"]
        {
            assert_eq!(get(route, Level::Open), Some(Level::User), "{route}");
        }
        let post = |route, level| level_there(&Method::POST, route, level);
        assert_eq!(post("/api/v1/devices/pair/claim", Level::Open), Some(Level::Open));
        assert_eq!(post("/pair", Level::Open), Some(Level::User));
        for route in ["/api/v1/auth/login", "/api/v1/auth/logout", "/api/v1/auth/bootstrap-exchange"] {
            assert_eq!(post(route, Level::Open), None, "{route}");
        }
        for route in
            ["/api/v1/networks/{id}/key", "/api/v1/networks/{id}/invite", "/api/v1/system/share", "/api/admin/network-code"]
        {
            assert_eq!(get(route, Level::User), None, "{route}");
        }
        for route in ["/api/v1/networks", "/api/v1/networks/create", "/api/v1/networks/{id}/connect", "/api/v1/system/setup"] {
            assert_eq!(post(route, Level::User), None, "{route}");
        }
        assert_eq!(level_there(&Method::DELETE, "/api/v1/networks/{id}", Level::User), None);
        for route in ["/api/v1/networks", "/api/v1/networks/{id}/members", "/api/v1/system/share-node", "/api/v1/nodes"] {
            assert_eq!(get(route, Level::User), Some(Level::User), "{route}");
        }
        assert_eq!(get("/v1/models", Level::Loopback), Some(Level::User));
        assert_eq!((get("/x", Level::Admin), get("/x", Level::Mesh)), (None, None));
    }
}
