//! Which models are in memory: loading on demand, leaving when idle or when another one needs the room.

mod loading;
mod resident;

pub(crate) use resident::{Resident, Use};

use crate::{
    Catalogue, InferenceError, KeepAlive, ModelCard,
    engines::{Engines, Work},
    gate::{Gate, MAX_WAITING},
    plan::{self, Candidate, Plan},
};
use kith_engine::{Engine, Memory};
use kith_events::Events;
use kith_types::{Clock, Timestamp};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a request waits for busy models to make room before it is told to come back.
const ROOM_PATIENCE: Duration = Duration::from_secs(30);

/// The pause before a plan that could not be carried out is made anew.
const SECOND_LOOK: Duration = Duration::from_millis(10);

/// Limits of memory and parallelism.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes all loaded models may hold together.
    pub memory: u64,
    /// Answers written at once by one model.
    pub parallel: u32,
    /// The largest window a model is loaded with unless a request asks for more, in tokens.
    pub context: u32,
    /// How long models stay after their last use.
    pub keep_alive: KeepAlive,
    /// The engine that is to hold a model where several read it, by its name; the first of them where there is none.
    pub engine: Option<&'static str>,
    /// The model that guesses for larger ones, where the engine that holds one lets it and their vocabularies agree; by its name in the library.
    pub draft: Option<Arc<str>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model that is or was in memory, with the queue before it.
struct Slot {
    gate: Arc<Gate>,
    /// Locked while the model is being loaded or unloaded: whoever comes meanwhile waits here.
    state: tokio::sync::Mutex<Option<Arc<Resident>>>,
    /// The same model, readable without waiting.
    shown: Mutex<Option<Arc<Resident>>>,
}

/// What `/api/ps` tells of a loaded model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedModel {
    /// The model.
    pub card: Arc<ModelCard>,
    /// The engine that holds it.
    pub engine: &'static str,
    /// Tokens of the window it was loaded with.
    pub context: u32,
    /// Bytes it holds.
    pub memory: Memory,
    /// Answers being written now.
    pub active: usize,
    /// Requests waiting.
    pub waiting: usize,
    /// When it will leave unless it is used again; `None` is never, or not while it answers.
    pub expires: Option<Timestamp>,
}

/// What a model is wanted for.
pub(crate) struct Wanted {
    /// The model.
    pub card: Arc<ModelCard>,
    /// What it is called: its name, or that with an adapter.
    pub called: String,
    /// The window that is needed, in tokens.
    pub context: Option<u32>,
    /// How long it is to stay afterwards; `None` is the node's default.
    pub keep_alive: Option<KeepAlive>,
    /// What it is to do.
    pub work: Work,
}

impl Wanted {
    /// A model by its own name, with the node's defaults, for answers.
    pub fn plain(card: Arc<ModelCard>) -> Self {
        Self { called: card.name.clone(), card, context: None, keep_alive: None, work: Work::Answers }
    }
}

/// All models in memory.
pub(crate) struct Residency {
    engines: Engines,
    /// Where the model that guesses is found.
    catalogue: Arc<dyn Catalogue>,
    bounds: RwLock<Bounds>,
    /// The most answers at once by one model for now; `u32::MAX` where only the bounds hold.
    throttle: AtomicU32,
    clock: Arc<dyn Clock>,
    events: Events,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// One load at a time, so that two do not promise themselves the same memory.
    loading: tokio::sync::Mutex<()>,
    changed: Arc<Notify>,
    pub stopping: CancellationToken,
}

impl Residency {
    pub fn new(
        engines: Vec<Arc<dyn Engine>>,
        catalogue: Arc<dyn Catalogue>,
        bounds: Bounds,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Arc<Self> {
        Arc::new(Self {
            engines: Engines::new(engines),
            catalogue,
            bounds: RwLock::new(bounds),
            throttle: AtomicU32::new(u32::MAX),
            clock,
            events,
            slots: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            changed: Arc::default(),
            stopping: CancellationToken::new(),
        })
    }

    /// The limits in force.
    pub fn bounds(&self) -> Bounds {
        self.bounds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the limits: places before models at once, windows and keeping times from the next use on. A model in memory was made
    /// for as many answers as were allowed then. Idle models that no longer fit leave in the background.
    pub fn set_bounds(self: &Arc<Self>, bounds: Bounds) {
        let memory = bounds.memory;
        let old = std::mem::replace(&mut *self.bounds.write().unwrap_or_else(PoisonError::into_inner), bounds);
        self.resize();
        if memory < old.memory {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                // Models that answer for longer than a request is patient stay, and leave with their next idle time.
                if let Err(error) = this.make_room("the models in memory", 0, ROOM_PATIENCE).await {
                    tracing::warn!(%error, "models in memory hold more than they may from now on");
                }
            });
        }
    }

