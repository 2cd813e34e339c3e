//! A running node: built, started and stopped here.

use crate::{
    config::{Config, ConfigError},
    lan::{self, LanParts},
    live_config::{LiveConfig, Reach},
    mesh::{Limits, MeshHost, MeshNeighbours, MeshParts, giving},
    ports::{AboutNode, InferenceHolds, LibraryCatalogue},
    probe::NodeProbe,
    provider_keys::SealedKeys,
    record::NodeRecord,
    update::FeedUpdates,
};
use fs4::fs_std::FileExt;
use kith_access::{Access, AccessConfig, AccessError, AccessParts, AdminTokenFile};
use kith_api::{App, AppParts, BuildInfo, Settings, configuration::Updates};
use kith_blobs::{BlobError, Blobs};
use kith_conversations::{Conversations, ConversationsError, ConversationsParts};
use kith_engine::Engine;
use kith_events::Events;
use kith_inference::{Inference, InferenceParts, KeyStoreError, ProviderBounds, Providers, ProvidersParts};
use kith_keys::{Entropy, Identity, KeyError, OsEntropy, Sealer};
use kith_models::{Adapters, Derived, Downloads, DownloadsParts, Library, ModelError, SourceError, downloads::Bounds};
use kith_networks::{Networks, NetworksParts};
use kith_responses::{Responses, ResponsesError};
use kith_store::{Store, StoreError};
use kith_system::{System, SystemError, SystemParts};
use kith_types::{Clock, NodeId, SystemClock};
use serde_json::json;
use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The most bytes of a body with a prompt: images come as base64.
const INFERENCE_BODY: usize = 64 << 20;
/// The most bytes of any other JSON body.
const STANDARD_BODY: usize = 1 << 20;
/// How long running requests may go on once the node is told to stop.
const GRACE: Duration = Duration::from_secs(1);
/// The pause between two looks for files that nothing names.
const CLEANING: Duration = Duration::from_secs(60 * 60);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {error}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another node runs on this folder.
    #[error("another node already runs on this data folder{}", at.as_ref().map(|url| format!(", at {url}")).unwrap_or_default())]
    Running {
        /// Its URL, if it has told.
        at: Option<String>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// Model files cannot be reached.
    #[error("the folder of model files cannot be opened: {0}")]
    Blobs(#[from] BlobError),
    /// The library cannot be opened.
    #[error("the library of models cannot be opened: {0}")]
    Library(#[from] ModelError),
    /// The identity or the sealing key cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Access cannot be set up.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The keys of cloud providers cannot be read.
    #[error("the keys of cloud providers cannot be read: {0}")]
    Providers(#[from] KeyStoreError),
    /// A source of models is no address.
    #[error(transparent)]
    Sources(#[from] SourceError),
    /// Stored responses cannot be opened.
    #[error("the stored responses cannot be opened: {0}")]
    Responses(#[from] ResponsesError),
    /// What the owner set cannot be read.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The conversations cannot be opened.
    #[error("the conversations cannot be opened: {0}")]
    Conversations(#[from] ConversationsError),
}

/// What this binary was built from.
pub fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build_date: option_env!("KITH_BUILD_DATE").unwrap_or("unknown").to_owned(),
        git_commit: option_env!("KITH_GIT_COMMIT").unwrap_or("unknown").to_owned(),
        rust_version: option_env!("KITH_RUST_VERSION").unwrap_or(env!("CARGO_PKG_RUST_VERSION")).to_owned(),
    }
}

/// Bytes of memory this machine has, or that its container may use.
pub fn machine_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 => limits.total_memory.min(system.total_memory()),
        _ => system.total_memory(),
    }
}

/// Makes the data folder if need be, readable by its owner alone.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), StartError> {
    crate::place::make_private(path).map_err(|error| StartError::Folder { path: path.to_owned(), error })
}

/// Holds the folder for this process; the system lets go of it even when the process is killed.
fn lock_folder(data_dir: &Path) -> Result<File, StartError> {
    let fault = |error| StartError::Folder { path: data_dir.to_owned(), error };
    let file = File::options().create(true).truncate(false).write(true).open(data_dir.join("node.lock")).map_err(fault)?;
    if FileExt::try_lock_exclusive(&file).map_err(fault)? {
        Ok(file)
    } else {
        Err(StartError::Running { at: NodeRecord::read(data_dir).map(|record| record.url) })
    }
}

async fn bind(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(TcpListener::bind(address).await.map_err(|error| StartError::Listen { address: *address, error })?);
    }
    for address in &config.listen_if_free {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => tracing::info!(%address, %error, "not listening there as well"),
        }
    }
    Ok(listeners)
}

