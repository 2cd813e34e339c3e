//! The tasks of a fetch, one for each holder: who comes, who goes, who is slow, and how far it is.

use super::{
    Event, FetchError, Holder, Progress, Why,
    plan::Key,
    roster::{News, Roster},
    work::{TICK, Work, checkpoint, now},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

/// Bytes that a crash may cost.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// The part of the download limit that one fetch may be expected to get: others go on beside it.
const SHARE: u64 = 4;

/// Lets the holders work until all pieces are there.
pub async fn gather(work: &Arc<Work>, roster: &mut Roster) -> Result<(), FetchError> {
    let mut crew = Crew { work, tasks: JoinSet::new(), members: BTreeMap::new(), keys: HashMap::new(), next: 0 };
    for (id, holder) in roster.known() {
        crew.hire(id, holder);
    }
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut saved, mut moved, mut before) = (Instant::now(), Instant::now(), 0);
    let mut stretch = Stretch { since: Instant::now(), before: 0 };
    loop {
        if let Some(error) = work.failure() {
            return Err(error);
        }
        if work.is_done() {
            crew.report();
            return Ok(());
        }
        if crew.tasks.is_empty() && roster.is_closed() || moved.elapsed() >= work.terms.patience {
            return Err(FetchError::NoHolder);
        }
        tokio::select! {
            () = work.ended.notified() => {}
            news = roster.news() => match news {
                News::New(id, holder) => crew.hire(id, holder),
                News::Gone(id) => crew.gone(&id),
                News::Nothing => {}
            },
            Some(left) = crew.tasks.join_next_with_id() => {
                let (task, why) = match left {
                    Ok((task, why)) => (task, why),
                    Err(error) => (error.id(), None),
                };
                if let Some((id, why)) = crew.left(task, why) {
                    if why.is_false() {
                        roster.ban(&id);
                    }
                    (work.tell)(Event::Dropped { holder: id, why });
                }
            }
            _ = tick.tick() => {
                let came = crew.judge();
                if came != before || !(work.terms.gate)() {
                    (before, moved) = (came, Instant::now());
                }
                crew.report();
                if stretch.is_too_slow(work) {
                    return Err(FetchError::NoHolder);
                }
                let unsaved = work.proven().map_or(0, |proven| proven.pieces.unsaved());
                if unsaved >= CHECKPOINT_BYTES || (unsaved > 0 && saved.elapsed() >= work.terms.checkpoint) {
                    checkpoint(work).await?;
                    saved = Instant::now();
                }
            }
        }
    }
}

/// The time over which it is seen whether enough comes.
struct Stretch {
    since: Instant,
    /// Bytes that had come when it began.
    before: u64,
}

impl Stretch {
    /// Whether less came over [`Least::over`] than shall; then, or if it was enough, the next stretch begins.
    fn is_too_slow(&mut self, work: &Work) -> bool {
        let Some(least) = work.terms.least else { return false };
        let came = work.received();
        if !(work.terms.gate)() {
            *self = Self { since: Instant::now(), before: came };
            return false;
        }
        let passed = self.since.elapsed();
        if passed < least.over {
            return false;
        }
        let rate = work.terms.download.limit().map_or(least.rate, |limit| least.rate.min(limit / SHARE));
        let enough = rate as f64 * passed.as_secs_f64();
        let is_too_slow = ((came - self.before) as f64) < enough;
        *self = Self { since: Instant::now(), before: came };
        is_too_slow
    }
}

/// The tasks of a fetch; dropped, it takes them with it.
struct Crew<'a> {
    work: &'a Arc<Work>,
    tasks: JoinSet<Option<Why>>,
    members: BTreeMap<Key, Member>,
    keys: HashMap<tokio::task::Id, Key>,
    next: Key,
}

struct Member {
    id: String,
    stop: Arc<Notify>,
    task: tokio::task::AbortHandle,
}

impl Crew<'_> {
    fn hire(&mut self, id: String, holder: Arc<dyn Holder>) {
        let (key, stop) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        let task = self.tasks.spawn(Arc::clone(self.work).attend(holder, key, Arc::clone(&stop)));
        self.keys.insert(task.id(), key);
        self.members.insert(key, Member { id, stop, task });
    }

    fn gone(&mut self, id: &str) {
        for member in self.members.values().filter(|member| member.id == id) {
            member.task.abort();
        }
    }

    /// A task ended. Gives who was dropped, if somebody was.
    fn left(&mut self, task: tokio::task::Id, why: Option<Why>) -> Option<(String, Why)> {
        let key = self.keys.remove(&task)?;
        let member = self.members.remove(&key)?;
        self.work.plan(|plan| plan.leave(key));
        self.work.changed.notify_waiters();
        Some((member.id, why?))
    }

    /// Measures all and stops who is slow. Gives the bytes that came so far from those who work.
    fn judge(&mut self) -> u64 {
        let keys: Vec<Key> = self.members.keys().copied().collect();
        let judged = self.work.plan(|plan| {
            plan.measure(now());
            (plan.slow(now()), plan.held() + keys.iter().filter_map(|key| plan.pace(*key)).map(|pace| pace.bytes).sum::<u64>())
        });
        let (slow, came) = judged.unwrap_or_default();
        for member in slow.iter().filter_map(|key| self.members.get(key)) {
            member.stop.notify_one();
        }
        came
    }

    fn report(&self) {
        let mut progress = Progress { paused: !(self.work.terms.gate)(), ..Progress::default() };
        self.work.plan(|plan| {
            (progress.size, progress.held) = (plan.size(), plan.held());
            let pace = |(key, member): (&Key, &Member)| Some((member.id.clone(), plan.pace(*key)?));
            progress.holders = self.members.iter().filter_map(pace).collect();
        });
        (self.work.tell)(Event::Progress(progress));
    }
}
