//! Loading weights: which engine holds them, and which small model guesses for them.

use super::{
    ROOM_PATIENCE, Residency,
    resident::{Held, Resident},
};
use crate::{InferenceError, ModelCard, engines::Work, template::ChatTemplate};
use kith_engine::{Engine, EngineError, Loaded, ModelSpec};
use std::{sync::Arc, time::Duration};

/// Why an engine does not hold a model.
enum Failure {
    /// There is no room for it.
    Room(InferenceError),
    /// The engine says why.
    Engine(EngineError),
}

impl Failure {
    /// Whether it may be for the sake of the draft.
    fn is_of_draft(&self) -> bool {
        matches!(self, Self::Room(_) | Self::Engine(EngineError::UnsuitableDraft(_) | EngineError::OutOfMemory { .. }))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(error) => error.fmt(to),
            Self::Engine(error) => error.fmt(to),
        }
    }
}

impl Residency {
    /// Loads a model with a window of so many tokens, for this work.
    pub(super) async fn load(&self, card: Arc<ModelCard>, context: Option<u32>, work: Work) -> Result<Resident, InferenceError> {
        let bad = |reason: String| InferenceError::BadModel { model: card.name.clone(), reason };
        let bounds = self.bounds();
        let mut spec = card.spec.clone();
        spec.parallel = bounds.parallel.max(1);
        // A request that wants less gets less without a window of its own: the next one may want more.
        spec.context = Some(context.unwrap_or(0).max(bounds.context).clamp(1, card.context_length.max(1)));
        let (source, bos, eos) = (card.template.clone(), card.bos.clone(), card.eos.clone());
        // Parsing tries the template out, which may compute for a while.
        let template = tokio::task::spawn_blocking(move || ChatTemplate::parse(source.as_deref(), bos, eos))
            .await
            .map_err(|error| InferenceError::Failed(error.to_string()))?
            .map_err(|error| bad(format!("its chat template is broken: {error}")))?;
        let draft = match &bounds.draft {
            None => None,
            Some(name) => self.draft(name, &card).await,
        };
        let held = self.held_by_some(&card, &spec, bounds.engine, work, draft.as_deref()).await?;
        let template = match held.model.info().image_mark.clone() {
            None => template,
            Some(mark) => tokio::task::spawn_blocking(move || template.seeing(&mark))
                .await
                .map_err(|error| InferenceError::Failed(error.to_string()))?,
        };
        Ok(Resident::new(card, held, template, Arc::clone(&self.changed), Arc::clone(&self.clock)))
    }

    /// The model `name`, to guess for this one; nothing where it is gone, is this one itself or its base, or is no smaller, so that guesses would
    /// cost more than they save.
    async fn draft(&self, name: &str, card: &ModelCard) -> Option<Arc<ModelCard>> {
        match self.catalogue.find(name).await {
            Ok(draft) => {
                // The version of a model with an adapter folded in names its base's.
                let is_own = card.version.split('+').any(|part| part == draft.version);
                (!is_own && draft.spec.size_bytes < card.spec.size_bytes).then_some(draft)
            }
            Err(error) => {
                tracing::warn!(model = card.name, draft = name, %error, "loaded without the draft model");
                None
            }
        }
    }

    /// Loads the weights with the first engine that does not refuse them. If all do, the reason of the one that was to hold them is told. Where the
    /// engine lets `draft` guess for them it is loaded with them; if it does not suit, or there is no room for both, they are loaded without.
    async fn held_by_some(
        &self,
        card: &ModelCard,
        spec: &ModelSpec,
        preferred: Option<&'static str>,
        work: Work,
        draft: Option<&ModelCard>,
    ) -> Result<Held, InferenceError> {
        let bad = |reason: String| InferenceError::BadModel { model: card.name.clone(), reason };
        let mut refused = None;
        for engine in self.engines.of(spec, preferred, work) {
            let draft = draft.filter(|draft| engine.drafts(spec, &draft.spec));
            let held = |model, draft: Option<&ModelCard>| {
                Ok(Held { model, preferred, embeds: engine.embeds(spec), draft: draft.map(|draft| draft.version.clone()) })
            };
            if let Some(draft) = draft {
                let both = ModelSpec { draft: Some(draft.spec.path.clone()), ..spec.clone() };
                // No answer waits for a draft's sake: where there is no room for both at once, it goes without.
                match self.held_by(engine.as_ref(), card, both, Duration::ZERO).await {
                    Ok(model) => {
                        tracing::info!(model = card.name, draft = draft.name, "loaded with a draft model");
                        return held(model, Some(draft));
                    }
                    Err(failure) if failure.is_of_draft() => {
                        tracing::warn!(model = card.name, draft = draft.name, reason = %failure, "loaded without the draft model");
                    }
                    // What is wrong with the model itself shows again below.
                    Err(_) => {}
                }
            }
            let error = match self.held_by(engine.as_ref(), card, spec.clone(), ROOM_PATIENCE).await {
                Ok(model) => return held(model, None),
                Err(Failure::Room(error)) => return Err(error),
                Err(Failure::Engine(error)) => error,
            };
            match error {
                EngineError::UnsupportedModel(reason) => {
                    tracing::info!(model = card.name, engine = engine.name(), reason, "an engine does not read this model");
                    self.engines.refused(engine.as_ref(), spec);
                    refused.get_or_insert(reason);
                }
                EngineError::OutOfMemory { needed, available } => {
                    return Err(InferenceError::OutOfMemory { model: card.name.clone(), needed, budget: available });
                }
                EngineError::Unsupported(reason) => return Err(bad(reason)),
                other => {
                    tracing::error!(model = card.name, error = %other, "a model could not be loaded");
                    return Err(bad(format!("the {} engine could not read its weights", engine.name())));
                }
            }
        }
        Err(bad(refused.unwrap_or_else(|| format!("no engine here reads models of architecture `{}`", spec.architecture))))
    }

    /// Makes room, for which it waits so long, and has this engine load it.
    async fn held_by(
        &self,
        engine: &dyn Engine,
        card: &ModelCard,
        spec: ModelSpec,
        patience: Duration,
    ) -> Result<Arc<dyn Loaded>, Failure> {
        let estimate = engine.estimate(&spec);
        let needed = estimate.weights.saturating_add(estimate.cache);
        let _one_at_a_time = self.make_room(&card.name, needed, patience).await.map_err(Failure::Room)?;
        engine.load(spec).await.map_err(Failure::Engine)
    }
}

#[cfg(test)]
mod tests;
