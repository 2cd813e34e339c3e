//! Promises of a fetch: only what was asked for is stored, whatever holders do; what came is kept; who lies is found.

use super::*;
use crate::{Bounds, Policy, Server, pieces::PIECE, tree};
use std::{
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::io::{DuplexStream, ReadBuf};

mod claims;
mod faults;
mod resume;
mod throughput;

/// Everything is for everybody.
struct Open;
impl Policy for Open {
    fn shares(&self, _: &str, _: &Blake3) -> bool {
        true
    }
}

/// What is wrong with a holder's streams, by the number of bytes that came over each.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// A bit of this byte is turned.
    Flip(u64),
    /// It ends here.
    Cut(u64),
    /// Nothing comes from here on.
    Stall(u64),
}

/// The near end of a stream with its fault.
struct Faulty {
    stream: DuplexStream,
    fault: Fault,
    came: u64,
}

impl AsyncRead for Faulty {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.fault {
            Fault::Cut(at) if self.came >= at => return Poll::Ready(Ok(())),
            Fault::Stall(at) if self.came >= at => return Poll::Pending,
            _ => {}
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = &mut buffer.filled_mut()[before..];
        if let Fault::Flip(at) = self.fault
            && let Some(byte) = at.checked_sub(self.came).and_then(|at| new.get_mut(at as usize))
        {
            *byte ^= 4;
        }
        self.came += new.len() as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A holder in this process.
struct Peer {
    id: String,
    server: Server,
    fault: Fault,
}

#[async_trait]
impl Holder for Peer {
    fn id(&self) -> &str {
        &self.id
    }
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let (stream, far) = tokio::io::duplex(256 << 10);
        let (server, id) = (self.server.clone(), self.id.clone());
        tokio::spawn(async move { server.serve(&id, far).await });
        Ok(Box::new(Faulty { stream, fault: self.fault, came: 0 }))
    }
}

/// Two nodes: one that has a blob, and one that wants it.
struct World {
    _folders: [tempfile::TempDir; 2],
    bytes: Vec<u8>,
    root: Blake3,
    sha256: Sha256,
    theirs: Blobs,
    ours: Blobs,
    events: Arc<Mutex<Vec<Event>>>,
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8 ^ (at >> 14) as u8 ^ (at >> 20) as u8).collect()
}

impl World {
    async fn new(size: usize) -> Self {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (theirs, ours) = (Blobs::open(folders[0].path()).await.unwrap(), Blobs::open(folders[1].path()).await.unwrap());
        let bytes = bytes(size);
        let put = theirs.put(bytes.as_slice(), None, u64::MAX, |_| ()).await.unwrap();
        Self { _folders: folders, bytes, root: put.hash, sha256: put.sha256, theirs, ours, events: Arc::default() }
    }

    fn peer(&self, id: &str, fault: Fault) -> Change {
        self.paced(id, fault, None)
    }

    fn paced(&self, id: &str, fault: Fault, upload: Option<u64>) -> Change {
        let server = Server::new(self.theirs.clone(), Open, Bounds::default(), Throttle::new(upload), Arc::new(|| true));
        Change::Joined(Arc::new(Peer { id: id.to_owned(), server, fault }))
    }

    fn wanted(&self) -> Wanted {
        Wanted { what: What::Blake3(self.root), sha256: Some(self.sha256), size: None, limit: u64::MAX, room: None, spare: 0 }
    }

    async fn fetch(&self, holders: Vec<Change>) -> Result<Put, FetchError> {
        self.fetch_as(self.wanted(), holders, terms()).await
    }

    async fn fetch_as(&self, wanted: Wanted, holders: Vec<Change>, terms: Terms) -> Result<Put, FetchError> {
        let (sender, inbox) = mpsc::channel(holders.len().max(1));
        for holder in holders {
            sender.try_send(holder).ok().unwrap();
        }
        drop(sender);
        self.run(wanted, inbox, terms).await
    }

    async fn run(&self, wanted: Wanted, inbox: mpsc::Receiver<Change>, terms: Terms) -> Result<Put, FetchError> {
        let events = Arc::clone(&self.events);
        let tell: Tell = Arc::new(move |event| events.lock().unwrap().push(event));
        let put = fetch(&self.ours, wanted, inbox, terms, tell).await?;
        assert_eq!((put.hash, put.sha256, put.size), (self.root, self.sha256, self.bytes.len() as u64));
        assert!(std::fs::read(self.ours.path(&put.hash)).unwrap() == self.bytes);
        assert_eq!(std::fs::read_dir(self.ours.fetching()).unwrap().count(), 0, "nothing is left of the pieces");
        Ok(put)
    }

    /// Why a holder was dropped for good.
    fn dropped(&self, id: &str) -> Option<Why> {
        let events = self.events.lock().unwrap();
        events.iter().find_map(|event| match event {
            Event::Dropped { holder, why } if holder == id => Some(why.clone()),
            _ => None,
        })
    }

    fn rested(&self, id: &str, what: &Why) -> bool {
        let events = self.events.lock().unwrap();
        events.iter().any(|event| matches!(event, Event::Rests { holder, why } if holder == id && why == what))
    }
}

