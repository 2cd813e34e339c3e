//! Promises of the queue: bounds, joining, following, room on the disk.

use crate::{
    imitation::{Imitation, Reply, tree},
    shelf::{Shelf, hub, model, quick},
};
use kith_models::{
    Reference, SourceError,
    downloads::{Bounds, Phase, Shards},
};
use std::time::Duration;

/// A hub whose every repository has the same model, sent after `pause`.
async fn slow(bytes: Vec<u8>, pause: Duration) -> Imitation {
    let listing = tree(&[("tiny.Q4_K_M.gguf", &bytes)]);
    Imitation::start(move |seen, _| match seen.path().contains("/tree/") {
        true => listing.clone(),
        false => Reply::file(seen, &bytes).pause(bytes.len() / 2, pause),
    })
    .await
}

#[tokio::test]
async fn two_pulls_of_one_model_share_one_download_and_both_see_it() {
    let server = slow(model(1, 2), Duration::from_millis(300)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let (mut one, mut two) = (shelf.begin("hf.co/acme/tiny").unwrap(), shelf.begin("hf.co/ACME/tiny:latest").unwrap());
    assert_eq!(one.now().id, two.now().id);
    let half = |item: &kith_models::downloads::Item| item.completed() > 0 && !item.phase.ended();
    while !half(&one.next().await) {}
    while !half(&two.next().await) {}
    drop(one);
    assert_eq!(two.ended().await.phase, Phase::Done, "one follower is enough");
    assert_eq!(server.seen_at("/resolve/").len(), 1);
}

#[tokio::test]
async fn a_download_that_nobody_follows_any_more_ends_unless_it_was_started_to_go_on() {
    let server = slow(model(2, 2), Duration::from_millis(300)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    drop(shelf.begin("hf.co/acme/tiny").unwrap());
    while shelf.downloads.find("hf.co/acme/tiny").unwrap().phase != Phase::Cancelled {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let reference = || Reference::parse("hf.co/acme/tiny").unwrap();
    shelf.downloads.start(reference(), false).unwrap();
    drop(shelf.begin("hf.co/acme/tiny").unwrap());
    assert_eq!(shelf.begin("hf.co/acme/tiny").unwrap().ended().await.phase, Phase::Done);
    let list = shelf.downloads.list();
    assert_eq!(list.iter().map(|item| item.phase).collect::<Vec<_>>(), [Phase::Done, Phase::Cancelled], "the last first");
}

#[tokio::test]
async fn no_more_run_than_may_and_no_more_wait_than_may() {
    let server = slow(model(3, 1), Duration::from_secs(60)).await;
    let bounds = Bounds { waiting: 2, at_once: 1, ..quick() };
    let shelf = Shelf::with(hub(&server.url), bounds).await;
    let mut first = shelf.begin("hf.co/acme/a").unwrap();
    let rest: Vec<_> = ["b", "c"].iter().map(|name| shelf.begin(&format!("hf.co/acme/{name}")).unwrap()).collect();
    assert!(matches!(shelf.begin("hf.co/acme/d"), Err(SourceError::QueueFull(2))));
    while first.next().await.phase != Phase::Moving {}
    assert!(rest.iter().all(|waiting| waiting.now().phase == Phase::Queued));
    drop(first);
    let mut second = rest.into_iter().next().unwrap();
    while second.next().await.phase != Phase::Moving {}
}

#[tokio::test]
async fn ended_downloads_are_remembered_up_to_a_bound() {
    let server = Imitation::start(|_, _| Reply::status(404)).await;
    let shelf = Shelf::with(hub(&server.url), Bounds { remembered: 2, ..quick() }).await;
    for name in ["a", "b", "c"] {
        shelf.pull(&format!("hf.co/acme/{name}")).await;
    }
    while shelf.downloads.list().iter().any(|item| !item.phase.ended()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let names: Vec<_> = shelf.downloads.list().iter().map(|item| item.name.to_string()).collect();
    assert_eq!(names, ["hf.co/acme/c:latest", "hf.co/acme/b:latest"]);
    assert!(shelf.downloads.find("hf.co/acme/a").is_none());
}

#[tokio::test]
async fn a_disk_without_room_is_told_before_a_byte_is_fetched() {
    let server = slow(model(4, 1), Duration::ZERO).await;
    let shelf = Shelf::with(hub(&server.url), Bounds { reserve: u64::MAX, ..quick() }).await;
    let item = shelf.pull("hf.co/acme/tiny").await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Full { free: 0, .. })), "{:?}", item.error);
    assert!(server.seen_at("/resolve/").is_empty());
}

#[tokio::test]
async fn one_name_is_not_fetched_from_two_places_at_once() {
    let server = slow(model(5, 1), Duration::from_secs(60)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let _held = shelf.begin("hf.co/acme/tiny:Q4_K_M").unwrap();
    let other = Reference::file("acme/tiny", "sub/other.gguf", Some("Q4_K_M")).unwrap();
    assert!(matches!(shelf.downloads.pull(other, false), Err(SourceError::Conflict(_))));
}

#[tokio::test]
async fn the_same_bytes_from_two_places_are_stored_once() {
    let server = slow(model(6, 1), Duration::ZERO).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let (one, two) = (shelf.begin("hf.co/acme/a").unwrap(), shelf.begin("hf.co/acme/b").unwrap());
    assert_eq!((one.ended().await.phase, two.ended().await.phase), (Phase::Done, Phase::Done));
    let models = shelf.library.list().await.unwrap();
    assert_eq!((models.len(), models[0].blob), (2, models[1].blob));
    assert_eq!(server.seen_at("/resolve/").len(), 1, "and fetched once");
    shelf.library.remove(&models[0].name).await.unwrap();
    assert!(shelf.blobs.exists(&models[1].blob).await.unwrap());
    shelf.library.remove(&models[1].name).await.unwrap();
    assert!(!shelf.blobs.exists(&models[1].blob).await.unwrap());
}

#[tokio::test]
async fn a_whole_model_is_fetched_by_its_shards_and_a_part_is_refused() {
    let server = slow(model(7, 1), Duration::ZERO).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let start = |shards| shelf.downloads.start_shards("acme/tiny", "tiny.Q4_K_M.gguf", shards);
    assert!(matches!(start(Shards::FairShare).await, Err(SourceError::Unsupported(_))));
    assert!(matches!(start(Shards::These(vec![1])).await, Err(SourceError::Name(_))));
    assert!(matches!(start(Shards::These(Vec::new())).await, Err(SourceError::Name(_))));
    let item = start(Shards::These(vec![0])).await.unwrap();
    assert_eq!(item.name.to_string(), "hf.co/acme/tiny:Q4_K_M");
    assert_eq!(shelf.begin("hf.co/acme/tiny:Q4_K_M").unwrap().ended().await.phase, Phase::Done);
}

#[tokio::test]
async fn a_stopped_queue_takes_nothing_new() {
    let server = slow(model(8, 1), Duration::from_secs(60)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let following = shelf.begin("hf.co/acme/tiny").unwrap();
    shelf.downloads.stop().await;
    assert_eq!(following.ended().await.phase, Phase::Cancelled);
    assert!(matches!(shelf.begin("hf.co/acme/tiny"), Err(SourceError::Cancelled)));
}

#[tokio::test]
async fn two_downloads_do_not_count_on_the_same_room() {
    let shelf = Shelf::new(hub("http://127.0.0.1:9")).await;
    // Others use this disk too: nothing here depends on less than a fifth of it.
    let size = shelf.blobs.unpromised().await.unwrap() / 5 * 3;
    let listing = move |name: &str| {
        serde_json::json!([{"type": "file", "path": "tiny.Q8_0.gguf", "size": size,
        "lfs": {"oid": crate::imitation::sha256(name.as_bytes()), "size": size}}])
    };
    let server = Imitation::start(move |seen, _| match seen.path().contains("/tree/") {
        true => Reply::json(&listing(seen.path())),
        false => Reply::status(200).with("content-length", &size.to_string()).pace(1, Duration::from_secs(60)),
    })
    .await;
    let shelf = shelf.restart(hub(&server.url)).await;
    let mut one = shelf.begin("hf.co/acme/one").unwrap();
    while one.next().await.phase != Phase::Moving {}
    let two = shelf.pull("hf.co/acme/two").await;
    assert!(matches!(two.error.as_deref(), Some(SourceError::Full { .. })), "{:?}", two.error);
    drop(one);
    let mut two = shelf.begin("hf.co/acme/two").unwrap();
    loop {
        let item = two.next().await;
        assert!(!item.phase.ended(), "the room is free again: {:?}", item.error);
        if item.phase == Phase::Moving {
            break;
        }
    }
}

#[tokio::test]
async fn two_files_of_one_quantisation_do_not_share_a_name() {
    let (plain, other) = (model(9, 1), model(10, 1));
    let listing = tree(&[("tiny.Q8_0.gguf", &plain), ("tiny-other.Q8_0.gguf", &other)]);
    let server = Imitation::start(move |seen, _| match seen.path() {
        path if path.contains("/tree/") => listing.clone(),
        path if path.contains("other") => Reply::file(seen, &other),
        _ => Reply::file(seen, &plain),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let mut names = Vec::new();
    for filename in ["tiny.Q8_0.gguf", "tiny-other.Q8_0.gguf"] {
        let item = shelf.downloads.start_shards("acme/tiny", filename, Shards::All).await.unwrap();
        let probe = shelf.downloads.hub().probe("acme/tiny", filename).await.unwrap();
        assert_eq!(probe.reference.name, item.name);
        assert_eq!(shelf.pull(&item.name.to_string()).await.phase, Phase::Done);
        names.push(item.name.to_string());
    }
    assert_eq!(names, ["hf.co/acme/tiny:Q8_0", "hf.co/acme/tiny:tiny-other.Q8_0"]);
    assert_eq!(shelf.library.list().await.unwrap().len(), 2);
}
