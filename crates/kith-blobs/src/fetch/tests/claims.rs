//! What holders say of a SHA-256, and what becomes of it: false claims do not stop the true one, and nobody is waited for in vain.

use super::{faults::holder, *};
use crate::{
    ranges::Ranges,
    wire::{MAX_REQUEST, Offer, Refusal, receive, send_answer},
};
use std::sync::atomic::AtomicU32;

/// Names a root for whatever SHA-256 it is asked for, and has nothing of it.
struct Boaster {
    id: String,
    root: Blake3,
    size: u64,
}

#[async_trait]
impl Holder for Boaster {
    fn id(&self) -> &str {
        &self.id
    }
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let Self { root, size, .. } = *self;
        tokio::spawn(async move {
            while let Ok(Some(frame)) = receive(&mut far, MAX_REQUEST, Duration::from_secs(5)).await {
                let have = Ranges::up_to(tree::groups(size));
                let answer = match crate::wire::read_request(&frame).unwrap().what {
                    What::Sha256(_) => Ok(Offer { root, size, have, sends: Ranges::default() }),
                    What::Blake3(_) => Err(Refusal::new(Code::Absent, "it is not here")),
                };
                send_answer(&mut far, &answer).await.unwrap();
            }
        });
        Ok(Box::new(near))
    }
}

fn boaster(id: &str, root: u8, size: u64) -> Change {
    Change::Joined(Arc::new(Boaster { id: id.to_owned(), root: Blake3::from_bytes([root; 32]), size }))
}

/// Says so many times that it cannot now, and then gives; without a code it says nothing.
struct Late {
    peer: Peer,
    code: Option<Code>,
    left: AtomicU32,
}

#[async_trait]
impl Holder for Late {
    fn id(&self) -> &str {
        &self.peer.id
    }
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return self.peer.open().await;
        }
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let code = self.code;
        tokio::spawn(async move {
            while let Ok(Some(_)) = receive(&mut far, MAX_REQUEST, Duration::from_secs(60)).await {
                if let Some(code) = code {
                    send_answer(&mut far, &Err(Refusal::new(code, "not now"))).await.unwrap();
                }
            }
        });
        Ok(Box::new(near))
    }
}

fn late(world: &World, id: &str, code: Option<Code>, times: u32) -> Change {
    let server = Server::new(world.theirs.clone(), Open, Bounds::default(), Throttle::default(), Arc::new(|| true));
    let peer = Peer { id: id.to_owned(), server, fault: Fault::None };
    Change::Joined(Arc::new(Late { peer, code, left: AtomicU32::new(times) }))
}

fn wanted(world: &World) -> Wanted {
    Wanted { what: What::Sha256(world.sha256), sha256: None, ..world.wanted() }
}

/// A fetch while others may still come. How it ended and how long it took.
async fn open_end(world: &World, holders: Vec<Change>, terms: Terms) -> (Result<Put, FetchError>, Duration) {
    let (sender, inbox) = mpsc::channel(holders.len().max(1));
    for holder in holders {
        sender.try_send(holder).ok().unwrap();
    }
    let begin = Instant::now();
    let ended = world.run(wanted(world), inbox, terms).await;
    drop(sender);
    (ended, begin.elapsed())
}

#[tokio::test]
async fn who_names_a_root_that_nobody_has_does_not_keep_the_true_one_away() {
    let world = World::new(1 << 20).await;
    let size = world.bytes.len() as u64;
    // Asked at once, the first of equals is believed first; a true holder who is slow to answer is heard after it.
    for true_one in [world.peer("true", Fault::None), late(&world, "true", Some(Code::Busy), 1)] {
        world.events.lock().unwrap().clear();
        let holders = vec![boaster("boaster", 7, size), true_one];
        world.fetch_as(wanted(&world), holders, terms()).await.unwrap();
        assert_eq!(world.dropped("boaster"), Some(Why::Absent), "it may have had it a moment ago: that is no proof of a lie");
        assert!(world.ours.remove(&world.root).await.unwrap());
    }
    let failed = world.fetch_as(wanted(&world), vec![boaster("boaster", 7, size)], terms()).await;
    assert!(matches!(failed, Err(FetchError::NoHolder)));
}

#[tokio::test]
async fn so_many_false_roots_are_tried_and_no_more() {
    for (boasters, comes) in [(MAX_ROOTS - 1, true), (MAX_ROOTS, false)] {
        let world = World::new(100_000).await;
        let ids: Vec<String> = (0..boasters).map(|number| format!("a{number}")).collect();
        let mut holders: Vec<Change> = ids.iter().zip(1..).map(|(id, root)| boaster(id, root, 100_000)).collect();
        holders.push(late(&world, "true", Some(Code::Busy), 1));
        let ended = world.fetch_as(wanted(&world), holders, Terms { gather: Duration::from_secs(3), ..terms() }).await;
        assert_eq!(ended.is_ok(), comes, "{boasters}: {ended:?}");
    }
}

