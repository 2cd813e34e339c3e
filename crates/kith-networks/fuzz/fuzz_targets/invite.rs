//! Codes of invites, and the text form of keys.
#![no_main]

use kith_keys::{Identity, OsEntropy};
use kith_networks::{InviteCode, Psk};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ME: LazyLock<Option<Identity>> = LazyLock::new(|| Identity::ephemeral(&OsEntropy).ok());

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = Psk::from_text(&text);
    if let Some(me) = ME.as_ref() {
        let _ = (InviteCode::decode(&text, me), InviteCode::decode_body(bytes));
    }
});
