//! What handlers share: the services of the node, wired by kith-node.

use crate::{
    configuration::{Configuration, Updates},
    documents::Documents,
    envelopes::Envelopes,
    hardware::Hardware,
    invitations::Invitations,
    lan::Lan,
    mesh::Mesh,
    metrics::Metrics,
    registered::Registered,
    signed::Nonces,
    table::Route,
    traffic::{Traffic, TrafficReading},
    window::Window,
};
use kith_access::Access;
use kith_conversations::Conversations;
use kith_events::Events;
use kith_inference::{Inference, Providers};
use kith_keys::Entropy;
use kith_models::{Adapters, Downloads, Library};
use kith_networks::Networks;
use kith_responses::Responses;
use kith_store::Store;
use kith_system::System;
use kith_types::{Clock, NodeId, RequestId, Timestamp};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What this binary was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    /// The workspace's version.
    pub version: String,
    /// The day of the build, `YYYY-MM-DD`, or `unknown`.
    pub build_date: String,
    /// The commit, or `unknown`.
    pub git_commit: String,
    /// The compiler.
    pub rust_version: String,
}

/// Settings of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Host names that may stand in the Host header besides loopback names and addresses; lower case, without port.
    pub hosts: Vec<String>,
    /// Origins whose pages may call besides the node's own; lower case, scheme and all.
    pub origins: Vec<String>,
    /// The most bytes of a body, for requests with prompts.
    pub inference_body: usize,
    /// The most bytes of any other body.
    pub standard_body: usize,
    /// Whether secrets at rest are sealed, and by what (`keyring`, `file`).
    pub at_rest: String,
    /// The node's data folder.
    pub data_dir: PathBuf,
}

/// The parts an [`App`] is made of.
pub struct AppParts {
    /// Who may call.
    pub access: Arc<Access>,
    /// Answers prompts.
    pub inference: Arc<Inference>,
    /// The models on this node.
    pub library: Arc<Library>,
    /// The adapters to them.
    pub adapters: Adapters,
    /// The event bus.
    pub events: Events,
    /// This node's id.
    pub node_id: NodeId,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub entropy: Arc<dyn Entropy>,
    /// Settings of the listener.
    pub settings: Settings,
    /// What this binary was built from.
    pub build: BuildInfo,
    /// Cancelled when the node is to stop.
    pub stop: CancellationToken,
    /// The cloud providers.
    pub providers: Arc<Providers>,
    /// Where models come from.
    pub downloads: Downloads,
    /// Bytes of memory that models may hold.
    pub model_memory: u64,
    /// Stored responses.
    pub responses: Arc<Responses>,
    /// The node as its owner sees it.
    pub system: Arc<System>,
    /// The configuration and quiet hours.
    pub configuration: Arc<dyn Configuration>,
    /// New versions.
    pub updates: Arc<dyn Updates>,
    /// The window's files.
    pub window: Arc<dyn Window>,
    /// The conversations.
    pub conversations: Arc<Conversations>,
    /// The listener for paired devices.
    pub lan: Arc<dyn Lan>,
    /// Reads documents.
    pub documents: Arc<dyn Documents>,
    /// The private networks.
    pub networks: Arc<Networks>,
    /// The connections to the other nodes of the active one.
    pub mesh: Arc<dyn Mesh>,
    /// Where peers' registrations are kept.
    pub store: Store,
}

