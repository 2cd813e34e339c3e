//! Frames of requests and answers. What is understood is written, and read again as the same.
#![no_main]

use kith_blobs::wire::{self, MAX_ANSWER, MAX_REQUEST};
use kith_blobs_fuzz::{BLOBS, hurried, plant};
use libfuzzer_sys::fuzz_target;
use std::{sync::LazyLock, time::Duration};
use tokio::runtime::Runtime;

const SOON: Duration = Duration::from_secs(1);
static RUNTIME: LazyLock<Runtime> = LazyLock::new(hurried);

fn seeds() -> Vec<Vec<u8>> {
    let root = BLOBS[4].root;
    let texts = [
        format!(r#"{{"what":"{root}","ranges":[[0,1],[2,2]],"max":7}}"#),
        format!(r#"{{"what":"sha256:{}"}}"#, "03".repeat(32)),
        format!(r#"{{"root":"{root}","size":49159,"have":[[0,4]],"sends":[[0,1],[2,2]]}}"#),
        r#"{"refusal":{"code":"preparing","message":"its tree is being computed"}}"#.to_owned(),
        format!(r#"{{"root":"{root}","size":1125899906842624,"have":[[68719476735,1]],"later":[null,{{}}]}}"#),
    ];
    let framed = |text: &String| [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let all = texts.iter().flat_map(framed).collect();
    texts.iter().map(framed).chain([all]).collect()
}

async fn again(json: &[u8]) {
    if let Ok(request) = wire::read_request(json) {
        let mut sent = Vec::new();
        wire::send_request(&mut sent, &request).await.expect("what was read can be written");
        let frame = wire::receive(&mut sent.as_slice(), MAX_REQUEST, SOON).await.expect("it is whole").expect("it is there");
        assert_eq!(wire::read_request(&frame).expect("it is a request"), request);
    }
    if let Ok(answer) = wire::read_answer(json) {
        let mut sent = Vec::new();
        wire::send_answer(&mut sent, &answer).await.expect("what was read can be written");
        let frame = wire::receive(&mut sent.as_slice(), MAX_ANSWER, SOON).await.expect("it is whole").expect("it is there");
        assert_eq!(wire::read_answer(&frame).expect("it is an answer"), answer);
    }
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    RUNTIME.block_on(async {
        again(bytes).await;
        let mut stream = bytes;
        while let Ok(Some(frame)) = wire::receive(&mut stream, MAX_ANSWER, SOON).await {
            again(&frame).await;
        }
    });
});
