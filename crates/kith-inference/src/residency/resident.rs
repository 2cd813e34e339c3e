//! One model in memory: who uses it, by which names, and until when it stays for them.

use super::lock;
use crate::{KeepAlive, ModelCard, template::ChatTemplate};
use kith_engine::Loaded;
use kith_types::{Clock, Timestamp};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// Weights that an engine holds.
pub(crate) struct Held {
    pub model: Arc<dyn Loaded>,
    /// See [`Resident::preferred`].
    pub preferred: Option<&'static str>,
    /// See [`Resident::embeds`].
    pub embeds: bool,
    /// See [`Resident::draft`].
    pub draft: Option<String>,
}

/// A model in memory.
pub(crate) struct Resident {
    pub card: Arc<ModelCard>,
    pub model: Arc<dyn Loaded>,
    pub template: Arc<ChatTemplate>,
    active: AtomicUsize,
    last_used: AtomicI64,
    /// How long it stays, for each name it was called by: its own, and those with an adapter, at most as many as the library has adapters to it.
    leases: Mutex<HashMap<String, Lease>>,
    /// The engine that was to hold it, as it was set then; another one may, where that one refused or does not do the work.
    pub preferred: Option<&'static str>,
    /// Whether it embeds texts, as the engine that holds it runs it.
    pub embeds: bool,
    /// The version of the model that guesses for it.
    pub draft: Option<String>,
    changed: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    keep_alive: KeepAlive,
    /// Uses by this name now.
    active: usize,
    /// `None` while it answers by this name, or for ever.
    expires: Option<Timestamp>,
}

impl Lease {
    fn holds(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| at > now)
    }
}

impl Resident {
    /// A model that was just loaded, which nobody uses yet.
    pub fn new(card: Arc<ModelCard>, held: Held, template: ChatTemplate, changed: Arc<Notify>, clock: Arc<dyn Clock>) -> Self {
        let Held { model, preferred, embeds, draft } = held;
        Self {
            card,
            model,
            template: Arc::new(template),
            active: AtomicUsize::new(0),
            last_used: AtomicI64::new(clock.now().ms()),
            leases: Mutex::default(),
            preferred,
            embeds,
            draft,
            changed,
            clock,
        }
    }

    /// The same, kept by the names that keep `old`, which it replaces.
    pub fn kept_as(self, old: &Self) -> Self {
        // Who still uses the old one, which can only have died, has nothing of this one.
        let idle =
            lock(&old.leases).iter().filter(|(_, lease)| lease.active == 0).map(|(name, lease)| (name.clone(), *lease)).collect();
        *lock(&self.leases) = idle;
        self
    }

    /// Uses of it now.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// When it was used last, in milliseconds.
    pub fn last_used(&self) -> i64 {
        self.last_used.load(Ordering::Acquire)
    }

    /// When it leaves unless it is used again: when no name keeps it any more. `None` while it answers, or for ever.
    pub fn expires(&self) -> Option<Timestamp> {
        lock(&self.leases).values().map(|lease| lease.expires).reduce(|one, other| Some(one?.max(other?))).flatten()
    }

    /// Forgets that it is kept by this name. Tells whether it was.
    pub fn let_go(&self, called: &str) -> bool {
        let now = self.clock.now();
        let lease = lock(&self.leases).remove(called);
        // It may leave sooner now.
        self.changed.notify_waiters();
        lease.is_some_and(|lease| lease.holds(now))
    }

    /// Whether some name keeps it.
    pub fn is_kept(&self) -> bool {
        let now = self.clock.now();
        lock(&self.leases).values().any(|lease| lease.holds(now))
    }
}

/// One use of a resident model; while it lives the model is not unloaded to make room or for idleness.
pub(crate) struct Use(pub Arc<Resident>, String);

impl Use {
    /// A use by the name `called`, for which the model stays so long afterwards.
    pub fn new(resident: Arc<Resident>, called: String, keep_alive: KeepAlive) -> Self {
        resident.active.fetch_add(1, Ordering::AcqRel);
        let mut leases = lock(&resident.leases);
        let active = leases.get(&called).map_or(0, |lease| lease.active) + 1;
        leases.insert(called.clone(), Lease { keep_alive, active, expires: None });
        drop(leases);
        Self(resident, called)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let Self(resident, called) = self;
        let now = resident.clock.now();
        resident.last_used.store(now.ms(), Ordering::Release);
        // Nothing is left of a name that was let go of meanwhile.
        if let Some(lease) = lock(&resident.leases).get_mut(called) {
            lease.active = lease.active.saturating_sub(1);
            if lease.active == 0 {
                lease.expires = match lease.keep_alive {
                    KeepAlive::For(time) => Some(now.plus_ms(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
                    KeepAlive::Forever => None,
                };
            }
        }
        resident.active.fetch_sub(1, Ordering::AcqRel);
        resident.changed.notify_waiters();
    }
}
