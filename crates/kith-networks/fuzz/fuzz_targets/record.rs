//! What nodes say of themselves, as it stands and behind a signature that is right.
#![no_main]

use kith_networks::{Kind, NodeRecord, fuzzing::signed};
use kith_networks_fuzz::{NODES, json, plant, record};
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let body = json(&record());
    let token = signed(Kind::NodeRecord, &NODES[3], &body).into_bytes();
    vec![body, token]
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let _ = NodeRecord::open(bytes);
    if let Some(body) = NodeRecord::decode_body(bytes) {
        assert_eq!(NodeRecord::decode_body(&json(&body)), Some(body.clone()));
        let opened = NodeRecord::open(signed(Kind::NodeRecord, &NODES[3], bytes).as_bytes());
        assert!(opened.is_err() || opened == Ok(body.clone()) && body.node == *NODES[3].node_id());
    }
});
