//! A stream with anything on it to the serving side: what is answered is an answer, and the slice that follows an offer is right.
#![no_main]

use kith_blobs::{
    Blobs, Bounds, Policy, Server, Throttle, decode,
    wire::{self, MAX_ANSWER},
};
use kith_blobs_fuzz::{BLOBS, hurried, plant};
use kith_types::{Blake3, Sha256};
use libfuzzer_sys::fuzz_target;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex, split},
    runtime::Runtime,
};

/// All but the last blob are for everybody.
struct NotTheLast;
impl Policy for NotTheLast {
    fn shares(&self, _: &str, root: &Blake3) -> bool {
        *root != BLOBS[5].root
    }
}

struct World {
    runtime: Runtime,
    server: Server,
    sha256: Sha256,
    _folder: tempfile::TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (runtime, folder) = (hurried(), tempfile::tempdir().expect("a folder"));
    let (blobs, sha256) = runtime.block_on(async {
        let blobs = Blobs::open(folder.path()).await.expect("an empty folder");
        let mut sha256 = None;
        for blob in &BLOBS[..6] {
            let put = blobs.put(blob.bytes.as_slice(), None, u64::MAX, |_| ()).await.expect("room");
            sha256 = sha256.or(Some(put.sha256));
        }
        (blobs, sha256.expect("there is a blob"))
    });
    let server = Server::new(blobs, NotTheLast, Bounds::default(), Throttle::default(), Arc::new(|| true));
    World { runtime, server, sha256, _folder: folder }
});

fn framed(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let of = |blob: usize, rest: &str| framed(&format!(r#"{{"what":"{}"{rest}}}"#, BLOBS[blob].root));
    let by_name = framed(&format!(r#"{{"what":"{}","ranges":[[0,1]]}}"#, WORLD.sha256));
    let mut seeds: Vec<_> = (0..7).map(|blob| of(blob, r#","ranges":[[0,1]]"#)).collect();
    seeds.extend([of(4, ""), of(4, r#","ranges":[[0,1],[3,1]],"max":2"#), of(3, r#","ranges":[[0,2]],"max":1"#), by_name]);
    seeds.push([of(4, ""), of(4, r#","ranges":[[0,4]]"#), of(4, r#","ranges":[[0,5]]"#)].concat());
    seeds
}

/// Reads answers, and the slices behind them, to the end.
async fn read(mut came: &[u8]) {
    while let Some(frame) = wire::receive(&mut came, MAX_ANSWER, Duration::from_secs(1)).await.expect("whole frames") {
        let Ok(offer) = wire::read_answer(&frame).expect("it is an answer") else { continue };
        let blob = BLOBS.iter().find(|blob| blob.root == offer.root).expect("only what is there is offered");
        let length = blob.slice(&offer.sends).expect("it has what it sends").len();
        let (slice, rest) = came.split_at_checked(length).expect("the whole slice comes");
        decode(slice, &offer.root, offer.size, offer.sends, |_, _| ()).expect("the slice is right");
        came = rest;
    }
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    WORLD.runtime.block_on(async {
        let (near, far) = duplex(64 << 10);
        let (mut answers, mut requests) = split(near);
        let asking = async {
            // Who breaks the rules is hung up on before the end.
            let _ = requests.write_all(bytes).await;
            let _ = requests.shutdown().await;
        };
        let (mut came, serving) = (Vec::new(), WORLD.server.serve("stranger", far));
        let (_, _, read_all) = tokio::join!(asking, serving, answers.read_to_end(&mut came));
        read_all.expect("the stream ends");
        read(&came).await;
    });
});
