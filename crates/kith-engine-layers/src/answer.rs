//! An answer of this engine: one that is being written, and the adapter it is written with.

pub(crate) use kith_decoding::Follows;

use crate::adapter::Weights;
use kith_decoding::{Beginning, StepSender, Tokens};
use kith_engine::{EngineError, Finish};
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// An answer that is being written.
pub(crate) struct Answer {
    answer: kith_decoding::Answer,
    adapter: Option<Arc<Weights>>,
}

impl Answer {
    pub(crate) fn new(beginning: Beginning, adapter: Option<Arc<Weights>>, tokens: Arc<Tokens>, steps: StepSender) -> Self {
        Self { answer: kith_decoding::Answer::new(beginning, tokens, steps), adapter }
    }

    /// What the model answers with.
    pub(crate) fn adapter(&self) -> Option<&Arc<Weights>> {
        self.adapter.as_ref()
    }

    /// Chooses the next token from the logits, which it changes, and tells the reader.
    pub(crate) fn step(&mut self, logits: &mut [f32]) -> Result<Follows, EngineError> {
        self.answer.step(logits, None)
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
