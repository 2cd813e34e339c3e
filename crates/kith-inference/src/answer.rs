//! From a request to its answer: find the model, wait for a turn, load it, lay out the prompt, run the engine, shape what it says.

mod adapted;
mod elsewhere;
mod embed;
mod lay_out;
#[cfg(test)]
pub(crate) mod made;

use adapted::Seat;
pub use embed::{Embed, Embeddings, MAX_EMBED_BYTES, MAX_EMBED_INPUTS};
use lay_out::{first_image, lay_out};

use crate::{
    Catalogue, Done, FinishReason, Format, Generate, InferenceError, KeepAlive, LoadedModel, ModelCard, Piece, Providers,
    TokenLogprob, ToolChoice, constraint,
    demand::Demand,
    gate::Place,
    options::{self, Effective},
    residency::{Bounds, Residency, Use, Wanted},
    shape::Shaper,
    stats::{Counters, Stats, Tally},
    tools::{self, ToolParser},
};
use futures::{Stream, StreamExt};
use kith_engine::{
    Constraint, Engine, EngineError, Finish, GenerateRequest, Generated, Step, Timings, Token, TokenStream, TopToken, Usage,
};
use kith_events::Events;
use kith_types::Clock;
use serde_json::json;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most pieces an answer may be ahead of its reader: more than an ordinary window has tokens.
const AHEAD: usize = 16 * 1024;
/// The pieces of one answer. Dropping them stops the work within one token.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, InferenceError>> + Send>>;

/// Fills its argument with random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// An answer on its way.
pub struct Answer {
    /// The model that answers, under its full name.
    pub card: Arc<ModelCard>,
    /// Tokens of the prompt; 0 where a provider counts them, which tells at the end.
    pub prompt: u32,
    /// Its pieces.
    pub pieces: Pieces,
}

/// A model that was asked into memory.
pub struct Loading {
    /// The model.
    pub card: Arc<ModelCard>,
    /// How long loading took; zero if it was there.
    pub load: Duration,
}

/// The parts an [`Inference`] is made of.
pub struct InferenceParts {
    /// Engines, the preferred one first.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Where models are found.
    pub catalogue: Arc<dyn Catalogue>,
    /// Limits.
    pub bounds: Bounds,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The event bus.
    pub events: Events,
    /// Fills buffers with random bytes, for seeds and the ids of tool calls.
    pub random: Random,
    /// Who answers for models named `provider/model`; `None` keeps every prompt on this machine.
    pub providers: Option<Arc<Providers>>,
}

/// Answers prompts on this node.
pub struct Inference {
    catalogue: Arc<dyn Catalogue>,
    residency: Arc<Residency>,
    /// The model asked last.
    last: Mutex<Option<String>>,
    counters: Arc<Counters>,
    demand: Demand,
    clock: Arc<dyn Clock>,
    events: Events,
    random: Random,
    providers: Option<Arc<Providers>>,
}

impl Inference {
    /// Starts with no model in memory. Must be called inside a Tokio runtime: it watches for idle models.
    pub fn new(parts: InferenceParts) -> Arc<Self> {
        let (catalogue, clock) = (Arc::clone(&parts.catalogue), Arc::clone(&parts.clock));
        let residency = Residency::new(parts.engines, catalogue, parts.bounds, clock, parts.events.clone());
        tokio::spawn(Arc::clone(&residency).watch());
        Arc::new(Self {
            catalogue: parts.catalogue,
            residency,
            last: Mutex::default(),
            counters: Arc::default(),
            demand: Demand::default(),
            clock: parts.clock,
            events: parts.events,
            random: parts.random,
            providers: parts.providers,
        })
    }

    /// Loads a model without asking it anything.
    pub async fn load(
        &self,
        model: &str,
        context: Option<u32>,
        keep_alive: Option<KeepAlive>,
    ) -> Result<Loading, InferenceError> {
        let mut chosen = self.at_home(model).await?;
        let (_used, load) = self.held(&mut chosen, context, keep_alive).await?;
        Ok(Loading { card: chosen.card, load })
    }

    /// Unloads a model now; its running answers end with [`InferenceError::Unloaded`]. Says which one, and whether it was loaded. A model
    /// with an adapter that is applied while it answers is let go of by that name: it stays in memory, and answers on, as long as it is kept under
    /// another.
    pub async fn unload(&self, model: &str) -> Result<(Arc<ModelCard>, bool), InferenceError> {
        let chosen = self.at_home(model).await?;
        let was = match &chosen.adapter {
            None => self.residency.unload(&chosen.held.name).await,
            Some(_) => self.residency.let_go(&chosen.held.name, &chosen.card.name).await,
        };
        Ok((chosen.card, was))
    }

