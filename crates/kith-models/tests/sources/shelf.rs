//! A library with a download queue, on a folder of its own.

use kith_blobs::Blobs;
use kith_events::Events;
use kith_models::{
    Downloads, DownloadsParts, Library, Neighbours, NoNeighbours, NobodyUses, Reference, SourceError, Sources,
    downloads::{Bounds, Following, Item},
    gguf::GgmlType,
    testing::GgufBuilder,
};
use kith_store::Store;
use kith_types::{Clock, SystemClock};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

pub struct Shelf {
    pub folder: TempDir,
    pub store: Store,
    pub blobs: Blobs,
    pub library: Arc<Library>,
    pub downloads: Downloads,
}

/// Bounds that do not make tests wait.
pub fn quick() -> Bounds {
    Bounds {
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        stall: Duration::from_secs(5),
        reserve: 0,
        tries: 4,
        ..Bounds::default()
    }
}

impl Shelf {
    pub async fn new(sources: Sources) -> Self {
        Self::with(sources, quick()).await
    }

    pub async fn with(sources: Sources, bounds: Bounds) -> Self {
        Self::over(tempfile::tempdir().unwrap(), sources, bounds).await
    }

    pub async fn over(folder: TempDir, sources: Sources, bounds: Bounds) -> Self {
        Self::near(folder, sources, bounds, Arc::new(NoNeighbours)).await
    }

    pub async fn near(folder: TempDir, sources: Sources, bounds: Bounds, neighbours: Arc<dyn Neighbours>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).await.unwrap();
        let library = Arc::new(Library::open(store.clone(), blobs.clone(), Arc::clone(&clock), Arc::new(NobodyUses)));
        let downloads = Downloads::new(DownloadsParts {
            library: Arc::clone(&library),
            blobs: blobs.clone(),
            sources,
            neighbours,
            bounds,
            events: Events::new(Arc::clone(&clock)),
            clock,
            random: Arc::new(|bytes: &mut [u8]| bytes.fill(0)),
        });
        Self { folder, store, blobs, library, downloads: downloads.unwrap() }
    }

    /// Stops, and opens the same folder again.
    pub async fn restart(self, sources: Sources) -> Self {
        let Self { folder, store, blobs, library, downloads } = self;
        downloads.stop().await;
        store.close().await;
        drop((blobs, library, downloads));
        Self::over(folder, sources, quick()).await
    }

    pub fn begin(&self, name: &str) -> Result<Following, SourceError> {
        self.downloads.pull(Reference::parse(name).unwrap(), false)
    }

    /// Pulls to the end.
    pub async fn pull(&self, name: &str) -> Item {
        self.begin(name).unwrap().ended().await
    }

    /// Pulls, which must succeed.
    pub async fn fetch(&self, name: &str) {
        let item = self.pull(name).await;
        assert!(item.error.is_none(), "{:?}", item.error);
        self.library.resolve(name).await.unwrap();
    }

    /// Files that lie half-fetched.
    pub fn partials(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("blobs/partial")).map_or(0, Iterator::count)
    }
}

/// A model of `mib` MiB and a little.
pub fn model(seed: u64, mib: u64) -> Vec<u8> {
    GgufBuilder::tiny(seed).tensor("blk.0.weight", &[mib << 18], GgmlType::F32, &seed.to_le_bytes()).build()
}

pub fn hub(url: &str) -> Sources {
    Sources { hub: Some(url.to_owned()), ..Sources::default() }
}

pub fn registry(url: &str) -> Sources {
    Sources { registry: Some(url.to_owned()), ..Sources::default() }
}
