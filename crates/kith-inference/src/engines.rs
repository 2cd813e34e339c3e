//! Which engine holds which model: those that read it, in the order of preference, those that refused its weights last.

use crate::ModelCard;
use kith_engine::{Engine, ModelSpec};
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Refusals that are remembered; the oldest is forgotten for a new one.
const REMEMBERED: usize = 256;

/// What a model is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Whatever the engine that reads it runs it for: answers, with most.
    Answers,
    /// Vectors of texts.
    Vectors,
}

impl Work {
    /// Whether such a model does it as this engine runs it.
    pub fn is_done_by(self, engine: &dyn Engine, spec: &ModelSpec) -> bool {
        self == Self::Answers || engine.embeds(spec)
    }
}

/// The engines of a node, the preferred one first.
pub(crate) struct Engines {
    all: Vec<Arc<dyn Engine>>,
    refusals: Mutex<VecDeque<Refusal>>,
}

/// An engine that does not read some weights, though it reads others of that kind.
#[derive(PartialEq, Eq)]
struct Refusal {
    engine: &'static str,
    path: PathBuf,
    size: u64,
}

impl Refusal {
    fn new(engine: &dyn Engine, spec: &ModelSpec) -> Self {
        Self { engine: engine.name(), path: spec.path.clone(), size: spec.size_bytes }
    }
}

impl Engines {
    pub fn new(all: Vec<Arc<dyn Engine>>) -> Self {
        Self { all, refusals: Mutex::default() }
    }

    /// Those that read such a model, in the order in which they are tried: first those whose models do this work, of them the one of this name, then
    /// the others in their order; behind all those that refused these weights before.
    pub fn of(&self, spec: &ModelSpec, preferred: Option<&'static str>, work: Work) -> Vec<Arc<dyn Engine>> {
        let refusals = self.refusals();
        let mut reading: Vec<_> = self.all.iter().filter(|engine| engine.supports(spec)).map(Arc::clone).collect();
        reading.sort_by_key(|engine| {
            let refused = refusals.contains(&Refusal::new(engine.as_ref(), spec));
            (refused, !work.is_done_by(engine.as_ref(), spec), preferred != Some(engine.name()))
        });
        reading
    }

    /// The one that is tried first to answer with a model.
    pub fn first(&self, card: &ModelCard, preferred: Option<&'static str>) -> Option<Arc<dyn Engine>> {
        self.of(&card.spec, preferred, Work::Answers).into_iter().next()
    }

    /// As [`Engine::use_cores`], of all engines.
    pub fn use_cores(&self, cores: Option<usize>) {
        self.all.iter().for_each(|engine| engine.use_cores(cores));
    }

    /// Remembers that an engine refused these weights.
    pub fn refused(&self, engine: &dyn Engine, spec: &ModelSpec) {
        let (mut refusals, refusal) = (self.refusals(), Refusal::new(engine, spec));
        if !refusals.contains(&refusal) {
            refusals.truncate(REMEMBERED - 1);
            refusals.push_front(refusal);
        }
    }

    fn refusals(&self) -> MutexGuard<'_, VecDeque<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
