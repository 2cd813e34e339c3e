//! A model in memory, as the port sees it.

use crate::{
    answer::{Answer, Beginning},
    engine::{Entropy, Footprint},
    grammar::{Grammar, Grammars},
    sight::{Seen, Sight},
    turns::Shared,
    vocabulary::Vocabulary,
};
use async_trait::async_trait;
use futures::stream;
use kith_engine::{
    Constraint, EngineError, Finish, GenerateRequest, Generated, Input, Loaded, LoadedInfo, Memory, Step, Timings, TokenStream,
    Usage,
};
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::mpsc;

/// The stack of a thread that compiles a grammar, in bytes; it is only mapped as far as it is used.
const GRAMMAR_STACK: usize = 256 << 20;

/// What can be read off a model without its weights, shared with blocking tasks.
pub(crate) struct Reading {
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) grammars: Grammars,
    pub(crate) sight: Option<Sight>,
}

impl Reading {
    /// The tokens that the model will read, and the images behind them.
    fn take_in(&self, input: Input) -> Result<(Vec<u32>, Option<Seen>), EngineError> {
        let (tokens, seen) = match (input, self.sight) {
            (Input::Text { text, add_special, images }, Some(sight)) => {
                sight.take_in(&self.vocabulary, text, add_special, &images)?
            }
            (Input::Text { images, .. }, None) if !images.is_empty() => {
                return Err(EngineError::Unsupported("the model does not see images".into()));
            }
            (Input::Text { text, add_special, .. }, None) => (self.vocabulary.ids(&text, add_special)?, None),
            (Input::Tokens(tokens), sight) => {
                if let Some(sight) = sight {
                    sight.check_tokens(&self.vocabulary, &tokens)?;
                }
                (tokens, None)
            }
        };
        known(&tokens, &self.vocabulary)?;
        Ok((tokens, seen))
    }
}

/// A loaded model.
pub(crate) struct MistralModel {
    pub(crate) info: LoadedInfo,
    pub(crate) footprint: Footprint,
    pub(crate) answers: mpsc::Sender<Answer>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) entropy: Entropy,
    #[cfg(test)]
    pub(crate) fault_after: std::sync::Mutex<Option<usize>>,
}

impl MistralModel {
    /// Runs something that takes a while where it blocks nobody.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let reading = self.shared.reading()?;
        tokio::task::spawn_blocking(move || work(&reading))
            .await
            .map_err(|error| EngineError::Failed(format!("preparing the request: {error}")))?
    }
}

impl MistralModel {
    /// Compiles a grammar on a thread with a stack of its own: the compiler recurses as deep as the grammar nests.
    async fn compile(&self, constraint: Constraint) -> Result<Option<Grammar>, EngineError> {
        let reading = self.shared.reading()?;
        let (sender, compiled) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("kith-grammar".into())
            .stack_size(GRAMMAR_STACK)
            .spawn(move || {
                // Nobody waits any more if the client has gone.
                let _ = sender.send(reading.grammars.begin(&constraint));
            })
            .map_err(|error| EngineError::Failed(format!("no thread for the grammar: {error}")))?;
        compiled
            .await
            .map_err(|_| EngineError::Invalid { field: "constraint", message: "the grammar cannot be compiled".into() })?
    }
}

#[async_trait]
impl Loaded for MistralModel {
    fn is_alive(&self) -> bool {
        self.shared.gone().is_none()
    }

    fn info(&self) -> &LoadedInfo {
        &self.info
    }

    fn memory(&self) -> Memory {
        if self.shared.freed.is_cancelled() {
            return Memory::default();
        }
        let tokens = self.shared.running_tokens.load(Ordering::Relaxed) + self.shared.kept_tokens.load(Ordering::Relaxed);
        self.footprint.memory(tokens)
    }

