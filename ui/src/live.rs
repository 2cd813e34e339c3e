//! What the node is doing, kept up to date: its events, its figures, its models. The one store that all pages read.

use crate::{
    dom,
    http::{Client, Problem},
    session::{Sessions, sessions},
    view::{body, format, pace::Pace},
};
use kith_wire::{
    ollama::{ModelSummary, PsResponse, RunningModel, TagsResponse},
    system::{DeviceList, DownloadList, Envelope, NodeStats, ProfileBody, ProfileUpdate, RenameDevice, RenamedDevice, WhoAmI},
};
use leptos::prelude::*;
use std::time::Duration;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{EventSource, MessageEvent};

/// How often figures are read while somebody looks.
const FIGURES: Duration = Duration::from_secs(2);
/// How often they are read while the page is hidden: once in so many turns.
const HIDDEN: u32 = 15;
/// How many events are kept to show.
const RECENT: usize = 200;

/// Whether the node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Not known yet.
    Connecting,
    /// It does.
    Online,
    /// It does not, since this time in milliseconds since 1970.
    Offline(i64),
}

/// The store.
#[derive(Clone, Copy)]
pub struct Live {
    /// Whether the node answers.
    pub link: RwSignal<Link>,
    /// Its figures.
    pub stats: RwSignal<Option<NodeStats>>,
    /// What this node is called; empty before the first answer.
    pub name: RwSignal<String>,
    /// The library; `None` before the first answer.
    pub models: RwSignal<Option<Vec<ModelSummary>>>,
    /// Models in memory.
    pub running: RwSignal<Vec<RunningModel>>,
    /// Downloads under way and lately ended.
    pub downloads: RwSignal<Option<DownloadList>>,
    /// The newest events first.
    pub events: RwSignal<Vec<Envelope>>,
    /// The last event of a conversation.
    pub talked: RwSignal<Option<Envelope>>,
    /// Tokens a second of the last answer that ended.
    pub speed: RwSignal<Option<f64>>,
    sessions: Sessions,
    pace: StoredValue<Pace>,
}

/// The store of this page.
pub fn live() -> Live {
    expect_context::<Live>()
}

impl Live {
    /// Begins to follow the node. Ends with the owner.
    pub fn follow(client: Client) -> Self {
        let live = Self {
            link: RwSignal::new(Link::Connecting),
            stats: RwSignal::new(None),
            name: RwSignal::new(String::new()),
            models: RwSignal::new(None),
            running: RwSignal::new(Vec::new()),
            downloads: RwSignal::new(None),
            events: RwSignal::new(Vec::new()),
            talked: RwSignal::new(None),
            speed: RwSignal::new(None),
            sessions: sessions(),
            pace: StoredValue::new(Pace::new(dom::now_ms())),
        };
        live.read_all(&client);
        live.listen(&client);
        let turn = StoredValue::new(0u32);
        let pace = live.pace;
        let every = set_interval_with_handle(
            move || {
                turn.update_value(|turn| *turn = turn.wrapping_add(1));
                if !dom::is_visible() && !turn.get_value().is_multiple_of(HIDDEN) {
                    return;
                }
                let runs = live.stats.with_untracked(|stats| stats.as_ref().is_some_and(|stats| stats.inference.running > 0));
                let is_away = matches!(live.link.get_untracked(), Link::Offline(_));
                let is_busy = runs || is_away || live.is_downloading();
                if pace.try_update_value(|pace| pace.looks(dom::now_ms(), is_busy)) == Some(true) {
                    live.read_figures(&client);
                }
            },
            FIGURES,
        );
        if let Ok(every) = every {
            on_cleanup(move || every.clear());
        }
        live
    }

    /// Reads the library again: after a change made here, so that it shows at once.
    pub fn read_models(self, client: &Client) {
        let client = client.clone();
        let sessions = self.sessions;
        leptos::task::spawn_local(async move {
            if let Some(tags) = self.heard(sessions.note(client.get::<TagsResponse>("/api/tags").await)) {
                self.models.set(Some(tags.models));
            }
            if let Some(ps) = self.heard(client.get::<PsResponse>("/api/ps").await) {
                self.running.set(ps.models);
            }
        });
    }

