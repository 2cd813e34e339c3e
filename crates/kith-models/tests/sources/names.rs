//! Promises about names: what one means is for its origin to say, and for neighbours only where that does not tell.

use crate::{
    imitation::{Imitation, Reply, tree},
    neighbours::{HUB, Neighbour, bytes_of, done, nowhere, served, served_late},
    shelf::{hub, model, quick, registry},
};
use kith_models::{Overrides, SourceError, downloads::Bounds};
use std::{sync::atomic::Ordering, time::Duration};

#[tokio::test]
async fn a_name_that_its_origin_knows_means_what_the_origin_says() {
    let (older, newer) = (model(31, 2), model(32, 2));
    let (neighbour, put) = Neighbour::with(&older, 0).await;
    neighbour.names(&put);
    let server = served(&newer).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    for _ in 0..2 {
        done(&shelf.pull(HUB).await);
        assert_eq!(bytes_of(&shelf, HUB).await, newer);
        let model = shelf.library.resolve(HUB).await.unwrap();
        assert!(model.source.starts_with("hf.co/") && model.system.is_none(), "{}", model.source);
    }
}

#[tokio::test]
async fn a_name_that_its_origin_does_not_know_is_what_neighbours_say() {
    let bytes = model(33, 1);
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    for refusal in [404, 401] {
        let server = Imitation::start(move |_, _| Reply::status(refusal)).await;
        let shelf = neighbour.shelf(registry(&server.url)).await;
        done(&shelf.pull("ours:1b").await);
        assert_eq!(bytes_of(&shelf, "ours:1b").await, bytes);
        // What neighbours do not have either is answered by the origin, at once.
        *neighbour.named.lock().unwrap() = None;
        let error = shelf.pull("other:1b").await.error.unwrap();
        assert!(matches!(&*error, SourceError::NotFound(_) | SourceError::Refused { .. }), "{error}");
        neighbour.names(&put);
    }
}

#[tokio::test]
async fn an_origin_that_says_nothing_costs_little_where_neighbours_have_it_and_is_waited_for_where_they_do_not() {
    let bytes = model(34, 1);
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    let silent = |wait: Duration| {
        let (listing, bytes) = (tree(&[("tiny.Q4_K_M.gguf", &bytes)]), bytes.clone());
        Imitation::start(move |seen, _| match seen.path().contains("/tree/") {
            true => listing.clone().pace(usize::MAX, wait),
            false => Reply::file(seen, &bytes),
        })
    };
    let bounds = Bounds { origin: Duration::from_millis(200), ..quick() };
    let server = silent(Duration::from_secs(20)).await;
    let shelf = neighbour.shelf_within(hub(&server.url), bounds).await;
    let begun = std::time::Instant::now();
    done(&shelf.pull(HUB).await);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(shelf.library.resolve(HUB).await.unwrap().source.starts_with("peer "));

    *neighbour.named.lock().unwrap() = None;
    let server = silent(Duration::from_millis(700)).await;
    let shelf = neighbour.shelf_within(hub(&server.url), bounds).await;
    let item = shelf.pull(HUB).await;
    done(&item);
    assert_eq!((server.seen_at("/tree/").len(), item.retries), (1, 0), "it is not asked again for being slow");
}

#[tokio::test]
async fn without_its_origin_a_model_is_replaced_by_what_neighbours_call_so_only_if_it_came_from_them() {
    let (bytes, newer) = (model(35, 1), model(36, 1));
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    let shelf = neighbour.shelf(nowhere()).await;
    done(&shelf.pull("theirs:1b").await);
    let file = shelf.folder.path().join("own.gguf");
    std::fs::write(&file, &bytes).unwrap();
    shelf.library.import(&file, "own:1b".parse().unwrap(), Overrides::default(), |_| ()).await.unwrap();

    let newer_put = neighbour.blobs.put(newer.as_slice(), None, u64::MAX, |_| ()).await.unwrap();
    neighbour.names(&newer_put);
    done(&shelf.pull("theirs:1b").await);
    assert_eq!(bytes_of(&shelf, "theirs:1b").await, newer);
    let error = shelf.pull("own:1b").await.error.unwrap();
    assert!(matches!(&*error, SourceError::Broken { .. }), "{error}");
    assert_eq!(bytes_of(&shelf, "own:1b").await, bytes);
    assert!(shelf.library.resolve("own:1b").await.unwrap().system.is_none());
}

#[tokio::test]
async fn a_size_that_neighbours_invent_does_not_keep_the_origin_from_giving_the_model() {
    let bytes = model(37, 1);
    let (neighbour, put) = Neighbour::with(b"something else", 0).await;
    neighbour.names(&put);
    neighbour.boasts.store(true, Ordering::SeqCst);
    let server = served_late(&bytes, 1).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    done(&shelf.pull(HUB).await);
    assert_eq!(bytes_of(&shelf, HUB).await, bytes);
    // Where the origin does not give it either, it is the disk that is told of.
    let server = served_late(&bytes, usize::MAX).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    let error = shelf.pull(HUB).await.error.unwrap();
    assert!(matches!(&*error, SourceError::Full { .. }), "{error}");
}
