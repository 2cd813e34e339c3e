//! The responses of this node: which are kept, which run, for how long.

use crate::{Log, Record, ResponsesError, Running, Status, Summary, record::BROKEN_OFF};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use kith_store::{ResponseEnd, ResponseHead, ResponseRow, Store};
use kith_types::{Clock, Timestamp};
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// How long a response is kept, in days; longer while a younger one continues it.
pub const KEPT_DAYS: i64 = 30;
/// The most responses kept; beyond that the oldest leave.
pub const MAX_KEPT: u64 = 20_000;
/// The most bytes of all kept responses; beyond that the oldest leave.
pub const MAX_KEPT_BYTES: u64 = 1 << 30;
/// The most bytes of what was asked. Larger requests are answered, but not kept.
pub const MAX_INPUT_BYTES: usize = 16 << 20;
/// The most bytes of an answer, and of its events, that are kept.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// The most kept responses that run or wait at the same time.
pub const MAX_RUNNING: usize = 256;
/// The bounds on what is kept are looked at after this many new responses.
const TRIM_EVERY: u64 = 64;
/// How long a stopping node waits for running responses to note their end.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// How often what has expired is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A response that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Its id, never used before.
    pub id: String,
    /// [`Status::Queued`] or [`Status::InProgress`].
    pub status: Status,
    /// The response it continues.
    pub previous: Option<String>,
    /// The model that is asked.
    pub model: String,
    /// Whether it goes on without its client.
    pub background: bool,
    /// Whether its frames are kept.
    pub streamed: bool,
    /// What is asked.
    pub input: String,
    /// The answer as it begins.
    pub body: String,
}

