//! Holders that lie, break, or lack parts.

use super::*;
use crate::{
    pieces::{Piece, groups_of},
    ranges::Ranges,
    wire::{MAX_REQUEST, Offer, receive, send_answer},
};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_holder_of_wrong_bytes_is_found_and_the_download_goes_on() {
    // Where in a stream the bit is turned: in pairs, in the first group, in later ones. The answers come first.
    for at in [600, 5_000, 100_000, 1_000_000, 2_500_000] {
        let world = World::new(6 << 20).await;
        let holders = vec![world.peer("liar", Fault::Flip(at)), world.paced("true", Fault::None, Some(4 << 20))];
        world.fetch(holders).await.unwrap();
        let why = world.dropped("liar");
        assert!(matches!(why, Some(Why::Corrupt { .. } | Why::Lied(_))), "byte {at}: {why:?}");
        assert_eq!(world.dropped("true"), None);
    }
}

#[tokio::test]
async fn wrong_bytes_alone_are_never_stored() {
    let world = World::new(3 << 20).await;
    let failed = world.fetch(vec![world.peer("liar", Fault::Flip(1_000_000))]).await;
    assert!(matches!(failed, Err(FetchError::NoHolder)));
    assert!(matches!(world.dropped("liar"), Some(Why::Corrupt { .. })), "{:?}", world.dropped("liar"));
    assert!(!world.ours.exists(&world.root).await.unwrap());
    // It is named to within the group: what came before it is kept.
    world.fetch(vec![world.peer("true", Fault::None)]).await.unwrap();
}

#[tokio::test]
async fn streams_that_break_are_opened_again_while_that_brings_something() {
    let world = World::new(6 << 20).await;
    world.fetch(vec![world.peer("cut", Fault::Cut(2_500_000))]).await.unwrap();
    assert_eq!(world.dropped("cut"), None);
    let world = World::new(6 << 20).await;
    let failed = world.fetch(vec![world.peer("cut", Fault::Cut(500_000))]).await;
    assert!(matches!(failed, Err(FetchError::NoHolder)));
    assert!(matches!(world.dropped("cut"), Some(Why::Broken(_))));
}

#[tokio::test]
async fn a_stalled_holder_does_not_hold_up_the_others() {
    let world = World::new(6 << 20).await;
    let holders = vec![world.peer("stalled", Fault::Stall(700_000)), world.paced("true", Fault::None, Some(8 << 20))];
    let begin = Instant::now();
    world.fetch(holders).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    let world = World::new(6 << 20).await;
    assert!(matches!(world.fetch(vec![world.peer("stalled", Fault::Stall(700_000))]).await, Err(FetchError::NoHolder)));
    assert_eq!(world.dropped("stalled"), Some(Why::Stalled));
}

/// A node that has some pieces of the world's blob.
async fn part(world: &World, numbers: &[u64]) -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).await.unwrap();
    let (mut hasher, mut pairs) = (tree::TreeHasher::default(), Vec::new());
    hasher.update(&world.bytes, |pair| pairs.push(*pair));
    hasher.finalize(|pair| pairs.push(*pair));
    let pieces = blobs.claim(&world.root).unwrap().open(world.bytes.len() as u64).unwrap();
    for &number in numbers {
        let from = (number * PIECE) as usize;
        let bytes = world.bytes[from..world.bytes.len().min(from + PIECE as usize)].to_vec();
        pieces.write(&mut Piece { number, bytes, pairs: (0..).zip(pairs.clone()).collect() }).unwrap();
    }
    pieces.checkpoint().unwrap();
    (folder, blobs)
}

pub fn holder(id: &str, blobs: &Blobs) -> Change {
    let server = Server::new(blobs.clone(), Open, Bounds::default(), Throttle::default(), Arc::new(|| true));
    Change::Joined(Arc::new(Peer { id: id.to_owned(), server, fault: Fault::None }))
}

#[tokio::test]
async fn nodes_that_have_parts_make_a_whole_together() {
    let world = World::new((4 << 20) + 9).await;
    let (_one, even) = part(&world, &[0, 2, 4]).await;
    let (_two, odd) = part(&world, &[1, 3]).await;
    world.fetch(vec![holder("even", &even), holder("odd", &odd)]).await.unwrap();

    let world = World::new((4 << 20) + 9).await;
    let (_one, even) = part(&world, &[0, 2, 4]).await;
    let patience = Duration::from_millis(900);
    let failed = world.fetch_as(world.wanted(), vec![holder("even", &even)], Terms { patience, ..terms() }).await;
    assert!(matches!(failed, Err(FetchError::NoHolder)));
    assert_eq!(world.ours.fetched_size(&world.root).await, (2 << 20) + 9, "what there was is kept");
}

