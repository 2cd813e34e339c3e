//! Where other devices of the home can reach this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use sysinfo::Networks;

/// The most addresses that are listened on.
pub(super) const MAX_ADDRESSES: usize = 8;
/// Networks inside this machine (containers, virtual machines), by the first letters of their names: no phone is there.
const INSIDE: [&str; 8] = ["docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "podman"];
/// The documentation range: an address of nobody, that is routed as any other.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// Whether an address belongs to a private network: RFC 1918, or an IPv6 unique local address.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// This machine's addresses in private networks, the one that reaches other machines first. Blocks for a moment.
pub(super) fn private_addresses() -> Vec<IpAddr> {
    let networks = Networks::new_with_refreshed_list();
    let found = networks
        .iter()
        .filter(|(name, _)| !INSIDE.iter().any(|inside| name.starts_with(inside)))
        .flat_map(|(_, network)| network.ip_networks().iter().map(|network| network.addr))
        .filter(|address| is_private(*address))
        .collect();
    ordered(found, outward())
}

/// The address with which this machine would call others. Nothing is sent: the socket is only told where it would send to.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ANYWHERE).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Each once, the preferred one first, then IPv4 before IPv6: a QR code with few characters is read from further away.
fn ordered(mut found: Vec<IpAddr>, first: Option<IpAddr>) -> Vec<IpAddr> {
    found.sort_by_key(|address| (Some(*address) != first, address.is_ipv6(), *address));
    found.dedup();
    found.truncate(MAX_ADDRESSES);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_addresses_of_private_networks_are_offered() {
        for private in ["10.0.0.1", "172.16.0.1", "172.31.255.1", "192.168.1.5", "fd12:3456::1"] {
            assert!(is_private(ip(private)), "{private}");
        }
        for other in ["127.0.0.1", "169.254.1.1", "203.0.113.9", "172.32.0.1", "8.8.8.8", "::1", "fe80::1", "2001:db8::1"] {
            assert!(!is_private(ip(other)), "{other}");
        }
    }

    #[test]
    fn the_address_that_reaches_others_comes_first_and_each_comes_once() {
        let found = ["fd00::1", "192.168.1.5", "10.0.0.1", "192.168.1.5"].map(ip).to_vec();
        assert_eq!(ordered(found.clone(), Some(ip("192.168.1.5"))), ["192.168.1.5", "10.0.0.1", "fd00::1"].map(ip));
        assert_eq!(ordered(found, None), ["10.0.0.1", "192.168.1.5", "fd00::1"].map(ip));
        let many = (0..100).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        assert_eq!(ordered(many, None).len(), MAX_ADDRESSES);
    }

    #[test]
    fn whatever_this_machine_has_is_private() {
        assert!(private_addresses().into_iter().all(is_private));
    }
}
