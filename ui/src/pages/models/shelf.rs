//! What the parts of the page share: what is known of each model, what is being done to it, and the doing.

use crate::{
    dom,
    http::{Client, Problem},
    live::{Live, live},
    session::client,
    toast::{Toasts, toasts},
    view::{
        body,
        fit::{Fit, fit},
        models,
    },
};
use kith_wire::{
    KeepAlive,
    models::{AdminRemoved, AdminUnloaded, ModelStatus, SwapRequest, Swapped},
    ollama::{CopyRequest, GenerateRequest, ShowRequest, ShowResponse},
    system::{DownloadAnswer, ImportProgress},
};
use leptos::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a removal may be taken back; as long as its notice stays.
const SECOND_THOUGHTS: Duration = Duration::from_secs(6);

/// What a model's file tells, as far as a row shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Tokens it was trained to attend to.
    pub context: Option<u64>,
    /// What it can do.
    pub abilities: Vec<&'static str>,
}

/// An import that runs or has failed.
#[derive(Clone, PartialEq)]
pub struct Import {
    /// The name it shall have.
    pub name: String,
    /// The last line of its progress.
    pub progress: ImportProgress,
}

/// The state of the page.
#[derive(Clone, Copy)]
pub struct Shelf {
    /// What is known of each model, by its name.
    pub facts: RwSignal<BTreeMap<String, Facts>>,
    /// What is being done to a model, by its name.
    pub busy: RwSignal<BTreeMap<String, &'static str>>,
    /// Models that are about to be removed.
    pub leaving: RwSignal<BTreeSet<String>>,
    /// The model that answers where none is named.
    pub default: RwSignal<Option<String>>,
    /// Ended downloads that are no longer shown, by name and end.
    pub dismissed: RwSignal<BTreeSet<String>>,
    /// The import under way.
    pub import: RwSignal<Option<Import>>,
    live: Live,
    toasts: Toasts,
    client: StoredValue<Client>,
}

/// The state of this page.
pub fn shelf() -> Shelf {
    expect_context::<Shelf>()
}

/// A text as one part of a path.
pub fn part(text: &str) -> String {
    String::from(js_sys::encode_uri_component(text))
}

impl Shelf {
    /// The state, with what can be asked at once being asked.
    pub fn new() -> Self {
        let shelf = Self {
            facts: RwSignal::default(),
            busy: RwSignal::default(),
            leaving: RwSignal::default(),
            default: RwSignal::default(),
            dismissed: RwSignal::default(),
            import: RwSignal::default(),
            live: live(),
            toasts: toasts(),
            client: StoredValue::new(client()),
        };
        shelf.read_default();
        Effect::new(move || {
            let names: Vec<String> = shelf.live.models.with(|models| {
                let own = models.iter().flatten().filter(|model| !models::is_remote(model));
                own.map(|model| model.name.clone()).collect()
            });
            shelf.read_facts(names);
        });
        shelf
    }

    /// How a model of `size` bytes and this machine go together.
    pub fn fit(self, size: u64) -> Fit {
        self.live.stats.with(|stats| fit(size, stats.as_ref().map(|stats| &stats.hardware.memory)))
    }

    /// Whether the library has a model of this name.
    pub fn has(self, name: &str) -> bool {
        self.live.models.with(|models| models.iter().flatten().any(|model| model.name.eq_ignore_ascii_case(name)))
    }

    /// Whether a model of this name is being downloaded.
    pub fn is_coming(self, name: &str) -> bool {
        self.live.downloads.with(|list| {
            let mut all = list.iter().flat_map(|list| &list.downloads);
            all.any(|one| models::is_under_way(one) && one.model.eq_ignore_ascii_case(name))
        })
    }

    fn read_default(self) {
        let client = self.client.get_value();
        leptos::task::spawn_local(async move {
            if let Ok(status) = client.get::<ModelStatus>("/model/status").await {
                self.default.try_set(status.model);
            }
        });
    }

