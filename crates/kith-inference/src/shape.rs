//! From an engine's text to the pieces of an answer: stop texts end it, reasoning and tool calls are set apart.

use crate::{
    Piece, TokenLogprob,
    reasoning::{ReasoningParser, Separated},
    stop::StopMatcher,
    tools::ToolParser,
};

/// What became of one more stretch of text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shaped {
    /// Pieces that can be given out now.
    pub pieces: Vec<Piece>,
    /// The stop text that came up; nothing after it counts.
    pub stop: Option<String>,
}

/// Works on the text of one answer. How the engine cuts the text never changes what comes out, joined.
pub(crate) struct Shaper {
    stop: StopMatcher,
    reasoning: Option<ReasoningParser>,
    tools: Option<ToolParser>,
    logprobs: Vec<TokenLogprob>,
    calls: usize,
    max_calls: usize,
}

impl Shaper {
    pub fn new(stop: Vec<String>, reasoning: Option<ReasoningParser>, tools: Option<ToolParser>, parallel_calls: bool) -> Self {
        Self {
            stop: StopMatcher::new(stop),
            reasoning,
            tools,
            logprobs: Vec::new(),
            calls: 0,
            max_calls: if parallel_calls { usize::MAX } else { 1 },
        }
    }

    /// Whether the answer holds a tool call so far.
    pub fn called(&self) -> bool {
        self.calls > 0
    }

    /// Takes one more token's text.
    pub fn push(&mut self, text: &str, logprob: Option<TokenLogprob>) -> Shaped {
        self.logprobs.extend(logprob);
        let pushed = self.stop.push(text);
        let mut shaped = Shaped { pieces: Vec::new(), stop: pushed.hit };
        self.separate(&pushed.text, &mut shaped.pieces);
        if shaped.stop.is_some() {
            self.flush(&mut shaped.pieces);
        }
        shaped
    }

    /// The text has ended without a stop text before it; what was held back comes out.
    pub fn finish(&mut self) -> Shaped {
        let pushed = self.stop.finish();
        let mut shaped = Shaped { pieces: Vec::new(), stop: pushed.hit };
        self.separate(&pushed.text, &mut shaped.pieces);
        self.flush(&mut shaped.pieces);
        shaped
    }

    fn separate(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        match &mut self.reasoning {
            Some(parser) => {
                let separated = parser.push(text);
                self.take(separated, pieces);
            }
            None => self.answer(text, pieces),
        }
    }

    fn take(&mut self, Separated { reasoning, answer }: Separated, pieces: &mut Vec<Piece>) {
        if !reasoning.is_empty() {
            pieces.push(Piece::Reasoning(reasoning));
        }
        self.answer(&answer, pieces);
    }

    fn answer(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        match &mut self.tools {
            Some(parser) => {
                let parsed = parser.push(text);
                self.emit(parsed.text, parsed.calls, pieces);
            }
            None => self.emit(text.to_owned(), Vec::new(), pieces),
        }
    }

    fn emit(&mut self, text: String, calls: Vec<crate::ToolCall>, pieces: &mut Vec<Piece>) {
        if !text.is_empty() {
            pieces.push(Piece::Text { text, logprobs: std::mem::take(&mut self.logprobs) });
        }
        for call in calls {
            if self.calls < self.max_calls {
                self.calls += 1;
                pieces.push(Piece::ToolCall(call));
            }
        }
    }

    fn flush(&mut self, pieces: &mut Vec<Piece>) {
        if let Some(parser) = &mut self.reasoning {
            let separated = parser.finish();
            self.take(separated, pieces);
        }
        if let Some(parser) = &mut self.tools {
            let parsed = parser.finish();
            self.emit(parsed.text, parsed.calls, pieces);
        }
        // Log-probabilities of tokens that became no text (a stop text, an unfinished character) are still reported.
        if !self.logprobs.is_empty() {
            pieces.push(Piece::Text { text: String::new(), logprobs: std::mem::take(&mut self.logprobs) });
        }
    }
}
