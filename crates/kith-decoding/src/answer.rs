//! One answer while it is written: the tokens so far, the random sequence, the grammar, and the engine's end of the channel.

use crate::{Grammar, Tokens, random::SplitMix64, sampling, utf8::Utf8Joiner};
use kith_engine::{EngineError, Finish, Generated, Sampling, Step, Timings, Token, TopToken, Usage};
use std::{sync::Arc, time::Instant};
use tokio::sync::mpsc;

/// What the reader gets. The channel holds a whole answer (its bound is the answer's most tokens, plus the end), so writing to it
/// never waits: a slow reader delays nobody.
pub type StepSender = mpsc::Sender<Result<Step, EngineError>>;

/// An answer that is being written.
pub struct Answer {
    /// The prompt and the tokens so far.
    context: Vec<u32>,
    prompt: usize,
    room: u32,
    sampling: Sampling,
    random: SplitMix64,
    logprobs: Option<usize>,
    ignore_eos: bool,
    grammar: Option<Grammar>,
    tokens: Arc<Tokens>,
    joiner: Utf8Joiner,
    steps: StepSender,
    cached: u32,
    started: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// What an answer is begun with.
pub struct Beginning {
    /// The tokens of the prompt.
    pub prompt: Vec<u32>,
    /// The most tokens of the answer; at least one.
    pub room: u32,
    /// How tokens are chosen; its seed is not looked at.
    pub sampling: Sampling,
    /// The seed of the answer's random sequence.
    pub seed: u64,
    /// How many alternatives to report with each token; `None` reports no log-probabilities.
    pub logprobs: Option<u8>,
    /// Whether tokens that end an answer are not chosen.
    pub ignore_eos: bool,
    /// The language of the answer, at its beginning.
    pub grammar: Option<Grammar>,
}

/// What follows from one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// This token, and another one after it.
    Token(u32),
    /// The answer has ended.
    End(Finish),
    /// Nobody reads it any more.
    Dropped,
}

impl Answer {
    /// An answer of which nothing is written. `steps` has room for as many tokens as `beginning`, and the end.
    pub fn new(beginning: Beginning, tokens: Arc<Tokens>, steps: StepSender) -> Self {
        Self {
            prompt: beginning.prompt.len(),
            context: beginning.prompt,
            room: beginning.room,
            sampling: beginning.sampling,
            random: SplitMix64::new(beginning.seed),
            logprobs: beginning.logprobs.map(usize::from),
            ignore_eos: beginning.ignore_eos,
            grammar: beginning.grammar,
            tokens,
            joiner: Utf8Joiner::default(),
            steps,
            cached: 0,
            started: None,
            first: None,
            last: None,
        }
    }

    /// The prompt and the tokens so far.
    pub fn context(&self) -> &[u32] {
        &self.context
    }

    /// Tokens that are written.
    pub fn written(&self) -> usize {
        self.context.len() - self.prompt
    }

    /// Tokens that may still be written.
    pub fn left(&self) -> usize {
        (self.room as usize).saturating_sub(self.written())
    }

    /// The most tokens that prompt and answer can come to.
    pub fn most_tokens(&self) -> u64 {
        self.prompt as u64 + u64::from(self.room)
    }

    /// Whether some of it is written.
    pub fn is_under_way(&self) -> bool {
        self.written() > 0
    }

    /// Whether nobody reads it any more.
    pub fn is_dropped(&self) -> bool {
        self.steps.is_closed()
    }

    /// Notes that work on it begins now, with `cached` tokens of the prompt from the prefix cache. Where it goes on after it gave way,
    /// nothing is noted.
    pub fn begin(&mut self, cached: usize) {
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.cached = count(cached);
        }
    }

    /// Takes note, before the first token, that the model has read `prompt` instead of what was foreseen, in a window of so many tokens.
    ///
    /// # Errors
    /// [`EngineError::ContextExceeded`] where that leaves no room for a token.
    pub fn has_read(&mut self, prompt: &[u32], window: u32) -> Result<(), EngineError> {
        self.context = prompt.to_vec();
        self.prompt = prompt.len();
        self.room = crate::room(self.prompt, window, Some(self.room))?;
        Ok(())
    }

    /// Chooses the next token from the logits, which it changes, and tells the reader. `never` is not chosen, unless it ends answers.
    ///
    /// # Errors
    /// What the grammar says; [`EngineError::Failed`] where the model forbids every token.
    pub fn step(&mut self, logits: &mut [f32], never: Option<u32>) -> Result<Follows, EngineError> {
        if self.is_dropped() {
            return Ok(Follows::Dropped);
        }
        // Models pad their output layer: what is no token must not be chosen.
        let length = logits.len().min(self.tokens.len());
        let logits = &mut logits[..length];
        sampling::penalise(logits, &self.sampling, &self.context, &self.context[self.prompt..]);
        let norm = self.logprobs.map(|count| (sampling::log_sum_exp(logits), count));
        let top = norm.map_or_else(Vec::new, |(norm, count)| {
            sampling::top(logits, count).into_iter().map(|id| self.report(id, logits[id as usize] - norm)).collect()
        });
        let ends = self.tokens.ends();
        let ignored = if self.ignore_eos { ends } else { &[] };
        let never = never.filter(|id| !ends.contains(id));
        for id in ignored.iter().chain(&never) {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        if let Some(grammar) = &mut self.grammar {
            grammar.mask(logits)?;
        }
        let Some(id) = sampling::choose(logits, &self.sampling, || self.random.next_unit()) else {
            // Only an end was left to say.
            return if self.grammar.is_some() { Ok(Follows::End(Finish::Stop)) } else { Err(nothing_left()) };
        };
        if ends.binary_search(&id).is_ok() {
            return Ok(Follows::End(Finish::Stop));
        }
        let complete = self.grammar.as_mut().map_or(Ok(false), |grammar| grammar.advance(id))?;
        let logprob = norm.map(|(norm, _)| self.report(id, logits[id as usize] - norm));
        self.context.push(id);
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        let text = self.joiner.push(self.tokens.shown(id));
        self.tell(Ok(Step::Token(Token { id, text, logprob, top })));
        Ok(if complete {
            Follows::End(Finish::Stop)
        } else if self.left() == 0 {
            Follows::End(Finish::Length)
        } else {
            Follows::Token(id)
        })
    }

    /// Tells the reader that it has ended.
    pub fn finish(self, finish: Finish) {
        let between = |from: Option<Instant>, to: Option<Instant>| from.zip(to).map(|(from, to)| to - from).unwrap_or_default();
        let done = Generated {
            finish,
            usage: Usage { prompt: count(self.prompt), cached: self.cached, completion: count(self.written()) },
            timings: Timings {
                prefill: between(self.started, self.first.or_else(|| Some(Instant::now()))),
                decode: between(self.first, self.last),
            },
        };
        self.tell(Ok(Step::Done(done)));
    }

    /// Tells the reader that it has failed.
    pub fn fail(self, error: EngineError) {
        self.tell(Err(error));
    }

    fn report(&self, id: u32, logprob: f32) -> TopToken {
        TopToken { id, logprob, bytes: self.tokens.bytes(id).to_vec() }
    }

    fn tell(&self, step: Result<Step, EngineError>) {
        // Never full (see `StepSender`); closed when the reader has gone, which the next step notices.
        let _ = self.steps.try_send(step);
    }
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

fn nothing_left() -> EngineError {
    EngineError::Failed("the model forbids every token".into())
}

#[cfg(test)]
mod tests;
