//! Promises about neighbours: they are asked for bytes before the internet, what they do not give comes from there, and they cannot make
//! a model of anything else than what was asked for. What a name means is theirs to say only where its origin does not.

use crate::{
    imitation::{Imitation, Reply, manifest, sha256, tree},
    shelf::{Shelf, hub, model, quick, registry},
};
use async_trait::async_trait;
use kith_blobs::{
    BlobError, Blobs, Bounds, Policy, Put, Server, Throttle,
    fetch::{Change, Event, FetchError, Holder, Terms, Wanted, Wire, fetch},
    wire::What,
};
use kith_models::{
    Asked, Neighbours, NoNeighbour, Overrides, Sources, Step, Tell, Told,
    downloads::{self, Item, Phase},
};
use kith_types::{Blake3, ModelName};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

struct Open;
impl Policy for Open {
    fn shares(&self, _: &str, _: &Blake3) -> bool {
        true
    }
}

/// One neighbour, with the real protocol between.
pub struct Neighbour {
    _folder: tempfile::TempDir,
    pub blobs: Blobs,
    ours: Mutex<Option<Blobs>>,
    pub named: Mutex<Option<Told>>,
    /// Its stream ends when so many bytes came over it.
    end: AtomicU64,
    /// Bytes a second.
    pace: Throttle,
    /// The piece it begins with.
    start: u64,
    pub fetched: AtomicUsize,
    /// Whether what it says of a name is more than this disk holds.
    pub boasts: AtomicBool,
    /// Streams that are open.
    open: Arc<AtomicUsize>,
}

struct Line {
    stream: DuplexStream,
    left: u64,
    open: Arc<AtomicUsize>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = (buffer.filled().len() - before) as u64;
        self.left = self.left.saturating_sub(came);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
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

struct Way {
    server: Server,
    end: u64,
    open: Arc<AtomicUsize>,
}

#[async_trait]
impl Holder for Way {
    fn id(&self) -> &str {
        "den"
    }
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let (stream, far) = tokio::io::duplex(64 << 10);
        let server = self.server.clone();
        tokio::spawn(async move { server.serve("us", far).await });
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Line { stream, left: self.end, open: Arc::clone(&self.open) }))
    }
}

impl Neighbour {
    pub async fn with(bytes: &[u8], start: u64) -> (Arc<Self>, Put) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).await.unwrap();
        let put = blobs.put(bytes, None, u64::MAX, |_| ()).await.unwrap();
        let this = Self {
            _folder: folder,
            blobs,
            ours: Mutex::default(),
            named: Mutex::default(),
            end: AtomicU64::new(u64::MAX),
            pace: Throttle::default(),
            start,
            fetched: AtomicUsize::new(0),
            boasts: AtomicBool::new(false),
            open: Arc::default(),
        };
        (Arc::new(this), put)
    }

    /// It has the blob under the name that is asked for.
    pub fn names(&self, put: &Put) {
        let parameters = serde_json::json!({"temperature": 0.5}).as_object().cloned();
        let overrides = Overrides { system: Some("Be brief.".into()), parameters, ..Overrides::default() };
        let told = Told { sha256: put.sha256, size: put.size, overrides, by: vec!["den".into()] };
        *self.named.lock().unwrap() = Some(told);
    }

    pub async fn shelf(self: &Arc<Self>, sources: Sources) -> Shelf {
        self.shelf_within(sources, quick()).await
    }

    pub async fn shelf_within(self: &Arc<Self>, sources: Sources, bounds: downloads::Bounds) -> Shelf {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::near(folder, sources, bounds, Arc::<Self>::clone(self)).await;
        self.gives_to(&shelf);
        shelf
    }

    fn gives_to(&self, shelf: &Shelf) {
        *self.ours.lock().unwrap() = Some(shelf.blobs.clone());
    }
}

#[async_trait]
impl Neighbours for Neighbour {
    async fn find(&self, _: &ModelName) -> Option<Told> {
        self.named.lock().unwrap().clone()
    }

