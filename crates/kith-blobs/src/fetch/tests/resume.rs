//! A fetch that is killed, at any moment, and goes on later.

use super::*;
use crate::pieces::{piece_len, read_have};
use std::fs;

/// Checks what a killed fetch left: what it says is there is right. All else is overwritten, as a crash may do. Gives the bytes there.
fn crash(world: &World) -> u64 {
    let path = |end: &str| world.ours.fetching().join(format!("{}.{end}", world.root.hex()));
    let Ok(have) = fs::read(path("have")) else { return 0 };
    let (size, held) = read_have(&have, &world.root).unwrap();
    let mut bytes = fs::read(path("bytes")).unwrap();
    assert_eq!((size, bytes.len()), (world.bytes.len() as u64, world.bytes.len()));
    let mut there = 0;
    for (number, held) in held.into_iter().enumerate() {
        let from = number * PIECE as usize;
        let to = from + piece_len(size, number as u64) as usize;
        if held {
            assert!(bytes[from..to] == world.bytes[from..to], "piece {number} is said to be there");
            there += (to - from) as u64;
        } else {
            bytes[from..to].fill(0xEE);
        }
    }
    fs::write(path("bytes"), bytes).unwrap();
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_killed_again_and_again_trusts_only_what_it_verified() {
    let world = World::new((9 << 20) + 77).await;
    let mut there = 0;
    for kill in 0.. {
        let holders = ["a", "b"].map(|id| world.paced(id, Fault::None, Some(3 << 20)));
        let terms = Terms { checkpoint: Duration::ZERO, start: kill, ..terms() };
        let fetching = world.fetch_as(world.wanted(), holders.into(), terms);
        match tokio::time::timeout(Duration::from_millis(40 + kill * 97 % 700), fetching).await {
            Ok(done) => {
                done.unwrap();
                break;
            }
            Err(_) => {
                // A write that was on its way ends first, as it would before a process ends.
                while world.ours.claim(&world.root).is_err() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let now = crash(&world);
                assert!(now >= there, "what was there stays");
                there = now;
                assert!(kill < 60, "it never ends");
            }
        }
    }
    assert!(there > 0, "it was continued");
    let events = world.events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Proven { held, .. } if *held > 0)));
}

#[tokio::test]
async fn a_fetch_that_failed_goes_on_where_it_was() {
    let world = World::new(4 << 20).await;
    let cut = Terms { tries: 1, ..terms() };
    let failed = world.fetch_as(world.wanted(), vec![world.peer("cut", Fault::Cut(2_600_000))], cut).await;
    assert!(matches!(failed, Err(FetchError::NoHolder)));
    let there = world.ours.fetched_size(&world.root).await;
    assert!(there >= 1 << 20, "{there}");
    world.fetch(vec![world.peer("a", Fault::None)]).await.unwrap();
    let events = world.events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Proven { held, .. } if *held == there)));
}