    /// Reads the downloads again.
    pub fn read_downloads(self, client: &Client) {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            if let Some(list) = self.heard(client.get::<DownloadList>("/api/admin/downloads").await) {
                self.downloads.set(Some(list));
            }
        });
    }

    /// Whether any download is under way.
    pub fn is_downloading(self) -> bool {
        let running = |list: &DownloadList| list.downloads.iter().any(|one| one.finished_at.is_none());
        self.downloads.with(|list| list.as_ref().is_some_and(running))
    }

    /// Reads again what this node is called.
    pub fn read_name(self, client: &Client) {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            if let Some(list) = self.heard(client.get::<DeviceList>("/api/v1/devices").await) {
                self.name.set(list.node.name);
            }
        });
    }

    /// Names this node: for the devices paired with it, and for those who are shown its owner's profile.
    pub async fn call_this(self, client: &Client, name: &str) -> Result<ProfileBody, Problem> {
        let node: WhoAmI = client.get("/api/v1/whoami").await?;
        let path = format!("/api/v1/devices/{}", node.node_id.as_str());
        let renamed: RenamedDevice = client.call("PATCH", &path, &RenameDevice { name: name.to_owned() }).await?;
        self.name.try_set(renamed.name.clone());
        let update = ProfileUpdate { display_name: Some(renamed.name), ..ProfileUpdate::default() };
        client.call("PUT", "/api/v1/profile", &update).await
    }

    fn read_all(self, client: &Client) {
        self.read_name(client);
        self.read_models(client);
        self.read_downloads(client);
        self.read_figures(client);
    }

    fn read_figures(self, client: &Client) {
        if self.is_downloading() {
            self.pace.update_value(Pace::asks);
            self.read_downloads(client);
        }
        let client = client.clone();
        let sessions = self.sessions;
        leptos::task::spawn_local(async move {
            let was_away = matches!(self.link.get_untracked(), Link::Offline(_));
            if let Some(stats) = self.heard(sessions.note(client.get::<NodeStats>("/api/admin/stats").await)) {
                self.stats.set(Some(stats));
                if was_away {
                    self.read_models(&client);
                    self.read_downloads(&client);
                }
            }
        });
    }

    /// Takes note of whether the node answered.
    fn heard<T>(self, answer: Result<T, Problem>) -> Option<T> {
        let link = match &answer {
            Err(Problem::Offline) => match self.link.get_untracked() {
                Link::Offline(since) => Link::Offline(since),
                _ => Link::Offline(dom::now_ms()),
            },
            _ => Link::Online,
        };
        if self.link.get_untracked() != link {
            self.link.set(link);
        }
        answer.ok()
    }

    fn listen(self, client: &Client) {
        // A browser's event source sends no headers; it connects again by itself and says what it saw last.
        let Ok(source) = EventSource::new(&format!("/api/v1/events/stream?token={}", client.token())) else { return };
        let client = client.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            let Some(text) = message.data().as_string() else { return };
            if let Ok(event) = body::parse::<Envelope>(&text) {
                self.take(event, &client);
            }
        });
        source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let held = StoredValue::new_local((source, on_message));
        on_cleanup(move || held.with_value(|(source, _)| source.close()));
    }

    fn take(self, event: Envelope, client: &Client) {
        match event.kind.split('.').next() {
            Some("model") => {
                self.read_models(client);
                self.read_downloads(client);
            }
            Some("inference") => {
                let count = |name: &str| event.data.get(name).and_then(serde_json::Value::as_u64);
                if let (Some(tokens), Some(decode_ms)) = (count("completion_tokens"), count("decode_ms"))
                    && let Some(speed) = format::tokens_per_second(tokens, decode_ms)
                {
                    self.speed.set(Some(speed));
                }
                self.read_figures(client);
            }
            Some("device") => self.read_name(client),
            Some("conversation") => self.talked.set(Some(event.clone())),
            Some("events") => self.read_all(client),
            _ => {}
        }
        self.events.update(|events| {
            events.insert(0, event);
            events.truncate(RECENT);
        });
    }
}