    /// Unloads the model of this name although the library no longer has it, also one that is only being loaded.
    pub async fn forget(&self, name: &str) {
        self.residency.unload(name).await;
    }

    /// Unloads every loaded model with these weights.
    pub async fn release(&self, version: &str) {
        self.residency.unload_version(version).await;
    }

    /// Whether some engine here reads the model of this name.
    pub async fn supports(&self, model: &str) -> Result<bool, InferenceError> {
        Ok(self.residency.supports(&self.choose(model, None).await?.held))
    }

    /// Whether the library has a model of this name, for [`Bounds::draft`]: [`InferenceError::ModelNotFound`] where it has none, and
    /// [`InferenceError::Invalid`] where the name is one of a model with an adapter.
    pub async fn must_have(&self, model: &str) -> Result<(), InferenceError> {
        if model.contains('+') {
            let message = format!("`{model}` names an adapter; a model by itself is wanted here");
            return Err(InferenceError::Invalid { field: "model".into(), message });
        }
        self.catalogue.find(model).await.map(|_| ())
    }

    /// What is in memory, by name.
    pub fn loaded(&self) -> Vec<LoadedModel> {
        self.residency.loaded()
    }

    /// Whether prompts are taken and no engine in memory has died.
    pub fn is_healthy(&self) -> bool {
        !self.residency.stopping.is_cancelled() && self.residency.all_alive()
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        let waiting = self.residency.waiting();
        let mut stats = self.counters.read(waiting);
        // Prompts are counted from their arrival; those that wait for a place are not being answered.
        stats.running = stats.running.saturating_sub(waiting as u64);
        stats
    }

    /// How often this node was asked for each of its models in the last hour, by their full names; without those that nobody asked
    /// for.
    pub fn demand(&self) -> BTreeMap<String, u64> {
        self.demand.lately(self.clock.now())
    }

    /// The limits in force.
    pub fn bounds(&self) -> Bounds {
        self.residency.bounds()
    }

