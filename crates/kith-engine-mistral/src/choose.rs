//! Where mistral.rs asks for the next token: a logits processor that decides by itself and leaves one certain token.

use crate::answer::Answer;
use candle_core::{Device, Tensor};
use kith_decoding::Follows;
use kith_engine::{EngineError, Finish};
use mistralrs_core::CustomLogitsProcessor;
use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How one turn of an answer ended.
pub(crate) enum TurnEnd {
    /// The answer is complete.
    Finished(Finish),
    /// Others wait: the answer goes on later.
    GaveWay,
    /// Nobody reads the answer any more.
    Dropped,
    /// The answer cannot go on.
    Failed(EngineError),
}

/// The outcome of a turn, taken when mistral.rs has let go of the sequence.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// `None` if mistral.rs stopped by itself.
    pub(crate) end: Option<TurnEnd>,
    /// How many tokens of the context mistral.rs has read, and holds in its prefix cache.
    pub(crate) read: usize,
}

/// When a turn must end.
#[derive(Clone)]
pub(crate) struct Limits {
    /// Others wait.
    pub(crate) contended: Arc<AtomicBool>,
    /// How long an answer may go on, from the turn's first token, while others wait; longer if reading the prompt took longer than
    /// half of it, so that reading it again (should the prefix cache have lost it) costs at most a third of the time.
    pub(crate) turn: Duration,
}

struct State {
    answer: Option<Answer>,
    end: Option<TurnEnd>,
    read: usize,
    began: Instant,
    /// When the turn may end, known from its first token on.
    deadline: Option<Instant>,
}

/// Decides one answer's tokens during one turn.
///
/// It never returns an error to mistral.rs, which would then leave out a token of every other answer in the batch. To end the turn
/// it leaves `stop` as the certain token, which was given to mistral.rs as a stop token.
pub(crate) struct Chooser {
    state: Mutex<State>,
    stop: u32,
    limits: Limits,
    /// Tokens that mistral.rs holds for running answers.
    running_tokens: Arc<AtomicU64>,
    /// Left with the thread that asks for tokens, so that its end can be seen.
    life: Option<Arc<()>>,
}

thread_local! {
    static LIVES: RefCell<Vec<Arc<()>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves `life` with this thread, once.
fn leave(life: &Arc<()>) {
    LIVES.with_borrow_mut(|lives| {
        if !lives.iter().any(|left| Arc::ptr_eq(left, life)) {
            lives.push(Arc::clone(life));
        }
    });
}

impl Chooser {
    pub(crate) fn new(answer: Answer, stop: u32, limits: Limits, running_tokens: Arc<AtomicU64>, life: Option<Arc<()>>) -> Self {
        running_tokens.fetch_add(answer.context().len() as u64, Ordering::Relaxed);
        let read = answer.context().len();
        Self {
            state: Mutex::new(State { answer: Some(answer), end: None, read, began: Instant::now(), deadline: None }),
            stop,
            limits,
            running_tokens,
            life,
        }
    }

    /// Takes the answer back. `None` only the second time.
    pub(crate) fn take(&self) -> Option<Outcome> {
        let mut state = self.state();
        let answer = state.answer.take()?;
        self.running_tokens.fetch_sub(state.read as u64, Ordering::Relaxed);
        Some(Outcome { answer, end: state.end.take(), read: state.read })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token for mistral.rs.
    fn decide(&self, logits: Vec<f32>, context: &[u32]) -> u32 {
        let mut state = self.state();
        let state = &mut *state;
        let Some(answer) = state.answer.as_mut().filter(|_| state.end.is_none()) else { return self.stop };
        let understood = answer.understand(context);
        let read = answer.context().len();
        self.running_tokens.fetch_add(read.saturating_sub(state.read) as u64, Ordering::Relaxed);
        state.read = read.max(state.read);
        let now = Instant::now();
        let deadline = *state.deadline.get_or_insert_with(|| now + self.limits.turn.max(2 * (now - state.began)));
        state.end = Some(match understood.and_then(|()| answer.step(logits, self.stop)) {
            Ok(Follows::Token(id)) => {
                if !self.limits.contended.load(Ordering::Relaxed) || now < deadline {
                    return id;
                }
                TurnEnd::GaveWay
            }
            Ok(Follows::End(finish)) => TurnEnd::Finished(finish),
            Ok(Follows::Dropped) => TurnEnd::Dropped,
            Err(error) => TurnEnd::Failed(error),
        });
        self.stop
    }
}

impl CustomLogitsProcessor for Chooser {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> candle_core::Result<Tensor> {
        if let Some(life) = &self.life {
            leave(life);
        }
        let id = self.decide(logits.to_vec1()?, context) as usize;
        // mistral.rs takes the index of the largest: as long as it need be, and no longer.
        let mut certain = vec![0.0f32; id + 1];
        certain[id] = 1.0;
        Tensor::from_vec(certain, id + 1, &Device::Cpu)
    }
}
