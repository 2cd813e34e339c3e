//! The thread that owns a model: takes answers in, decides what each step reads, and hands out the tokens.
//!
//! A step reads one token (and what is guessed to follow) of every answer that is being written, and some of the prompts that are being read,
//! oldest first. How much of a prompt is measured in time: so little that no answer waits long, and that what nobody reads any more stops soon.

use crate::{
    answer::{Answer, Follows},
    cache::Track,
    draft::{self, Draft},
    model::Shared,
    prefix::PrefixTree,
    stage::{Next, Reads, Stage},
};
use kith_engine::EngineError;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Answers that wait for their turn here, at most; further ones wait in the channel, whose bound is the model's.
const WAITING: usize = 64;
/// How long a step that reads prompts should take, without and with answers that wait for their next token.
const ALONE: Duration = Duration::from_millis(250);
const IN_COMPANY: Duration = Duration::from_millis(80);
/// Tokens of a step with prompts, at least and at most. Few enough that the numbers between layers stay small, and enough that weights are
/// looked at for many tokens at a time.
const LEAST: usize = 32;
pub(crate) const MOST: usize = 256;
/// Tokens of answers in a step beyond which nothing is guessed: there, guesses cost what they win.
const GUESSING: usize = 8;

/// What the thread is told.
pub(crate) enum Order {
    /// Write this answer.
    Write(Box<Answer>),
    /// End. (Also said by the shared token; this wakes a thread that waits.)
    Stop,
}

/// One answer at work.
struct Running {
    answer: Answer,
    track: Track,
    draft: Draft,
    /// Whether its prompt was given to the prefix cache.
    kept: bool,
}

/// What one answer does in a step.
struct Share {
    /// Tokens of its context.
    tokens: usize,
    /// Tokens guessed to follow.
    guess: Vec<u32>,
    /// Whether that is all there is to read, so that a token can be chosen.
    chooses: bool,
}

/// The model's thread's own.
pub(crate) struct Scheduler {
    stage: Stage,
    prefix: PrefixTree,
    shared: Arc<Shared>,
    parallel: usize,
    waiting: VecDeque<Answer>,
    running: Vec<Running>,
    /// Seconds that a token of a prompt takes, as last measured.
    pace: f64,
    logits: Vec<f32>,
}

impl Scheduler {
    pub(crate) fn new(stage: Stage, kept_blocks: usize, parallel: usize, shared: Arc<Shared>) -> Self {
        Self {
            stage,
            prefix: PrefixTree::new(kept_blocks),
            shared,
            parallel,
            waiting: VecDeque::new(),
            running: Vec::new(),
            pace: ALONE.as_secs_f64() / MOST as f64,
            logits: Vec::new(),
        }
    }