fn terms() -> Terms {
    Terms {
        stall: Duration::from_millis(400),
        answer: Duration::from_secs(5),
        rest: Duration::from_millis(640),
        patience: Duration::from_secs(20),
        ..Terms::default()
    }
}

#[tokio::test]
async fn blobs_of_every_kind_of_size_are_fetched() {
    for size in [0, 1, tree::GROUP - 1, tree::GROUP, tree::GROUP + 1, 1 << 20, (1 << 20) + 1, (3 << 20) - 7] {
        let world = World::new(size).await;
        world.fetch(vec![world.peer("a", Fault::None)]).await.unwrap();
        // What was fetched is served to others at once, under both names.
        assert_eq!(world.ours.root_of(&world.sha256).await, Some(world.root));
        assert_eq!(world.ours.source(&world.root).await.unwrap().size, size as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_holders_share_the_work() {
    let world = World::new((24 << 20) + 5).await;
    let holders = ["a", "b", "c"].map(|id| world.paced(id, Fault::None, Some(6 << 20)));
    let begin = Instant::now();
    world.fetch(holders.into()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(3500), "{:?}: one alone takes four seconds", begin.elapsed());
    let events = world.events.lock().unwrap();
    let proven = Event::Proven { root: world.root, size: world.bytes.len() as u64, held: 0 };
    assert!(events.contains(&proven) && events.contains(&Event::Verifying));
    let most = events.iter().filter_map(|event| if let Event::Progress(progress) = event { Some(progress) } else { None });
    assert!(most.clone().any(|progress| progress.holders.len() == 3 && progress.holders.values().all(|pace| pace.rate > 0.0)));
    assert!(most.clone().zip(most.skip(1)).all(|(one, next)| one.held <= next.held));
}

#[tokio::test]
async fn a_slow_holder_is_left_and_its_piece_given_to_another() {
    let world = World::new(10 << 20).await;
    let holders = vec![world.paced("fast", Fault::None, Some(3 << 20)), world.paced("slow", Fault::None, Some(96 << 10))];
    let begin = Instant::now();
    world.fetch_as(world.wanted(), holders, Terms { slow_after: Duration::from_millis(600), ..terms() }).await.unwrap();
    assert!(world.rested("slow", &Why::Slow));
    assert!(!world.rested("fast", &Why::Slow));
    assert!(begin.elapsed() < Duration::from_secs(8), "the slow one alone needs ten seconds for its piece");
}

#[tokio::test]
async fn the_download_limit_holds_and_can_be_changed() {
    let world = World::new(4 << 20).await;
    let download = Throttle::new(Some(2 << 20));
    let terms = Terms { download: download.clone(), ..terms() };
    let begin = Instant::now();
    let holders = vec![world.peer("a", Fault::None), world.peer("b", Fault::None)];
    let change = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        download.set(None);
    };
    let (put, ()) = tokio::join!(world.fetch_as(world.wanted(), holders, terms), change);
    put.unwrap();
    assert!((Duration::from_millis(950)..Duration::from_millis(1900)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn holders_come_and_go_while_it_goes_on() {
    let world = World::new(8 << 20).await;
    let (sender, inbox) = mpsc::channel(4);
    let changes = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.send(world.paced("a", Fault::None, Some(1 << 20))).await.ok().unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        sender.send(Change::Left("a".to_owned())).await.ok().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.send(world.peer("b", Fault::None)).await.ok().unwrap();
        drop(sender);
    };
    let (put, ()) = tokio::join!(world.run(world.wanted(), inbox, terms()), changes);
    put.unwrap();
    assert_eq!(world.dropped("a"), None, "who leaves has done nothing wrong");
}

#[tokio::test]
async fn nothing_is_asked_for_while_the_gate_is_closed() {
    let world = World::new(2 << 20).await;
    let open = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&open);
    let terms = Terms { gate: Arc::new(move || seen.load(Ordering::Relaxed)), patience: Duration::from_millis(300), ..terms() };
    let later = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let told = world.events.lock().unwrap().clone();
        assert!(told.iter().all(|event| matches!(event, Event::Progress(Progress { paused: true, held: 0, .. }))), "{told:?}");
        open.store(true, Ordering::Relaxed);
    };
    let terms = Terms { patience: Duration::from_secs(5), ..terms };
    let (put, ()) = tokio::join!(world.fetch_as(world.wanted(), vec![world.peer("a", Fault::None)], terms), later);
    put.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_fetch_leaves_no_task() {
    let world = World::new(6 << 20).await;
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    for wait in [0, 1, 5, 20, 100, 300] {
        let holders = ["a", "b"].map(|id| world.paced(id, Fault::None, Some(1 << 20)));
        let fetching = world.fetch(holders.into());
        assert!(tokio::time::timeout(Duration::from_millis(wait), fetching).await.is_err());
        let until = Instant::now() + Duration::from_secs(5);
        while alive() > before {
            assert!(Instant::now() < until, "{} tasks are left", alive() - before);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    world.fetch(vec![world.peer("a", Fault::None)]).await.unwrap();
}
