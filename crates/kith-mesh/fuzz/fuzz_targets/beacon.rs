//! Datagrams of the local network: what anybody sends, and what a member says in one that is signed well.
#![no_main]

use kith_mesh::fuzzing::{beacon, datagram};
use kith_mesh_fuzz::{KEYS, hint, plant, remember};
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let relayed = format!("/ip4/192.0.2.1/tcp/4001/p2p/{}/p2p-circuit", kith_mesh_fuzz::node(4));
    let bodies =
        [hint(2, &["/ip4/192.168.1.5/tcp/4001", "/ip6/fe80::1/tcp/4001"]), hint(1, &[]), hint(3, &[relayed.as_str(); 9])];
    let bodies = bodies.map(String::into_bytes);
    bodies.iter().map(|body| datagram(&KEYS[0], body)).chain(bodies.clone()).collect()
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    for bytes in [bytes, &datagram(&KEYS[0], bytes)] {
        if let Some(told) = beacon(&KEYS[0], bytes) {
            assert!(beacon(&KEYS[1], bytes).is_none(), "a stranger reads it");
            remember(vec![told]);
        }
    }
});
