//! Sockets on all addresses at one port.

use kith_api::lan::LanRefusal;
use std::{
    io,
    net::{IpAddr, SocketAddr},
};
use tokio::net::TcpListener;

/// The port that is tried first.
const FIRST_PORT: u16 = 4344;
/// Ports of the system's choice that are tried, where there are several addresses and another of them has it taken.
const TRIES: usize = 4;

/// Listens on every address at the same port: the fixed one or none; else the remembered one, the well-known one, one of the system's
/// choice. An address that has just gone is left out.
///
/// # Errors
/// [`LanRefusal::NoAddress`] when none is left, [`LanRefusal::Listen`] with what stood in the way last.
pub(super) async fn bind(
    addresses: &[IpAddr],
    fixed: Option<u16>,
    remembered: Option<u16>,
) -> Result<Vec<(SocketAddr, TcpListener)>, LanRefusal> {
    let candidates: Vec<u16> = match fixed {
        Some(port) => vec![port],
        None => remembered.into_iter().chain([FIRST_PORT]).chain([0; TRIES]).collect(),
    };
    let mut last = LanRefusal::NoAddress;
    for port in candidates {
        match bind_at(addresses, port).await {
            Ok(bound) if bound.is_empty() => return Err(LanRefusal::NoAddress),
            Ok(bound) => return Ok(bound),
            Err((address, error)) => last = LanRefusal::Listen { address, reason: error.to_string() },
        }
    }
    Err(last)
}

async fn bind_at(addresses: &[IpAddr], port: u16) -> Result<Vec<(SocketAddr, TcpListener)>, (SocketAddr, io::Error)> {
    let mut bound: Vec<(SocketAddr, TcpListener)> = Vec::new();
    for address in addresses {
        // The first one's port, where the system chose it, is that of the others too.
        let port = bound.first().map_or(port, |(first, _)| first.port());
        let address = SocketAddr::new(*address, port);
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            Ok::<_, io::Error>((listener.local_addr()?, listener))
        };
        match listening.await {
            Ok(one) => bound.push(one),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                tracing::info!(%address, "an address to listen on for devices has gone");
            }
            Err(error) => return Err((address, error)),
        }
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Vec<IpAddr> {
        vec![IpAddr::from([127, 0, 0, 1])]
    }

    #[tokio::test]
    async fn a_taken_port_gives_way_to_another_unless_it_was_fixed() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let bound = bind(&here(), None, Some(port)).await.unwrap();
        assert_ne!(bound[0].0.port(), port);
        let refused = bind(&here(), Some(port), None).await;
        assert!(matches!(refused, Err(LanRefusal::Listen { address, .. }) if address.port() == port));
        drop(taken);
        assert_eq!(bind(&here(), None, Some(port)).await.unwrap()[0].0.port(), port, "remembered");
    }

    #[tokio::test]
    async fn without_an_address_there_is_nothing_to_listen_on() {
        assert!(matches!(bind(&[], None, None).await, Err(LanRefusal::NoAddress)));
        // An address of the documentation range is nobody's, so not this machine's.
        assert!(matches!(bind(&[IpAddr::from([192, 0, 2, 7])], None, None).await, Err(LanRefusal::NoAddress)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn several_addresses_share_one_port() {
        let addresses = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let bound = bind(&addresses, None, None).await.unwrap();
        assert_eq!(bound.len(), 2);
        assert_eq!(bound[0].0.port(), bound[1].0.port());
    }
}
