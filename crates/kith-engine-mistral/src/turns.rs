//! Who writes when: answers take turns on the device.
//!
//! On the CPU one answer is written at a time: mistral.rs's kernels read the weights once per row, so a batch is no faster than one
//! after the other, and its scheduler cannot batch answers of different lengths anyway. Up to `parallel` answers are under way; while
//! others wait, one gives way after half a second and continues later from the prefix cache, bit for bit as if it had not been
//! interrupted. None gives way unless the cache has room for all that are under way, and the cache is not emptied
//! while one of them needs it. On a GPU with paged attention `parallel` answers are batched and none gives way. Models that see have no
//! prefix cache: their answers are written one after the other.

use crate::{
    answer::Answer,
    choose::{Chooser, Limits, Outcome, TurnEnd},
    executor::{Executor, Given, died},
    model::Reading,
    prefix::{Lookup, PrefixMirror},
};
use futures::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use kith_engine::EngineError;
use mistralrs_core::Response;
use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long an answer goes on while others wait.
const TURN: Duration = Duration::from_millis(500);

/// What the model's other half sees.
#[derive(Default)]
pub(crate) struct Shared {
    /// Set when the model is to be unloaded.
    pub(crate) unload: CancellationToken,
    /// Set when everything is freed.
    pub(crate) freed: CancellationToken,
    /// Tokenizer and grammars, until everything is freed.
    pub(crate) reading: RwLock<Option<Arc<Reading>>>,
    /// Why the engine died, if it did.
    pub(crate) dead: OnceLock<EngineError>,
    /// Tokens in the caches of running answers.
    pub(crate) running_tokens: Arc<AtomicU64>,
    /// Tokens that the prefix cache has room for.
    pub(crate) kept_tokens: AtomicU64,
}

impl Shared {
    /// Why nothing can be asked of the model any more, if so.
    pub(crate) fn gone(&self) -> Option<EngineError> {
        if self.unload.is_cancelled() { Some(EngineError::Unloaded) } else { self.dead.get().cloned() }
    }

    /// Tokenizer and grammars, as long as the model is loaded.
    pub(crate) fn reading(&self) -> Result<Arc<Reading>, EngineError> {
        self.reading.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(EngineError::Unloaded)
    }

    /// Sets or lets go of tokenizer and grammars.
    pub(crate) fn set_reading(&self, reading: Option<Arc<Reading>>) {
        *self.reading.write().unwrap_or_else(PoisonError::into_inner) = reading;
    }
}

/// A turn that has ended.
struct Ended {
    outcome: Option<Outcome>,
    /// What mistral.rs complained of.
    complaint: Option<String>,
    /// Tokens that its cache had room for when it began.
    capacity: u64,
}

/// The driver of one model. It lives on a thread of its own, with the executor.
pub(crate) struct Turns {
    executor: Executor,
    mirror: PrefixMirror,
    shared: Arc<Shared>,
    /// Answers that are under way and not being written now; with the running ones at most `parallel`.
    ready: VecDeque<Answer>,
    running: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    /// The most tokens of the answer that is being written; of the last one, if there are several.
    longest: u64,
    contended: Arc<AtomicBool>,
    parallel: usize,
    lanes: usize,
}

impl Turns {
    pub(crate) fn new(executor: Executor, mirror: PrefixMirror, shared: Arc<Shared>, parallel: usize) -> Self {
        let lanes = if executor.batches() { parallel } else { 1 };
        Self {
            executor,
            mirror,
            shared,
            ready: VecDeque::new(),
            running: FuturesUnordered::new(),
            longest: 0,
            contended: Arc::default(),
            parallel,
            lanes,
        }
    }

    /// Runs until the model is unloaded, then frees everything.
    pub(crate) async fn run(mut self, mut incoming: mpsc::Receiver<Answer>) {
        let unload = self.shared.unload.clone();
        loop {
            self.ready.retain(|answer| !answer.is_dropped());
            let room = self.ready.len() + self.running.len() < self.parallel;
            tokio::select! {
                biased;
                () = unload.cancelled() => break,
                Some(ended) = self.running.next(), if !self.running.is_empty() => self.settle(ended),
                answer = incoming.recv(), if room => match answer {
                    Some(answer) if answer.is_dropped() => continue,
                    Some(answer) => self.ready.push_back(answer),
                    // The model was dropped without being unloaded.
                    None => break,
                },
            }
            self.fill().await;
            self.contended.store(self.may_give_way(), Ordering::Relaxed);
        }
        self.shared.unload.cancel();
        incoming.close();
        self.executor.stop().await;
        while let Some(ended) = self.running.next().await {
            if let Some(outcome) = ended.outcome {
                outcome.answer.fail(EngineError::Unloaded);
            }
        }
        for answer in self.ready.drain(..) {
            answer.fail(EngineError::Unloaded);
        }
        while let Ok(answer) = incoming.try_recv() {
            answer.fail(EngineError::Unloaded);
        }
        self.executor.ended().await;
        self.shared.kept_tokens.store(0, Ordering::Relaxed);
        self.shared.set_reading(None);
    }

