//! An engine that says what it was told to, for tests of everything that is not inference.
//!
//! Its tokens are words: text is split before each space, and a token's id is its place in a vocabulary that grows as it is used.
//! The file it "loads" need not exist.
//!
//! Models of the architecture `bert` embed texts and write no answers; all others do the opposite. Those of the architecture `idefics3`
//! see: the script reads `[png of 120 bytes]` where an image stands. Told to ([`ScriptedEngine::with_adapters`]), they take adapters: the script
//! reads `[2 matrices of mine] ` before the prompt.

mod embed;
mod sight;

use crate::{
    EmbedRequest, Embedded, Engine, EngineError, Finish, GenerateRequest, Generated, Input, Loaded, LoadedInfo, Memory,
    ModelSpec, Step, Timings, Token, TokenStream, TopToken, Usage,
};
use async_trait::async_trait;
use futures::StreamExt;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Answers a prompt: gets the rendered text, gives the answer's text or an error.
pub type Script = dyn Fn(&str) -> Result<String, EngineError> + Send + Sync;

/// The scripted engine. Clones share their counters.
#[derive(Clone)]
pub struct ScriptedEngine {
    script: Arc<Script>,
    pace: Duration,
    load_time: Duration,
    context: u32,
    extra_memory: u64,
    adapts: bool,
    counters: Arc<Counters>,
}

/// What the engine has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Models loaded.
    pub loads: AtomicU64,
    /// Models unloaded.
    pub unloads: AtomicU64,
    /// Tokens given out.
    pub tokens: AtomicU64,
    /// Answers running now.
    pub running: AtomicU64,
    /// The cores that models were last given, the largest number for all; 0 as long as nothing was said.
    pub cores: AtomicU64,
}

impl ScriptedEngine {
    /// An engine that answers by `script`, with a window of 2048 tokens and no delays.
    pub fn new(script: impl Fn(&str) -> Result<String, EngineError> + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            pace: Duration::ZERO,
            load_time: Duration::ZERO,
            context: 2048,
            extra_memory: 0,
            adapts: false,
            counters: Arc::default(),
        }
    }

    /// An engine that always says `answer`.
    pub fn saying(answer: &str) -> Self {
        let answer = answer.to_owned();
        Self::new(move |_| Ok(answer.clone()))
    }

    /// The same, pausing before each token.
    pub fn with_pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// The same, taking this long to load.
    pub fn with_load_time(mut self, load_time: Duration) -> Self {
        self.load_time = load_time;
        self
    }

    /// The same, with a window of this many tokens.
    pub fn with_context(mut self, context: u32) -> Self {
        self.context = context;
        self
    }

    /// The same, whose models hold this many bytes more than their files.
    pub fn with_extra_memory(mut self, bytes: u64) -> Self {
        self.extra_memory = bytes;
        self
    }

    /// The same, whose models take an adapter with each request.
    pub fn with_adapters(mut self) -> Self {
        self.adapts = true;
        self
    }

    fn memory_of(&self, spec: &ModelSpec) -> Memory {
        Memory { weights: spec.size_bytes.saturating_add(self.extra_memory), ..Memory::default() }
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[async_trait]
impl Engine for ScriptedEngine {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn supports(&self, _spec: &ModelSpec) -> bool {
        true
    }

    fn generates(&self, spec: &ModelSpec) -> bool {
        spec.architecture != embed::ENCODER
    }

    fn embeds(&self, spec: &ModelSpec) -> bool {
        spec.architecture == embed::ENCODER
    }

    fn sees(&self, spec: &ModelSpec) -> bool {
        spec.architecture == sight::SEEING
    }

    fn adapts(&self, _spec: &ModelSpec) -> bool {
        self.adapts
    }

    fn use_cores(&self, cores: Option<usize>) {
        self.counters.cores.store(cores.map_or(u64::MAX, |cores| cores as u64), Ordering::Relaxed);
    }

    fn estimate(&self, spec: &ModelSpec) -> Memory {
        self.memory_of(spec)
    }

    async fn load(&self, spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        tokio::time::sleep(self.load_time).await;
        self.counters.loads.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(ScriptedModel {
            info: LoadedInfo {
                engine: "scripted",
                context: spec.context.unwrap_or(self.context).min(self.context),
                parallel: spec.parallel.max(1),
                vocabulary: 0,
                image_mark: self.sees(&spec).then(sight::mark),
            },
            memory: self.memory_of(&spec),
            encoder: self.embeds(&spec),
            engine: self.clone(),
            vocabulary: Mutex::default(),
            gone: AtomicBool::new(false),
            cancel: CancellationToken::new(),
        }))
    }
}

