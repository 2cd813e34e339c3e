//! What nodes say of themselves.
#![no_main]

use kith_networks::NodeRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = (NodeRecord::open(bytes), NodeRecord::decode_body(bytes));
});