    /// Works until it is told to end, or nobody can ask for anything any more.
    pub(crate) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            if self.running.is_empty() && self.waiting.is_empty() {
                match orders.blocking_recv() {
                    Some(Order::Write(answer)) => self.waiting.push_back(*answer),
                    Some(Order::Stop) | None => return,
                }
            }
            while self.waiting.len() < WAITING {
                match orders.try_recv() {
                    Ok(Order::Write(answer)) => self.waiting.push_back(*answer),
                    Ok(Order::Stop) => return,
                    Err(_) => break,
                }
            }
            if self.shared.unload.is_cancelled() {
                return;
            }
            self.admit();
            self.step();
        }
    }

    /// Begins answers while there is room.
    fn admit(&mut self) {
        self.waiting.retain(|answer| !answer.is_dropped());
        while self.running.len() < self.parallel {
            let Some(mut answer) = self.waiting.pop_front() else { return };
            // At least one token is read: its logits are needed.
            let track = self.prefix.find(answer.context(), answer.context().len() - 1);
            answer.begin(track.len());
            self.running.push(Running { answer, track, draft: Draft::default(), kept: false });
        }
    }

    /// One step of all answers that have something to read.
    fn step(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let shares = self.shares();
        let mut tokens: Vec<u32> = Vec::new();
        let mut wanted: Vec<usize> = Vec::new();
        for (running, share) in self.running.iter().zip(&shares) {
            let from = running.track.len();
            tokens.extend_from_slice(&running.answer.context()[from..from + share.tokens]);
            let last = tokens.len().wrapping_sub(1);
            tokens.extend_from_slice(&share.guess);
            if share.chooses {
                wanted.extend(last..=last + share.guess.len());
            }
        }
        let start = Instant::now();
        let read = self.read(&tokens, &shares);
        match read {
            Err(error) => return self.running.drain(..).for_each(|running| running.answer.fail(error.clone())),
            Ok(false) => return self.running.retain(|running| !running.answer.is_dropped()),
            Ok(true) => {}
        }
        match self.stage.logits(&wanted) {
            Ok(logits) => {
                self.logits.clear();
                self.logits.extend_from_slice(logits);
            }
            Err(error) => return self.running.drain(..).for_each(|running| running.answer.fail(error.clone())),
        }
        if tokens.len() >= LEAST {
            self.pace = start.elapsed().as_secs_f64() / tokens.len() as f64;
        }
        self.choose(shares);
    }

    /// What each answer at work reads in the next step.
    fn shares(&self) -> Vec<Share> {
        let pending = |running: &Running| running.answer.context().len() - running.track.len();
        let writing = self.running.iter().filter(|running| pending(running) == 1).count();
        let time = if writing == 0 { ALONE } else { IN_COMPANY };
        let mut room = ((time.as_secs_f64() / self.pace) as usize).clamp(LEAST, MOST).saturating_sub(writing).max(1);
        let guessing = (GUESSING.saturating_sub(writing)).checked_div(writing).unwrap_or(0);
        let mut shares = Vec::with_capacity(self.running.len());
        for running in &self.running {
            let pending = pending(running);
            if pending == 1 {
                // The last token of an answer is never read: no guess reaches so far.
                let most = guessing.min(draft::MOST).min(running.answer.left().saturating_sub(1));
                let guess = if running.answer.is_under_way() { running.draft.guess(running.answer.context(), most) } else { &[] };
                shares.push(Share { tokens: 1, guess: guess.to_vec(), chooses: true });
                continue;
            }
            let tokens = pending.min(room);
            room -= tokens;
            shares.push(Share { tokens, guess: Vec::new(), chooses: tokens == pending && tokens > 0 });
        }
        shares
    }

    fn read(&mut self, tokens: &[u32], shares: &[Share]) -> Result<bool, EngineError> {
        let mut answers = Vec::with_capacity(shares.len());
        let mut nexts = Vec::with_capacity(shares.len());
        for (running, share) in self.running.iter_mut().zip(shares) {
            let count = share.tokens + share.guess.len();
            if count > 0 {
                nexts.push(Next { track: &mut running.track, tokens: count });
                answers.push(&running.answer);
            }
        }
        let unload = &self.shared.unload;
        let give_up = || unload.is_cancelled() || answers.iter().all(|answer| answer.is_dropped());
        self.stage.step(Reads::Tokens(tokens), &mut nexts, &give_up)
    }

    /// Chooses the tokens for which there are logits, and lets go of answers that have ended.
    fn choose(&mut self, shares: Vec<Share>) {
        let mut logits = self.logits.chunks_exact_mut(self.stage.vocabulary());
        let mut at_work = Vec::with_capacity(self.running.len());
        for (mut running, share) in self.running.drain(..).zip(shares) {
            if !share.chooses {
                if !running.answer.is_dropped() {
                    at_work.push(running);
                }
                continue;
            }
            let mut mine = logits.by_ref().take(1 + share.guess.len());
            let before = running.answer.context().len();
            let ended = running.write(&share.guess, &mut mine);
            mine.for_each(drop);
            // What was guessed wrongly is forgotten, and the last token that was chosen is not read yet.
            running.track.truncate(running.answer.context().len() - 1);
            running.draft.learn(share.guess.len(), (running.answer.context().len() - before).saturating_sub(1));
            let keep = ended.is_some() || !running.kept;
            if keep {
                running.kept = true;
                self.prefix.keep(running.answer.context(), &running.track, ended.is_some());
            }
            match ended {
                None => at_work.push(running),
                Some(Ok(Follows::End(finish))) => running.answer.finish(finish),
                Some(Ok(_)) => {}
                Some(Err(error)) => running.answer.fail(error),
            }
        }
        self.running = at_work;
    }
}

impl Running {
    /// Chooses tokens as long as they are those that were guessed; how the answer ended, if it did.
    fn write<'a>(
        &mut self,
        guess: &[u32],
        logits: &mut impl Iterator<Item = &'a mut [f32]>,
    ) -> Option<Result<Follows, EngineError>> {
        for expected in guess.iter().map(Some).chain([None]) {
            match self.answer.step(logits.next()?) {
                Ok(Follows::Token(id)) if Some(&id) == expected => {}
                Ok(Follows::Token(_)) => return None,
                other => return Some(other),
            }
        }
        None
    }
}