/// Everything handlers can reach.
pub struct App {
    pub(crate) access: Arc<Access>,
    pub(crate) inference: Arc<Inference>,
    pub(crate) library: Arc<Library>,
    pub(crate) adapters: Adapters,
    pub(crate) events: Events,
    pub(crate) node_id: NodeId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
    pub(crate) build: BuildInfo,
    pub(crate) stop: CancellationToken,
    pub(crate) providers: Arc<Providers>,
    pub(crate) downloads: Downloads,
    pub(crate) model_memory: u64,
    pub(crate) responses: Arc<Responses>,
    pub(crate) metrics: Metrics,
    pub(crate) started: Timestamp,
    pub(crate) routes: OnceLock<Vec<Route>>,
    pub(crate) document: OnceLock<String>,
    listening: OnceLock<Vec<SocketAddr>>,
    requests: AtomicU64,
    pub(crate) system: Arc<System>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) configuration: Arc<dyn Configuration>,
    pub(crate) updates: Arc<dyn Updates>,
    pub(crate) window: Arc<dyn Window>,
    pub(crate) hardware: Hardware,
    /// Places for WebSockets.
    pub(crate) sockets: Arc<Semaphore>,
    /// The settings with the hosts and origins allowed now.
    allowed: RwLock<Arc<Settings>>,
    pub(crate) conversations: Arc<Conversations>,
    pub(crate) lan: Arc<dyn Lan>,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) networks: Arc<Networks>,
    pub(crate) mesh: Arc<dyn Mesh>,
    /// What nodes that call over HTTP said of themselves.
    pub(crate) registered: Registered,
    /// Messages that came over HTTP.
    pub(crate) envelopes: Envelopes,
    /// Nonces of signed requests.
    pub(crate) nonces: Nonces,
    /// The invite that is shown again and again until it is used.
    pub(crate) invitations: Invitations,
}

/// The most WebSockets open at once.
pub(crate) const MAX_SOCKETS: usize = 256;

impl App {
    /// Puts the parts together. The node counts as started now.
    pub fn new(parts: AppParts) -> Arc<Self> {
        Arc::new(Self {
            started: parts.clock.now(),
            access: parts.access,
            inference: parts.inference,
            configuration: parts.configuration,
            updates: parts.updates,
            window: parts.window,
            hardware: Hardware::default(),
            sockets: Arc::new(Semaphore::new(MAX_SOCKETS)),
            allowed: RwLock::new(Arc::new(parts.settings.clone())),
            library: parts.library,
            adapters: parts.adapters,
            events: parts.events,
            node_id: parts.node_id,
            clock: parts.clock,
            entropy: parts.entropy,
            settings: parts.settings,
            build: parts.build,
            stop: parts.stop,
            providers: parts.providers,
            downloads: parts.downloads,
            model_memory: parts.model_memory,
            responses: parts.responses,
            metrics: Metrics::new(),
            routes: OnceLock::new(),
            document: OnceLock::new(),
            listening: OnceLock::new(),
            requests: AtomicU64::new(0),
            system: parts.system,
            traffic: Arc::default(),
            conversations: parts.conversations,
            lan: parts.lan,
            documents: parts.documents,
            networks: parts.networks,
            mesh: parts.mesh,
            registered: Registered::new(parts.store),
            envelopes: Envelopes::default(),
            nonces: Nonces::default(),
            invitations: Invitations::default(),
        })
    }

    /// Tells the API where it listens, for `/api/v1/system/status`. Only the first call counts.
    pub fn set_listening(&self, addresses: Vec<SocketAddr>) {
        let _ = self.listening.set(addresses);
    }

    /// What went through the listeners since the node started.
    pub fn traffic(&self) -> TrafficReading {
        self.traffic.read()
    }

    /// Where the API listens.
    pub fn listening(&self) -> &[SocketAddr] {
        self.listening.get().map_or(&[], Vec::as_slice)
    }

    /// Changes the host names that may stand in the Host header, and the origins whose pages may call.
    pub fn set_allowed(&self, hosts: Vec<String>, origins: Vec<String>) {
        let settings = Arc::new(Settings { hosts, origins, ..self.settings.clone() });
        *self.allowed.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// The settings with the hosts and origins allowed now.
    pub(crate) fn allowed(&self) -> Arc<Settings> {
        Arc::clone(&self.allowed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every route, once [`crate::router`] was called.
    pub fn routes(&self) -> &[Route] {
        self.routes.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn new_request_id(&self) -> RequestId {
        let mut bytes = [0; 12];
        // An id only has to differ from its neighbours; without random bytes a count does that too.
        if self.entropy.fill(&mut bytes).is_err() {
            bytes[..8].copy_from_slice(&self.requests.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        }
        RequestId::from_random(bytes)
    }

    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.clock.now().ms() - self.started.ms()).unwrap_or(0)
    }
}
