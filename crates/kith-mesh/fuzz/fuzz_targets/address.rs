//! Addresses and names of protocols as texts: what is understood is written, and read again as the same.
#![no_main]

use kith_mesh::{Address, Protocol};
use kith_mesh_fuzz::{node, plant};
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let (one, two) = (node(2), node(3));
    let texts = [
        "/ip4/192.168.1.5/tcp/4001".to_owned(),
        "/dns4/a.example/tcp/4001".to_owned(),
        format!("/ip6/2001:db8::1/tcp/4001/p2p/{one}"),
        format!("/ip4/192.0.2.1/tcp/4001/p2p/{one}/p2p-circuit/p2p/{two}"),
        "/ip4/192.0.2.1/udp/4001/quic-v1/webtransport".to_owned(),
        "/unix/a%2fb".to_owned(),
        "/kith/blobs/1".to_owned(),
    ];
    texts.map(String::into_bytes).into()
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(protocol) = text.parse::<Protocol>() {
        assert_eq!(protocol.to_string().parse(), Ok(protocol.clone()));
    }
    if let Ok(address) = text.parse::<Address>() {
        let _ = (address.ip(), address.is_relayed(), address.is_loopback());
        if address.node().is_none() {
            let named = address.with_node(&node(2));
            assert_eq!(named.node(), Some(node(2)));
        }
        // A longer form of the same may be too long.
        if let Ok(again) = address.to_string().parse::<Address>() {
            assert_eq!(again, address);
        }
    }
});