    /// Changes the limits while answers run: those go on, and fewer places hold from the next turn on.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.residency.set_bounds(bounds);
    }

    /// Lets each model write at most this many answers at once for now, however many its bounds allow; `None` lifts that. Running
    /// answers go on.
    pub fn throttle(&self, answers: Option<u32>) {
        self.residency.throttle(answers);
    }

    /// Lets models work on so many of the processor's cores for now, where their engine can change that; `None` lifts it.
    pub fn use_cores(&self, cores: Option<usize>) {
        self.residency.use_cores(cores);
    }

    /// Answers each model may write at once now.
    pub fn places(&self) -> u32 {
        self.residency.places()
    }

    /// The full name of the model that was asked last since the node started.
    pub fn last_asked(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses new prompts, ends running ones, frees all memory.
    pub async fn stop(&self) {
        self.residency.stop().await;
    }

    /// The model of this name, without loading it.
    pub async fn find(&self, model: &str) -> Result<Arc<ModelCard>, InferenceError> {
        match self.elsewhere(model).await? {
            Some(_) => Ok(Arc::new(ModelCard::elsewhere(model))),
            None => Ok(self.choose(model, None).await?.card),
        }
    }

    /// How many tokens the prompt of this request has. Loads the model, which alone knows its tokens.
    pub async fn count(&self, request: &Generate) -> Result<u32, InferenceError> {
        let chosen = self.at_home(&request.model).await?;
        let (called, card) = (chosen.card.name.clone(), chosen.held);
        self.residency.must_generate(&card)?;
        if let Some(field) = first_image(&request.prompt) {
            self.residency.must_see(&card, &field)?;
        }
        tools::validate(&request.tools, &request.tool_choice)?;
        let (context, keep_alive) = (request.options.context, request.keep_alive);
        let (used, _load) =
            self.residency.get(Wanted { called, context, keep_alive, ..Wanted::plain(Arc::clone(&card)) }).await?;
        Ok(lay_out(request, &used, &card, &*self.clock).await?.tokens)
    }

    /// Begins an answer. What is wrong with the request is told here, before the first piece.
    pub async fn generate(&self, request: Generate) -> Result<Answer, InferenceError> {
        if let Some(route) = self.elsewhere(&request.model).await? {
            return self.generate_elsewhere(route, &request).await;
        }
        let mut tally = self.counters.begin();
        let begun = self.begin(request).await;
        match begun {
            Ok(begun) => {
                let card = Arc::clone(&begun.card);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(card.name.clone());
                self.events.publish("inference.started", json!({"model": card.name}));
                Ok(Answer { card, prompt: begun.prompt, pieces: pump(run(begun, tally, self.events.clone())) })
            }
            Err(error) => {
                tally.fail();
                Err(error)
            }
        }
    }

    async fn begin(&self, request: Generate) -> Result<Begun, InferenceError> {
        let arrived = Instant::now();
        let mut chosen = self.choose(&request.model, request.lora_adapter.as_deref()).await?;
        let card = Arc::clone(&chosen.card);
        self.residency.must_generate(&chosen.held)?;
        self.demand.note(&card.name, self.clock.now());
        let mut effective = options::effective(&request.options, &card.parameters)?;
        if let Some(field) = first_image(&request.prompt) {
            self.residency.must_see(&chosen.held, &field)?;
        }
        tools::validate(&request.tools, &request.tool_choice)?;
        let forced = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        if forced && request.format != Format::Text {
            return Err(InferenceError::Invalid {
                field: "tool_choice".into(),
                message: "an answer cannot be both a tool call and of a given format".into(),
            });
        }
        let Seat { gate, waiting, used, load } = self.seat(&mut chosen, effective.context, request.keep_alive).await?;
        let laid = lay_out(&request, &used, &card, &*self.clock).await?;
        let window = used.0.model.info().context.min(effective.context.unwrap_or(u32::MAX));
        if laid.tokens >= window {
            return Err(InferenceError::ContextExceeded {
                model: card.name.clone(),
                prompt: laid.tokens,
                answer: request.options.max_tokens,
                window,
            });
        }
        // The room left is the most an answer can have; its end says `length`, so nothing is cut silently.
        effective.max_tokens = Some(effective.max_tokens.unwrap_or(u32::MAX).min(window - laid.tokens));
        if effective.sampling.seed.is_none() {
            let mut seed = [0; 8];
            (self.random)(&mut seed);
            effective.sampling.seed = Some(u64::from_le_bytes(seed));
        }
        let stopping = self.residency.stopping.clone();
        let permit = tokio::select! {
            permit = gate.enter(waiting) => permit.ok_or(InferenceError::Stopping)?,
            () = stopping.cancelled() => return Err(InferenceError::Stopping),
        };
        let parser = (!request.tools.is_empty() && request.tool_choice != ToolChoice::None).then(|| {
            let random = Arc::clone(&self.random);
            ToolParser::new(&request.tools, &request.tool_choice, Box::new(move |bytes: &mut [u8]| random(bytes)))
        });
        // An answer of a given form has no room for reasoning: all of it is the answer.
        let constraint = constraint::of(&request)?;
        let reasoning = laid.reasoning.filter(|_| constraint == Constraint::None);
        let shaper = Shaper::new(effective.stop.clone(), reasoning, parser, request.parallel_tool_calls);
        let engine_request = GenerateRequest {
            input: laid.input,
            sampling: effective.sampling.clone(),
            max_tokens: effective.max_tokens,
            logprobs: effective.logprobs,
            constraint,
            ignore_eos: false,
            adapter: chosen.adapter,
        };
        let started = Instant::now();
        let stream = used.0.model.generate(engine_request).await.map_err(|error| lay_out::told(error, &request, &card))?;
        Ok(Begun {
            card: chosen.card,
            used,
            permit,
            stream,
            shaper,
            effective,
            prompt: laid.tokens,
            context: laid.context,
            arrived,
            started,
            load,
        })
    }
}

/// Everything a running answer holds on to.
struct Begun {
    /// The model as it is called.
    card: Arc<ModelCard>,
    used: Use,
    permit: Place,
    stream: TokenStream,
    shaper: Shaper,
    effective: Effective,
    prompt: u32,
    context: Option<Vec<u32>>,
    arrived: Instant,
    started: Instant,
    load: Duration,
}

