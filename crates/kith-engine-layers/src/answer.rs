//! One answer while it is written: the tokens so far, the random sequence, the grammar, and the reader's end of the channel.

use crate::{adapter::Weights, grammar::Grammar, vocabulary::Vocabulary};
use kith_engine::{
    EngineError, Finish, Generated, Sampling, Step, Timings, Token, TopToken, Usage, random::SplitMix64, sampling,
    utf8::Utf8Joiner,
};
use std::{sync::Arc, time::Instant};
use tokio::sync::mpsc;

/// What the reader gets. The channel holds a whole answer (its bound is the answer's most tokens, plus the end), so writing to it
/// never waits: a slow reader delays nobody.
pub(crate) type StepSender = mpsc::Sender<Result<Step, EngineError>>;

/// An answer that is being written.
pub(crate) struct Answer {
    /// The prompt and the tokens so far.
    context: Vec<u32>,
    prompt: usize,
    room: u32,
    sampling: Sampling,
    random: SplitMix64,
    logprobs: Option<usize>,
    ignore_eos: bool,
    grammar: Option<Grammar>,
    adapter: Option<Arc<Weights>>,
    vocabulary: Arc<Vocabulary>,
    joiner: Utf8Joiner,
    steps: StepSender,
    cached: u32,
    started: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// What an answer is begun with.
pub(crate) struct Beginning {
    pub(crate) prompt: Vec<u32>,
    /// The most tokens of the answer; at least one.
    pub(crate) room: u32,
    pub(crate) sampling: Sampling,
    pub(crate) seed: u64,
    pub(crate) logprobs: Option<u8>,
    pub(crate) ignore_eos: bool,
    pub(crate) grammar: Option<Grammar>,
    pub(crate) adapter: Option<Arc<Weights>>,
}

/// What follows from one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// This token, and another one after it.
    Token(u32),
    /// The answer has ended.
    End(Finish),
    /// Nobody reads it any more.
    Dropped,
}

impl Answer {
    pub(crate) fn new(beginning: Beginning, vocabulary: Arc<Vocabulary>, steps: StepSender) -> Self {
        Self {
            prompt: beginning.prompt.len(),
            context: beginning.prompt,
            room: beginning.room,
            sampling: beginning.sampling,
            random: SplitMix64::new(beginning.seed),
            logprobs: beginning.logprobs.map(usize::from),
            ignore_eos: beginning.ignore_eos,
            grammar: beginning.grammar,
            adapter: beginning.adapter,
            vocabulary,
            joiner: Utf8Joiner::default(),
            steps,
            cached: 0,
            started: None,
            first: None,
            last: None,
        }
    }

    /// The prompt and the tokens so far.
    pub(crate) fn context(&self) -> &[u32] {
        &self.context
    }

    /// What the model answers with.
    pub(crate) fn adapter(&self) -> Option<&Arc<Weights>> {
        self.adapter.as_ref()
    }

    /// Tokens that may still be written.
    pub(crate) fn left(&self) -> usize {
        (self.room as usize).saturating_sub(self.written())
    }

    /// Whether some of it is written.
    pub(crate) fn is_under_way(&self) -> bool {
        self.written() > 0
    }

    /// Whether nobody reads it any more.
    pub(crate) fn is_dropped(&self) -> bool {
        self.steps.is_closed()
    }

    /// Notes that work on it begins now, with `cached` tokens of the prompt from the prefix cache. Where it goes on after it gave way,
    /// nothing is noted.
    pub(crate) fn begin(&mut self, cached: usize) {
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.cached = count(cached);
        }
    }

    /// Chooses the next token from the logits, which it changes, and tells the reader.
    pub(crate) fn step(&mut self, logits: &mut [f32]) -> Result<Follows, EngineError> {
        if self.is_dropped() {
            return Ok(Follows::Dropped);
        }
        // Models pad their output layer: what is no token must not be chosen.
        let length = logits.len().min(self.vocabulary.len());
        let logits = &mut logits[..length];
        sampling::penalise(logits, &self.sampling, &self.context, &self.context[self.prompt..]);
        let norm = self.logprobs.map(|count| (sampling::log_sum_exp(logits), count));
        let top = norm.map_or_else(Vec::new, |(norm, count)| {
            sampling::top(logits, count).into_iter().map(|id| self.report(id, logits[id as usize] - norm)).collect()
        });
        if self.ignore_eos {
            for id in self.vocabulary.ends() {
                if let Some(logit) = logits.get_mut(*id as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        if let Some(grammar) = &mut self.grammar {
            grammar.mask(logits)?;
        }
        let Some(id) = sampling::choose(logits, &self.sampling, || self.random.next_unit()) else {
            // Only an end was left to say.
            return if self.grammar.is_some() { Ok(Follows::End(Finish::Stop)) } else { Err(nothing_left()) };
        };
        if self.vocabulary.ends().binary_search(&id).is_ok() {
            return Ok(Follows::End(Finish::Stop));
        }
        let complete = self.grammar.as_mut().map_or(Ok(false), |grammar| grammar.advance(id))?;
        let logprob = norm.map(|(norm, _)| self.report(id, logits[id as usize] - norm));
        self.context.push(id);
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        let text = self.joiner.push(self.vocabulary.shown(id));
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
    pub(crate) fn finish(self, finish: Finish) {
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
    pub(crate) fn fail(self, error: EngineError) {
        self.tell(Err(error));
    }

    fn written(&self) -> usize {
        self.context.len() - self.prompt
    }

    fn report(&self, id: u32, logprob: f32) -> TopToken {
        TopToken { id, logprob, bytes: self.vocabulary.bytes(id).to_vec() }
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
