//! Which engine holds which model: those that read it, in the order of preference, the next one where one refuses its weights.

use crate::ModelCard;
use kith_engine::{Engine, EngineError, Loaded, ModelSpec};
use std::sync::Arc;

/// The engines of a node, the preferred one first.
pub(crate) struct Engines(Vec<Arc<dyn Engine>>);

impl Engines {
    pub fn new(engines: Vec<Arc<dyn Engine>>) -> Self {
        Self(engines)
    }

    /// Those that read such a model: first the one of this name, if it is among them, then the others in their order.
    fn of<'a, 's>(
        &'a self,
        spec: &'s ModelSpec,
        preferred: Option<&'static str>,
    ) -> impl Iterator<Item = &'a Arc<dyn Engine>> + use<'a, 's> {
        let named = move |engine: &&Arc<dyn Engine>| preferred == Some(engine.name());
        let reading = move || self.0.iter().filter(|engine| engine.supports(spec));
        reading().filter(named).chain(reading().filter(move |engine| !named(engine)))
    }

    /// The one that is tried first.
    pub fn first(&self, card: &ModelCard, preferred: Option<&'static str>) -> Option<&Arc<dyn Engine>> {
        self.of(&card.spec, preferred).next()
    }

    /// The most memory, weights and cache, that a model takes with any engine that may come to hold it, in bytes; `None` if none reads it.
    pub fn estimate(&self, spec: &ModelSpec, preferred: Option<&'static str>) -> Option<u64> {
        let memory = self.of(spec, preferred).map(|engine| engine.estimate(spec));
        memory.map(|memory| memory.weights.saturating_add(memory.cache)).next()
    }

    /// Loads it with the first engine that does not refuse the weights. If all do, the first one's reason is told, with its name: it was to
    /// hold the model.
    pub async fn load(
        &self,
        spec: &ModelSpec,
        preferred: Option<&'static str>,
    ) -> Result<Arc<dyn Loaded>, (&'static str, EngineError)> {
        let mut refused = None;
        for engine in self.of(spec, preferred) {
            match engine.load(spec.clone()).await {
                Err(EngineError::UnsupportedModel(reason)) => {
                    tracing::info!(model = spec.name, engine = engine.name(), reason, "an engine does not read this model");
                    refused = Some((engine.name(), EngineError::UnsupportedModel(reason)));
                }
                outcome => return outcome.map_err(|error| (engine.name(), error)),
            }
        }
        let nobody = || {
            let reason = format!("no engine here reads models of architecture `{}`", spec.architecture);
            ("", EngineError::UnsupportedModel(reason))
        };
        Err(refused.unwrap_or_else(nobody))
    }
}