/// A node that runs until it is stopped or dropped.
pub struct Node {
    url: String,
    node_id: NodeId,
    app: Arc<App>,
    inference: Arc<Inference>,
    mesh: Arc<MeshHost>,
    downloads: Downloads,
    responses: Arc<Responses>,
    store: Store,
    stop: CancellationToken,
    serving: JoinSet<()>,
    /// Ends what measures and records, once there is nothing more to be seen.
    observing: CancellationToken,
    observers: JoinSet<()>,
    events: Events,
    record: NodeRecord,
    data_dir: PathBuf,
    _admin_token: AdminTokenFile,
    _lock: File,
}

impl Node {
    /// Starts a node with the product's engines.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let engines = crate::engines::usual(&config.data_dir);
        Self::start_with(config, engines).await
    }

    /// Starts a node with these engines, the preferred one first.
    pub async fn start_with(config: Config, engines: Vec<Arc<dyn Engine>>) -> Result<Self, StartError> {
        Self::start_by(config, engines, Arc::new(SystemClock)).await
    }

    /// Starts a node in a program that brings its own newer versions.
    pub async fn start_within(config: Config, updates: Arc<dyn Updates>) -> Result<Self, StartError> {
        let engines = crate::engines::usual(&config.data_dir);
        Self::start_whole(config, engines, Arc::new(SystemClock), Some(updates)).await
    }

    /// Starts a node that goes by this clock.
    pub async fn start_by(config: Config, engines: Vec<Arc<dyn Engine>>, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::start_whole(config, engines, clock, None).await
    }

    async fn start_whole(
        config: Config,
        engines: Vec<Arc<dyn Engine>>,
        clock: Arc<dyn Clock>,
        updates: Option<Arc<dyn Updates>>,
    ) -> Result<Self, StartError> {
        make_private_folder(&config.data_dir)?;
        let lock = lock_folder(&config.data_dir)?;
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let (dir, provider, random) = (config.data_dir.clone(), config.key_provider, Arc::clone(&entropy));
        let keys = tokio::task::spawn_blocking(move || {
            let sealer = Sealer::load_or_create(&dir, provider, random)?;
            Ok::<_, KeyError>((Identity::load_or_create(&dir, &sealer)?, sealer.sealed_by(), Arc::new(sealer)))
        });
        let store = Store::open(&config.data_dir.join("kith.db")).await?;
        let blobs = Blobs::open(&config.data_dir.join("blobs")).await?;
        let (identity, sealed_by, sealer) = keys
            .await
            .map_err(|error| StartError::Folder { path: config.data_dir.clone(), error: io::Error::other(error) })??;
        let identity = Arc::new(identity);

        let events = Events::new(Arc::clone(&clock));
        let holds = Arc::new(InferenceHolds(OnceLock::new(), config.data_dir.clone()));
        let derived = Derived::at(config.data_dir.join("derived"), Arc::clone(&clock), holds.clone());
        let library = Arc::new(Library::open(store.clone(), blobs.clone(), Arc::clone(&clock), Arc::new(derived.clone())));
        let adapters = Adapters::new(Library::clone(&library), derived, config.data_dir.join("adapters"));
        let providers = Providers::open(ProvidersParts {
            store: Arc::new(SealedKeys::new(store.clone(), Arc::clone(&sealer))),
            environment: config.provider_keys.clone(),
            list_models: config.list_cloud_models,
            bounds: ProviderBounds::default(),
            clock: Arc::clone(&clock),
        })
        .await?;
        let random = Arc::clone(&entropy);
        let inference = Inference::new(InferenceParts {
            engines,
            catalogue: Arc::new(LibraryCatalogue(Arc::clone(&library), adapters.clone())),
            bounds: config.inference.clone(),
            clock: Arc::clone(&clock),
            events: events.clone(),
            random: Arc::new(move |bytes: &mut [u8]| {
                if let Err(error) = random.fill(bytes) {
                    tracing::error!(%error, "no random bytes: ids and seeds repeat");
                }
            }),
            providers: Some(Arc::clone(&providers)),
        });
        let _ = holds.0.set(Arc::downgrade(&inference));
        let admin_token = AdminTokenFile::create(&config.data_dir, entropy.as_ref())?;
        let access = Access::new(AccessParts {
            store: store.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            config: AccessConfig {
                require_key: config.require_key,
                admin_token: config.admin_token.clone(),
                mesh_token: config.mesh_token.clone(),
                limits: config.limits,
            },
        })
        .with_process_token(&admin_token)
        .with_events(events.clone());

        let limits = Limits::new(&config.mesh);
        let neighbours = Arc::new(MeshNeighbours::new(blobs.clone(), events.clone(), limits.clone()));
        let random = Arc::clone(&entropy);
        let downloads = Downloads::new(DownloadsParts {
            library: Arc::clone(&library),
            blobs: blobs.clone(),
            sources: config.sources.clone(),
            neighbours: Arc::<MeshNeighbours>::clone(&neighbours),
            bounds: Bounds::default(),
            clock: Arc::clone(&clock),
            events: events.clone(),
            random: Arc::new(move |bytes: &mut [u8]| {
                if let Err(error) = random.fill(bytes) {
                    tracing::error!(%error, "no random bytes: pauses between tries repeat");
                }
            }),
        })?;

        let responses = Responses::open(store.clone(), Arc::clone(&clock)).await?;
        let stop = CancellationToken::new();
        let home = std::env::home_dir();
        let roots = config.browse_roots.clone();
        let secrets = [config.admin_token.as_deref(), config.mesh_token.as_deref(), Some(admin_token.token())];
        let registry_password = config.sources.registry_credentials.as_ref().map(|(_, password)| password.as_str());
        let secrets = secrets.into_iter().chain([config.sources.hub_token.as_deref(), registry_password]);
        let (system, audited) = System::open(SystemParts {
            store: store.clone(),
            events: events.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            sealer: Arc::clone(&sealer),
            data_dir: config.data_dir.clone(),
            browse_roots: roots.unwrap_or_else(|| kith_system::default_roots(home.as_deref())),
            home,
            secrets: secrets.flatten().map(|secret| secret.to_owned().into()).collect(),
            plain: vec![identity.node_id().to_string()],
        })
        .await?;
        let conversations = Conversations::open(ConversationsParts {
            store: store.clone(),
            pictures: config.data_dir.join("pictures"),
            events: events.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            bounds: kith_conversations::Bounds::default(),
        })
        .await?;
        let observing = CancellationToken::new();
        let mut observers = JoinSet::new();
        observers.spawn(audited.run(observing.clone()));
        let access = Arc::new(access);
        let reach = Reach {
            access: Arc::clone(&access),
            inference: Arc::clone(&inference),
            events: events.clone(),
            clock: Arc::clone(&clock),
            limits: limits.clone(),
        };
        let live = LiveConfig::new(config.clone(), reach);
        let lan_parts = LanParts {
            access: Arc::clone(&access),
            store: store.clone(),
            events: events.clone(),
            clock: Arc::clone(&clock),
            node_id: identity.node_id().clone(),
            stop: stop.clone(),
        };
        let networks = Arc::new(Networks::new(NetworksParts {
            store: store.clone(),
            identity: Arc::clone(&identity),
            sealer: Arc::clone(&sealer),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            events: events.clone(),
        }));
        let mesh = MeshHost::new(MeshParts {
            networks: Arc::clone(&networks),
            identity: Arc::clone(&identity),
            store: store.clone(),
            events: events.clone(),
            clock: Arc::clone(&clock),
            config: config.mesh.clone(),
            about: Arc::new(AboutNode { library: Arc::clone(&library), started: clock.now() }),
            blobs,
            library: Arc::clone(&library),
            limits,
            giving: giving(Arc::clone(&live), store.clone(), &events, stop.clone()),
            stop: stop.clone(),
        });
        neighbours.attach(&mesh);
        let (lan, lan_task) = lan::lan(&config, lan_parts);
        let app = App::new(AppParts {
            access,
            inference: Arc::clone(&inference),
            library: Arc::clone(&library),
            adapters: adapters.clone(),
            events: events.clone(),
            node_id: identity.node_id().clone(),
            clock,
            entropy,
            settings: Settings {
                hosts: hosts(&config),
                origins: config.origins.clone(),
                inference_body: INFERENCE_BODY,
                standard_body: STANDARD_BODY,
                at_rest: sealed_by.as_str().to_owned(),
                data_dir: config.data_dir.clone(),
            },
            build: build_info(),
            stop: stop.clone(),
            providers,
            downloads: downloads.clone(),
            model_memory: config.inference.memory,
            responses: Arc::clone(&responses),
            system: Arc::clone(&system),
            configuration: live.clone(),
            window: Arc::new(crate::ports::BuiltPages),
            updates: match updates {
                Some(theirs) => Arc::new(crate::ports::ToldUpdates { theirs, events: events.clone() }),
                None => Arc::new(FeedUpdates::new(Arc::clone(&live), events.clone(), build_info().version)),
            },
            conversations: Arc::clone(&conversations),
            lan,
            documents: crate::reader::documents(),
            networks: Arc::clone(&networks),
            mesh: mesh.clone(),
            store: store.clone(),
        });
        live.attach(&app);
        tokio::spawn(LiveConfig::watch(Arc::downgrade(&live), stop.clone()));
        let probe = NodeProbe::new(Arc::clone(&app), Arc::clone(&inference), &config.data_dir);
        observers.spawn(system.sampler(Arc::new(probe)).run(observing.clone()));
        let listeners = bind(&config).await?;
        let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let url = addresses.first().map(|address| format!("http://{}", reachable(*address))).unwrap_or_default();
        app.set_listening(addresses);
        let router = kith_api::router(&app);
        let mut serving = JoinSet::new();
        for listener in listeners {
            serving.spawn(kith_api::serve(Arc::clone(&app), router.clone(), listener, GRACE));
        }
        serving.spawn(lan_task.run(Arc::clone(&app)));
        let record = NodeRecord { url: url.clone(), pid: std::process::id(), node_id: identity.node_id().to_string() };
        record.write(&config.data_dir).map_err(|error| StartError::Folder { path: config.data_dir.clone(), error })?;
        let cleaning =
            clean(config.data_dir.clone(), Arc::downgrade(&library), adapters, downloads.clone(), Arc::downgrade(&conversations));
        tokio::spawn(stop.clone().run_until_cancelled_owned(cleaning));
        tokio::spawn(kith_responses::sweep_hourly(Arc::downgrade(&responses)));
        events.publish("node.started", json!({"url": url}));
        // In the background: a node is ready without its network.
        let resuming = Arc::clone(&mesh);
        tokio::spawn(async move { resuming.resume().await });
        Ok(Self {
            url,
            node_id: identity.node_id().clone(),
            app,
            inference,
            mesh,
            downloads,
            responses,
            store,
            stop,
            serving,
            observing,
            observers,
            events,
            record,
            data_dir: config.data_dir,
            _admin_token: admin_token,
            _lock: lock,
        })
    }

    /// Where the API listens: `http://127.0.0.1:4343`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// This node's id.
    pub fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    /// What handlers share; for tests that look inside.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Completes when somebody asked the node to stop over the API.
    pub async fn stop_requested(&self) {
        self.stop.cancelled().await;
    }

    /// Stops listening, lets running requests finish for a moment, unloads models, closes the database. Takes at most 4 seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let orderly = async {
            while self.serving.join_next().await.is_some() {}
            self.mesh.stop().await;
            self.downloads.stop().await;
            self.responses.stop().await;
            // What comes after it is to be written whether or not a model lets go in time.
            if tokio::time::timeout(Duration::from_millis(1500), self.inference.stop()).await.is_err() {
                tracing::warn!("a model did not leave memory in time");
            }
            self.events.flush();
            self.events.publish("node.stopped", json!({}));
            self.observing.cancel();
            while self.observers.join_next().await.is_some() {}
            self.store.close().await;
        };
        if tokio::time::timeout(Duration::from_millis(3500), orderly).await.is_err() {
            tracing::warn!("the node did not finish in time; what was acknowledged is on disk all the same");
        }
        self.record.remove(&self.data_dir);
    }
}

