//! How fast it is: `cargo test -p kith-blobs --lib throughput -- --ignored --nocapture`. It measures and promises nothing.

use super::*;
use crate::Ranges;

fn told(what: &str, bytes: u64, begin: Instant) {
    println!("{what}: {:.0} MiB/s", bytes as f64 / begin.elapsed().as_secs_f64() / f64::from(1 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput() {
    let begin = Instant::now();
    let world = World::new(256 << 20).await;
    let size = world.bytes.len() as u64;
    told("intake (BLAKE3 with its tree, SHA-256, disk)", size, begin);

    let begin = Instant::now();
    let (mut hasher, mut pairs) = (tree::TreeHasher::default(), 0);
    hasher.update(&world.bytes, |_| pairs += 1);
    hasher.finalize(|_| pairs += 1);
    told("tree", size, begin);
    let begin = Instant::now();
    blake3::hash(&world.bytes);
    told("plain BLAKE3, for comparison", size, begin);

    let all = Ranges::up_to(tree::groups(size));
    let source = world.theirs.source(&world.root).await.unwrap();
    let (mut encoding, mut block) = (source.encode(all.clone()).unwrap(), Vec::new());
    let begin = Instant::now();
    while encoding.fill(&mut block, 64 << 10).unwrap() {
        block.clear();
    }
    told("encode from the disk's cache, verified on the way out", size, begin);
    let mut slice = Vec::new();
    let source = world.theirs.source(&world.root).await.unwrap();
    source.encode(all.clone()).unwrap().fill(&mut slice, usize::MAX).unwrap();
    let begin = Instant::now();
    crate::decode(&slice, &world.root, size, all, |_, _| ()).unwrap();
    told("decode and verify", size, begin);
    drop(slice);

    for count in [1, 3] {
        let begin = Instant::now();
        let holders = ["a", "b", "c"].iter().take(count).map(|id| world.peer(id, Fault::None)).collect();
        world.fetch(holders).await.unwrap();
        told(&format!("fetch from {count}, with disk, fsync and the last check of the whole"), size, begin);
        let events = world.events.lock().unwrap().clone();
        let rates = events.iter().filter_map(|event| if let Event::Progress(progress) = event { Some(progress) } else { None });
        let best = rates.map(|progress| progress.holders.values().map(|pace| pace.rate).sum::<f64>()).fold(0.0, f64::max);
        println!("  at best {:.0} MiB/s from all holders", best / f64::from(1 << 20));
        let verifying = world.events.lock().unwrap().iter().filter(|event| **event == Event::Verifying).count();
        assert_eq!(verifying, count.div_ceil(2));
        world.ours.remove(&world.root).await.unwrap();
    }
}
