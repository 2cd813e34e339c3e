//! What a peer says at the door, to the side that dialled and to the one that listened.
#![no_main]

use async_trait::async_trait;
use kith_mesh::{
    Admission, KeyUse, Refusal,
    fuzzing::{Said, admitted},
};
use kith_mesh_fuzz::{RUNTIME, plant};
use kith_types::NodeId;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

/// Lets in whoever begins with an `m`.
struct Judge;

#[async_trait]
impl Admission for Judge {
    async fn hello(&self, _: &NodeId) -> Vec<u8> {
        b"me".to_vec()
    }

    async fn judge(&self, _: &NodeId, hello: &[u8], _: KeyUse) -> Result<Vec<u8>, Refusal> {
        match hello.first() {
            Some(b'm') => Ok(b"welcome".to_vec()),
            _ => Err(Refusal::new("not_a_member", "The certificate is not of this network.")),
        }
    }

    async fn admitted(&self, _: &NodeId, welcome: &[u8]) -> Result<(), Refusal> {
        if welcome.first() == Some(&b'x') { Err(Refusal::new("bad_welcome", "The welcome is false.")) } else { Ok(()) }
    }
}

static JUDGE: LazyLock<Arc<Judge>> = LazyLock::new(|| Arc::new(Judge));

fn frame(body: &[u8]) -> Vec<u8> {
    [(body.len() as u32 + 1).to_be_bytes().as_slice(), &[1], body].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let refusal = [&[1], br#"{"code":"removed","message":"The device was\nremoved."}"#.as_slice()].concat();
    let verdicts = [b"\0welcome".as_slice(), b"\0x", b"\0", &refusal, b"\x01{}", b"\x02", b""];
    let talk = |hello: &[u8], verdict: &&[u8]| [frame(hello), frame(verdict)].concat();
    let first = verdicts.iter().map(|verdict| talk(b"me", verdict));
    first.chain([talk(b"you", &verdicts[0]), frame(&[b'm'; 3000])]).collect()
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    for dialler in [true, false] {
        let mut said = Said { says: bytes, heard: Vec::new() };
        let judge = Arc::clone(&*JUDGE);
        if RUNTIME.block_on(admitted(&mut said, dialler, judge)).is_ok() {
            let read = bytes.len() - said.says.len();
            assert!(bytes.get(5) == Some(&b'm') && read > 10, "let in without a hello or a verdict");
        }
        assert!(said.heard.len() < 200, "much is said to a stranger");
    }
});