#[tokio::test]
async fn who_does_not_have_it_is_told_apart() {
    let world = World::new(1 << 20).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = Blobs::open(folder.path()).await.unwrap();
    world.fetch(vec![holder("empty", &empty), world.peer("a", Fault::None)]).await.unwrap();
    assert_eq!(world.dropped("empty").unwrap_or(Why::Absent), Why::Absent);
    let world = World::new(1 << 20).await;
    assert!(matches!(world.fetch(vec![holder("empty", &empty)]).await, Err(FetchError::NoHolder)));
    assert!(matches!(world.fetch(Vec::new()).await, Err(FetchError::NoHolder)));
}

#[tokio::test]
async fn a_wrong_root_for_a_sha256_is_found_at_the_end_and_the_next_is_tried() {
    let world = World::new(2 << 20).await;
    let folder = tempfile::tempdir().unwrap();
    let evil = Blobs::open(folder.path()).await.unwrap();
    let other = evil.put([7; 100_000].as_slice(), None, u64::MAX, |_| ()).await.unwrap();
    evil.note_digests(&world.sha256, &other.hash).await;
    let wanted = || Wanted { what: What::Sha256(world.sha256), sha256: None, ..world.wanted() };
    let holders = || vec![holder("evil", &evil), holder("worse", &evil)];
    assert!(matches!(world.fetch_as(wanted(), holders(), terms()).await, Err(FetchError::NoHolder)));
    world.events.lock().unwrap().clear();
    let all = holders().into_iter().chain([world.peer("true", Fault::None)]).collect();
    world.fetch_as(wanted(), all, terms()).await.unwrap();
    for liar in ["evil", "worse"] {
        assert!(matches!(world.dropped(liar), Some(Why::Lied(_))), "{:?}", world.dropped(liar));
    }
    assert_eq!(world.dropped("true"), Some(Why::Absent), "it does not have the wrong one, and is asked for the next");
    assert!(!world.ours.exists(&other.hash).await.unwrap(), "what was not asked for is not stored");
}

#[tokio::test]
async fn what_is_too_large_is_not_taken() {
    let world = World::new(2 << 20).await;
    let wanted = Wanted { limit: (2 << 20) - 1, ..world.wanted() };
    let failed = world.fetch_as(wanted, vec![world.peer("a", Fault::None)], terms()).await;
    assert!(matches!(failed, Err(FetchError::TooLarge { size, .. }) if size == 2 << 20));
    let wanted = Wanted { spare: 1 << 60, ..world.wanted() };
    let failed = world.fetch_as(wanted, vec![world.peer("a", Fault::None)], terms()).await;
    assert!(matches!(failed, Err(FetchError::Blob(BlobError::NoRoom { .. }))));
}

/// What a holder says and sends, whatever it is asked.
struct Fake {
    size: u64,
    root: Blake3,
    sends: bool,
}

#[async_trait]
impl Holder for Fake {
    fn id(&self) -> &str {
        "fake"
    }
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let Self { size, root, sends } = *self;
        tokio::spawn(async move {
            while let Ok(Some(frame)) = receive(&mut far, MAX_REQUEST, Duration::from_secs(5)).await {
                let request = crate::wire::read_request(&frame).unwrap();
                let have = Ranges::up_to(tree::groups(size));
                let asked = Ranges::read(&request.ranges, tree::groups(size)).unwrap_or_default();
                let offer = Offer { root, size, have, sends: if sends { asked.clone() } else { Ranges::default() } };
                send_answer(&mut far, &Ok(offer)).await.unwrap();
                if !asked.is_empty() && sends {
                    let _ = far.write_all(&vec![0; 100_000]).await;
                }
            }
        });
        Ok(Box::new(near))
    }
}

#[tokio::test]
async fn lies_about_size_root_and_parts_are_found() {
    let world = World::new((1 << 20) + 3).await;
    let size = world.bytes.len() as u64;
    let lies = [
        (size + 1, world.root, true),
        (1 << 49, world.root, true),
        (size, Blake3::from_bytes([3; 32]), true),
        (size, world.root, false),
    ];
    for (size, root, sends) in lies {
        let fake = || Change::Joined(Arc::new(Fake { size, root, sends }));
        world.events.lock().unwrap().clear();
        assert!(matches!(world.fetch(vec![fake()]).await, Err(FetchError::NoHolder)));
        assert!(matches!(world.dropped("fake"), Some(Why::Corrupt { .. } | Why::Lied(_))), "{:?}", world.dropped("fake"));
        world.fetch(vec![fake(), world.peer("true", Fault::None)]).await.unwrap();
        assert!(world.ours.remove(&world.root).await.unwrap());
    }
    assert_eq!(groups_of(size, 1), (64, 1));
}
