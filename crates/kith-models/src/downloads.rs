//! The download queue: what is fetched, how far it is, and from where; and the way back, to registries.
//!
//! A bounded number waits, a smaller number runs. Two requests for one model follow one download. Bytes lie in partial files until
//! they are verified; a download that was interrupted, by whatever, goes on from there when it is asked for again.

mod fetch;
mod folder;
mod item;
mod near;
mod nearby;
mod plan;
mod push;
mod queue;
mod range;
mod retry;
mod same;
mod shards;

pub use item::{FileProgress, Item, Phase};
pub use queue::Following;
pub(crate) use range::range;
pub use shards::Shards;

use crate::{
    Library, SourceError,
    hub::{Hub, base_url},
    neighbours::Neighbours,
    reference::Reference,
    registry::Registry,
    web::Web,
};
use kith_blobs::Blobs;
use kith_events::Events;
use kith_types::Clock;
use queue::Queue;
use same::Same;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Fills a buffer with random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Limits of downloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Downloads that may wait; and as many pushes.
    pub waiting: usize,
    /// Downloads that run at once; and as many pushes.
    pub at_once: usize,
    /// Tries in a row that bring nothing before a download fails.
    pub tries: u32,
    /// The pause before the second try; it doubles with each.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long the origin of a name has to say what it means before neighbours are asked.
    pub origin: Duration,
    /// A source that sends nothing for so long is given up.
    pub stall: Duration,
    /// Bytes of the disk that downloads leave free.
    pub reserve: u64,
    /// Ended downloads that are remembered.
    pub remembered: usize,
    /// How long an interrupted download's bytes are kept.
    pub keep_partial: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            waiting: 64,
            at_once: 2,
            tries: 6,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            origin: Duration::from_secs(4),
            stall: Duration::from_secs(60),
            reserve: 256 << 20,
            remembered: 64,
            keep_partial: Duration::from_secs(14 * 24 * 3600),
        }
    }
}

/// Where models come from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The hub's address, if it is not the usual one.
    pub hub: Option<String>,
    /// The owner's token for the hub.
    pub hub_token: Option<String>,
    /// The address of the registry for names without a host, if it is not the usual one.
    pub registry: Option<String>,
    /// User and password for that registry.
    pub registry_credentials: Option<(String, String)>,
}

impl Sources {
    /// Whether the addresses are some: else the first that is none.
    pub fn wrong_address(&self) -> Option<&str> {
        [&self.hub, &self.registry].into_iter().flatten().find(|text| base_url(text).is_none()).map(String::as_str)
    }
}

impl std::fmt::Debug for Sources {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("hub", &self.hub).field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// The parts that [`Downloads`] are made of.
pub struct DownloadsParts {
    /// Where models go.
    pub library: Arc<Library>,
    /// Where their bytes go.
    pub blobs: Blobs,
    /// Where they come from.
    pub sources: Sources,
    /// Who is asked for bytes before, and for names instead.
    pub neighbours: Arc<dyn Neighbours>,
    /// Limits.
    pub bounds: Bounds,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Told of what was fetched.
    pub events: Events,
    /// The random source, for pauses.
    pub random: Random,
}

/// Downloads and pushes of one node. Clones share them.
#[derive(Clone)]
pub struct Downloads {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    library: Arc<Library>,
    blobs: Blobs,
    hub: Hub,
    registry: Registry,
    neighbours: Arc<dyn Neighbours>,
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    events: Events,
    random: Random,
    running: Semaphore,
    pushing: Semaphore,
    /// A place for each push that runs or waits.
    pushes: Arc<Semaphore>,
    queue: Mutex<Queue>,
    same: Same,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Downloads {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// [`SourceError::Name`] if a configured address is none.
    pub fn new(parts: DownloadsParts) -> Result<Self, SourceError> {
        let web = Arc::new(Web::new(parts.bounds.stall));
        let Sources { hub, hub_token, registry, registry_credentials } = parts.sources;
        let hub = Hub::new(Arc::clone(&web), hub.as_deref(), hub_token, Arc::clone(&parts.clock))?;
        let registry = Registry::new(web, registry.as_deref(), registry_credentials, Arc::clone(&parts.clock))?;
        Ok(Self {
            inner: Arc::new(Inner {
                library: parts.library,
                blobs: parts.blobs,
                hub,
                registry,
                neighbours: parts.neighbours,
                bounds: parts.bounds,
                clock: parts.clock,
                events: parts.events,
                random: parts.random,
                running: Semaphore::new(parts.bounds.at_once),
                pushing: Semaphore::new(parts.bounds.at_once),
                pushes: Arc::new(Semaphore::new(parts.bounds.waiting.saturating_add(parts.bounds.at_once))),
                queue: Mutex::default(),
                same: Same::default(),
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
            }),
        })
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// Fetches a model: what the name means is asked of where it leads, or else of neighbours, and the bytes come from neighbours who have
    /// them before they come from there. A fetching of it that is under way is followed. When nobody follows any more it is cancelled,
    /// unless it was asked for with [`Downloads::start`]. `insecure` allows plain HTTP to other machines.
    ///
    /// # Errors
    /// [`SourceError::QueueFull`]; [`SourceError::Conflict`] if the name is being fetched from elsewhere.
    pub fn pull(&self, reference: Reference, insecure: bool) -> Result<Following, SourceError> {
        queue::follow(&self.inner, reference, insecure, false)
    }

    /// Fetches a model whether or not anybody follows; as [`Downloads::pull`].
    pub fn start(&self, reference: Reference, insecure: bool) -> Result<Item, SourceError> {
        queue::follow(&self.inner, reference, insecure, true).map(|following| following.now())
    }

    /// Sends the model of that name to the registry it names. Dropping the answer cancels it.
    ///
    /// # Errors
    /// [`SourceError::QueueFull`].
    pub fn push(&self, reference: Reference, insecure: bool) -> Result<Following, SourceError> {
        push::push(&self.inner, reference, insecure)
    }

    /// Downloads that wait and run, in the order they were asked for, and then those that ended, the last first.
    pub fn list(&self) -> Vec<Item> {
        self.inner.queue().list()
    }

    /// The download of a model, by its name or the slug of it: the one under way, or the last that ended.
    pub fn find(&self, id: &str) -> Option<Item> {
        self.inner.queue().find(id)
    }

    /// Cancels the download of a model, by its name or the slug of it, for all who follow it. `None` if none is under way. What has
    /// come is kept for the next time.
    pub fn cancel(&self, id: &str) -> Option<Item> {
        self.inner.queue().cancel(id)
    }

    /// Removes the bytes of downloads that were interrupted long ago. Gives the number of files.
    pub async fn clean(&self) -> Result<u64, SourceError> {
        let before = self.inner.now().checked_sub(self.inner.bounds.keep_partial).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(self.inner.blobs.forget_partials(before).await?)
    }

    /// Cancels everything and waits until it has ended. Nothing new is taken.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl Inner {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now().ms()).unwrap_or(0))
    }
}

impl std::fmt::Debug for Downloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Downloads").field("hub", &self.inner.hub).field("registry", &self.inner.registry).finish_non_exhaustive()
    }
}

/// A name in the form that ids have in paths: lower case, a dash for whatever is no letter or digit.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}