#[tokio::test]
async fn a_claim_of_something_larger_is_passed_over_for_the_one_that_fits() {
    let world = World::new(2 << 20).await;
    let folder = tempfile::tempdir().unwrap();
    let evil = Blobs::open(folder.path()).await.unwrap();
    let larger = evil.put([7; 3 << 20].as_slice(), None, u64::MAX, |_| ()).await.unwrap();
    evil.note_digests(&world.sha256, &larger.hash).await;
    let wanted = || Wanted { limit: 2 << 20, ..wanted(&world) };
    let holders = || vec![holder("larger", &evil), late(&world, "true", Some(Code::Busy), 1)];
    world.fetch_as(wanted(), holders(), terms()).await.unwrap();
    assert_eq!(world.dropped("larger"), Some(Why::Absent));
    let proven = |world: &World| {
        let events = world.events.lock().unwrap();
        events.iter().filter(|event| matches!(event, Event::Proven { .. })).count()
    };
    assert_eq!(proven(&world), 1, "of what is too large not a byte is kept");

    // Where the size is known for sure, it is not even asked for.
    assert!(world.ours.remove(&world.root).await.unwrap());
    world.events.lock().unwrap().clear();
    let wanted = Wanted { size: Some(2 << 20), limit: u64::MAX, ..wanted() };
    world.fetch_as(wanted, holders(), terms()).await.unwrap();
    assert_eq!((world.dropped("larger"), proven(&world)), (Some(Why::Absent), 1));
}

#[tokio::test]
async fn of_a_size_for_which_there_is_no_room_nothing_is_set_up() {
    let world = World::new(2 << 20).await;
    let wanted = Wanted { spare: 1 << 60, ..wanted(&world) };
    let failed = world.fetch_as(wanted, vec![world.peer("a", Fault::None)], terms()).await;
    assert!(matches!(failed, Err(FetchError::Blob(BlobError::NoRoom { .. }))), "{failed:?}");
    let files = std::fs::read_dir(world.ours.fetching()).map_or(0, Iterator::count);
    assert_eq!(files, 0, "no empty file of that size is left");
}

#[tokio::test]
async fn who_gives_less_than_the_least_is_given_up_and_what_came_is_kept() {
    let world = World::new(6 << 20).await;
    let least = Some(Least { rate: 4 << 20, over: Duration::from_millis(1500) });
    let begin = Instant::now();
    let holders = || vec![world.paced("drip", Fault::None, Some(1 << 20))];
    let failed = world.fetch_as(wanted(&world), holders(), Terms { least, ..terms() }).await;
    assert!(matches!(failed, Err(FetchError::NoHolder)), "{failed:?}");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(world.ours.fetched_size(&world.root).await >= 1 << 20);

    // Whoever is as fast as the limit lets it be is fast enough.
    let download = Throttle::new(Some(3 << 20));
    let least = Some(Least { rate: 64 << 20, over: Duration::from_millis(400) });
    world.fetch_as(wanted(&world), vec![world.peer("a", Fault::None)], Terms { least, download, ..terms() }).await.unwrap();
}

#[tokio::test]
async fn where_all_give_nothing_at_this_hour_nobody_is_waited_for() {
    let world = World::new(100_000).await;
    let quiet = |id| late(&world, id, Some(Code::Quiet), u32::MAX);
    let (ended, took) = open_end(&world, vec![quiet("one"), quiet("two")], terms()).await;
    assert!(matches!(ended, Err(FetchError::NoHolder)));
    assert!(took < Duration::from_secs(3), "{took:?}");
    // One who says nothing is waited for, but not as long as bytes are.
    let terms = Terms { agreement: Duration::from_millis(700), ..terms() };
    let (ended, took) = open_end(&world, vec![quiet("one"), late(&world, "mute", None, u32::MAX)], terms).await;
    assert!(matches!(ended, Err(FetchError::NoHolder)));
    assert!((Duration::from_millis(650)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn who_computes_its_tree_is_waited_for_up_to_a_bound() {
    let world = World::new(100_000).await;
    let preparing = |times| vec![late(&world, "den", Some(Code::Preparing), times)];
    let agreement = Duration::from_millis(300);
    let (ended, took) = open_end(&world, preparing(3), Terms { agreement, ..terms() }).await;
    ended.unwrap();
    assert!(took > agreement * 2, "{took:?}");
    assert!(world.ours.remove(&world.root).await.unwrap());
    let prepare = Duration::from_millis(1500);
    let (ended, took) = open_end(&world, preparing(u32::MAX), Terms { agreement, prepare, ..terms() }).await;
    assert!(matches!(ended, Err(FetchError::NoHolder)));
    assert!((prepare..Duration::from_secs(4)).contains(&took), "{took:?}");
}