/// The frames of a response, from any place.
pub enum Events {
    /// The frames asked for: those there are, and those to come.
    Frames(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// It broke off, and its frames with it.
    BrokeOff(Box<Record>),
}

/// The responses of this node.
pub struct Responses {
    pub(crate) store: Store,
    clock: Arc<dyn Clock>,
    live: Mutex<HashMap<String, Arc<Log>>>,
    left: watch::Sender<()>,
    all_logs: Arc<AtomicUsize>,
    inserted: AtomicU64,
    stopping: AtomicBool,
}

impl Responses {
    /// Responses in `store`. Those that ran when the node last stopped have broken off.
    ///
    /// # Errors
    /// [`ResponsesError::Store`].
    pub async fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ResponsesError> {
        let (left, _) = watch::channel(());
        let responses = Arc::new(Self {
            store,
            clock,
            live: Mutex::default(),
            left,
            all_logs: Arc::default(),
            inserted: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        responses.mark_broken_off().await?;
        Ok(responses)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Arc<Log>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, id: &str) -> Option<Arc<Log>> {
        self.live().get(id).cloned()
    }

    pub(crate) fn leave(&self, id: &str) {
        self.live().remove(id);
        self.left.send_replace(());
    }

    async fn mark_broken_off(&self) -> Result<(), ResponsesError> {
        for id in self.store.responses_unended().await? {
            if self.running(&id).is_none() {
                self.store.response_break_off(&id, BROKEN_OFF, self.clock.now()).await?;
            }
        }
        Ok(())
    }

    /// Checks the bound on what is asked, so that nothing is done for a request that cannot be kept.
    ///
    /// # Errors
    /// [`ResponsesError::TooLarge`].
    pub fn check_input(input: &str) -> Result<(), ResponsesError> {
        at_most("input", input.len(), MAX_INPUT_BYTES)
    }

    /// Begins a response that is kept. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`ResponsesError::TooLarge`], [`ResponsesError::TooMany`] beyond [`MAX_RUNNING`], [`ResponsesError::Stopping`],
    /// [`ResponsesError::Store`].
    pub async fn begin(self: &Arc<Self>, new: New) -> Result<Running, ResponsesError> {
        Self::check_input(&new.input)?;
        at_most("answer", new.body.len(), MAX_BODY_BYTES)?;
        if self.stopping.load(Ordering::Acquire) {
            return Err(ResponsesError::Stopping);
        }
        let log = Log::new(Arc::clone(&self.all_logs));
        {
            let mut live = self.live();
            if live.len() >= MAX_RUNNING {
                return Err(ResponsesError::TooMany(live.len()));
            }
            live.insert(new.id.clone(), Arc::clone(&log));
        }
        // From here on dropping it takes it out again.
        let running = Running { id: new.id.clone(), log, kept: Some(Arc::clone(self)), streamed: new.streamed, closed: false };
        let head = ResponseHead {
            id: new.id,
            status: new.status.as_str().to_owned(),
            previous: new.previous,
            model: new.model,
            background: new.background,
            streamed: new.streamed,
            created: self.clock.now(),
            ended: None,
            bytes: 0,
        };
        self.store.response_insert(&ResponseRow { head, input: new.input, body: new.body }).await?;
        if self.inserted.fetch_add(1, Ordering::Relaxed) % TRIM_EVERY == TRIM_EVERY - 1 {
            self.store.responses_trim(MAX_KEPT, MAX_KEPT_BYTES).await?;
        }
        Ok(running)
    }

    /// Begins a response of which nothing is kept.
    pub fn begin_unkept(&self, id: String, streamed: bool) -> Running {
        Running { id, log: Log::new(Arc::clone(&self.all_logs)), kept: None, streamed, closed: false }
    }

    pub(crate) async fn keep_end(
        &self,
        running: &Running,
        status: Status,
        body: &str,
        last: &[u8],
    ) -> Result<(), ResponsesError> {
        at_most("answer", body.len(), MAX_BODY_BYTES)?;
        // Events that are too many to be kept are left out: the answer itself is whole without them.
        let fits = running.log.bytes() + last.len() <= MAX_BODY_BYTES;
        let events = (running.streamed && fits).then(|| running.log.text(last));
        let end = ResponseEnd { status: status.as_str(), body, events: events.as_deref(), at: self.clock.now() };
        // Nothing is changed if it was deleted meanwhile, and that is as it should be.
        self.store.response_end(&running.id, &end).await?;
        Ok(())
    }

    /// One response as it stands.
    ///
    /// # Errors
    /// [`ResponsesError::NotFound`], [`ResponsesError::Store`].
    pub async fn get(&self, id: &str) -> Result<Record, ResponsesError> {
        // Whether it runs is asked first: what ends in between is then read as ended, and nothing that runs as broken off.
        let live = self.running(id).is_some();
        match self.store.response(id).await? {
            Some(row) => Ok(Record::of(row, live)),
            None => Err(ResponsesError::NotFound(id.to_owned())),
        }
    }

    /// The newest `limit` responses, newest first; only those of `status`, if given.
    ///
    /// # Errors
    /// [`ResponsesError::Store`].
    pub async fn list(&self, limit: u32, status: Option<Status>) -> Result<Vec<Summary>, ResponsesError> {
        self.mark_broken_off().await?;
        // Those that broke off are told as failed, and are kept under another word.
        let heads = match status {
            Some(Status::Failed) => {
                let mut heads = self.store.response_heads(limit, Some(Status::Failed.as_str())).await?;
                heads.extend(self.store.response_heads(limit, Some(BROKEN_OFF)).await?);
                heads.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
                heads.truncate(limit as usize);
                heads
            }
            status => self.store.response_heads(limit, status.map(Status::as_str)).await?,
        };
        Ok(heads
            .into_iter()
            .map(|head| {
                let live = self.running(&head.id).is_some();
                Summary::of(head, live)
            })
            .collect())
    }

    /// Deletes a response, and stops it if it runs.
    ///
    /// # Errors
    /// [`ResponsesError::NotFound`], [`ResponsesError::Store`].
    pub async fn delete(&self, id: &str) -> Result<(), ResponsesError> {
        let running = self.running(id);
        let there = self.store.response_delete(id).await?;
        if let Some(log) = running {
            log.cancel();
        }
        if there { Ok(()) } else { Err(ResponsesError::NotFound(id.to_owned())) }
    }

    /// Stops a response if it runs, waits for its end and tells how it stands. One that has ended is left as it is.
    ///
    /// # Errors
    /// [`ResponsesError::NotFound`], [`ResponsesError::Store`].
    pub async fn cancel(&self, id: &str) -> Result<Record, ResponsesError> {
        if let Some(log) = self.running(id) {
            log.cancel();
            log.ended().await;
        }
        self.get(id).await
    }

    /// The frames of a response after the one numbered `after` (the first is 0).
    ///
    /// # Errors
    /// [`ResponsesError::NotFound`], [`ResponsesError::NotStreamed`], [`ResponsesError::Store`].
    pub async fn events(&self, id: &str, after: Option<u64>) -> Result<Events, ResponsesError> {
        let running = self.running(id);
        let record = self.get(id).await?;
        if !record.summary.streamed {
            return Err(ResponsesError::NotStreamed);
        }
        if let Some(log) = running {
            return Ok(Events::Frames(log.follow(after).boxed()));
        }
        let Some(text) = self.store.response_events(id).await? else {
            if matches!(record.summary.status, Status::Completed | Status::Incomplete) {
                return Err(ResponsesError::NotStreamed);
            }
            return Ok(Events::BrokeOff(Box::new(record)));
        };
        let skip = after.map_or(0, |after| usize::try_from(after).unwrap_or(usize::MAX).saturating_add(1));
        let frames: Vec<Bytes> =
            text.split_inclusive("\n\n").skip(skip).map(|frame| Bytes::copy_from_slice(frame.as_bytes())).collect();
        Ok(Events::Frames(stream::iter(frames).boxed()))
    }

    /// Removes what is older than [`KEPT_DAYS`] or beyond the bounds, and ends what broke off. Says how many were removed.
    ///
    /// # Errors
    /// [`ResponsesError::Store`].
    pub async fn sweep(&self) -> Result<u64, ResponsesError> {
        self.mark_broken_off().await?;
        let before: Timestamp = self.clock.now().plus_ms(-KEPT_DAYS * DAY_MS);
        let expired = self.store.responses_expire(before).await?;
        Ok(expired + self.store.responses_trim(MAX_KEPT, MAX_KEPT_BYTES).await?)
    }

    /// Begins nothing any more, and waits a moment for those that run to note their end. Whoever answers them must have been told to
    /// stop before.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let mut left = self.left.subscribe();
        let all_left = async {
            while !self.live().is_empty() {
                let _ = left.changed().await;
            }
        };
        if tokio::time::timeout(STOP_WAIT, all_left).await.is_err() {
            tracing::warn!("some responses did not note their end; they will be told as failed");
        }
    }
}

fn at_most(what: &'static str, bytes: usize, limit: usize) -> Result<(), ResponsesError> {
    if bytes > limit { Err(ResponsesError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

/// Sweeps once an hour, for as long as the responses are used.
pub async fn sweep_hourly(responses: Weak<Responses>) {
    while let Some(strong) = responses.upgrade() {
        match strong.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed responses that have expired"),
            Err(error) => tracing::warn!(%error, "expired responses could not be removed"),
        }
        drop(strong);
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

#[cfg(test)]
mod tests;
