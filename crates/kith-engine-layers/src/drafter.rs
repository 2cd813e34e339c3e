//! Guessing what an answer will say with a small model of the same vocabulary. A guess is only ever checked, never believed: see `draft.rs`.
//!
//! What is measured (how long both models take, and how often guesses were right) decides only how many tokens are guessed, never which tokens
//! come out.

use crate::{
    cache::Track,
    pace::Pace,
    prefix::PrefixTree,
    stage::{Next, Reads, Stage},
};
use kith_decoding::sampling;
use kith_engine::EngineError;
use std::time::Instant;

/// Tokens it reads for one step of the large model, at most: a prompt is read in parts, so that no answer waits for it.
const CATCH_UP: usize = 256;
/// Tokens guessed while nothing is measured yet.
const FIRST: usize = 3;
/// Of an answer whose guesses do not pay, how many steps go without before one token is guessed to see whether that has changed.
const PAUSE: usize = 64;
/// How fast the share of right guesses follows what happens, and what it is taken for at first.
const FOLLOWS: f64 = 0.15;
const HOPED: f64 = 0.7;

/// The small model.
pub(crate) struct Drafter {
    stage: Stage,
    /// What answers began with, so that a conversation is not read anew with every turn.
    prefix: PrefixTree,
    /// Entries of the vocabulary; its output layer may have more.
    tokens: usize,
    own: Pace,
    /// Of the large model's steps.
    target: Pace,
    /// Whether it guesses as much as it may, whatever that costs (for tests).
    eager: bool,
}

/// What it keeps of one answer.
pub(crate) struct Drafting {
    track: Track,
    /// Of the guesses up to the first wrong one, how many were right lately; from 0 to 1.
    right: f64,
    /// Steps without guesses.
    paused: usize,
}

impl Default for Drafting {
    fn default() -> Self {
        Self { track: Track::new(), right: HOPED, paused: 0 }
    }
}

impl Drafting {
    /// Takes note of how many of the guessed tokens were right; what was read beyond the first `length` tokens of the answer's is forgotten.
    pub(crate) fn learn(&mut self, length: usize, guessed: usize, right: usize) {
        self.track.truncate(length);
        for trial in 0..guessed.min(right + 1) {
            self.right += FOLLOWS * (f64::from(u8::from(trial < right)) - self.right);
        }
    }
}

/// An answer whose next tokens are asked for.
pub(crate) struct Asked<'a> {
    /// Prompt and answer.
    pub(crate) context: &'a [u32],
    pub(crate) drafting: &'a mut Drafting,
    /// Tokens to guess, at most.
    pub(crate) most: usize,
    /// Tokens that may still come.
    pub(crate) left: usize,
}

impl Drafter {
    /// Guesses with `stage`, whose vocabulary has `tokens` entries, and keeps so many blocks of what answers began with.
    pub(crate) fn new(stage: Stage, tokens: usize, kept_blocks: usize, eager: bool) -> Self {
        Self { stage, prefix: PrefixTree::new(kept_blocks), tokens, own: Pace::default(), target: Pace::default(), eager }
    }

    /// An answer to `prompt` begins.
    pub(crate) fn begin(&mut self, prompt: &[u32]) -> Drafting {
        Drafting { track: self.prefix.find(prompt, prompt.len().saturating_sub(1), None), ..Drafting::default() }
    }

    /// An answer has ended, with these tokens.
    pub(crate) fn end(&mut self, context: &[u32], drafting: &Drafting) {
        self.prefix.keep(context, &drafting.track, true);
    }

    /// Takes note of how long the large model took for a step of so many tokens of answers.
    pub(crate) fn note(&mut self, tokens: usize, seconds: f64) {
        self.target.note(tokens, seconds);
    }

