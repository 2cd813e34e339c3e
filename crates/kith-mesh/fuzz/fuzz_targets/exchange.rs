//! Frames of the question whom a peer knows, and of its answers.
#![no_main]

use kith_mesh::fuzzing::{asks, known};
use kith_mesh_fuzz::{RUNTIME, framed, hint, plant, remember};
use libfuzzer_sys::fuzz_target;

fn seeds() -> Vec<Vec<u8>> {
    let hints: Vec<String> = (1..9).map(|seed| hint(seed, &["/ip4/192.0.2.1/tcp/4001", "/dns4/a.example/tcp/1"])).collect();
    let bodies = [
        format!(r#"{{"ok":{{"peers":[{}]}}}}"#, hints.join(",")),
        r#"{"ok":{}}"#.to_owned(),
        r#"{"declined":{"code":"stopped","message":"The node is stopping."}}"#.to_owned(),
        r#"{"later":1}"#.to_owned(),
    ];
    bodies.iter().flat_map(|body| [framed(body.as_bytes()), body.clone().into_bytes()]).collect()
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    RUNTIME.block_on(async {
        // As it stands, and behind its right length.
        for stream in [bytes, &framed(bytes)] {
            asks(stream).await;
            if let Ok(told) = known(stream).await {
                assert!(told.len() <= 32 && told.iter().all(|(_, addresses)| addresses.len() <= 16));
                remember(told);
            }
        }
    });
});
