//! Rotations as they travel, and what they say behind a signature that is right.
#![no_main]

use kith_networks::{Chain, Kind, Rotation, RotationBundle, fuzzing::signed};
use kith_networks_fuzz::{NODES, json, plant, rotation, token};
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let bundle = RotationBundle {
        rotation: signed(Kind::Rotation, &NODES[0], rotation().as_bytes()),
        chain: Chain(vec![token(0, 1)]),
        shares: [("A".repeat(43), "B".repeat(108))].into(),
    };
    vec![bundle.encode(), rotation().into_bytes()]
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    if let Some(said) = Rotation::decode_body(bytes) {
        assert_eq!(Rotation::decode_body(&json(&said)), Some(said.clone()));
        let _ = (said.key_id(), said.listed().count(), said.shut_out().count());
        let opened = Rotation::open(&signed(Kind::Rotation, &NODES[0], bytes));
        assert!(opened.is_err() || opened == Ok(said.clone()) && said.by == *NODES[0].node_id());
    }
    if let Some(bundle) = RotationBundle::decode(bytes) {
        if let Some(again) = RotationBundle::decode(&bundle.encode()) {
            assert_eq!(again, bundle);
        }
        let _ = Rotation::open(&bundle.rotation);
    }
});