#[derive(Default)]
struct Vocabulary {
    ids: HashMap<String, u32>,
    words: Vec<String>,
}

struct ScriptedModel {
    engine: ScriptedEngine,
    info: LoadedInfo,
    memory: Memory,
    encoder: bool,
    vocabulary: Mutex<Vocabulary>,
    gone: AtomicBool,
    cancel: CancellationToken,
}

impl ScriptedModel {
    fn vocabulary(&self) -> MutexGuard<'_, Vocabulary> {
        self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self, text: &str) -> Vec<u32> {
        let mut vocabulary = self.vocabulary();
        words(text)
            .map(|word| {
                if let Some(id) = vocabulary.ids.get(word) {
                    return *id;
                }
                let id = u32::try_from(vocabulary.words.len()).unwrap_or(u32::MAX);
                vocabulary.words.push(word.to_owned());
                vocabulary.ids.insert(word.to_owned(), id);
                id
            })
            .collect()
    }

    fn text(&self, tokens: &[u32]) -> String {
        let vocabulary = self.vocabulary();
        tokens.iter().filter_map(|id| vocabulary.words.get(*id as usize)).map(String::as_str).collect()
    }
}

/// Splits before each space, so that the pieces joined are the text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest[first.len_utf8()..].find(' ').map_or(rest.len(), |at| at + first.len_utf8());
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

