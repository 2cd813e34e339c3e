//! Embeddings: from the states of a text's tokens to its one vector. Texts are read a few at a time between the steps of answers, so that these
//! go on; it knows nothing of them.
//!
//! Every token's state is finished by the last norm, pooled as the file says, cut to the numbers asked for and scaled to length one. Sums are
//! in double precision and in the order of the tokens: the bits do not depend on how texts are put into steps.

use crate::{
    cache::Track,
    gguf::Gguf,
    stage::{Next, Reads, Stage},
    vocabulary::Vocabulary,
};
use kith_engine::{EmbedInput, EngineError};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// Texts read in one step, at most: each holds at least one block of keys and values.
pub(crate) const TOGETHER: usize = 16;

/// How the states of all tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's.
    First,
    /// The last token's.
    Last,
}

impl Pooling {
    /// As `<architecture>.pooling_type` says, numbered as llama.cpp's `llama_pooling_type` (`include/llama.h`): 0 none, 1 mean, 2 first (CLS),
    /// 3 last, 4 rank.
    ///
    /// Models made to write answers name none, and llama.cpp's library (`llama-context.cpp`) then gives a vector for every token, which its
    /// server refuses to hand out as that of a text. Where one vector is asked for, its documentation takes the mean (`--pooling mean`), and so
    /// does this, as the encoders do.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] where it ranks, or pools in a way that is not known.
    pub(crate) fn read(file: &Gguf, architecture: &str) -> Result<Self, EngineError> {
        let name = format!("{architecture}.pooling_type");
        match file.number(&name) {
            Some(0 | 1) => Ok(Self::Mean),
            Some(2) => Ok(Self::First),
            Some(3) => Ok(Self::Last),
            Some(4) => Err(EngineError::Unsupported("the model ranks texts by a question and does not embed them".into())),
            None if !file.has(&name) => Ok(Self::Mean),
            _ => Err(EngineError::Unsupported("the model pools its states in a way that is not known".into())),
        }
    }

    /// Whether it looks at this token of a text of `length`.
    fn wants(self, token: usize, length: usize) -> bool {
        match self {
            Self::Mean => true,
            Self::First => token == 0,
            Self::Last => token + 1 == length,
        }
    }
}

/// The tokens of every input, opened and closed as the file says, none longer than `window`. `stop` is asked between inputs.
///
/// # Errors
/// [`EngineError::Invalid`] (`input`) for a token that is none and for a text without tokens, [`EngineError::ContextExceeded`] for one that is too
/// long, unless it may be cut; [`EngineError::Unloaded`] once `stop` says yes.
pub(crate) fn tokens(
    vocabulary: &Vocabulary,
    inputs: Vec<EmbedInput>,
    truncate: bool,
    window: u32,
    stop: impl Fn() -> bool,
) -> Result<Vec<Vec<u32>>, EngineError> {
    let invalid = |message: String| Err(EngineError::Invalid { field: "input", message });
    let (open, close) = vocabulary.frame();
    let (window, frame) = (window as usize, usize::from(open.is_some()) + usize::from(close.is_some()));
    let mut texts = Vec::with_capacity(inputs.len());
    for (at, input) in inputs.into_iter().enumerate() {
        if stop() {
            return Err(EngineError::Unloaded);
        }
        let ids = match input {
            EmbedInput::Text(text) => vocabulary.ids(&text, false),
            EmbedInput::Tokens(ids) => ids,
        };
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary.len()) {
            return invalid(format!("token {id} of input {at} is none of the model's {} tokens", vocabulary.len()));
        }
        let mut bare = ids.as_slice();
        if open.is_some() && bare.first() == open.as_ref() {
            bare = &bare[1..];
        }
        if close.is_some() && bare.last() == close.as_ref() {
            bare = &bare[..bare.len() - 1];
        }
        let length = bare.len() + frame;
        if length == 0 {
            return invalid(format!("input {at} has no tokens, so it has no embedding"));
        }
        if length > window {
            if !truncate {
                let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
                return Err(EngineError::ContextExceeded { prompt: count(length), window: count(window) });
            }
            bare = &bare[..bare.len().min(window.saturating_sub(frame))];
        }
        let mut framed: Vec<u32> = open.iter().chain(bare).chain(&close).copied().collect();
        // Only where the window does not even hold the frame.
        framed.truncate(window);
        texts.push(framed);
    }
    Ok(texts)
}

/// What one request is told.
pub(crate) type Report = oneshot::Sender<Result<Vec<Vec<f32>>, EngineError>>;

/// The texts of one request.
pub(crate) struct Texts {
    /// At least one token each.
    texts: Vec<Vec<u32>>,
    pooling: Pooling,
    /// Numbers of a vector that are kept.
    dimensions: usize,
    /// One for each text that is read.
    vectors: Vec<Vec<f32>>,
    /// The next text, where some of it is read.
    begun: Option<Reading>,
    report: Report,
}

impl Texts {
    pub(crate) fn new(texts: Vec<Vec<u32>>, pooling: Pooling, dimensions: usize, report: Report) -> Self {
        Self { vectors: Vec::with_capacity(texts.len()), texts, pooling, dimensions, begun: None, report }
    }

    /// Whether nobody waits for them any more.
    fn is_dropped(&self) -> bool {
        self.report.is_closed()
    }

    fn is_read(&self) -> bool {
        self.vectors.len() == self.texts.len()
    }
}

/// A text as far as it is read.
struct Reading {
    track: Track,
    sum: Vec<f64>,
    /// States in the sum.
    states: usize,
}

impl Reading {
    fn new(width: usize) -> Self {
        Self { track: Track::new(), sum: vec![0.0; width], states: 0 }
    }

