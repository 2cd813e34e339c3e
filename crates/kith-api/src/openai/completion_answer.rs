//! Legacy completions, whole and in chunks.

use super::answer::{Head, Tally, finish_reason};
use kith_inference::{Piece, TokenLogprob};
use kith_wire::openai::{Completion, CompletionChoice, CompletionLogprobs, FinishReason};

/// What one piece adds to an answer.
struct Addition {
    text: String,
    logprobs: Vec<TokenLogprob>,
    finish: Option<FinishReason>,
}

/// A legacy completion is text: reasoning is told as it comes, and a tool call, which nothing here can ask for, as its JSON.
fn addition(piece: Piece) -> Addition {
    let text = |text: String| Addition { text, logprobs: Vec::new(), finish: None };
    match piece {
        Piece::Text { text, logprobs } => Addition { text, logprobs, finish: None },
        Piece::Reasoning(reasoning) => text(reasoning),
        Piece::ToolCall(call) => text(call.arguments.to_string()),
        Piece::Done(done) => Addition { finish: Some(finish_reason(&done.reason)), ..text(String::new()) },
    }
}

/// Appends tokens in the legacy form; `offset` counts the characters of the choice's text so far.
fn extend(list: &mut CompletionLogprobs, offset: &mut usize, tokens: Vec<TokenLogprob>) {
    for token in tokens {
        let mut top: std::collections::BTreeMap<_, _> = token.top.into_iter().map(|top| (top.token, top.logprob)).collect();
        // The token taken is always among them, likely or not.
        top.insert(token.token.clone(), token.logprob);
        list.text_offset.push(*offset);
        *offset += token.token.chars().count();
        list.tokens.push(token.token);
        list.token_logprobs.push(token.logprob);
        list.top_logprobs.push(top);
    }
}

/// Folds the pieces of all answers into one completion.
#[derive(Debug)]
pub(crate) struct CompletionFold {
    head: Head,
    answers: Vec<Growing>,
    per_prompt: usize,
    logprobs: bool,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Growing {
    text: String,
    logprobs: CompletionLogprobs,
    offset: usize,
    finish: Option<FinishReason>,
}

impl CompletionFold {
    /// A fold of `answers` answers, `per_prompt` to each prompt, each begun with its text of `echo` if there is one.
    pub(crate) fn new(head: Head, answers: usize, per_prompt: usize, echo: Vec<String>, logprobs: bool) -> Self {
        let mut echo = echo.into_iter();
        let answers = std::iter::repeat_with(|| Growing { text: echo.next().unwrap_or_default(), ..Growing::default() })
            .take(answers)
            .collect();
        Self { head, answers, per_prompt: per_prompt.max(1), logprobs, tally: Tally::default() }
    }

    /// Takes a piece of the answer `index`; an index beyond the answers is passed over.
    pub(crate) fn piece(&mut self, index: usize, piece: Piece) {
        let Some(answer) = self.answers.get_mut(index) else { return };
        if let Piece::Done(done) = &piece {
            self.tally.add(done.usage, index.is_multiple_of(self.per_prompt));
        }
        let addition = addition(piece);
        answer.text.push_str(&addition.text);
        extend(&mut answer.logprobs, &mut answer.offset, addition.logprobs);
        answer.finish = addition.finish.or(answer.finish);
    }

    /// The completion.
    pub(crate) fn close(self) -> Completion {
        let logprobs = self.logprobs;
        let choices = self.answers.into_iter().zip(0..).map(|(answer, index)| CompletionChoice {
            text: answer.text,
            index,
            logprobs: logprobs.then_some(answer.logprobs),
            finish_reason: Some(answer.finish.unwrap_or(FinishReason::Stop)),
        });
        Completion { usage: Some(Some(self.tally.usage())), ..frame(&self.head, choices.collect()) }
    }
}

/// Turns the pieces of all answers, in whatever order they come, into chunks.
#[derive(Debug)]
pub(crate) struct CompletionChunks {
    head: Head,
    answers: Vec<Opened>,
    per_prompt: usize,
    include_usage: bool,
    logprobs: bool,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Opened {
    echo: Option<String>,
    offset: usize,
}

impl CompletionChunks {
    /// Chunks of `answers` answers, `per_prompt` to each prompt, each begun with its text of `echo` if there is one; with counts
    /// of tokens at the end if `include_usage`, with log-probabilities if `logprobs`.
    pub(crate) fn new(
        head: Head,
        answers: usize,
        per_prompt: usize,
        echo: Vec<String>,
        include_usage: bool,
        logprobs: bool,
    ) -> Self {
        let mut echo = echo.into_iter();
        let answers = std::iter::repeat_with(|| Opened { echo: echo.next(), offset: 0 }).take(answers).collect();
        Self { head, answers, per_prompt: per_prompt.max(1), include_usage, logprobs, tally: Tally::default() }
    }

    /// The chunk for a piece of the answer `index`, if it has anything to tell. An index beyond the answers is passed over.
    pub(crate) fn piece(&mut self, index: usize, piece: Piece) -> Option<Completion> {
        let answer = self.answers.get_mut(index)?;
        if let Piece::Done(done) = &piece {
            self.tally.add(done.usage, index.is_multiple_of(self.per_prompt));
        }
        let mut addition = addition(piece);
        if let Some(echo) = answer.echo.take() {
            addition.text.insert_str(0, &echo);
        }
        if addition.text.is_empty() && addition.logprobs.is_empty() && addition.finish.is_none() {
            return None;
        }
        let logprobs = (self.logprobs && !addition.logprobs.is_empty()).then(|| {
            let mut list = CompletionLogprobs::default();
            extend(&mut list, &mut answer.offset, addition.logprobs);
            list
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let choice = CompletionChoice { text: addition.text, index, logprobs, finish_reason: addition.finish };
        Some(Completion { usage: self.include_usage.then_some(None), ..frame(&self.head, vec![choice]) })
    }

    /// The last chunk, with the counts of tokens, if they were asked for. [`super::DONE`] follows it.
    pub(crate) fn close(self) -> Option<Completion> {
        self.include_usage.then(|| Completion { usage: Some(Some(self.tally.usage())), ..frame(&self.head, Vec::new()) })
    }
}

fn frame(head: &Head, choices: Vec<CompletionChoice>) -> Completion {
    Completion {
        id: head.id.clone(),
        object: "text_completion".to_owned(),
        created: head.created,
        model: head.model.clone(),
        system_fingerprint: Head::fingerprint(),
        choices,
        usage: None,
    }
}