struct Running(Arc<Counters>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Loaded for ScriptedModel {
    fn info(&self) -> &LoadedInfo {
        &self.info
    }

    fn memory(&self) -> Memory {
        self.memory
    }

    fn adapts(&self) -> bool {
        self.engine.adapts
    }

    async fn tokenize(&self, text: &str, _add_special: bool) -> Result<Vec<u32>, EngineError> {
        Ok(self.ids(text))
    }

    async fn count(&self, input: &Input) -> Result<u32, EngineError> {
        let tokens = match input {
            Input::Text { text, images, .. } => self.ids(&sight::read(self.info.image_mark.as_ref(), text, images)?).len(),
            Input::Tokens(tokens) => tokens.len(),
        };
        Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
    }

    async fn detokenize(&self, tokens: &[u32]) -> Result<String, EngineError> {
        Ok(self.text(tokens))
    }

    async fn generate(&self, request: GenerateRequest) -> Result<TokenStream, EngineError> {
        if self.gone.load(Ordering::Acquire) {
            return Err(EngineError::Unloaded);
        }
        if self.encoder {
            return Err(EngineError::Unsupported("the model embeds texts and writes no answers".into()));
        }
        let (text, prompt) = match &request.input {
            Input::Text { text, images, .. } => {
                let text = sight::read(self.info.image_mark.as_ref(), text, images)?;
                let length = self.ids(&text).len();
                (text, length)
            }
            Input::Tokens(tokens) => (self.text(tokens), tokens.len()),
        };
        if !self.engine.adapts {
            request.without_adapter()?;
        }
        let text = match &request.adapter {
            None => text,
            Some(adapter) => {
                let matrices = adapter.source.read()?.collect::<Result<Vec<_>, _>>()?.len();
                format!("[{matrices} matrices of {}] {text}", adapter.id)
            }
        };
        let prompt = u32::try_from(prompt).unwrap_or(u32::MAX);
        if prompt >= self.info.context {
            return Err(EngineError::ContextExceeded { prompt, window: self.info.context });
        }
        let answer = (self.engine.script)(&text)?;
        let ids = self.ids(&answer);
        let pieces: Vec<(u32, String)> = ids.into_iter().zip(words(&answer).map(str::to_owned)).collect();
        let room = (self.info.context - prompt).min(request.max_tokens.unwrap_or(u32::MAX)) as usize;
        let finish = if pieces.len() > room { Finish::Length } else { Finish::Stop };
        let logprobs = request.logprobs;
        let (pace, counters, cancel) = (self.engine.pace, Arc::clone(&self.engine.counters), self.cancel.clone());
        counters.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&counters));
        let start = Instant::now();
        let total = pieces.len().min(room);
        let tokens = futures::stream::iter(pieces.into_iter().take(room)).then(move |(id, text)| {
            let (counters, cancel) = (Arc::clone(&counters), cancel.clone());
            async move {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(EngineError::Unloaded),
                    () = tokio::time::sleep(pace) => {}
                }
                counters.tokens.fetch_add(1, Ordering::Relaxed);
                let own = TopToken { id, logprob: 0.0, bytes: text.clone().into_bytes() };
                let top = if logprobs.is_some_and(|n| n > 0) { vec![own.clone()] } else { Vec::new() };
                Ok(Step::Token(Token { id, logprob: logprobs.map(|_| own), top, text }))
            }
        });
        let done = futures::stream::once(async move {
            drop(running);
            Ok(Step::Done(Generated {
                finish,
                usage: Usage { prompt, cached: 0, completion: u32::try_from(total).unwrap_or(u32::MAX) },
                timings: Timings { prefill: Duration::ZERO, decode: start.elapsed() },
            }))
        });
        Ok(Box::pin(tokens.chain(done)))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, EngineError> {
        embed::embed(self, request).await
    }

    async fn unload(&self) {
        if !self.gone.swap(true, Ordering::AcqRel) {
            self.cancel.cancel();
            self.engine.counters.unloads.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constraint, Sampling};

    fn spec() -> ModelSpec {
        ModelSpec { parallel: 4, ..ModelSpec::gguf("test:latest", "nowhere", "llama", 7) }
    }

    fn asking(text: &str) -> GenerateRequest {
        GenerateRequest {
            input: Input::Text { text: text.into(), add_special: false, images: Vec::new() },
            sampling: Sampling::default(),
            max_tokens: None,
            logprobs: None,
            constraint: Constraint::None,
            ignore_eos: false,
            adapter: None,
        }
    }

    #[tokio::test]
    async fn the_answer_is_the_script_word_by_word() {
        let engine = ScriptedEngine::new(|prompt| Ok(format!("you said {prompt}")));
        let model = engine.load(spec()).await.unwrap();
        let steps: Vec<_> = model.generate(asking("hello there")).await.unwrap().collect().await;
        let text: String = steps
            .iter()
            .filter_map(|step| match step {
                Ok(Step::Token(token)) => Some(token.text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "you said hello there");
        assert!(matches!(steps.last(), Some(Ok(Step::Done(Generated { finish: Finish::Stop, .. })))));
    }

    #[tokio::test]
    async fn dropping_the_stream_stops_the_work() {
        let engine = ScriptedEngine::saying("a b c d e f g h");
        let model = engine.load(spec()).await.unwrap();
        let mut stream = model.generate(asking("x")).await.unwrap();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        assert_eq!(engine.counters().tokens.load(Ordering::Relaxed), 1);
        assert_eq!(engine.counters().running.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_prompt_that_fills_the_window_is_refused() {
        let engine = ScriptedEngine::saying("a").with_context(2);
        let model = engine.load(spec()).await.unwrap();
        assert_eq!(
            model.generate(asking("one two three")).await.err(),
            Some(EngineError::ContextExceeded { prompt: 3, window: 2 })
        );
    }

    #[tokio::test]
    async fn an_adapter_is_refused_unless_the_engine_takes_them() {
        struct Two;
        impl crate::AdapterSource for Two {
            fn read(&self) -> Result<crate::AdapterReading<'_>, EngineError> {
                let matrices = |target: &str| crate::AdapterMatrices {
                    target: target.into(),
                    rank: 1,
                    inputs: 1,
                    outputs: 1,
                    a: vec![1.0],
                    b: vec![1.0],
                    scale: 1.0,
                };
                Ok(Box::new(["a", "b"].map(matrices).into_iter().map(Ok)))
            }
        }
        let adapter = Some(crate::Adapter { id: "mine".into(), scale: 1.0, source: Arc::new(Two) });
        let request = GenerateRequest { adapter, ..asking("hi") };
        let engine = ScriptedEngine::new(|prompt| Ok(prompt.to_owned()));
        assert!(!engine.adapts(&spec()));
        let refusal = engine.load(spec()).await.unwrap().generate(request.clone()).await.err();
        assert!(matches!(refusal, Some(EngineError::Unsupported(_))));
        let engine = engine.with_adapters();
        assert!(engine.adapts(&spec()));
        let mut stream = engine.load(spec()).await.unwrap().generate(request).await.unwrap();
        assert!(matches!(stream.next().await, Some(Ok(Step::Token(token))) if token.text == "[2"));
    }

    #[tokio::test]
    async fn unloading_ends_running_answers() {
        let engine = ScriptedEngine::saying("a b c").with_pace(Duration::from_millis(5));
        let model = engine.load(spec()).await.unwrap();
        let mut stream = model.generate(asking("x")).await.unwrap();
        stream.next().await.unwrap().unwrap();
        model.unload().await;
        assert_eq!(stream.next().await, Some(Err(EngineError::Unloaded)));
    }
}
