//! A whole API over ports that are played, for tests: real networks, a played mesh, a clock that is set.

mod fakes;

pub(crate) use fakes::{FakeMesh, FakeNeighbours};

use crate::{App, AppParts, BuildInfo, Settings, admit::Remote};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use fakes::Fakes;
use http_body_util::BodyExt;
use kith_access::{Access, AccessConfig, AccessParts, Limits};
use kith_blobs::Blobs;
use kith_conversations::{Conversations, ConversationsParts};
use kith_events::Events;
use kith_inference::{Bounds, Inference, InferenceParts, KeepAlive, ProviderBounds, Providers, ProvidersParts};
use kith_keys::{Identity, KeyProvider, OsEntropy, Sealer};
use kith_models::{Adapters, Derived, Downloads, DownloadsParts, Library, NobodyUses, Overrides, Sources, testing::GgufBuilder};
use kith_networks::{InviteOrder, KeyPurpose, NetworkId, Networks, NetworksParts, Role};
use kith_responses::Responses;
use kith_store::Store;
use kith_system::{System, SystemParts};
use kith_types::{Clock, NodeId, Scope, Timestamp};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tower::ServiceExt;

/// The admin token.
pub(crate) const ADMIN: &str = "adm1n";
/// The mesh token.
pub(crate) const MESH: &str = "m3sh";
/// Where nobody listens: no test asks the internet.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A clock that is set.
pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// The networks of one node, its key and its folder.
pub(crate) struct Networked {
    pub networks: Arc<Networks>,
    pub identity: Arc<Identity>,
    pub store: Store,
    pub events: Events,
    pub clock: Arc<FakeClock>,
    sealer: Arc<Sealer>,
    folder: tempfile::TempDir,
}

impl Networked {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        let sealer = Arc::new(Sealer::load_or_create(folder.path(), KeyProvider::File, Arc::new(OsEntropy)).unwrap());
        let identity = Arc::new(Identity::load_or_create(folder.path(), &sealer).unwrap());
        let clock = Arc::new(FakeClock(AtomicI64::new(1_700_000_000_000)));
        let events = Events::new(Arc::clone(&clock) as _);
        let networks = Arc::new(Networks::new(NetworksParts {
            store: store.clone(),
            identity: Arc::clone(&identity),
            sealer: Arc::clone(&sealer),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(OsEntropy),
            events: events.clone(),
        }));
        Self { networks, identity, store, events, clock, sealer, folder }
    }

    pub fn id(&self) -> &NodeId {
        self.identity.node_id()
    }
}

/// The API of one node.
pub(crate) struct TestApp {
    pub node: Networked,
    pub app: Arc<App>,
    pub mesh: Arc<FakeMesh>,
    pub near: Arc<FakeNeighbours>,
    router: Router,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The error's code, whatever the family.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().or_else(|| self.body["error"]["code"].as_str()).unwrap_or_default()
    }
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with_hub(NOWHERE).await
    }

    /// With the hub at this address.
    pub async fn with_hub(hub: &str) -> Self {
        let node = Networked::new().await;
        let (mesh, near) = (Arc::new(FakeMesh::new(Arc::clone(&node.networks))), Arc::new(FakeNeighbours::default()));
        let app = App::new(parts(&node, Arc::clone(&mesh), Arc::clone(&near), hub).await);
        let router = crate::router(&app);
        Self { node, app, mesh, near, router }
    }

    /// A small model in the library.
    pub async fn import(&self, name: &str) {
        let file = self.node.folder.path().join("model.gguf");
        std::fs::write(&file, GgufBuilder::tiny(1).build()).unwrap();
        self.app.library.import(&file, name.parse().unwrap(), Overrides::default(), |_| {}).await.unwrap();
    }

    /// A network that this node founded and is on.
    pub async fn founded(&self) -> NetworkId {
        let network = self.node.networks.create("home", "first").await.unwrap();
        crate::mesh::Mesh::connect(self.mesh.as_ref(), network.id).await.unwrap();
        network.id
    }

    /// Another node that came into the network.
    pub async fn guest(&self, id: NetworkId, role: Role) -> Networked {
        let guest = Networked::new().await;
        let order = InviteOrder { role, addresses: vec!["/ip4/192.0.2.1/tcp/1".into()], ..InviteOrder::default() };
        let issued = self.node.networks.invite(id, order).await.unwrap();
        guest.networks.join(&issued.url, "guest").await.unwrap();
        guest.networks.connect(id).await.unwrap();
        let hello = guest.networks.hello(id, self.node.id()).await.unwrap();
        let judged = self.node.networks.judge(id, guest.id(), &hello, KeyPurpose::Current).await.unwrap();
        guest.networks.admitted(id, self.node.id(), &judged.welcome).await.unwrap();
        guest
    }

    /// Asks with these headers, from this machine.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, String)], body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:4343");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(Remote(SocketAddr::from(([127, 0, 0, 1], 50_000))));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Asks as the owner.
    pub async fn owner(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask(method, path, &[("x-kith-admin-token", ADMIN.to_owned())], body).await
    }

    /// Asks with the mesh token.
    pub async fn mesh_token(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask(method, path, &[("x-mesh-token", MESH.to_owned())], body).await
    }

    /// The owner's answer, which must be good.
    pub async fn good(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.owner(method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        answer.body
    }

    /// The code and field of the owner's refusal.
    pub async fn bad(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        let answer = self.owner(method, path, body).await;
        (answer.status.as_u16(), answer.code().to_owned())
    }

    /// A key of a user.
    pub async fn user_key(&self) -> String {
        self.app.access.mint_key("test", Scope::User, None).await.unwrap().token
    }
}

