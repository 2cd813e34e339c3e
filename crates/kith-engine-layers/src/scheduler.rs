//! The thread that owns a model: takes answers in, decides what each step reads, and hands out the tokens.
//!
//! A step reads one token (and what is guessed to follow) of every answer that is being written, and some of the prompts that are being read,
//! oldest first. How much of a prompt is measured in time: so little that no answer waits long, and that what nobody reads any more stops soon.

use crate::{
    answer::{Answer, Follows},
    cache::{BLOCK, Track},
    draft::{self, Draft},
    drafter::{Asked, Drafter, Drafting},
    embed::{Embedding, Texts},
    model::Shared,
    prefix::PrefixTree,
    stage::{Next, Reads, Stage},
    turns::Turns,
};
use kith_engine::EngineError;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Answers that wait for their turn here, at most, and requests whose texts are being embedded; further ones wait in the channel, whose bound is the model's.
const WAITING: usize = 64;
/// How long a step that reads prompts should take, without and with answers that wait for their next token.
const ALONE: Duration = Duration::from_millis(250);
const IN_COMPANY: Duration = Duration::from_millis(80);
/// Tokens of a step with prompts, at least and at most. Few enough that the numbers between layers stay small, and enough that weights are
/// looked at for many tokens at a time.
const LEAST: usize = 32;
/// The same where answers wait for their next token.
const LEAST_IN_COMPANY: usize = 8;
pub(crate) const MOST: usize = 256;
/// Tokens of answers in a step beyond which nothing is guessed: there, guesses cost what they win.
const GUESSING: usize = 8;
/// Blocks kept free for every answer at work when one more begins, so that it need not give way at once.
const SPARE: usize = 2;

/// What the thread is told.
pub(crate) enum Order {
    /// Write this answer.
    Write(Box<Answer>),
    /// Embed these texts.
    Embed(Box<Texts>),
    /// End. (Also said by the shared token; this wakes a thread that waits.)
    Stop,
}

/// One answer at work.
struct Running {
    answer: Answer,
    track: Track,
    draft: Draft,
    drafting: Drafting,
    /// Whether its prompt was given to the prefix cache.
    kept: bool,
}

/// What one answer does in a step.
struct Share {
    /// Tokens of its context.
    tokens: usize,
    /// Tokens guessed to follow.
    guess: Vec<u32>,
    /// How many may be guessed.
    most: usize,
    /// Whether the draft model guessed them.
    drafted: bool,
    /// Whether that is all there is to read, so that a token can be chosen.
    chooses: bool,
}

/// The model's thread's own.
pub(crate) struct Scheduler {
    stage: Stage,
    drafter: Option<Drafter>,
    prefix: PrefixTree,
    shared: Arc<Shared>,
    parallel: usize,
    /// Blocks that answers at work may hold together; at least those of a whole window.
    blocks: usize,
    waiting: VecDeque<Answer>,
    running: Vec<Running>,
    embedding: Embedding,
    /// Seconds that a token of a prompt takes, as last measured.
    pace: f64,
    logits: Vec<f32>,
    turns: Arc<Turns>,
}

impl Scheduler {
    /// `kept_blocks` is what may be held of sequences that have ended, `running_blocks` of those at work.
    pub(crate) fn new(stage: Stage, kept_blocks: usize, running_blocks: usize, parallel: usize, shared: Arc<Shared>) -> Self {
        Self {
            stage,
            drafter: None,
            prefix: PrefixTree::new(kept_blocks),
            shared,
            parallel,
            blocks: running_blocks,
            waiting: VecDeque::new(),
            running: Vec::new(),
            embedding: Embedding::default(),
            pace: ALONE.as_secs_f64() / MOST as f64,
            logits: Vec::new(),
            turns: Arc::default(),
        }
    }

    /// The same, which takes turns with other models.
    pub(crate) fn taking(self, turns: Arc<Turns>) -> Self {
        Self { turns, ..self }
    }

    /// The same, which asks this model for guesses.
    pub(crate) fn with_drafter(self, drafter: Option<Drafter>) -> Self {
        Self { drafter, ..self }
    }