    /// Lets each model write at most this many answers at once for now, however many it was made for. `None` lifts that.
    pub fn throttle(&self, answers: Option<u32>) {
        self.throttle.store(answers.unwrap_or(u32::MAX).max(1), Ordering::Release);
        self.resize();
    }

    /// Lets models work on so many cores for now, where their engine can change that.
    pub fn use_cores(&self, cores: Option<usize>) {
        self.engines.use_cores(cores);
    }

    /// Answers each model may write at once now.
    pub fn places(&self) -> u32 {
        self.bounds().parallel.max(1).min(self.throttle.load(Ordering::Acquire))
    }

    fn resize(&self) {
        let slots = lock(&self.slots);
        let places = self.places() as usize;
        for slot in slots.values() {
            slot.gate.resize(places);
        }
    }

    fn slot(&self, card: &ModelCard) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        Arc::clone(slots.entry(card.name.to_lowercase()).or_insert_with(|| {
            Arc::new(Slot {
                gate: Arc::new(Gate::new(self.places() as usize, MAX_WAITING)),
                state: tokio::sync::Mutex::default(),
                shown: Mutex::default(),
            })
        }))
    }

    fn engine_of(&self, card: &ModelCard) -> Option<Arc<dyn Engine>> {
        self.engines.first(card, self.bounds().engine)
    }

    /// Whether this model takes adapters with requests: as it lies in memory, or else as the engine that reads it runs it.
    pub fn adapts(&self, card: &ModelCard) -> bool {
        let slot = lock(&self.slots).get(&card.name.to_lowercase()).cloned();
        let resident = slot.and_then(|slot| lock(&slot.shown).clone()).filter(|resident| resident.card.version == card.version);
        match resident {
            Some(resident) => resident.model.adapts(),
            None => self.engine_of(card).is_some_and(|engine| engine.adapts(&card.spec)),
        }
    }

    /// Refuses models that write no answers. One that no engine reads is let through: loading says what is wrong with it.
    pub fn must_generate(&self, card: &ModelCard) -> Result<(), InferenceError> {
        match self.engine_of(card) {
            Some(engine) if !engine.generates(&card.spec) => Err(InferenceError::UnsupportedByModel(format!(
                "`{}` embeds texts and writes no answers: ask another model, or this one for embeddings",
                card.name
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses models that do not see, as the engine that reads them runs them.
    pub fn must_see(&self, card: &ModelCard, field: &str) -> Result<(), InferenceError> {
        match self.engine_of(card) {
            Some(engine) if engine.sees(&card.spec) => Ok(()),
            _ => Err(InferenceError::UnsupportedByModel(format!("`{}` does not see images ({field})", card.name))),
        }
    }

    /// Refuses models that do not embed texts, whichever engine holds them. One that no engine reads is let through: loading says what is
    /// wrong with it.
    pub fn must_embed(&self, card: &ModelCard) -> Result<(), InferenceError> {
        let engines = self.engines.of(&card.spec, self.bounds().engine, Work::Vectors);
        match engines.first() {
            Some(engine) if !engine.embeds(&card.spec) => Err(InferenceError::UnsupportedByModel(format!(
                "`{}` writes answers and does not embed texts: ask a model made for embeddings, such as all-minilm",
                card.name
            ))),
            _ => Ok(()),
        }
    }

    /// The queue before this model.
    pub fn gate(&self, card: &ModelCard) -> Arc<Gate> {
        Arc::clone(&self.slot(card).gate)
    }

    /// The model in memory, loaded if need be; says how long loading took. Goes on loading if the caller gives up.
    pub async fn get(self: &Arc<Self>, wanted: Wanted) -> Result<(Use, Duration), InferenceError> {
        if self.stopping.is_cancelled() {
            return Err(InferenceError::Stopping);
        }
        let this = Arc::clone(self);
        let Wanted { card, called, context, keep_alive, work } = wanted;
        let keep_alive = keep_alive.unwrap_or(self.bounds().keep_alive);
        let task = tokio::spawn(async move {
            let slot = this.slot(&card);
            let mut state = slot.state.lock().await;
            let wanted = context.unwrap_or(this.bounds().context).min(card.context_length);
            let mut replaced = None;
            if let Some(resident) = state.as_ref() {
                // The template is compiled once; what else the model was made with is read from the present card.
                let fresh = resident.card.version == card.version
                    && resident.card.template == card.template
                    && resident.preferred == this.bounds().engine
                    && resident.model.is_alive();
                // A model that both answers and embeds goes on doing both, whichever engine was to hold it for answers alone.
                let able = work == Work::Answers || resident.embeds;
                if fresh && able && resident.model.info().context >= wanted {
                    return Ok((Use::new(Arc::clone(resident), called, keep_alive), Duration::ZERO));
                }
                // Other weights under the same name, a larger window or another engine wanted, one that embeds needed, or an engine that
                // died: load anew, once those who use it now have finished. Who comes meanwhile waits for the lock held here.
                let old = Arc::clone(resident);
                this.until_idle(&old).await?;
                *state = None;
                this.dismiss(&slot, &old, "replaced").await;
                replaced = Some(old);
            }
            let start = Instant::now();
            let resident = this.load(Arc::clone(&card), context, work).await?;
            let resident = Arc::new(match &replaced {
                None => resident,
                Some(old) => resident.kept_as(old),
            });
            *state = Some(Arc::clone(&resident));
            *lock(&slot.shown) = Some(Arc::clone(&resident));
            let used = Use::new(resident, called, keep_alive);
            this.events.publish(
                "model.loaded",
                json!({"model": card.name, "engine": used.0.model.info().engine, "load_ms": u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)}),
            );
            Ok((used, start.elapsed()))
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "loading a model panicked");
            Err(InferenceError::Failed(error.to_string()))
        })
    }

    /// Waits until nobody uses the model, for as long as a request is patient. A dead engine has no users worth waiting for.
    async fn until_idle(&self, resident: &Resident) -> Result<(), InferenceError> {
        let patience = Instant::now() + ROOM_PATIENCE;
        while resident.model.is_alive() && resident.active() > 0 {
            let changed = self.changed.notified();
            if resident.active() == 0 {
                break;
            }
            if tokio::time::timeout_at(patience.into(), changed).await.is_err() {
                return Err(InferenceError::Overloaded {
                    model: resident.card.name.clone(),
                    waiting: resident.active(),
                    retry_after: ROOM_PATIENCE,
                });
            }
        }
        Ok(())
    }

    /// Frees the memory a model needs, and gives the right to load it; waits so long for busy models to leave. Others may load meanwhile.
    async fn make_room(
        &self,
        model: &str,
        needed: u64,
        patience: Duration,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, InferenceError> {
        let patience = Instant::now() + patience;
        loop {
            let turn = self.loading.lock().await;
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change is missed between looking and waiting.
            changed.as_mut().enable();
            let residents = self.residents();
            let candidates: Vec<Candidate> = residents
                .iter()
                .map(|(key, _, resident)| {
                    let memory = resident.model.memory();
                    Candidate {
                        key: key.clone(),
                        bytes: memory.weights.saturating_add(memory.cache),
                        last_used: resident.last_used(),
                        busy: resident.active() > 0,
                    }
                })
                .collect();
            match plan::make_room(&candidates, needed, self.bounds().memory) {
                Plan::Never => {
                    return Err(InferenceError::OutOfMemory { model: model.to_owned(), needed, budget: self.bounds().memory });
                }
                Plan::Unload(keys) => {
                    let mut all_left = true;
                    for (key, slot, resident) in residents {
                        if keys.contains(&key) {
                            all_left &= self.take_out(&slot, &resident, "memory", |r| r.active() == 0).await;
                        }
                    }
                    if all_left {
                        return Ok(turn);
                    }
                    // One was taken up again, or is being unloaded by somebody else: look anew in a moment.
                    drop(turn);
                    tokio::time::sleep(SECOND_LOOK).await;
                }
                Plan::Wait => {
                    drop(turn);
                    let waited = tokio::time::timeout_at(patience.into(), changed).await;
                    if waited.is_err() {
                        return Err(InferenceError::Overloaded {
                            model: model.to_owned(),
                            waiting: 1,
                            retry_after: ROOM_PATIENCE,
                        });
                    }
                }
            }
        }
    }

    fn residents(&self) -> Vec<(String, Arc<Slot>, Arc<Resident>)> {
        lock(&self.slots)
            .iter()
            .filter_map(|(key, slot)| Some((key.clone(), Arc::clone(slot), lock(&slot.shown).clone()?)))
            .collect()
    }

    /// Unloads this very resident if `still` holds once nobody else is loading or unloading it. Tells whether it is gone.
    async fn take_out(
        &self,
        slot: &Arc<Slot>,
        resident: &Arc<Resident>,
        why: &'static str,
        still: impl Fn(&Resident) -> bool,
    ) -> bool {
        // A slot that is locked is being loaded or unloaded by somebody else. Waiting for it under the loading lock could wait for ever.
        let Ok(mut state) = slot.state.try_lock() else { return false };
        match state.as_ref() {
            Some(present) if Arc::ptr_eq(present, resident) => {
                if !still(resident) {
                    return false;
                }
                *state = None;
                self.dismiss(slot, resident, why).await;
                true
            }
            _ => true,
        }
    }

    async fn dismiss(&self, slot: &Slot, resident: &Arc<Resident>, why: &'static str) {
        *lock(&slot.shown) = None;
        resident.model.unload().await;
        self.events.publish("model.unloaded", json!({"model": resident.card.name, "reason": why}));
        self.changed.notify_waiters();
    }

    /// Unloads the model of this name now; running answers end with an error. Tells whether it was loaded.
    pub async fn unload(&self, name: &str) -> bool {
        let Some(slot) = lock(&self.slots).get(&name.to_lowercase()).cloned() else { return false };
        let mut state = slot.state.lock().await;
        let Some(resident) = state.take() else { return false };
        self.dismiss(&slot, &resident, "asked").await;
        true
    }

    /// Lets go of the model `held` by the name `called`, which is another one of it, with an adapter. It is unloaded only where no other name keeps
    /// it: what answers to those is not the caller's. Tells whether it was kept by this name.
    pub async fn let_go(&self, held: &str, called: &str) -> bool {
        let Some(slot) = lock(&self.slots).get(&held.to_lowercase()).cloned() else { return false };
        let mut state = slot.state.lock().await;
        let Some(resident) = state.as_ref().map(Arc::clone) else { return false };
        let was = resident.let_go(called);
        if was && !resident.is_kept() {
            *state = None;
            self.dismiss(&slot, &resident, "asked").await;
        }
        was
    }

    /// Unloads every model of this version, and every one for which a model of this version guesses.
    pub async fn unload_version(&self, version: &str) {
        for (key, _, resident) in self.residents() {
            if resident.card.version == version || resident.draft.as_deref() == Some(version) {
                self.unload(&key).await;
            }
        }
    }

    /// Unloads everything and loads nothing more.
    pub async fn stop(&self) {
        self.stopping.cancel();
        for (key, _, _) in self.residents() {
            self.unload(&key).await;
        }
    }

    /// What is in memory, by name.
    pub fn loaded(&self) -> Vec<LoadedModel> {
        let mut loaded: Vec<LoadedModel> = self
            .residents()
            .into_iter()
            .map(|(_, slot, resident)| LoadedModel {
                engine: resident.model.info().engine,
                context: resident.model.info().context,
                memory: resident.model.memory(),
                active: resident.active().saturating_sub(slot.gate.waiting()),
                waiting: slot.gate.waiting(),
                expires: resident.expires(),
                card: Arc::clone(&resident.card),
            })
            .collect();
        loaded.sort_by(|a, b| a.card.name.cmp(&b.card.name));
        loaded
    }

    /// Whether no engine in memory has died.
    pub fn all_alive(&self) -> bool {
        self.residents().iter().all(|(_, _, resident)| resident.model.is_alive())
    }

    /// Whether some engine here reads this model.
    pub fn supports(&self, card: &ModelCard) -> bool {
        self.engine_of(card).is_some()
    }

    /// Requests waiting for any model.
    pub fn waiting(&self) -> usize {
        lock(&self.slots).values().map(|slot| slot.gate.waiting()).sum()
    }

    /// Sends models away when their time is up, until the node stops.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change is missed between looking and waiting.
            changed.as_mut().enable();
            let now = self.clock.now();
            let mut next: Option<Timestamp> = None;
            for (_, slot, resident) in self.residents() {
                let Some(expires) = resident.expires() else { continue };
                let overdue = |r: &Resident| r.active() == 0 && r.expires().is_some_and(|at| at <= self.clock.now());
                if expires > now {
                    next = Some(next.map_or(expires, |soonest| soonest.min(expires)));
                } else if !self.take_out(&slot, &resident, "idle", overdue).await {
                    next = Some(now.plus_ms(100));
                }
            }
            let pause = next.map(|at| Duration::from_millis(u64::try_from(at.ms() - now.ms()).unwrap_or(0).max(1)));
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = changed => {}
                () = tokio::time::sleep(pause.unwrap_or(Duration::from_secs(3600))) => {}
            }
        }
    }
}