    /// Asks for what each model's file tells, one after the other.
    fn read_facts(self, names: Vec<String>) {
        let client = self.client.get_value();
        leptos::task::spawn_local(async move {
            for name in names {
                if self.facts.try_with_untracked(|facts| facts.contains_key(&name)) != Some(false) {
                    continue;
                }
                let asked = ShowRequest { model: Some(name.clone()), ..ShowRequest::default() };
                let Ok(shown) = client.post::<ShowResponse>("/api/show", &asked).await else { continue };
                let facts =
                    Facts { context: models::context(&shown.model_info), abilities: models::abilities(&shown.capabilities) };
                self.facts.try_update(|all| all.insert(name, facts));
            }
        });
    }

    /// Does something to a model, and says so while it lasts.
    fn work<T: 'static>(
        self,
        name: String,
        doing: &'static str,
        work: impl Future<Output = Result<T, Problem>> + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        self.busy.update(|busy| {
            busy.insert(name.clone(), doing);
        });
        leptos::task::spawn_local(async move {
            let outcome = work.await;
            self.busy.try_update(|busy| busy.remove(&name));
            match outcome {
                Ok(outcome) => done(outcome),
                Err(problem) => self.toasts.fail(problem),
            }
            if let Some(client) = self.client.try_get_value() {
                self.live.read_models(&client);
            }
        });
    }

    /// Takes a model into memory, for the usual time or for good.
    pub fn load(self, name: String, keep: bool) {
        let client = self.client.get_value();
        let asked = GenerateRequest {
            model: Some(name.clone()),
            stream: Some(false),
            keep_alive: keep.then_some(KeepAlive::Seconds(-1.0)),
            ..GenerateRequest::default()
        };
        let work = async move { client.post::<serde_json::Value>("/api/generate", &asked).await };
        self.work(name, "loading", work, |_| {});
    }

    /// Takes a model out of memory.
    pub fn unload(self, name: String) {
        let client = self.client.get_value();
        let path = format!("/api/admin/models/{}/unload", part(&name));
        let work = async move { client.post::<AdminUnloaded>(&path, &()).await };
        self.work(name, "leaving memory", work, |_| {});
    }

    /// Makes a model the one that answers where none is named.
    pub fn make_default(self, name: String) {
        let client = self.client.get_value();
        let asked = SwapRequest { model: name.clone() };
        let work = async move { client.post::<Swapped>("/model/swap", &asked).await };
        self.work(name, "loading", work, move |swapped| {
            self.default.try_set(Some(swapped.active));
        });
    }

    /// Gives a model a second name.
    pub async fn copy(self, source: String, destination: String) -> Result<(), Problem> {
        let client = self.client.get_value();
        client.send("POST", "/api/copy", Some(&CopyRequest { source, destination })).await?;
        self.live.read_models(&client);
        Ok(())
    }

    /// Removes a model in a moment, unless that is taken back.
    pub fn remove(self, name: String) {
        let client = self.client.get_value();
        self.leaving.update(|leaving| {
            leaving.insert(name.clone());
        });
        let (toasts, live) = (self.toasts, self.live);
        // What is waited for must outlast the page: it may be left in the meantime.
        let taken_back = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let undo = {
            let (taken_back, name) = (std::sync::Arc::clone(&taken_back), name.clone());
            move || {
                taken_back.store(true, std::sync::atomic::Ordering::Relaxed);
                self.leaving.try_update(|leaving| leaving.remove(&name));
            }
        };
        toasts.undoable(format!("{} is removed", models::split(&name).0), undo);
        let act = move || {
            if taken_back.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            leptos::task::spawn_local(async move {
                let path = format!("/api/admin/models/{}", part(&name));
                if let Err(problem) = client.call::<AdminRemoved>("DELETE", &path, &()).await {
                    toasts.fail(problem);
                }
                live.read_models(&client);
                self.facts.try_update(|facts| facts.remove(&name));
                set_timeout(
                    move || {
                        self.leaving.try_update(|leaving| leaving.remove(&name));
                    },
                    Duration::from_secs(2),
                );
            });
        };
        set_timeout(act, SECOND_THOUGHTS);
    }

    /// Puts a model on the download queue, by its name as a pull takes it.
    pub fn fetch(self, name: String) {
        let path = format!("/api/admin/models/{}/add", part(&name));
        let client = self.client.get_value();
        let work = async move { client.post::<DownloadAnswer>(&path, &()).await };
        self.queue(name, work);
    }

    /// Puts one file of a repository on the download queue.
    pub fn fetch_file(self, repository: String, file: String) {
        let client = self.client.get_value();
        let key = format!("{repository}/{file}");
        let asked = kith_wire::system::DownloadShardsRequest { repo_id: repository, filename: file, ..Default::default() };
        let work = async move { client.post::<DownloadAnswer>("/api/admin/hf/download-shards", &asked).await };
        self.queue(key, work);
    }

    fn queue(self, key: String, work: impl Future<Output = Result<DownloadAnswer, Problem>> + 'static) {
        self.busy.update(|busy| {
            busy.insert(key.clone(), "starting");
        });
        leptos::task::spawn_local(async move {
            let outcome = work.await;
            self.busy.try_update(|busy| busy.remove(&key));
            match outcome {
                Ok(answer) if answer.status == "already_local" => {
                    self.toasts.say(format!("{} is in the library already", answer.model))
                }
                Ok(_) => {}
                Err(Problem::Refused { message, .. }) => self.toasts.fail(models::fault(&message)),
                Err(problem) => self.toasts.fail(problem),
            }
            if let Some(client) = self.client.try_get_value() {
                self.live.read_downloads(&client);
            }
        });
    }

    /// Stops a download. What has come is kept for the next time.
    pub fn cancel(self, id: String) {
        let client = self.client.get_value();
        leptos::task::spawn_local(async move {
            let path = format!("/api/admin/downloads/{}/cancel", part(&id));
            if let Err(problem) = client.post::<DownloadAnswer>(&path, &()).await {
                self.toasts.fail(problem);
            }
            self.live.read_downloads(&client);
        });
    }

    /// Takes a file or folder of this machine into the library. Goes on while the page is open.
    pub fn import(self, path: String, name: String) {
        let client = self.client.get_value();
        self.import.set(Some(Import { name: name.clone(), progress: ImportProgress::default() }));
        leptos::task::spawn_local(async move {
            let Ok(controller) = web_sys::AbortController::new() else { return };
            let asked =
                kith_wire::system::ImportRequest { path, name: name.clone(), template: None, system: None, parameters: None };
            let show = |progress: ImportProgress| {
                self.import.try_update(|import| *import = Some(Import { name: name.clone(), progress }));
            };
            let outcome = client
                .lines("/api/v1/models/import", &asked, &controller.signal(), |line| {
                    if let Ok(progress) = body::parse(line) {
                        show(progress);
                    }
                })
                .await;
            if let Err(problem) = outcome {
                show(ImportProgress {
                    status: "failed".to_owned(),
                    error: Some(problem.to_string()),
                    ..ImportProgress::default()
                });
            }
            let is_done =
                self.import.try_with_untracked(|import| import.as_ref().is_some_and(|import| import.progress.model.is_some()));
            if is_done == Some(true) {
                self.import.try_set(None);
                self.toasts.say(format!("{name} is in the library"));
            }
            self.live.read_models(&client);
        });
    }

    /// When a model in memory leaves it if nobody asks for it, in milliseconds from now; `None` if never.
    pub fn leaves_in(expires_at: &str) -> Option<u64> {
        const FAR: i64 = 100 * 365 * 86_400_000;
        let at = js_sys::Date::parse(expires_at) as i64;
        let left = at - dom::now_ms();
        (left < FAR).then(|| u64::try_from(left).unwrap_or(0))
    }
}
