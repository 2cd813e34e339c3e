//! What happens when a source misbehaves: bytes are resumed, never trusted, and nothing half-made remains.

use crate::{
    imitation::{Imitation, Reply, Seen, tree},
    shelf::{Shelf, hub, model, quick},
};
use kith_models::{
    SourceError,
    downloads::{Bounds, Phase},
};
use std::time::{Duration, Instant};

const NAME: &str = "hf.co/acme/tiny";

/// A hub with one model, whose file is answered by `file`, told the request and how many came before.
async fn serving(bytes: &[u8], file: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Imitation {
    let listing = tree(&[("tiny.Q4_K_M.gguf", bytes)]);
    Imitation::start(move |seen, before| if seen.path().contains("/tree/") { listing.clone() } else { file(seen, before) }).await
}

fn froms(server: &Imitation) -> Vec<Option<usize>> {
    server.seen_at("/resolve/").iter().map(Seen::from).collect()
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_from_there() {
    let bytes = model(1, 3);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).with("etag", "\"v1\"").cut(1 << 20),
        1 => Reply::file(seen, &file).with("etag", "\"v1\"").cut(1 << 20),
        _ => Reply::file(seen, &file).with("etag", "\"v1\""),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    shelf.fetch(NAME).await;
    assert_eq!(froms(&server), [None, Some(1 << 20), Some(2 << 20)]);
    assert!(server.seen_at("/resolve/")[1..].iter().all(|seen| seen.header("if-range") == Some("\"v1\"")));
    let model = shelf.library.resolve(NAME).await.unwrap();
    assert_eq!(model.size, bytes.len() as u64);
    assert!(shelf.blobs.verify(&model.blob).await.unwrap());
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let bytes = model(2, 2);
    let file = bytes.clone();
    let server = serving(&bytes, move |_, before| match before {
        0 => Reply::whole(&file).cut(1 << 20),
        _ => Reply::whole(&file),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    shelf.fetch(NAME).await;
    assert_eq!(froms(&server), [None, Some(1 << 20)]);
}

#[tokio::test]
async fn a_wrong_range_is_not_believed_and_everything_is_asked_for_again() {
    let bytes = model(3, 2);
    let file = bytes.clone();
    for wrong in ["bytes 5-2097151/2097152", "bytes 1048576-2000000/2000001", "nonsense"] {
        let file = file.clone();
        let server = serving(&bytes, move |seen, before| match before {
            0 => Reply::file(seen, &file).cut(1 << 20),
            1 => Reply { status: 206, body: vec![0; 100], ..Reply::default() }.with("content-range", wrong),
            _ => Reply::file(seen, &file),
        })
        .await;
        let shelf = Shelf::new(hub(&server.url)).await;
        shelf.fetch(NAME).await;
        assert_eq!(froms(&server), [None, Some(1 << 20), None], "{wrong}");
    }
}

#[tokio::test]
async fn a_range_that_the_server_does_not_have_is_asked_for_from_the_start() {
    let bytes = model(4, 2);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).cut(1 << 20),
        1 => Reply::status(416),
        _ => Reply::file(seen, &file),
    })
    .await;
    Shelf::new(hub(&server.url)).await.fetch(NAME).await;
    assert_eq!(froms(&server), [None, Some(1 << 20), None]);
}

#[tokio::test]
async fn bytes_with_another_digest_are_refused_and_removed() {
    let (bytes, mut other) = (model(5, 1), model(5, 1));
    *other.last_mut().unwrap() ^= 1;
    let server = serving(&bytes, move |seen, _| Reply::file(seen, &other)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull(NAME).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::WrongDigest { .. })), "{:?}", item.error);
    assert_eq!(froms(&server).len(), 1);
    assert_eq!(shelf.partials(), 0);
    assert!(shelf.library.list().await.unwrap().is_empty());
    assert_eq!(shelf.library.clean().await.unwrap().files, 0, "no byte of it is left");
}

#[tokio::test]
async fn pieces_that_do_not_fit_together_are_fetched_afresh_once() {
    let bytes = model(6, 2);
    let (file, mut other) = (bytes.clone(), bytes.clone());
    other[1 << 19] ^= 1;
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &other).cut(1 << 20),
        _ => Reply::file(seen, &file),
    })
    .await;
    Shelf::new(hub(&server.url)).await.fetch(NAME).await;
    assert_eq!(froms(&server), [None, Some(1 << 20), None]);
}

#[tokio::test]
async fn a_file_of_another_length_than_announced_is_refused() {
    let bytes = model(7, 1);
    let longer = [bytes.clone(), vec![0; 10]].concat();
    let server = serving(&bytes, move |_, _| Reply::whole(&longer)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull(NAME).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Unexpected { .. })), "{:?}", item.error);
}

#[tokio::test]
async fn a_busy_source_is_given_the_time_it_asks_for() {
    let bytes = model(8, 1);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::status(429).with("retry-after", "1"),
        _ => Reply::file(seen, &file),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let begun = Instant::now();
    let mut following = shelf.begin(NAME).unwrap();
    let mut told = false;
    loop {
        let item = following.next().await;
        told |= item.notice.is_some_and(|notice| notice.contains("too busy") && notice.contains("1 s"));
        if item.phase.ended() {
            assert_eq!((item.phase, item.retries), (Phase::Done, 1));
            break;
        }
    }
    assert!(told && begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_source_that_wants_more_patience_than_there_is_fails_at_once() {
    let bytes = model(9, 1);
    let server = serving(&bytes, |_, _| Reply::status(429).with("retry-after", "86400")).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull(NAME).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Busy { .. })));
    assert_eq!(froms(&server).len(), 1);
}