    /// Whether the answer that is being written should give way: others wait, and all can continue from the prefix cache. Each that is
    /// under way leaves an entry at its end, the present one two.
    fn may_give_way(&self) -> bool {
        let under_way = self.ready.iter().filter(|answer| answer.is_under_way()).map(|answer| answer.most_tokens());
        self.lanes == 1
            && self.executor.keeps_prefixes()
            && !self.ready.is_empty()
            && self.mirror.has_room_for(under_way.chain([self.longest; 2]))
    }

    /// The next answer to write. One that is under way goes before those that need the prefix cache emptied.
    fn next(&mut self) -> Option<Answer> {
        let first = self.ready.front()?;
        let first = if self.needs_empty_cache(first) { self.ready.iter().position(|answer| answer.is_under_way()) } else { None };
        self.ready.remove(first.unwrap_or(0))
    }

    fn needs_empty_cache(&self, answer: &Answer) -> bool {
        if !self.executor.keeps_prefixes() {
            return false;
        }
        let full = !answer.is_under_way() && !self.mirror.has_room_for([answer.most_tokens()].into_iter());
        full || self.mirror.lookup(answer.context()) == Lookup::Spoilt
    }

    /// Begins turns while there are lanes for them.
    async fn fill(&mut self) {
        while self.running.len() < self.lanes {
            let Some(mut answer) = self.next() else { break };
            if answer.is_dropped() {
                continue;
            }
            if let Some(error) = self.shared.dead.get() {
                answer.fail(error.clone());
                continue;
            }
            let (cached, capacity) = match self.prefix(&answer).await {
                Ok(found) => found,
                Err(error) => {
                    self.die(&error);
                    answer.fail(error);
                    continue;
                }
            };
            answer.begin(cached as usize);
            self.longest = answer.most_tokens();
            let prompt = answer.take_seen().map_or_else(|| Given::Tokens(answer.context().to_vec()), Given::Seen);
            let limits = Limits { contended: Arc::clone(&self.contended), turn: TURN };
            let running_tokens = Arc::clone(&self.shared.running_tokens);
            let chooser =
                Arc::new(Chooser::new(answer, self.executor.stop_token(), limits, running_tokens, self.executor.life()));
            let responses = self.executor.submit(prompt, Some(Arc::clone(&chooser))).await;
            self.running.push(turn(responses, chooser, capacity).boxed_local());
        }
    }

    /// What the prefix cache has for this prompt: tokens, and the room of their entry. Empties it where it is full or spoilt.
    async fn prefix(&mut self, answer: &Answer) -> Result<(u32, u64), EngineError> {
        if !self.executor.keeps_prefixes() {
            // Paged attention has a prefix cache of its own, which tells nothing; models that see have none.
            return Ok((0, 0));
        }
        if self.needs_empty_cache(answer) {
            self.executor.evict().await?;
            self.mirror.clear();
            self.shared.kept_tokens.store(0, Ordering::Relaxed);
        }
        Ok(match self.mirror.lookup(answer.context()) {
            Lookup::Reuse { tokens, capacity } => (tokens, capacity),
            Lookup::Spoilt => (0, 0),
        })
    }

    /// Takes note of a turn that has ended.
    fn settle(&mut self, ended: Ended) {
        let Some(outcome) = ended.outcome else { return };
        if outcome.end.is_some() && self.executor.keeps_prefixes() {
            let read = outcome.answer.context().get(..outcome.read).unwrap_or_default();
            self.mirror.keep(read, self.executor.stop_token(), ended.capacity);
            self.shared.kept_tokens.store(self.mirror.tokens(), Ordering::Relaxed);
        }
        if self.executor.is_dead() {
            self.die(&died());
        }
        match outcome.end {
            Some(TurnEnd::GaveWay) => self.ready.push_back(outcome.answer),
            Some(TurnEnd::Finished(finish)) => outcome.answer.finish(finish),
            Some(TurnEnd::Dropped) => {}
            Some(TurnEnd::Failed(error)) => outcome.answer.fail(error),
            None => match ended.complaint {
                Some(complaint) => {
                    // A failed step empties the cache.
                    self.mirror.clear();
                    self.shared.kept_tokens.store(0, Ordering::Relaxed);
                    outcome.answer.fail(EngineError::Failed(complaint));
                }
                None => {
                    self.die(&died());
                    outcome.answer.fail(died());
                }
            },
        }
    }

    fn die(&self, error: &EngineError) {
        if self.shared.dead.set(error.clone()).is_ok() {
            tracing::error!(%error, "the inference engine died");
        }
    }
}

/// Waits until mistral.rs has let go of the sequence.
async fn turn(responses: Result<mpsc::Receiver<Response>, EngineError>, chooser: Arc<Chooser>, capacity: u64) -> Ended {
    let mut complaint = None;
    match responses {
        Ok(mut responses) => {
            while let Some(response) = responses.recv().await {
                match response {
                    Response::InternalError(error) | Response::ValidationError(error) => complaint = Some(error.to_string()),
                    Response::CompletionModelError(message, _) | Response::ModelError(message, _) => complaint = Some(message),
                    _ => {}
                }
            }
        }
        Err(error) => complaint = Some(error.to_string()),
    }
    Ended { outcome: chooser.take(), complaint, capacity }
}
