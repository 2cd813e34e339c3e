//! How the node takes part in private networks, as its owner set it.

use crate::config::{ConfigError, value};
use kith_mesh::Address;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port at which members are listened for, unless told otherwise; next to the API's.
const DEFAULT_PORT: u16 = 4345;
/// The longest name of a region, in characters.
const MAX_REGION: usize = 64;

/// The settings as they stand in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MeshTable {
    bind: Option<Vec<IpAddr>>,
    port: Option<u16>,
    external: Vec<String>,
    discovery: Option<bool>,
    upnp: Option<bool>,
    relay: Option<bool>,
    region: Option<String>,
    upload_kib_s: Option<u64>,
    download_kib_s: Option<u64>,
}

/// How the node takes part in private networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshConfig {
    /// Addresses of this machine on which members are listened for.
    pub bind: Vec<IpAddr>,
    /// The port there; 0 lets the system choose.
    pub port: u16,
    /// Whether the port was chosen by the owner: then no other will do.
    pub port_is_set: bool,
    /// Addresses at which others reach this node, where it cannot know them: behind a forwarded port.
    pub external: Vec<String>,
    /// Whether members are looked for on the local network.
    pub discovery: bool,
    /// Whether the router is asked to forward the port.
    pub upnp: bool,
    /// Whether this node carries connections between members that cannot reach each other. Even then it does not while it gives nothing
    /// (in quiet hours that pause sharing, over a metered connection) or while there is a limit of bytes: what is carried is not slowed.
    pub relay: bool,
    /// Where this machine stands, in the owner's words.
    pub region: String,
    /// KiB a second that go to members at the most, 16 at least; 0 is no limit.
    pub upload_kib_s: u64,
    /// KiB a second that come from members at the most, 16 at least; 0 is no limit.
    pub download_kib_s: u64,
}

impl MeshConfig {
    pub(crate) fn from_table(table: MeshTable) -> Result<Self, ConfigError> {
        for address in &table.external {
            if let Err(error) = address.parse::<Address>() {
                return Err(value("mesh.external", error.to_string()));
            }
        }
        let region = table.region.unwrap_or_default();
        if region.chars().count() > MAX_REGION || region.chars().any(char::is_control) {
            return Err(value(
                "mesh.region",
                format!("a region has at most {MAX_REGION} characters, none of them a control character"),
            ));
        }
        let everywhere = || vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        Ok(Self {
            bind: table.bind.unwrap_or_else(everywhere),
            port: table.port.unwrap_or(DEFAULT_PORT),
            port_is_set: table.port.is_some(),
            external: table.external,
            discovery: table.discovery.unwrap_or(true),
            upnp: table.upnp.unwrap_or(true),
            relay: table.relay.unwrap_or(true),
            region,
            upload_kib_s: table.upload_kib_s.unwrap_or(0),
            download_kib_s: table.download_kib_s.unwrap_or(0),
        })
    }

    /// The addresses to listen on, with this port.
    pub(crate) fn listen(&self, port: u16) -> Vec<Address> {
        let text = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => format!("/ip4/{ip}/tcp/{port}"),
            IpAddr::V6(ip) => format!("/ip6/{ip}/tcp/{port}"),
        };
        self.bind.iter().filter_map(|ip| text(ip).parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_listens_everywhere_once_it_is_in_a_network_unless_told_otherwise() {
        let usual = MeshConfig::from_table(MeshTable::default()).unwrap();
        let listen: Vec<String> = usual.listen(usual.port).into_iter().map(String::from).collect();
        assert_eq!(listen, ["/ip4/0.0.0.0/tcp/4345", "/ip6/::/tcp/4345"]);
        assert!(usual.discovery && usual.upnp && usual.relay && !usual.port_is_set);
        let table = MeshTable { bind: Some(vec![[127, 0, 0, 1].into()]), port: Some(0), ..MeshTable::default() };
        let told = MeshConfig::from_table(table).unwrap();
        assert_eq!(told.listen(told.port).into_iter().map(String::from).collect::<Vec<_>>(), ["/ip4/127.0.0.1/tcp/0"]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let table = MeshTable { external: vec!["example.org:4345".to_owned()], ..MeshTable::default() };
        assert!(MeshConfig::from_table(table).unwrap_err().to_string().starts_with("mesh.external"));
        let table = MeshTable { region: Some("a\nb".to_owned()), ..MeshTable::default() };
        assert!(MeshConfig::from_table(table).unwrap_err().to_string().starts_with("mesh.region"));
    }
}
