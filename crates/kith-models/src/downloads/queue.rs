//! Who waits, who runs, who follows; and the way of one download from its name to the library.

use super::{
    Inner,
    fetch::{FILE, fetch, pause, room},
    folder,
    item::{FileProgress, Item, Phase, Progress},
    near::{Named, Near, by_name, may_name},
    plan::{Plan, Wanted, plan, source_of},
    retry::Tries,
    slug,
};
use crate::{Model, SourceError, reference::Reference};
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Downloads under way and ended.
#[derive(Default)]
pub struct Queue {
    next: u64,
    /// In the order they were asked for. Bounded by [`super::Bounds::waiting`] and [`super::Bounds::at_once`].
    active: Vec<Entry>,
    /// The last first. Bounded by [`super::Bounds::remembered`].
    ended: VecDeque<Item>,
}

struct Entry {
    id: u64,
    reference: Reference,
    progress: Progress,
    cancel: CancellationToken,
    followers: usize,
    detached: bool,
}

/// A download, or a push, that somebody follows. Dropped, the download is cancelled if nobody else wants it.
pub struct Following {
    updates: watch::Receiver<Item>,
    _interest: Interest,
}

/// What lets go when a follower goes.
#[expect(dead_code, reason = "held for what their drop does")]
pub(super) enum Interest {
    Pull(Follower),
    Push(DropGuard),
}

pub(super) struct Follower {
    inner: Weak<Inner>,
    id: u64,
}

impl Following {
    pub(super) fn new(progress: &Progress, interest: Interest) -> Self {
        Self { updates: progress.updates.subscribe(), _interest: interest }
    }

    /// How it stands.
    pub fn now(&self) -> Item {
        self.updates.borrow().clone()
    }

    /// How it stands once it has moved on since the last look.
    pub async fn next(&mut self) -> Item {
        // A closed channel means that it has ended: the last state stands.
        let _ = self.updates.changed().await;
        self.updates.borrow_and_update().clone()
    }

    /// How it ended.
    pub async fn ended(mut self) -> Item {
        let ended = self.updates.wait_for(|item| item.phase.ended()).await.map(|item| item.clone());
        ended.unwrap_or_else(|_| self.now())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut queue = inner.queue();
        if let Some(entry) = queue.active.iter_mut().find(|entry| entry.id == self.id) {
            entry.followers -= 1;
            if entry.followers == 0 && !entry.detached {
                entry.cancel.cancel();
            }
        }
    }
}

impl Queue {
    pub fn list(&self) -> Vec<Item> {
        self.active.iter().map(Entry::item).chain(self.ended.iter().cloned()).collect()
    }

    pub fn find(&self, id: &str) -> Option<Item> {
        self.list().into_iter().find(|item| is(item, id))
    }

    pub fn cancel(&mut self, id: &str) -> Option<Item> {
        let entry = self.active.iter().find(|entry| !entry.cancel.is_cancelled() && is(&entry.item(), id))?;
        entry.cancel.cancel();
        Some(entry.item())
    }

    fn end(&mut self, id: u64, remembered: usize) {
        if let Some(at) = self.active.iter().position(|entry| entry.id == id) {
            let item = self.active.remove(at).item();
            self.ended.push_front(item);
            self.ended.truncate(remembered);
        }
    }
}

impl Entry {
    fn item(&self) -> Item {
        self.progress.updates.borrow().clone()
    }
}

/// Whether `id` means this item: its name, with or without `:latest`, or the slug of it.
fn is(item: &Item, id: &str) -> bool {
    id.parse().is_ok_and(|name| item.name == name) || slug(&item.name.to_string()) == id
}

/// Joins the download of a model, or begins it.
pub fn follow(inner: &Arc<Inner>, reference: Reference, insecure: bool, detached: bool) -> Result<Following, SourceError> {
    if inner.stop.is_cancelled() {
        return Err(SourceError::Cancelled);
    }
    let mut queue = inner.queue();
    let live = queue.active.iter_mut().find(|entry| entry.reference.name == reference.name && !entry.cancel.is_cancelled());
    if let Some(entry) = live {
        if !entry.reference.place.means(&reference.place) {
            return Err(SourceError::Conflict(reference.name.to_string()));
        }
        entry.followers += 1;
        entry.detached |= detached;
        let follower = Follower { inner: Arc::downgrade(inner), id: entry.id };
        return Ok(Following::new(&entry.progress, Interest::Pull(follower)));
    }
    if queue.active.len() >= inner.bounds.waiting + inner.bounds.at_once {
        return Err(SourceError::QueueFull(inner.bounds.waiting));
    }
    queue.next += 1;
    let id = queue.next;
    let item = Item::new(id, reference.name.clone(), source_of(inner, &reference), inner.clock.now());
    let progress = Progress::new(item, Arc::clone(&inner.clock));
    let cancel = inner.stop.child_token();
    let entry =
        Entry { id, reference: reference.clone(), progress: progress.clone(), cancel: cancel.clone(), followers: 1, detached };
    queue.active.push(entry);
    drop(queue);
    let following = Following::new(&progress, Interest::Pull(Follower { inner: Arc::downgrade(inner), id }));
    let task = Arc::clone(inner);
    inner.tasks.spawn(async move {
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(SourceError::Cancelled),
            outcome = run(&task, &progress, &reference, insecure) => outcome,
        };
        told(&task, &reference, &outcome);
        progress.end(outcome.map(drop));
        task.queue().end(id, task.bounds.remembered);
    });
    Ok(following)
}