#[tokio::test]
async fn tries_that_bring_nothing_end_after_their_number() {
    let bytes = model(10, 1);
    let server = serving(&bytes, |_, _| Reply::status(500)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull(NAME).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Broken { .. })));
    assert_eq!(froms(&server).len(), quick().tries as usize);
}

#[tokio::test]
async fn a_source_that_falls_silent_is_left_and_asked_again() {
    let bytes = model(11, 2);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).pause(1 << 20, Duration::from_secs(60)),
        _ => Reply::file(seen, &file),
    })
    .await;
    let shelf = Shelf::with(hub(&server.url), Bounds { stall: Duration::from_millis(300), ..quick() }).await;
    shelf.fetch(NAME).await;
    assert_eq!(froms(&server), [None, Some(1 << 20)]);
}

#[tokio::test]
async fn a_cancelled_download_keeps_its_bytes_for_the_next_time() {
    let bytes = model(12, 4);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).pause(3 << 20, Duration::from_secs(60)),
        _ => Reply::file(seen, &file),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let mut following = shelf.begin(NAME).unwrap();
    while following.next().await.completed() < 3 << 20 {}
    assert!(shelf.downloads.cancel("hf-co-acme-tiny-latest").is_some());
    assert_eq!(following.ended().await.phase, Phase::Cancelled);
    assert!(shelf.downloads.cancel(NAME).is_none(), "nothing is under way any more");
    assert_eq!(shelf.partials(), 1);
    shelf.fetch(NAME).await;
    assert!(froms(&server)[1].is_some_and(|from| from >= 2 << 20), "{:?}", froms(&server));
}

#[tokio::test]
async fn a_download_goes_on_after_a_restart() {
    let bytes = model(13, 4);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, before| match before {
        0 => Reply::file(seen, &file).pause(3 << 20, Duration::from_secs(60)),
        _ => Reply::file(seen, &file),
    })
    .await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let mut following = shelf.begin(NAME).unwrap();
    while following.next().await.completed() < 3 << 20 {}
    let shelf = shelf.restart(hub(&server.url)).await;
    assert_eq!(following.ended().await.phase, Phase::Cancelled);
    shelf.library.clean().await.unwrap();
    shelf.downloads.clean().await.unwrap();
    shelf.fetch(NAME).await;
    assert!(froms(&server)[1].is_some_and(|from| from >= 2 << 20), "{:?}", froms(&server));
    assert_eq!(shelf.partials(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_model_is_refused_and_no_byte_of_it_stays() {
    let bytes = vec![7; 1 << 16];
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, _| Reply::file(seen, &file)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    let item = shelf.pull(NAME).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Model(_))), "{:?}", item.error);
    assert_eq!((shelf.partials(), shelf.library.clean().await.unwrap().files), (0, 0));
}

#[tokio::test]
async fn an_unreachable_hub_is_told_by_its_name() {
    let shelf = Shelf::new(hub("http://127.0.0.1:9")).await;
    let item = shelf.pull(NAME).await;
    let error = item.error.unwrap();
    assert!(matches!(*error, SourceError::Broken { .. }) && error.to_string().contains("127.0.0.1:9"), "{error}");
}

#[tokio::test]
async fn a_host_that_sends_a_byte_now_and_then_is_not_listened_to_for_ever() {
    let files: Vec<String> = (0..100).map(|at| format!("tiny-{at}.Q8_0.gguf")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|file| (file.as_str(), &b"x"[..])).collect();
    let listing = tree(&files).pace(1, Duration::from_millis(20));
    let server = Imitation::start(move |_, _| listing.clone()).await;
    let bounds = Bounds { stall: Duration::from_millis(200), tries: 2, ..quick() };
    let shelf = Shelf::with(hub(&server.url), bounds).await;
    let begun = Instant::now();
    let item = shelf.pull(NAME).await;
    assert!(matches!(item.error.as_deref(), Some(SourceError::Broken { .. })), "{:?}", item.error);
    assert!(begun.elapsed() < Duration::from_secs(30), "the whole would take minutes");
    let probed = shelf.downloads.hub().probe("acme/tiny", "x.gguf").await;
    assert!(matches!(probed, Err(SourceError::Broken { .. })));
}

#[tokio::test]
async fn pulling_a_model_again_heals_damage_that_its_length_does_not_show() {
    let bytes = model(14, 1);
    let file = bytes.clone();
    let server = serving(&bytes, move |seen, _| Reply::file(seen, &file)).await;
    let shelf = Shelf::new(hub(&server.url)).await;
    shelf.fetch(NAME).await;
    let model = shelf.library.resolve(NAME).await.unwrap();
    std::fs::remove_file(&model.path).unwrap();
    std::fs::write(&model.path, vec![0; bytes.len()]).unwrap();
    shelf.fetch(NAME).await;
    assert_eq!(std::fs::read(&model.path).unwrap(), bytes);
    shelf.fetch(NAME).await;
    assert_eq!(froms(&server).len(), 2, "sound bytes are not fetched again");
}
