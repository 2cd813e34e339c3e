//! Rotations as they travel.
#![no_main]

use kith_networks::{Rotation, RotationBundle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Rotation::decode_body(bytes);
    if let Some(bundle) = RotationBundle::decode(bytes) {
        let _ = Rotation::open(&bundle.rotation);
    }
});