fn told(inner: &Inner, reference: &Reference, outcome: &Result<Model, SourceError>) {
    let name = reference.name.to_string();
    match outcome {
        Ok(model) => inner.events.publish("model.pulled", json!({"model": name, "size": model.size})),
        Err(SourceError::Cancelled) => inner.events.publish("model.pull_cancelled", json!({"model": name})),
        Err(error) => {
            tracing::warn!(model = name, %error, "a download failed");
            inner.events.publish("model.pull_failed", json!({"model": name, "error": error.to_string()}));
        }
    }
}

/// From a name to a model in the library.
async fn run(inner: &Inner, progress: &Progress, reference: &Reference, insecure: bool) -> Result<Model, SourceError> {
    let Ok(_turn) = inner.running.acquire().await else { return Err(SourceError::Cancelled) };
    let plan = match listed(inner, progress, reference, insecure).await? {
        Listed::Plan(plan) => *plan,
        Listed::Model(model) => return Ok(*model),
    };
    progress.files(files(&plan));
    if !plan.rest.is_empty() {
        return folder::run(inner, progress, reference, plan).await;
    }
    let _same = inner.same.turn(&plan.weights.partial).await;
    let there = match &plan.weights.expect {
        Some(sha256) => inner.library.holding(sha256).await?,
        None => None,
    };
    let there = match there {
        Some(put) => Ok(put),
        None => Err(room(inner, &plan.weights).await?),
    };
    progress.phase(Phase::Moving);
    let texts = || plan.overrides(inner, |at| progress.at(FILE + 1 + at, plan.texts.get(at).map_or(0, |(_, text)| text.size)));
    let overrides = patiently(inner, progress, texts).await?;
    let put = match there {
        Ok(put) => put,
        Err(room) => fetch(inner, progress, &plan.weights, room, FILE).await?,
    };
    progress.at(FILE, put.size);
    progress.phase(Phase::Writing);
    Ok(inner.library.adopt(put, reference.name.clone(), overrides, plan.source).await?)
}

/// What is known of a name.
enum Listed {
    /// Its origin says what belongs to it.
    Plan(Box<Plan>),
    /// Neighbours had it.
    Model(Box<Model>),
}

/// Asks the origin of a name what it means, and where that does not tell, or not soon, neighbours.
async fn listed(inner: &Inner, progress: &Progress, reference: &Reference, insecure: bool) -> Result<Listed, SourceError> {
    progress.phase(Phase::Manifest);
    let mut listing = Box::pin(plan(inner, reference, insecure));
    let first = match timeout(inner.bounds.origin, &mut listing).await {
        Ok(Ok(plan)) => return Ok(Listed::Plan(Box::new(plan))),
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    let (mut asked, mut unkept) = (None, None);
    if may_name(inner, reference, first.as_ref()).await? {
        match by_name(inner, progress, reference).await? {
            Named::Model(model) => return Ok(Listed::Model(model)),
            Named::Not(came) => asked = came,
            Named::Unkept(error) => unkept = Some(error),
        }
        progress.phase(Phase::Manifest);
    }
    // What it answered, or is about to answer, is the first try.
    let mut first = Some(match first {
        Some(error) => Err(error),
        None => listing.await,
    });
    let planned = patiently(inner, progress, || {
        let first = first.take();
        async move {
            match first {
                Some(answer) => answer,
                None => plan(inner, reference, insecure).await,
            }
        }
    });
    // If the origin has nothing either, what neighbours have would have been it.
    let mut plan = planned.await.map_err(|error| unkept.unwrap_or(error))?;
    if let Some((sha256, came)) = asked
        && plan.weights.expect == Some(sha256)
    {
        plan.weights.near = Near::Asked(came);
    }
    Ok(Listed::Plan(Box::new(plan)))
}

fn files(plan: &Plan) -> Vec<FileProgress> {
    let large =
        |wanted: &Wanted| FileProgress { digest: wanted.key, label: wanted.label.clone(), total: wanted.size, completed: 0 };
    let mut files: Vec<FileProgress> = plan.all().map(large).collect();
    files.extend(plan.texts.iter().map(|(kind, text)| FileProgress {
        digest: text.digest,
        label: kind.clone(),
        total: text.size,
        completed: 0,
    }));
    files
}

/// Asks again while there is hope.
pub(super) async fn patiently<T, F>(inner: &Inner, progress: &Progress, mut ask: impl FnMut() -> F) -> Result<T, SourceError>
where
    F: Future<Output = Result<T, SourceError>>,
{
    let mut tries = Tries::default();
    loop {
        match ask().await {
            Err(error) => pause(inner, progress, &mut tries, error).await?,
            done => return done,
        }
    }
}
