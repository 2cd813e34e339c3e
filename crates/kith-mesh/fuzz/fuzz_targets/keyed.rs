//! A dialler's first words under the network's key: what anybody sends, and what one sends who has one of the keys.
#![no_main]

use kith_mesh::fuzzing::{Said, first_words, spoken};
use kith_mesh_fuzz::{KEYS, RUNTIME, plant};
use libfuzzer_sys::fuzz_target;

const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";

fn seeds() -> Vec<Vec<u8>> {
    let words = [HEADER, b"\x0e/kith/noise/1\n"].concat();
    let whole = (0..3).map(|key| spoken(&KEYS[key], &[7; 24], &words));
    whole.chain([[&[1], words.as_slice()].concat(), [&[2], &HEADER[..19]].concat(), vec![0; 44]]).collect()
}

fn understood(says: &[u8]) -> Option<(usize, Vec<u8>)> {
    RUNTIME.block_on(first_words(Said { says, heard: Vec::new() }, &*KEYS))
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let _ = understood(bytes);
    let Some((key, plain)) = bytes.split_first() else { return };
    let key = usize::from(*key) % KEYS.len();
    let heard = understood(&spoken(&KEYS[key], &[5; 24], plain));
    match plain.starts_with(HEADER) {
        true => assert_eq!(heard, Some((key, plain.to_vec()))),
        false => assert_eq!(heard, None),
    }
});