/// Lets the answer run ahead of a client that reads slowly, so that it does not hold its place in the queue. Dropping what is
/// returned ends the work at once.
fn pump(answer: impl Stream<Item = Result<Piece, InferenceError>> + Send + 'static) -> Pieces {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(AHEAD);
    tokio::spawn(async move {
        tokio::pin!(answer);
        loop {
            let piece = tokio::select! {
                biased;
                () = sender.closed() => return,
                piece = answer.next() => piece,
            };
            let Some(piece) = piece else { return };
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Box::pin(futures::stream::poll_fn(move |context| receiver.poll_recv(context)))
}

fn run(begun: Begun, mut tally: Tally, events: Events) -> impl Stream<Item = Result<Piece, InferenceError>> + Send {
    async_stream::stream! {
        let Begun { card, used, permit, mut stream, mut shaper, effective, prompt, mut context, arrived, started, load } = begun;
        let name = card.name.clone();
        let mut written = 0u32;
        let mut first: Option<Instant> = None;
        let end = loop {
            match stream.next().await {
                Some(Ok(Step::Token(token))) => {
                    written += 1;
                    if first.is_none() {
                        first = Some(Instant::now());
                        tally.first_token(arrived.elapsed());
                    }
                    if let Some(context) = &mut context {
                        context.push(token.id);
                    }
                    let shaped = shaper.push(&token.text, effective.logprobs.is_some().then(|| logprob(&token)).flatten());
                    for piece in shaped.pieces {
                        yield Ok(piece);
                    }
                    if let Some(stop) = shaped.stop {
                        break Ok((FinishReason::StopSequence(stop), None));
                    }
                }
                Some(Ok(Step::Done(generated))) => {
                    let shaped = shaper.finish();
                    for piece in shaped.pieces {
                        yield Ok(piece);
                    }
                    let reason = match (shaped.stop, generated.finish) {
                        (Some(stop), _) => FinishReason::StopSequence(stop),
                        (None, Finish::Length) => FinishReason::Length,
                        (None, Finish::Stop) => FinishReason::Stop,
                    };
                    break Ok((reason, Some(generated)));
                }
                Some(Err(error)) => break Err(engine_error(error, &name)),
                None => break Err(engine_error(EngineError::Failed("the stream ended without an end".into()), &name)),
            }
        };
        // The engine is let go before the client hears of the end, so that a next request finds the place free.
        drop(stream);
        drop(permit);
        drop(used);
        match end {
            Err(error) => {
                tally.fail();
                events.publish("inference.failed", json!({"model": name, "error": error.to_string()}));
                yield Err(error);
            }
            Ok((reason, generated)) => {
                let (usage, timings) = match generated {
                    Some(Generated { usage, timings, .. }) => (usage, timings),
                    None => {
                        let now = Instant::now();
                        let first = first.unwrap_or(now);
                        (Usage { prompt, cached: 0, completion: written }, Timings { prefill: first - started, decode: now - first })
                    }
                };
                let reason = if shaper.called() { FinishReason::ToolCalls } else { reason };
                let total = arrived.elapsed();
                tally.finish(usage.prompt, usage.completion, total);
                events.publish("inference.finished", json!({
                    "model": name, "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
                    "total_ms": u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
                    "decode_ms": u64::try_from(timings.decode.as_millis()).unwrap_or(u64::MAX),
                }));
                yield Ok(Piece::Done(Done { reason, usage, timings, total, load, context: context.unwrap_or_default() }));
            }
        }
    }
}

fn logprob(token: &Token) -> Option<TokenLogprob> {
    let plain = |top: &TopToken| TokenLogprob {
        token: String::from_utf8_lossy(&top.bytes).into_owned(),
        bytes: top.bytes.clone(),
        logprob: top.logprob,
        top: Vec::new(),
    };
    token.logprob.as_ref().map(|own| TokenLogprob { top: token.top.iter().map(plain).collect(), ..plain(own) })
}

fn engine_error(error: EngineError, model: &str) -> InferenceError {
    match error {
        EngineError::Invalid { field, message } => InferenceError::Invalid { field: field.to_owned(), message },
        EngineError::ContextExceeded { prompt, window } => {
            InferenceError::ContextExceeded { model: model.to_owned(), prompt, answer: None, window }
        }
        EngineError::Unsupported(reason) | EngineError::UnsupportedModel(reason) | EngineError::UnsuitableDraft(reason) => {
            InferenceError::UnsupportedByModel(reason)
        }
        EngineError::OutOfMemory { needed, available } => {
            InferenceError::OutOfMemory { model: model.to_owned(), needed, budget: available }
        }
        EngineError::Unloaded => InferenceError::Unloaded(model.to_owned()),
        EngineError::Failed(reason) => {
            tracing::error!(model, reason, "the engine failed");
            InferenceError::Failed(reason)
        }
    }
}