/// Removes what a crash left behind, uploads that nobody made a model of, downloads that nobody went on with, weights kept of models that are
/// gone, and conversations that were deleted long ago. In the background: a node is ready without it.
async fn clean(
    data_dir: PathBuf,
    library: Weak<Library>,
    adapters: Adapters,
    downloads: Downloads,
    conversations: Weak<Conversations>,
) {
    loop {
        let Some(library) = library.upgrade() else { return };
        if let Err(error) = downloads.clean().await {
            tracing::warn!(%error, "the bytes of old downloads could not be removed");
        }
        match library.clean().await {
            Ok(collected) if collected.files > 0 => {
                tracing::info!(files = collected.files, bytes = collected.bytes, "removed files that nothing names");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the library could not be cleaned"),
        }
        drop(library);
        if let Err(error) = adapters.clean().await {
            tracing::warn!(%error, "adapted models could not be cleaned");
        }
        let folder = data_dir.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || crate::engines::remove_stale_weights(&folder)).await {
            tracing::warn!(%error, "weights kept of models that are gone could not be removed");
        }
        if let Some(conversations) = conversations.upgrade()
            && let Err(error) = conversations.clean().await
        {
            tracing::warn!(%error, "conversations that were deleted long ago could not be removed");
        }
        tokio::time::sleep(CLEANING).await;
    }
}

/// An address a client on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

/// Hosts named in the configuration, and addresses the owner chose to listen on.
pub(crate) fn hosts(config: &Config) -> Vec<String> {
    let mut hosts = config.hosts.clone();
    hosts.extend(
        config
            .listen
            .iter()
            .map(|address| address.ip())
            .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
            .map(|ip| ip.to_string()),
    );
    hosts
}
