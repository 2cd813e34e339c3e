//! From texts to their vectors: find the model, wait for a turn, load it, have the engine embed.

use super::{Inference, engine_error};
use crate::{InferenceError, KeepAlive, ModelCard, engines::Work, gate::Full, residency::Wanted};
use kith_engine::{EmbedInput, EmbedRequest, Embedded};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The most texts of one request, as in OpenAI's contract.
pub const MAX_EMBED_INPUTS: usize = 2048;
/// The most bytes of text in one request; a token counts as four.
pub const MAX_EMBED_BYTES: usize = 8 << 20;

/// Texts to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embed {
    /// The model's name as the client wrote it.
    pub model: String,
    /// The texts: at most 2048 of together 8 MiB. None asks only for the model to be loaded; with a `keep_alive` of zero, to be
    /// unloaded.
    pub inputs: Vec<EmbedInput>,
    /// Whether texts longer than the window are cut; else they are refused.
    pub truncate: bool,
    /// Keep only the first so many numbers of each vector.
    pub dimensions: Option<u32>,
    /// The window to load the model with, in tokens.
    pub context: Option<u32>,
    /// How long the model stays loaded afterwards; `None` is the node's default.
    pub keep_alive: Option<KeepAlive>,
}

/// The vectors of a request's texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The model that embedded, under its full name.
    pub card: Arc<ModelCard>,
    /// One vector for each text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read, of all texts together.
    pub tokens: u64,
    /// Time from the request's arrival to its end, waiting and loading included.
    pub total: Duration,
    /// Time spent loading the model for this request; zero if it was loaded.
    pub load: Duration,
}

impl Inference {
    /// Embeds texts. Dropping the future gives up its place and stops the work at the engine's next pause.
    pub async fn embed(&self, request: Embed) -> Result<Embeddings, InferenceError> {
        let mut tally = self.counters.begin();
        let embedded = self.embedded(request).await;
        match &embedded {
            Ok(done) => {
                tally.finish(u32::try_from(done.tokens).unwrap_or(u32::MAX), 0, done.total);
                self.events.publish(
                    "inference.finished",
                    json!({
                        "model": done.card.name, "prompt_tokens": done.tokens, "completion_tokens": 0,
                        "total_ms": u64::try_from(done.total.as_millis()).unwrap_or(u64::MAX),
                    }),
                );
            }
            Err(_) => tally.fail(),
        }
        embedded
    }

    async fn embedded(&self, request: Embed) -> Result<Embeddings, InferenceError> {
        let arrived = Instant::now();
        check(&request)?;
        let card = self.catalogue.find(&request.model).await?;
        self.residency.must_embed(&card)?;
        self.demand.note(&card.name, self.clock.now());
        let nothing = |card, load| Embeddings { card, vectors: Vec::new(), tokens: 0, total: arrived.elapsed(), load };
        if request.inputs.is_empty() && request.keep_alive == Some(KeepAlive::For(Duration::ZERO)) {
            self.residency.unload(&card.name).await;
            return Ok(nothing(card, Duration::ZERO));
        }
        let (context, keep_alive) = (request.context, request.keep_alive);
        let wanted = Wanted { context, keep_alive, work: Work::Vectors, ..Wanted::plain(Arc::clone(&card)) };
        let gate = self.residency.gate(&card);
        let waiting = gate.queue().map_err(|Full(waiting)| InferenceError::Overloaded {
            model: card.name.clone(),
            waiting,
            retry_after: self.counters.patience(waiting, self.places()),
        })?;
        let (used, load) = self.residency.get(wanted).await?;
        if request.inputs.is_empty() {
            return Ok(nothing(card, load));
        }
        let stopping = self.residency.stopping.clone();
        let _permit = tokio::select! {
            permit = gate.enter(waiting) => permit.ok_or(InferenceError::Stopping)?,
            () = stopping.cancelled() => return Err(InferenceError::Stopping),
        };
        let Embed { inputs, truncate, dimensions, .. } = request;
        let embedded = used.0.model.embed(EmbedRequest { inputs, truncate, dimensions }).await;
        let Embedded { vectors, tokens } = embedded.map_err(|error| engine_error(error, &card.name))?;
        let tokens = tokens.into_iter().map(u64::from).sum();
        Ok(Embeddings { card, vectors, tokens, total: arrived.elapsed(), load })
    }
}

fn check(request: &Embed) -> Result<(), InferenceError> {
    let refused = |field: &str, message: String| Err(InferenceError::Invalid { field: field.to_owned(), message });
    if request.inputs.len() > MAX_EMBED_INPUTS {
        return refused("input", format!("`input` has {} texts; at most {MAX_EMBED_INPUTS} are taken", request.inputs.len()));
    }
    let bytes = request.inputs.iter().map(|input| match input {
        EmbedInput::Text(text) => text.len(),
        EmbedInput::Tokens(tokens) => tokens.len().saturating_mul(4),
    });
    let bytes = bytes.fold(0, usize::saturating_add);
    if bytes > MAX_EMBED_BYTES {
        return refused("input", format!("`input` has {bytes} bytes of text; at most {MAX_EMBED_BYTES} are taken"));
    }
    if request.dimensions == Some(0) {
        return refused("dimensions", "`dimensions` is 0; a vector has at least one number".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