    async fn fetch(&self, asked: Asked, tell: Tell) -> Result<Put, NoNeighbour> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let open: kith_blobs::Gate = Arc::new(|| true);
        let server = Server::new(self.blobs.clone(), Open, Bounds::default(), self.pace.clone(), open);
        let (sender, holders) = tokio::sync::mpsc::channel(1);
        let end = self.end.load(Ordering::SeqCst);
        let _ = sender.try_send(Change::Joined(Arc::new(Way { server, end, open: Arc::clone(&self.open) })));
        drop(sender);
        let root = Arc::new(Mutex::new(None));
        let proven = Arc::clone(&root);
        let events = Arc::new(move |event| match event {
            Event::Proven { root, held, .. } => {
                *proven.lock().unwrap() = Some(root);
                tell(Step::Came { bytes: held, from: Vec::new() });
            }
            Event::Progress(progress) => tell(Step::Came { bytes: progress.held, from: vec!["den".into()] }),
            Event::Verifying => tell(Step::Verifying),
            _ => {}
        });
        let Asked { sha256, size, elsewhere, room, spare } = asked;
        if !elsewhere && self.boasts.load(Ordering::SeqCst) {
            return Err(NoNeighbour::Blob(BlobError::NoRoom { needed: 8 << 40, free: 1 << 30 }));
        }
        let exact = elsewhere.then_some(size);
        let wanted = Wanted { what: What::Sha256(sha256), sha256: None, size: exact, limit: size, room, spare };
        let quickly = Duration::from_millis(30);
        let terms = Terms { tries: 1, rest: quickly, gather: quickly, start: self.start, ..Terms::default() };
        let ours = self.ours.lock().unwrap().clone().unwrap();
        fetch(&ours, wanted, holders, terms, events).await.map_err(|error| match error {
            FetchError::Blob(error) => NoNeighbour::Blob(error),
            _ => NoNeighbour::Nobody { came: *root.lock().unwrap() },
        })
    }
}

/// Nobody listens there.
pub fn nowhere() -> Sources {
    Sources { hub: Some("http://127.0.0.1:9".into()), registry: Some("http://127.0.0.1:9".into()), ..Sources::default() }
}

/// A hub with this one model, at every repository.
pub async fn served(bytes: &[u8]) -> Imitation {
    let (listing, bytes) = (tree(&[("tiny.Q4_K_M.gguf", bytes)]), bytes.to_vec());
    Imitation::start(move |seen, _| if seen.path().contains("/tree/") { listing.clone() } else { Reply::file(seen, &bytes) })
        .await
}

pub async fn bytes_of(shelf: &Shelf, name: &str) -> Vec<u8> {
    std::fs::read(shelf.library.resolve(name).await.unwrap().path).unwrap()
}

pub fn done(item: &Item) {
    assert_eq!(item.phase, Phase::Done, "{:?}", item.error);
}

pub const HUB: &str = "hf.co/acme/tiny";

