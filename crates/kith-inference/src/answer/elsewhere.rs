//! Prompts whose model's name names a provider: the same call, answered elsewhere.

use super::{Answer, Inference, adapted::Chosen};
use crate::{
    Done, Generate, InferenceError, ModelCard, Piece, Providers,
    providers::{Row, Step, route},
};
use futures::StreamExt;
use kith_engine::Timings;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Where a name leads.
pub(super) struct Route {
    providers: Arc<Providers>,
    row: &'static Row,
    model: String,
}

impl Inference {
    /// Where `provider/model` leads, unless the library has a model of that very name. Any other name stays at home.
    pub(super) async fn elsewhere(&self, name: &str) -> Result<Option<Route>, InferenceError> {
        let (Some(providers), Some((row, model))) = (&self.providers, route(name)) else { return Ok(None) };
        match self.catalogue.find(name).await {
            Ok(_) => Ok(None),
            // Providers' names may be none of ours.
            Err(InferenceError::ModelNotFound { .. } | InferenceError::Invalid { .. }) => {
                Ok(Some(Route { providers: Arc::clone(providers), row, model: model.to_owned() }))
            }
            Err(error) => Err(error),
        }
    }

    /// The library's model of this name, to be loaded or unloaded.
    pub(super) async fn at_home(&self, name: &str) -> Result<Chosen, InferenceError> {
        match self.elsewhere(name).await? {
            Some(route) => {
                let why = format!("`{name}` answers at {}: there is nothing to load or to unload here", route.row.title);
                Err(InferenceError::UnsupportedByModel(why))
            }
            None => self.choose(name, None).await,
        }
    }

    /// Begins an answer of a provider. Its tokens are counted with those of this node's own models.
    pub(super) async fn generate_elsewhere(&self, route: Route, request: &Generate) -> Result<Answer, InferenceError> {
        let mut tally = self.counters.begin();
        let arrived = Instant::now();
        let Route { providers, row, model } = route;
        let stopping = self.residency.stopping.clone();
        let begun = tokio::select! {
            begun = providers.begin(row, &model, request) => begun,
            () = stopping.cancelled() => Err(InferenceError::Stopping),
        };
        let mut steps = match begun {
            Ok(steps) => steps,
            Err(error) => {
                tally.fail();
                return Err(error);
            }
        };
        let name = request.model.clone();
        let events = self.events.clone();
        let card = Arc::new(ModelCard::elsewhere(&name));
        let pieces = async_stream::stream! {
            let mut first: Option<Instant> = None;
            let error = loop {
                let step = tokio::select! {
                    biased;
                    () = stopping.cancelled() => break InferenceError::Stopping,
                    step = steps.next() => step,
                };
                match step {
                    Some(Ok(Step::Piece(piece))) => {
                        first.get_or_insert_with(Instant::now);
                        yield Ok(piece);
                    }
                    Some(Ok(Step::End(ending))) => {
                        drop(steps);
                        let now = Instant::now();
                        let first = first.unwrap_or(now);
                        let total = arrived.elapsed();
                        let usage = ending.usage;
                        tally.finish(usage.prompt, usage.completion, total);
                        events.publish("inference.finished", json!({
                            "model": name, "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
                            "total_ms": u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
                        }));
                        yield Ok(Piece::Done(Done {
                            reason: ending.reason,
                            usage,
                            // As seen from here: the way to the provider and back is part of the wait for the first word.
                            timings: Timings { prefill: first - arrived, decode: now - first },
                            total,
                            load: Duration::ZERO,
                            context: Vec::new(),
                        }));
                        return;
                    }
                    Some(Err(error)) => break error,
                    // The steps end with an end or an error; this is neither.
                    None => break InferenceError::Failed("a provider's answer ended without an end".to_owned()),
                }
            };
            tally.fail();
            events.publish("inference.failed", json!({"model": name, "error": error.to_string()}));
            yield Err(error);
        };
        Ok(Answer { card, prompt: 0, pieces: Box::pin(pieces) })
    }
}