    fn add(&mut self, state: &[f32]) {
        self.sum.iter_mut().zip(state).for_each(|(sum, number)| *sum += f64::from(*number));
        self.states += 1;
    }

    /// The mean of the first `dimensions` numbers, scaled to length one. A vector of zeros stays one.
    fn vector(mut self, dimensions: usize) -> Vec<f32> {
        self.sum.truncate(dimensions);
        let count = self.states.max(1) as f64;
        self.sum.iter_mut().for_each(|sum| *sum /= count);
        let length = self.sum.iter().map(|number| number * number).sum::<f64>().sqrt();
        let scale = if length > 0.0 { length } else { 1.0 };
        self.sum.into_iter().map(|number| (number / scale) as f32).collect()
    }
}

/// A text's share in a step.
struct Share {
    request: usize,
    text: usize,
    tokens: usize,
    reading: Reading,
}

/// The requests that are being read, in turns. Bounded by whoever adds to it.
#[derive(Default)]
pub(crate) struct Embedding {
    requests: VecDeque<Texts>,
}

impl Embedding {
    /// Adds a request behind the others.
    pub(crate) fn push(&mut self, texts: Texts) {
        self.requests.push_back(texts);
    }

    /// Requests that are not answered.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Reads at most `room` tokens, one at least, and answers whoever has all vectors. Tells how many were read: none where `unload` or all readers
    /// ended it.
    pub(crate) fn step(&mut self, stage: &mut Stage, room: usize, unload: &dyn Fn() -> bool) -> usize {
        self.requests.retain(|request| !request.is_dropped());
        let mut shares = self.shares(stage.width(), room.max(1));
        if shares.is_empty() {
            return 0;
        }
        match self.read(stage, &mut shares, unload) {
            Ok(false) => {
                self.put_back(shares);
                0
            }
            Ok(true) => {
                let tokens = shares.iter().map(|share| share.tokens).sum();
                self.put_back(shares);
                self.hand_out();
                tokens
            }
            Err(error) => {
                let among = |at: usize| shares.iter().any(|share| share.request == at);
                let requests = std::mem::take(&mut self.requests);
                for (at, request) in requests.into_iter().enumerate() {
                    if among(at) {
                        // Nobody to tell where the request was dropped meanwhile.
                        let _ = request.report.send(Err(error.clone()));
                    } else {
                        self.requests.push_back(request);
                    }
                }
                0
            }
        }
    }

    /// What is read next: whole texts as far as there is room, or a part of the first. So only the first request's next text is ever begun.
    fn shares(&mut self, width: usize, room: usize) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        let mut left = room;
        for (number, request) in self.requests.iter_mut().enumerate() {
            for text in request.vectors.len()..request.texts.len() {
                let begun = request.begun.as_ref().filter(|_| text == request.vectors.len());
                let pending = request.texts[text].len() - begun.map_or(0, |begun| begun.track.len());
                if shares.len() == TOGETHER || left == 0 || (pending > left && !shares.is_empty()) {
                    return shares;
                }
                let tokens = pending.min(left);
                left -= tokens;
                let reading = request.begun.take().unwrap_or_else(|| Reading::new(width));
                shares.push(Share { request: number, text, tokens, reading });
            }
        }
        shares
    }

    fn read(&self, stage: &mut Stage, shares: &mut [Share], unload: &dyn Fn() -> bool) -> Result<bool, EngineError> {
        let mut tokens: Vec<u32> = Vec::new();
        let mut wanted: Vec<usize> = Vec::new();
        let mut asking: Vec<&Texts> = Vec::new();
        for share in shares.iter() {
            let Some(request) = self.requests.get(share.request) else { continue };
            let (text, from) = (&request.texts[share.text], share.reading.track.len());
            let of = from..from + share.tokens;
            wanted.extend(
                of.clone().filter(|token| request.pooling.wants(*token, text.len())).map(|token| tokens.len() + token - from),
            );
            tokens.extend_from_slice(&text[of]);
            asking.push(request);
        }
        let mut nexts: Vec<Next<'_>> =
            shares.iter_mut().map(|share| Next { track: &mut share.reading.track, tokens: share.tokens }).collect();
        let give_up = || unload() || asking.iter().all(|request| request.is_dropped());
        if !stage.step(Reads::Tokens(&tokens), &mut nexts, &give_up)? {
            return Ok(false);
        }
        let (width, finished) = (stage.width(), stage.finished(&wanted)?);
        let mut states = wanted.iter().zip(finished.chunks_exact(width)).peekable();
        let mut end = 0;
        for share in shares {
            end += share.tokens;
            while let Some((_, state)) = states.next_if(|(at, _)| **at < end) {
                share.reading.add(state);
            }
        }
        Ok(true)
    }

    /// Takes note of what was read: texts that are whole have their vectors.
    fn put_back(&mut self, shares: Vec<Share>) {
        for share in shares {
            let Some(request) = self.requests.get_mut(share.request) else { continue };
            if share.reading.track.len() == request.texts[share.text].len() {
                request.vectors.push(share.reading.vector(request.dimensions));
            } else if !share.reading.track.is_empty() {
                request.begun = Some(share.reading);
            }
        }
    }

    /// Answers whoever has all vectors, and gives the next one a turn between two texts.
    fn hand_out(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            if request.is_read() {
                // Nobody to tell where the request was dropped meanwhile.
                let _ = request.report.send(Ok(request.vectors));
            } else {
                self.requests.push_back(request);
            }
        }
        if self.requests.front().is_some_and(|first| first.begun.is_none()) {
            self.requests.rotate_left(1);
        }
    }
}

#[cfg(test)]
mod tests;
