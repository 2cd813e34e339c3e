//! Envelopes, keys and signatures of strangers.
#![no_main]

use kith_keys::{ENVELOPE_OVERHEAD, Identity, seal_to};
use kith_networks_fuzz::{NODES, Same, id, plant};
use kith_types::NodeId;
use libfuzzer_sys::fuzz_target;

const PURPOSE: &str = "a trial";

fn seeds() -> Vec<Vec<u8>> {
    let sealed = |secret: &[u8]| seal_to(&id(0), PURPOSE, secret, &Same(6)).expect("the node has a key");
    let signature = [id(0).ed25519().as_slice(), &NODES[0].sign(b"said"), b"said"].concat();
    vec![sealed(b"secret"), sealed(b""), vec![1; ENVELOPE_OVERHEAD], signature, [[0; 32], [1; 32]].concat()]
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let _ = NODES[0].open_envelope(PURPOSE, bytes);
    let mut sealed = seal_to(&id(0), PURPOSE, bytes, &Same(7)).expect("the node has a key");
    let opened = NODES[0].open_envelope(PURPOSE, &sealed).expect("it is for this node");
    assert_eq!(opened.as_slice(), bytes);
    if let [place, by, ..] = bytes
        && *by != 0
    {
        let place = usize::from(*place) % sealed.len();
        sealed[place] ^= by;
        assert!(NODES[0].open_envelope(PURPOSE, &sealed).is_err(), "it was changed");
    }
    if let Some((key, rest)) = bytes.split_first_chunk::<32>() {
        // Any point, or none.
        let stranger = NodeId::from_ed25519(key);
        let _ = seal_to(&stranger, PURPOSE, rest, &Same(7));
        if let Some((signature, message)) = rest.split_first_chunk::<64>() {
            let _ = Identity::verify(&stranger, message, signature);
        }
    }
});
