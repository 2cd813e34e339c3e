//! The first two frames of a connection, and the certificates in them.
#![no_main]

use kith_networks::{Certificate, Hello, HelloBody, Welcome};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Welcome::decode(bytes);
    if let Some(Hello { body: HelloBody::Member(chain), .. }) = Hello::decode(bytes) {
        for token in &chain.0 {
            let _ = Certificate::open(token);
        }
    }
});
