//! The node behind the window: one that runs already on the same folder, or one in this process.

use crate::link::{Link, LinkError};
use kith_node::{Aloud, Config, Log, Node, NodeRecord, Overrides, StartError, Updates};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};
use tauri::async_runtime::{JoinHandle, spawn};
use tokio::sync::oneshot;

/// How long another node, which holds the folder but does not answer yet, is waited for.
const RIVAL: Duration = Duration::from_secs(15);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How long a stranger may take to say who it is.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It does not start.
    #[error("{0}")]
    Start(String),
    /// It is there and cannot be talked to.
    #[error("the node cannot be reached: {0}")]
    Link(#[from] LinkError),
}

/// How far the end of our node has come, which somebody asked for over the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It lets running answers finish.
    Begun,
    /// It is over.
    Done,
}

/// A node in this process; the task ends with it.
struct Own {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

enum State {
    Nothing,
    Own(Own),
    /// Somebody else's; it goes on without the window.
    Other,
}

/// The node of one folder.
pub struct Host {
    data_dir: PathBuf,
    state: Mutex<State>,
    link: Mutex<Option<Link>>,
    /// One start at a time.
    starting: tokio::sync::Mutex<()>,
    log: OnceLock<Log>,
}

impl Host {
    /// The host of the folder; nothing is started yet.
    pub const fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            state: Mutex::new(State::Nothing),
            link: Mutex::new(None),
            starting: tokio::sync::Mutex::const_new(()),
            log: OnceLock::new(),
        }
    }

    /// The node's folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The way to the node, once there is one.
    pub fn link(&self) -> Option<Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the node ends with this process.
    pub fn is_own(&self) -> bool {
        matches!(*self.state(), State::Own(_))
    }

    /// Finds the running node of the folder, or starts one here. If somebody else stops that one, `told` hears of it twice: when it
    /// begins to end, and when it has.
    ///
    /// # Errors
    /// [`HostError`]
    pub async fn start(&self, updates: Arc<dyn Updates>, told: impl Fn(Ending) + Send + 'static) -> Result<Link, HostError> {
        let _one = self.starting.lock().await;
        if self.is_own()
            && let Some(link) = self.link()
        {
            return Ok(link);
        }
        let deadline = Instant::now() + RIVAL;
        loop {
            if let Some(record) = find(&self.data_dir).await {
                return self.attach(&record);
            }
            match self.start_own(Arc::clone(&updates)).await {
                Ok(node) => {
                    tracing::info!(url = node.url(), version = env!("CARGO_PKG_VERSION"), "listening, in the app");
                    let link = Link::new(node.url(), &self.data_dir)?;
                    self.keep(node, told);
                    self.remember(&link);
                    return Ok(link);
                }
                // It may be about to answer, or about to end.
                Err(StartError::Running { .. }) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
                Err(StartError::Running { .. }) => {
                    return Err(HostError::Start(format!(
                        "another program holds {} and does not answer; end it, then try again",
                        self.data_dir.display()
                    )));
                }
                Err(error) => return Err(HostError::Start(error.to_string())),
            }
        }
    }

    /// Stops the node if it is ours. Another's goes on.
    pub async fn stop(&self) {
        let state = std::mem::replace(&mut *self.state(), State::Nothing);
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let State::Own(own) = state {
            // It may have ended by itself.
            let _ = own.stop.send(());
            let _ = own.ended.await;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, link: &Link) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
    }

    fn attach(&self, record: &NodeRecord) -> Result<Link, HostError> {
        let link = Link::new(&record.url, &self.data_dir)?;
        *self.state() = State::Other;
        self.remember(&link);
        Ok(link)
    }

    async fn start_own(&self, updates: Arc<dyn Updates>) -> Result<Node, StartError> {
        let memory = kith_node::machine_memory();
        let load = |overrides: &Overrides| Config::load(&self.data_dir, overrides, &kith_node::environment, memory);
        let mut overrides = Overrides::default();
        let config = load(&overrides)?;
        kith_node::make_private(&config.data_dir).map_err(|error| StartError::Folder { path: config.data_dir.clone(), error })?;
        self.begin_log();
        match Node::start_within(config, Arc::clone(&updates)).await {
            Err(StartError::Listen { address, error }) if error.kind() == io::ErrorKind::AddrInUse => {
                tracing::warn!(%address, "the port is taken; taking another");
                overrides.port = Some(0);
                Node::start_within(load(&overrides)?, updates).await
            }
            started => started,
        }
    }

    fn begin_log(&self) {
        if self.log.get().is_some() {
            return;
        }
        // Without a log the node still serves.
        if let Ok(log) = kith_node::start_log(&self.data_dir, Aloud::Warnings, false) {
            let _ = self.log.set(log);
        }
    }

    fn keep(&self, node: Node, told: impl Fn(Ending) + Send + 'static) {
        let (stop, stopped) = oneshot::channel();
        let task = spawn(async move {
            let asked = tokio::select! {
                _ = stopped => false,
                () = node.stop_requested() => true,
            };
            if asked {
                told(Ending::Begun);
            }
            node.stop().await;
            if asked {
                told(Ending::Done);
            }
        });
        *self.state() = State::Own(Own { stop, ended: task });
    }
}

/// The running node of the folder. A record left behind by a dead node, or whose port now is another's, counts as none.
async fn find(data_dir: &Path) -> Option<NodeRecord> {
    let record = NodeRecord::read(data_dir)?;
    // Without the token: it may be a stranger who answers.
    let http = reqwest::Client::builder().timeout(SIGN_OF_LIFE).no_proxy().build().ok()?;
    let health: serde_json::Value = http.get(format!("{}/health", record.url)).send().await.ok()?.json().await.ok()?;
    (health["node_id"] == record.node_id.as_str()).then_some(record)
}
