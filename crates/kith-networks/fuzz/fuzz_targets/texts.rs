//! Ids and addresses as texts: what is understood is written, and read again as the same.
#![no_main]

use kith_networks::{NetworkId, addresses};
use kith_networks_fuzz::{genesis, id, plant};
use kith_types::{Blake3, NodeId, Sha256, Timestamp};
use libfuzzer_sys::fuzz_target;
use std::{fmt::Display, str::FromStr};

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        id(0).to_string(),
        genesis().id().to_string(),
        format!("blake3:{}", "01".repeat(32)),
        format!("sha256:{}", "ab".repeat(32)),
        "/ip4/192.0.2.1/tcp/4001\n/dns4/a.example/tcp/1".to_owned(),
        serde_json::to_string(&Timestamp::from_ms(1_700_000_000_123)).unwrap_or_default(),
    ];
    texts.map(String::into_bytes).into()
}

fn again<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert!(read.to_string().parse().is_ok_and(|again: T| again == read));
    }
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    again::<NodeId>(&text);
    again::<NetworkId>(&text);
    again::<Blake3>(&text);
    again::<Sha256>(&text);
    if let Ok(read) = addresses(&text.lines().collect::<Vec<_>>()) {
        assert_eq!(addresses(&read).expect("they are addresses"), read);
    }
});
