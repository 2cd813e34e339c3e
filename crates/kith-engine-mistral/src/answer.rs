//! An answer of this engine: one that is being written, and what mistral.rs has to be told and to tell of its prompt.

use crate::sight::Seen;
use kith_decoding::{Beginning, Follows, StepSender, Tokens};
use kith_engine::{EngineError, Finish};
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// An answer that is being written.
pub(crate) struct Answer {
    answer: kith_decoding::Answer,
    /// The most tokens of prompt and answer.
    window: u32,
    /// The text with its images, until mistral.rs has them.
    seen: Option<Seen>,
    /// Whether mistral.rs made the tokens, and has not told them yet.
    untold: bool,
    #[cfg(test)]
    pub(crate) fault_after: Option<usize>,
}

impl Answer {
    /// `window` is the most tokens of prompt and answer, `seen` the text with its images that the tokens of the prompt stand for.
    pub(crate) fn new(beginning: Beginning, window: u32, seen: Option<Seen>, tokens: Arc<Tokens>, steps: StepSender) -> Self {
        Self {
            answer: kith_decoding::Answer::new(beginning, tokens, steps),
            window,
            untold: seen.is_some(),
            seen,
            #[cfg(test)]
            fault_after: None,
        }
    }

    /// The text and its images, for mistral.rs; once, if the prompt has images.
    pub(crate) fn take_seen(&mut self) -> Option<Seen> {
        self.seen.take()
    }

    /// Takes note, at the first token, of what mistral.rs has made of a prompt with images: the truth about its length.
    pub(crate) fn understand(&mut self, context: &[u32]) -> Result<(), EngineError> {
        if !std::mem::take(&mut self.untold) || self.answer.context() == context {
            return Ok(());
        }
        self.answer.has_read(context, self.window)
    }

    /// Chooses the next token from the logits and tells the reader. `never` is not chosen (unless it ends answers).
    pub(crate) fn step(&mut self, mut logits: Vec<f32>, never: u32) -> Result<Follows, EngineError> {
        #[cfg(test)]
        assert!(self.fault_after != Some(self.answer.written()), "a fault put in by a test");
        self.answer.step(&mut logits, Some(never))
    }

    /// Tells the reader that it has ended.
    pub(crate) fn finish(self, finish: Finish) {
        self.answer.finish(finish);
    }

    /// Tells the reader that it has failed.
    pub(crate) fn fail(self, error: EngineError) {
        self.answer.fail(error);
    }
}

impl Deref for Answer {
    type Target = kith_decoding::Answer;

    fn deref(&self) -> &Self::Target {
        &self.answer
    }
}

impl DerefMut for Answer {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.answer
    }
}