    /// Works until it is told to end, or nobody can ask for anything any more.
    pub(crate) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let idle = self.running.is_empty() && self.waiting.is_empty() && self.embedding.is_empty();
            if idle && !orders.blocking_recv().is_some_and(|order| self.take(order)) {
                return;
            }
            while self.waiting.len().max(self.embedding.len()) < WAITING {
                let Ok(order) = orders.try_recv() else { break };
                if !self.take(order) {
                    return;
                }
            }
            if self.shared.unload.is_cancelled() {
                return;
            }
            self.admit();
            let turns = Arc::clone(&self.turns);
            let _turn = turns.take();
            self.step();
            self.embed();
        }
    }

    /// Takes an order in; `false` if it is to end.
    fn take(&mut self, order: Order) -> bool {
        match order {
            Order::Write(answer) => self.waiting.push_back(*answer),
            Order::Embed(texts) => self.embedding.push(*texts),
            Order::Stop => return false,
        }
        true
    }

    /// Begins answers while there is room, and goes on with those that gave way.
    fn admit(&mut self) {
        self.waiting.retain(|answer| !answer.is_dropped());
        while self.running.len() < self.parallel {
            let held: usize = self.running.iter().map(|running| running.answer.context().len().div_ceil(BLOCK) + SPARE).sum();
            let fits = |answer: &Answer| held == 0 || held + answer.context().len().div_ceil(BLOCK) + SPARE <= self.blocks;
            if !self.waiting.front().is_some_and(fits) {
                return;
            }
            let Some(mut answer) = self.waiting.pop_front() else { return };
            // At least one token is read: its logits are needed.
            let track = self.prefix.find(answer.context(), answer.context().len() - 1, answer.adapter());
            answer.begin(track.len());
            let drafting = self.drafter.as_mut().map(|drafter| drafter.begin(answer.context())).unwrap_or_default();
            self.running.push(Running { answer, track, draft: Draft::default(), drafting, kept: false });
        }
    }

    /// One step of all answers that have something to read.
    fn step(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let mut shares = self.shares();
        while self.blocks_after(&shares) > self.blocks && self.give_way() {
            shares = self.shares();
        }
        self.draft(&mut shares);
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
        if tokens.len() >= LEAST_IN_COMPANY {
            self.pace = start.elapsed().as_secs_f64() / tokens.len() as f64;
        }
        if let Some(drafter) = self.drafter.as_mut().filter(|_| shares.iter().all(|share| share.tokens == 1)) {
            drafter.note(tokens.len(), start.elapsed().as_secs_f64());
        }
        self.choose(shares);
    }

    /// Blocks that answers at work hold once these shares are read, all counted for each where several share some.
    fn blocks_after(&self, shares: &[Share]) -> usize {
        let each = self.running.iter().zip(shares);
        each.map(|(running, share)| (running.track.len() + share.tokens + share.guess.len()).div_ceil(BLOCK)).sum()
    }

    /// Lets the youngest answer wait until there is room again: its tokens stay, its keys and values are found in the prefix tree or worked out
    /// anew. `false` if it is the only one.
    fn give_way(&mut self) -> bool {
        let Some(youngest) = (self.running.len() > 1).then(|| self.running.pop()).flatten() else { return false };
        self.prefix.keep(youngest.answer.context(), &youngest.track, true);
        self.waiting.push_front(youngest.answer);
        true
    }

    /// Reads some of the texts that are to be embedded: as long as a step may take.
    fn embed(&mut self) {
        if self.embedding.is_empty() {
            return;
        }
        let time = if self.running.is_empty() { ALONE } else { IN_COMPANY };
        let least = if self.running.is_empty() { LEAST } else { LEAST_IN_COMPANY };
        let room = ((time.as_secs_f64() / self.pace) as usize).clamp(least, MOST);
        let unload = &self.shared.unload;
        let start = Instant::now();
        let tokens = self.embedding.step(&mut self.stage, room, &|| unload.is_cancelled());
        if tokens >= LEAST_IN_COMPANY {
            self.pace = start.elapsed().as_secs_f64() / tokens as f64;
        }
    }

    /// What each answer at work reads in the next step.
    fn shares(&self) -> Vec<Share> {
        let pending = |running: &Running| running.answer.context().len() - running.track.len();
        let writing = self.running.iter().filter(|running| pending(running) == 1).count();
        let time = if writing == 0 { ALONE } else { IN_COMPANY };
        let least = if writing == 0 { LEAST } else { LEAST_IN_COMPANY };
        let mut room = ((time.as_secs_f64() / self.pace) as usize).clamp(least, MOST).saturating_sub(writing).max(1);
        let guessing = (GUESSING.saturating_sub(writing)).checked_div(writing).unwrap_or(0);
        let mut shares = Vec::with_capacity(self.running.len());
        for running in &self.running {
            let pending = pending(running);
            if pending == 1 {
                // The last token of an answer is never read: no guess reaches so far.
                let most = guessing.min(draft::MOST).min(running.answer.left().saturating_sub(1));
                let most = if running.answer.is_under_way() { most } else { 0 };
                let guess = running.draft.guess(running.answer.context(), most).to_vec();
                shares.push(Share { tokens: 1, guess, most, drafted: false, chooses: true });
                continue;
            }
            let tokens = pending.min(room);
            room -= tokens;
            shares.push(Share { tokens, guess: Vec::new(), most: 0, drafted: false, chooses: tokens == pending && tokens > 0 });
        }
        shares
    }

    /// Has the draft model guess for the answers that nothing was found for.
    fn draft(&mut self, shares: &mut [Share]) {
        let Some(drafter) = &mut self.drafter else { return };
        let beside = shares.iter().filter(|share| share.chooses).map(|share| 1 + share.guess.len()).sum();
        let (mut asked, mut asking, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for (running, share) in self.running.iter_mut().zip(shares) {
            if share.most > 0 && share.guess.is_empty() {
                let (context, left) = (running.answer.context(), running.answer.left());
                asked.push(Asked { context, drafting: &mut running.drafting, most: share.most, left });
                asking.push(share);
                answers.push(&running.answer);
            }
        }
        let unload = &self.shared.unload;
        let give_up = || unload.is_cancelled() || answers.iter().all(|answer| answer.is_dropped());
        match drafter.guess(&mut asked, beside, &give_up) {
            Ok(guesses) => {
                for (share, guess) in asking.into_iter().zip(guesses) {
                    (share.guess, share.drafted) = (guess, true);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the draft model failed: answers are written without it");
                self.drafter = None;
            }
        }
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
        let choosing = |(running, share): (Running, Share)| {
            let wanted = if share.chooses { 1 + share.guess.len() } else { 0 };
            let logits = logits.by_ref().take(wanted).collect();
            let before = running.answer.context().len();
            (share.chooses || !running.answer.is_dropped()).then_some(Choosing { running, share, logits, before, ended: None })
        };
        let mut choosing: Vec<Choosing<'_>> = self.running.drain(..).zip(shares).filter_map(choosing).collect();
        // No answer depends on another: each chooses on whatever thread is free.
        self.stage.pool().for_chunks(&mut choosing, 1, |_, choosing| choosing.iter_mut().for_each(Choosing::choose));
        let mut at_work = Vec::with_capacity(choosing.len());
        for Choosing { mut running, share, before, ended, .. } in choosing {
            if !share.chooses {
                at_work.push(running);
                continue;
            }
            // What was guessed wrongly is forgotten, and the last token that was chosen is not read yet.
            running.track.truncate(running.answer.context().len() - 1);
            let right = (running.answer.context().len() - before).saturating_sub(1);
            let (drafted, found) = if share.drafted { (share.guess.len(), 0) } else { (0, share.guess.len()) };
            running.draft.learn(found, right);
            running.drafting.learn(before + right, drafted, right);
            let keep = ended.is_some() || !running.kept;
            if keep {
                running.kept = true;
                self.prefix.keep(running.answer.context(), &running.track, ended.is_some());
            }
            if let Some(drafter) = self.drafter.as_mut().filter(|_| ended.is_some()) {
                drafter.end(running.answer.context(), &running.drafting);
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

/// An answer that chooses tokens.
struct Choosing<'a> {
    running: Running,
    share: Share,
    /// After the last token that was read, and after each that was guessed.
    logits: Vec<&'a mut [f32]>,
    /// How long prompt and answer were before.
    before: usize,
    /// How the answer ended, if it did.
    ended: Option<Result<Follows, EngineError>>,
}

impl Choosing<'_> {
    /// Chooses tokens as long as they are those that were guessed.
    fn choose(&mut self) {
        let expected = self.share.guess.iter().map(Some).chain([None]);
        for (expected, logits) in expected.zip(&mut self.logits) {
            match self.running.answer.step(logits) {
                Ok(Follows::Token(id)) if Some(&id) == expected => {}
                Ok(Follows::Token(_)) => return,
                other => {
                    self.ended = Some(other);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
