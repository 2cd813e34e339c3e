//! Reasoning aloud: separates `<think>…</think>` at the start of an answer from the answer itself, while it streams.

#[cfg(test)]
mod tests;

/// What opens reasoning.
const OPEN: &str = "<think>";
/// What closes it.
const CLOSE: &str = "</think>";
/// The most bytes of whitespace held back at an edge; a longer run is given out from its front.
const MAX_HELD: usize = 1024;

/// Separates reasoning from the answer.
///
/// Only what opens the answer (whitespace aside) is reasoning; a later `<think>` is the model's text. Whitespace around the reasoning
/// is dropped. How the stream is cut into pieces never changes the outcome.
///
/// At most 1 KiB of whitespace and one incomplete tag are held back.
#[derive(Debug, Clone)]
pub(crate) struct ReasoningParser {
    state: State,
    held: String,
}

/// What one piece of text brought; the reasoning comes before the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Separated {
    /// More of the reasoning.
    pub(crate) reasoning: String,
    /// More of the answer.
    pub(crate) answer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but whitespace and perhaps a part of `<think>` so far; `opened` if the prompt has opened the reasoning.
    Start { opened: bool },
    /// Between the tags, nothing but whitespace so far.
    Opening,
    /// Between the tags.
    Reasoning,
    /// After the closing tag, nothing but whitespace so far.
    Closing,
    /// The rest.
    Answer,
}

/// Whether a prompt ends with an open `<think>`, so that the answer begins as reasoning.
pub(crate) fn opened_by(prompt: &str) -> bool {
    prompt.trim_end().ends_with(OPEN)
}

impl ReasoningParser {
    /// A parser; `opened` tells whether the prompt has already opened the reasoning (see [`opened_by`]).
    pub(crate) fn new(opened: bool) -> Self {
        Self { state: State::Start { opened }, held: String::new() }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &str) -> Separated {
        let mut out = Separated::default();
        if self.state == State::Answer {
            out.answer.push_str(piece);
            return out;
        }
        self.held.push_str(piece);
        while self.step(&mut out) {}
        out
    }

    /// Gives out what is still held back, once the stream has ended.
    pub(crate) fn finish(&mut self) -> Separated {
        let mut out = Separated::default();
        let rest = std::mem::take(&mut self.held);
        match self.state {
            State::Start { opened: false } | State::Answer => out.answer = rest,
            State::Start { opened: true } | State::Opening => out.reasoning = rest.trim().to_owned(),
            State::Reasoning => out.reasoning = rest.trim_end().to_owned(),
            State::Closing => {}
        }
        self.state = State::Answer;
        out
    }

    /// Does one thing to the held text; false if nothing more can be decided.
    fn step(&mut self, out: &mut Separated) -> bool {
        match self.state {
            State::Start { opened } => {
                let rest = self.held.trim_start();
                let space = self.held.len() - rest.len();
                if space <= MAX_HELD && rest.starts_with(OPEN) {
                    self.held.drain(..space + OPEN.len());
                    self.state = State::Opening;
                } else if space <= MAX_HELD && OPEN.starts_with(rest) {
                    return false;
                } else {
                    self.state = if opened { State::Opening } else { State::Answer };
                }
                true
            }
            State::Opening | State::Closing => {
                let space = self.held.len() - self.held.trim_start().len();
                self.held.drain(..space);
                if self.held.is_empty() {
                    return false;
                }
                self.state = if self.state == State::Opening { State::Reasoning } else { State::Answer };
                true
            }
            State::Reasoning => self.step_reasoning(out),
            State::Answer => {
                out.answer.push_str(&self.held);
                self.held.clear();
                false
            }
        }
    }

    /// Gives out reasoning up to the closing tag, or up to whitespace or a part of the tag that ends the text so far.
    fn step_reasoning(&mut self, out: &mut Separated) -> bool {
        if let Some(end) = self.held.find(CLOSE) {
            out.reasoning.push_str(bounded_trim_end(&self.held[..end]));
            self.held.drain(..end + CLOSE.len());
            self.state = State::Closing;
            return true;
        }
        let partial = (1..CLOSE.len()).rev().find(|&length| self.held.ends_with(&CLOSE[..length])).unwrap_or(0);
        let keep = bounded_trim_end(&self.held[..self.held.len() - partial]).len();
        out.reasoning.extend(self.held.drain(..keep));
        false
    }
}

/// `text` without the whitespace at its end, but never without more than [`MAX_HELD`] bytes of it: a longer run was already given out
/// from its front when the stream came in small pieces.
fn bounded_trim_end(text: &str) -> &str {
    let mut end = text.trim_end().len();
    while text.len() - end > MAX_HELD {
        end += text[end..].chars().next().map_or(1, char::len_utf8);
    }
    &text[..end]
}