#[tokio::test]
async fn a_model_that_a_neighbour_has_under_its_name_comes_from_it_without_any_internet() {
    let bytes = model(20, 3);
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    let shelf = neighbour.shelf(nowhere()).await;
    let item = shelf.pull("tiny:1b").await;
    done(&item);
    assert_eq!((item.source.as_str(), item.completed(), item.total()), ("peer den", put.size, put.size));
    let model = shelf.library.resolve("tiny:1b").await.unwrap();
    assert_eq!((model.sha256, model.source.as_str()), (put.sha256, "peer den"));
    assert_eq!((model.system.as_deref(), &model.parameters["temperature"]), (Some("Be brief."), &serde_json::json!(0.5)));
    // What is here is not fetched again.
    done(&shelf.pull("tiny:again").await);
    assert_eq!(neighbour.fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_file_whose_digest_is_known_comes_from_neighbours_and_only_its_listing_from_the_internet() {
    let bytes = model(21, 3);
    let (neighbour, _) = Neighbour::with(&bytes, 0).await;
    let server = served(&bytes).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    let item = shelf.pull(HUB).await;
    done(&item);
    assert!(server.seen_at("/resolve/").is_empty());
    assert_eq!(item.source, "peer den");
    assert!(shelf.library.resolve(HUB).await.unwrap().source.starts_with("hf.co/"), "it is what the hub has");
    assert_eq!(bytes_of(&shelf, HUB).await, bytes);
}

#[tokio::test]
async fn a_registrys_weights_come_from_neighbours_and_its_texts_from_itself() {
    let bytes = model(22, 2);
    let (neighbour, _) = Neighbour::with(&bytes, 0).await;
    let layers: Vec<(&str, Vec<u8>)> = vec![("model", bytes.clone()), ("system", b"Be kind.".to_vec())];
    let server = Imitation::start(move |seen, _| {
        let named: Vec<(&str, &[u8])> = layers.iter().map(|(kind, bytes)| (*kind, bytes.as_slice())).collect();
        let layer = layers.iter().find(|(_, bytes)| seen.path().contains(&sha256(bytes)));
        match layer {
            Some((_, bytes)) => Reply::file(seen, bytes),
            None => Reply::json(&manifest(&named)),
        }
    })
    .await;
    let shelf = neighbour.shelf(registry(&server.url)).await;
    done(&shelf.pull("tiny").await);
    assert!(server.seen_at(&sha256(&bytes)).is_empty());
    assert_eq!(shelf.library.resolve("tiny").await.unwrap().system.as_deref(), Some("Be kind."));
}

#[tokio::test]
async fn what_a_neighbour_does_not_give_comes_from_the_internet_and_what_it_gave_does_not() {
    let bytes = model(23, 24);
    // It begins in the middle and ends before it is back at the beginning.
    let (neighbour, _) = Neighbour::with(&bytes, 8).await;
    neighbour.end.store(14 << 20, Ordering::SeqCst);
    let server = served(&bytes).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    let item = shelf.pull(HUB).await;
    done(&item);
    assert_eq!(bytes_of(&shelf, HUB).await, bytes);
    assert_eq!(item.source, format!("{}/acme/tiny", server.host()), "the last source is told");
    let from: Vec<usize> = server.seen_at("/resolve/").iter().map(|seen| seen.from().unwrap_or(0)).collect();
    assert!(from.len() >= 2 && from[0] == 0 && from[1] >= 12 << 20, "{from:?}");
    assert_eq!(std::fs::read_dir(shelf.folder.path().join("blobs/fetching")).unwrap().count(), 0, "no piece is left behind");
    assert_eq!(shelf.partials(), 0);
}

#[tokio::test]
async fn a_source_that_gives_no_parts_gives_everything() {
    let bytes = model(24, 24);
    let (neighbour, _) = Neighbour::with(&bytes, 8).await;
    neighbour.end.store(14 << 20, Ordering::SeqCst);
    let (listing, whole) = (tree(&[("tiny.Q4_K_M.gguf", &bytes)]), bytes.clone());
    let server =
        Imitation::start(move |seen, _| if seen.path().contains("/tree/") { listing.clone() } else { Reply::whole(&whole) })
            .await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    done(&shelf.pull(HUB).await);
    assert_eq!(bytes_of(&shelf, HUB).await, bytes);
    assert!(server.seen_at("/resolve/").len() <= 3);
}

#[tokio::test]
async fn a_neighbour_that_gives_something_else_for_a_digest_makes_no_model_of_it() {
    let (right, wrong) = (model(25, 12), model(26, 12));
    assert_eq!(right.len(), wrong.len());
    for end in [u64::MAX, 8 << 20] {
        let (neighbour, put) = Neighbour::with(&wrong, 0).await;
        let folder = tempfile::tempdir().unwrap();
        let aside = Blobs::open(folder.path()).await.unwrap();
        let meant = aside.put(right.as_slice(), None, u64::MAX, |_| ()).await.unwrap();
        neighbour.blobs.note_digests(&meant.sha256, &put.hash).await;
        neighbour.end.store(end, Ordering::SeqCst);
        let server = served(&right).await;
        let shelf = neighbour.shelf(hub(&server.url)).await;
        done(&shelf.pull(HUB).await);
        assert_eq!(bytes_of(&shelf, HUB).await, right);
        assert_eq!(shelf.library.resolve(HUB).await.unwrap().sha256, meant.sha256);
    }
}

#[tokio::test]
async fn without_a_neighbour_that_has_it_the_internet_is_asked_at_once() {
    let bytes = model(27, 1);
    let (neighbour, _) = Neighbour::with(b"something else", 0).await;
    let server = served(&bytes).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    let begun = std::time::Instant::now();
    let item = shelf.pull(HUB).await;
    done(&item);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((server.seen_at("/resolve/").len(), item.retries), (1, 0));
}

/// A hub with this one model, whose first listings fail.
pub async fn served_late(bytes: &[u8], fails: usize) -> Imitation {
    let (listing, bytes) = (tree(&[("tiny.Q4_K_M.gguf", bytes)]), bytes.to_vec());
    Imitation::start(move |seen, before| match seen.path().contains("/tree/") {
        true if before < fails => Reply::status(500),
        true => listing.clone(),
        false => Reply::file(seen, &bytes),
    })
    .await
}

#[tokio::test]
async fn what_neighbours_name_is_fetched_from_the_internet_where_they_leave_and_they_are_not_asked_twice() {
    let bytes = model(28, 12);
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    neighbour.end.store(9 << 20, Ordering::SeqCst);
    let server = served_late(&bytes, 1).await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    done(&shelf.pull(HUB).await);
    assert_eq!(neighbour.fetched.load(Ordering::SeqCst), 1);
    let from: Vec<usize> = server.seen_at("/resolve/").iter().map(|seen| seen.from().unwrap_or(0)).collect();
    assert!(from.len() == 1 && from[0] >= 7 << 20, "{from:?}");
}

#[tokio::test]
async fn neighbours_that_give_nothing_of_one_file_are_not_asked_for_the_others() {
    let (neighbour, _) = Neighbour::with(b"something else", 0).await;
    let folder = tempfile::tempdir().unwrap();
    kith_models::testing::sight::write(folder.path(), "idefics3", 4).unwrap();
    let read = |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder.path()).unwrap().map(|entry| read(entry.unwrap())).collect();
    assert!(files.len() > 3);
    let server = Imitation::start(move |seen, _| {
        if seen.path().contains("/tree/") {
            return tree(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>());
        }
        let name = seen.path().rsplit('/').next().unwrap_or_default();
        files.iter().find(|(file, _)| file == name).map_or(Reply::status(404), |(_, bytes)| Reply::file(seen, bytes))
    })
    .await;
    let shelf = neighbour.shelf(hub(&server.url)).await;
    done(&shelf.pull("hf.co/acme/eye").await);
    assert_eq!(neighbour.fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_download_from_neighbours_is_cancelled_shared_and_gone_on_with() {
    let bytes = model(29, 12);
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    neighbour.pace.set(Some(6 << 20));
    let shelf = neighbour.shelf(nowhere()).await;
    let (mut one, two) = (shelf.begin("tiny").unwrap(), shelf.begin("tiny:latest").unwrap());
    assert_eq!(one.now().id, two.now().id);
    while one.next().await.completed() < 4 << 20 {}
    assert!(neighbour.open.load(Ordering::SeqCst) > 0);
    assert!(shelf.downloads.cancel("tiny").is_some());
    assert_eq!((one.ended().await.phase, two.ended().await.phase), (Phase::Cancelled, Phase::Cancelled));
    tokio::time::timeout(Duration::from_secs(2), async {
        while neighbour.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("nothing comes any more");
    neighbour.pace.set(None);
    done(&shelf.pull("tiny").await);
    assert_eq!(bytes_of(&shelf, "tiny").await, bytes);
    assert_eq!(neighbour.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_same_bytes_wanted_from_two_places_are_asked_of_neighbours_once() {
    let bytes = model(30, 6);
    let (neighbour, put) = Neighbour::with(&bytes, 0).await;
    neighbour.names(&put);
    neighbour.pace.set(Some(12 << 20));
    let shelf = neighbour.shelf(nowhere()).await;
    let (one, two) = (shelf.begin("tiny:a").unwrap(), shelf.begin("tiny:b").unwrap());
    let (one, two) = (one.ended().await, two.ended().await);
    done(&one);
    done(&two);
    assert_eq!(neighbour.fetched.load(Ordering::SeqCst), 1);
}