    async fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        let text = text.to_owned();
        self.apart(move |reading| reading.vocabulary.ids(&text, add_special)).await
    }

    async fn count(&self, input: &Input) -> Result<u32, EngineError> {
        let input = input.clone();
        let tokens = self
            .apart(move |reading| match (input, reading.sight) {
                (Input::Text { text, add_special, images }, Some(sight)) => {
                    sight.tokens_of(&reading.vocabulary, &text, add_special, images.len())
                }
                (input, _) => Ok(reading.take_in(input)?.0),
            })
            .await?;
        Ok(u32::try_from(tokens.len()).unwrap_or(u32::MAX))
    }

    async fn detokenize(&self, tokens: &[u32]) -> Result<String, EngineError> {
        let vocabulary = &self.shared.reading()?.vocabulary;
        known(tokens, vocabulary)?;
        Ok(vocabulary.text(tokens))
    }

    async fn generate(&self, request: GenerateRequest) -> Result<TokenStream, EngineError> {
        if let Some(error) = self.shared.gone() {
            return Err(error);
        }
        request.check()?;
        request.without_adapter()?;
        let GenerateRequest { input, sampling, max_tokens, logprobs, constraint, ignore_eos, .. } = request;
        let (prompt, seen) = self.apart(move |reading| reading.take_in(input)).await?;
        let grammar = match constraint {
            Constraint::None => None,
            constraint => self.compile(constraint).await?,
        };
        let length = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        if length == 0 {
            return Err(EngineError::Invalid { field: "input", message: "the prompt is empty".into() });
        }
        let window = self.info.context;
        if length >= window {
            return Err(EngineError::ContextExceeded { prompt: length, window });
        }
        let room = (window - length).min(max_tokens.unwrap_or(u32::MAX));
        if room == 0 {
            let usage = Usage { prompt: length, ..Usage::default() };
            let done = Generated { finish: Finish::Length, usage, timings: Timings::default() };
            return Ok(Box::pin(stream::iter([Ok(Step::Done(done))])));
        }
        let seed = sampling.seed.unwrap_or_else(|| (self.entropy)());
        let (steps, reader) = mpsc::channel(room as usize + 1);
        let beginning = Beginning { prompt, room, window, seen, sampling, seed, logprobs, ignore_eos, grammar };
        let answer = Answer::new(beginning, Arc::clone(&self.shared.reading()?.vocabulary), steps);
        #[cfg(test)]
        let answer = {
            let mut answer = answer;
            answer.fault_after = self.fault_after.lock().ok().and_then(|mut fault| fault.take());
            answer
        };
        let gone = |shared: &Shared| shared.gone().unwrap_or(EngineError::Unloaded);
        tokio::select! {
            biased;
            () = self.shared.unload.cancelled() => return Err(EngineError::Unloaded),
            sent = self.answers.send(answer) => sent.map_err(|_| gone(&self.shared))?,
        }
        Ok(read(reader, Arc::clone(&self.shared)))
    }

    async fn unload(&self) {
        self.shared.unload.cancel();
        self.shared.freed.cancelled().await;
    }
}

impl Drop for MistralModel {
    fn drop(&mut self) {
        self.shared.unload.cancel();
    }
}

/// The steps up to the end. The end is never missing, and unloading shows at once, not after the step of the model that is running.
fn read(reader: mpsc::Receiver<Result<Step, EngineError>>, shared: Arc<Shared>) -> TokenStream {
    Box::pin(stream::unfold(Some((reader, shared)), |state| async move {
        let (mut reader, shared) = state?;
        let step = tokio::select! {
            biased;
            step = reader.recv() => step,
            () = shared.unload.cancelled() => Some(Err(EngineError::Unloaded)),
        };
        let step = step.unwrap_or_else(|| Err(shared.gone().unwrap_or_else(crate::executor::died)));
        let more = matches!(step, Ok(Step::Token(_)));
        Some((step, more.then_some((reader, shared))))
    }))
}

fn known(tokens: &[u32], vocabulary: &Vocabulary) -> Result<(), EngineError> {
    match tokens.iter().find(|id| **id as usize >= vocabulary.len()) {
        None => Ok(()),
        Some(id) => {
            let message = format!("token {id} is none of the model's {} tokens", vocabulary.len());
            Err(EngineError::Invalid { field: "input", message })
        }
    }
}

#[cfg(test)]
mod tests;
