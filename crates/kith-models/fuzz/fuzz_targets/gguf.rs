//! Whatever the bytes, a header is read or refused: no panic, no overflow, no memory beyond a few times the header's limit.

#![no_main]

use kith_models::{Details, gguf::Gguf};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(gguf) = Gguf::from_bytes(bytes) {
        let _ = Details::of(&gguf);
        for (_, value) in &gguf.metadata {
            let _ = value.to_json();
        }
    }
});