    /// Guesses for every answer asked for; nothing where it would not pay or `give_up` says yes. `beside` is how many tokens the large model
    /// reads anyway.
    ///
    /// # Errors
    /// What the stage says.
    pub(crate) fn guess(
        &mut self,
        asked: &mut [Asked<'_>],
        beside: usize,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Vec<Vec<u32>>, EngineError> {
        let mut guesses: Vec<Vec<u32>> = vec![Vec::new(); asked.len()];
        // Guesses that the large model did not come to read, and the last token: its logits are needed.
        asked.iter_mut().for_each(|asked| asked.drafting.track.truncate(asked.context.len().saturating_sub(1)));
        let mut counts: Vec<usize> = asked.iter_mut().map(|asked| self.count(asked, beside)).collect();
        let mut room = CATCH_UP;
        loop {
            let (mut tokens, mut wanted, mut nexts): (Vec<u32>, Vec<(usize, usize)>, Vec<Next<'_>>) = Default::default();
            for (at, asked) in asked.iter_mut().enumerate() {
                let guess = &guesses[at];
                if guess.len() >= counts[at] || room == 0 {
                    continue;
                }
                let (from, known) = (asked.drafting.track.len(), asked.context.len());
                let unread = known + guess.len() - from;
                let reads = unread.min(room);
                room -= reads;
                tokens.extend(asked.context[from.min(known)..].iter().chain(&guess[from.saturating_sub(known)..]).take(reads));
                if reads == unread {
                    wanted.push((at, tokens.len() - 1));
                }
                nexts.push(Next { track: &mut asked.drafting.track, tokens: reads });
            }
            if tokens.is_empty() {
                return Ok(guesses);
            }
            let start = Instant::now();
            if !self.stage.step(Reads::Tokens(&tokens), &mut nexts, give_up)? {
                return Ok(guesses);
            }
            let width = self.stage.vocabulary();
            let logits = self.stage.logits(&wanted.iter().map(|(_, token)| *token).collect::<Vec<_>>())?;
            for ((at, _), logits) in wanted.iter().zip(logits.chunks_exact(width)) {
                match sampling::top(&logits[..self.tokens], 1).first() {
                    Some(id) => guesses[*at].push(*id),
                    None => counts[*at] = 0,
                }
            }
            self.own.note(tokens.len(), start.elapsed().as_secs_f64());
        }
    }

    /// How many tokens to guess for an answer.
    fn count(&self, asked: &mut Asked<'_>, beside: usize) -> usize {
        let known = asked.context.len();
        // The last guess is not read.
        let most = asked.most.min((self.stage.context() + 1).saturating_sub(known));
        if self.eager || most == 0 {
            return most;
        }
        let unread = known - asked.drafting.track.len();
        let (count, saved) = best(most, asked.drafting.right, beside, &self.target, &self.own);
        // What it has not read of a long prompt must be won back before the answer ends.
        let pays = unread <= PAUSE || self.own.seconds(unread).is_none_or(|cost| cost < saved * asked.left as f64);
        if count > 0 && pays {
            asked.drafting.paused = 0;
            return count;
        }
        asked.drafting.paused += 1;
        if asked.drafting.paused < PAUSE || unread > 2 * PAUSE {
            return 0;
        }
        asked.drafting.paused = 0;
        1
    }
}

/// How many guesses (`most` at most), of which each is right with probability `right` if those before it were, write most tokens in a second; and
/// the seconds that saves with every token. The large model reads `beside` tokens anyway, and writes as many.
fn best(most: usize, right: f64, beside: usize, target: &Pace, own: &Pace) -> (usize, f64) {
    let Some(pass) = own.seconds(1) else { return (most.min(FIRST), f64::INFINITY) };
    let mut written = beside.max(1) as f64;
    let Some(without) = target.seconds(beside).map(|seconds| seconds / written) else { return (most.min(FIRST), f64::INFINITY) };
    let (mut best, mut least, mut likely) = (0, without, 1.0);
    for count in 1..=most {
        likely *= right;
        written += likely;
        let seconds = target.seconds(beside + count).unwrap_or(f64::INFINITY) + pass * count as f64;
        if seconds / written < least {
            (best, least) = (count, seconds / written);
        }
    }
    (best, without - least)
}

#[cfg(test)]
mod tests;
