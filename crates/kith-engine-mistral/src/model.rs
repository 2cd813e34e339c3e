//! A model in memory, as the port sees it.

use crate::{
    answer::Answer,
    engine::{Entropy, Footprint},
    sight::{Seen, Sight},
    turns::Shared,
    vocabulary::Vocabulary,
};
use async_trait::async_trait;
use kith_decoding::{Beginning, Grammars, nothing, room, until_the_end};
use kith_engine::{EngineError, GenerateRequest, Input, Loaded, LoadedInfo, Memory, TokenStream};
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::mpsc;

/// What can be read off a model without its weights, shared with blocking tasks.
pub(crate) struct Reading {
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) grammars: Arc<Grammars>,
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
        self.vocabulary.tokens().must_know(&tokens)?;
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
        vocabulary.tokens().must_know(tokens)?;
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
        let reading = self.shared.reading()?;
        let grammar = reading.grammars.compile(constraint).await?;
        let window = self.info.context;
        let room = room(prompt.len(), window, max_tokens)?;
        if room == 0 {
            return Ok(nothing(prompt.len()));
        }
        let seed = sampling.seed.unwrap_or_else(|| (self.entropy)());
        let (steps, reader) = mpsc::channel(room as usize + 1);
        let beginning = Beginning { prompt, room, sampling, seed, logprobs, ignore_eos, grammar };
        let answer = Answer::new(beginning, window, seen, reading.vocabulary.shared(), steps);
        drop(reading);
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
        let shared = Arc::clone(&self.shared);
        let lost = async move { shared.gone().unwrap_or_else(crate::executor::died) };
        Ok(until_the_end(reader, self.shared.unload.clone(), lost))
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

#[cfg(test)]
mod tests;
