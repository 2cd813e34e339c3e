//! The first two frames of a connection, and the certificates in them. What is understood is written, and read again as the same.
#![no_main]

use kith_networks::{Certificate, Chain, Claim, Hello, HelloBody, Kind, Rotation, RotationBundle, Welcome, fuzzing::signed};
use kith_networks_fuzz::{NODES, genesis, plant, rotation, token};
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let chain = Chain(vec![token(1, 3), token(0, 1)]);
    let network = genesis().id();
    let hello = |body| Hello { network, epoch: 3, key_id: "0123456789abcdef".to_owned(), body }.encode();
    let claim = Claim { invite: "0011223344556677".to_owned(), proof: "ab".repeat(32), name: "Bob".to_owned() };
    let handover = RotationBundle {
        rotation: signed(Kind::Rotation, &NODES[0], rotation().as_bytes()),
        chain: chain.clone(),
        shares: [("A".repeat(43), "B".repeat(108))].into(),
    };
    vec![
        hello(HelloBody::Member(chain.clone())),
        hello(HelloBody::Claim(claim)),
        Welcome { name: "Home".to_owned(), epoch: 3, chain: Some(chain), handover: None }.encode(),
        Welcome { name: "Home".to_owned(), epoch: 3, chain: None, handover: Some(handover) }.encode(),
    ]
}

fn look(chain: &Chain) {
    for token in &chain.0 {
        let _ = Certificate::open(token);
    }
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    if let Some(welcome) = Welcome::decode(bytes) {
        // Longer than it came, where texts stand in a shorter form there: then it may be too long.
        if let Some(again) = Welcome::decode(&welcome.encode()) {
            assert_eq!(again, welcome);
        }
        welcome.chain.iter().for_each(look);
        if let Some(bundle) = welcome.handover {
            look(&bundle.chain);
            let _ = Rotation::open(&bundle.rotation);
        }
    }
    if let Some(hello) = Hello::decode(bytes) {
        if let Some(again) = Hello::decode(&hello.encode()) {
            assert_eq!(again, hello);
        }
        if let HelloBody::Member(chain) = hello.body {
            look(&chain);
        }
    }
});