async fn parts(node: &Networked, mesh: Arc<FakeMesh>, near: Arc<FakeNeighbours>, hub: &str) -> AppParts {
    let (store, events, dir) = (node.store.clone(), node.events.clone(), node.folder.path());
    let clock: Arc<dyn Clock> = Arc::clone(&node.clock) as _;
    let blobs = Blobs::open(&dir.join("blobs")).await.unwrap();
    let library = Arc::new(Library::open(store.clone(), blobs.clone(), Arc::clone(&clock), Arc::new(NobodyUses)));
    let derived = Derived::at(dir.join("derived"), Arc::clone(&clock), Arc::new(NobodyUses));
    let random = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
    let bounds =
        Bounds { memory: 1 << 30, parallel: 1, context: 2048, keep_alive: KeepAlive::Forever, engine: None, draft: None };
    let access = AccessParts {
        store: store.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::new(OsEntropy),
        config: AccessConfig {
            admin_token: Some(ADMIN.into()),
            mesh_token: Some(MESH.into()),
            limits: Limits { standard_per_hour: 0, inference_per_minute: 0, admin_per_minute: 0 },
            ..AccessConfig::default()
        },
    };
    let providers = ProvidersParts {
        store: Arc::new(Fakes),
        environment: Vec::new(),
        list_models: false,
        bounds: ProviderBounds::default(),
        clock: Arc::clone(&clock),
    };
    AppParts {
        access: Arc::new(Access::new(access)),
        inference: Inference::new(InferenceParts {
            engines: Vec::new(),
            catalogue: Arc::new(Fakes),
            bounds,
            clock: Arc::clone(&clock),
            events: events.clone(),
            random: random.clone(),
            providers: None,
        }),
        adapters: Adapters::new(Library::clone(&library), derived, dir.join("adapters")),
        events: events.clone(),
        node_id: node.id().clone(),
        entropy: Arc::new(OsEntropy),
        settings: settings(dir),
        build: BuildInfo {
            version: "0.0.0".into(),
            build_date: String::new(),
            git_commit: String::new(),
            rust_version: String::new(),
        },
        stop: tokio_util::sync::CancellationToken::new(),
        providers: Providers::open(providers).await.unwrap(),
        downloads: Downloads::new(DownloadsParts {
            library: Arc::clone(&library),
            blobs,
            sources: Sources { hub: Some(hub.to_owned()), registry: Some(NOWHERE.to_owned()), ..Sources::default() },
            bounds: kith_models::downloads::Bounds::default(),
            clock: Arc::clone(&clock),
            events: events.clone(),
            random,
            neighbours: near,
        })
        .unwrap(),
        library,
        model_memory: 1 << 30,
        responses: Responses::open(store.clone(), Arc::clone(&clock)).await.unwrap(),
        system: system(node).await,
        configuration: Arc::new(Fakes),
        updates: Arc::new(Fakes),
        window: Arc::new(Fakes),
        conversations: conversations(node).await,
        lan: Arc::new(Fakes),
        documents: Arc::new(Fakes),
        networks: Arc::clone(&node.networks),
        mesh,
        store,
        clock,
    }
}

fn settings(dir: &Path) -> Settings {
    Settings {
        hosts: Vec::new(),
        origins: Vec::new(),
        inference_body: 1 << 20,
        standard_body: 64 << 10,
        at_rest: "file".into(),
        data_dir: dir.to_owned(),
    }
}

async fn system(node: &Networked) -> Arc<System> {
    let parts = SystemParts {
        store: node.store.clone(),
        events: node.events.clone(),
        clock: Arc::clone(&node.clock) as _,
        entropy: Arc::new(OsEntropy),
        sealer: Arc::clone(&node.sealer),
        data_dir: node.folder.path().to_owned(),
        home: None,
        browse_roots: Vec::new(),
        secrets: Vec::new(),
        plain: Vec::new(),
    };
    System::open(parts).await.unwrap().0
}

async fn conversations(node: &Networked) -> Arc<Conversations> {
    let parts = ConversationsParts {
        store: node.store.clone(),
        pictures: node.folder.path().join("pictures"),
        events: node.events.clone(),
        clock: Arc::clone(&node.clock) as _,
        entropy: Arc::new(OsEntropy),
        bounds: kith_conversations::Bounds::default(),
    };
    Conversations::open(parts).await.unwrap()
}
