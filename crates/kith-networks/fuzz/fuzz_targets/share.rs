//! The key of a network on its way to one member: a rotation's body, a zero byte, and what travels beside it.
#![no_main]

use kith_keys::seal_to;
use kith_networks::{Rotation, RotationBundle, fuzzing::key_for};
use kith_networks_fuzz::{NODES, Same, genesis, id, json, plant, psk, rotated, rotation};
use libfuzzer_sys::fuzz_target;

/// The member.
const ME: usize = 3;

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = bytes.chunks(3).flat_map(|three| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        (0..=three.len()).map(move |at| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]))
    });
    digits.collect()
}

fn bundle(sealed: &[u8]) -> RotationBundle {
    let shares = [(base64url(&id(ME).ed25519()), base64url(sealed))].into();
    RotationBundle { shares, ..RotationBundle::default() }
}

fn seeds() -> Vec<Vec<u8>> {
    let purpose = format!("kith rotation {} 2", genesis().id());
    let sealed = |secret: &[u8]| seal_to(&id(ME), &purpose, secret, &Same(6)).expect("the node has a key");
    let whole = bundle(&sealed(psk().as_bytes()));
    assert_eq!(key_for(&whole, &rotated(), &NODES[ME]), Some(psk()), "the seed is what an honest node sends");
    let with = |bundle: &RotationBundle| [rotation().as_bytes(), &[0], &json(bundle)].concat();
    vec![with(&whole), with(&bundle(&sealed(&[9; 31]))), with(&bundle(&[1; 81])), with(&RotationBundle::default())]
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    let (said, rest) = bytes.split_at(at);
    if let (Some(said), Some(bundle)) = (Rotation::decode_body(said), RotationBundle::decode(&rest[1..]))
        && let Some(key) = key_for(&bundle, &said, &NODES[ME])
    {
        assert!(said.is_of(&key));
    }
});
