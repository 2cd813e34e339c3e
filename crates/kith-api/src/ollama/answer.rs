//! Lines of an answer, and the whole of it.

use super::Intent;
use kith_inference::{Done, FinishReason, Piece, TokenLogprob, ToolCall};
use kith_types::Timestamp;
use kith_wire::ollama as wire;
use std::time::Duration;

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn metrics(done: &Done) -> wire::Metrics {
    wire::Metrics {
        total_duration: ns(done.total),
        load_duration: ns(done.load),
        prompt_eval_count: done.usage.prompt.into(),
        prompt_eval_duration: ns(done.timings.prefill),
        eval_count: done.usage.completion.into(),
        eval_duration: ns(done.timings.decode),
    }
}

fn done_reason(reason: &FinishReason) -> Option<String> {
    let word = match reason {
        // Ollama has no word of its own for an answer of tool calls.
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => "stop",
        FinishReason::Length => "length",
    };
    Some(word.to_owned())
}

fn logprobs(tokens: Vec<TokenLogprob>) -> Vec<wire::TokenLogprob> {
    let tokens = tokens.into_iter().map(|token| wire::TokenLogprob {
        token: token.token,
        logprob: token.logprob,
        bytes: token.bytes,
        top_logprobs: token
            .top
            .into_iter()
            .map(|top| wire::TopLogprob { token: top.token, logprob: top.logprob, bytes: top.bytes })
            .collect(),
    });
    tokens.collect()
}

fn tool_call(index: u32, call: ToolCall) -> wire::ToolCall {
    wire::ToolCall {
        id: Some(call.id),
        function: wire::FunctionCall { index: Some(index), name: call.name, arguments: call.arguments },
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// The one line of a generate request that wants no answer.
pub(crate) fn generate_without_answer(model: &str, intent: Intent, now: Timestamp) -> wire::GenerateResponse {
    wire::GenerateResponse {
        model: model.to_owned(),
        created_at: now.rfc3339(),
        done: true,
        done_reason: Some(intent.done_reason().to_owned()),
        ..wire::GenerateResponse::default()
    }
}

/// The one line of a chat request that wants no answer.
pub(crate) fn chat_without_answer(model: &str, intent: Intent, now: Timestamp) -> wire::ChatResponse {
    wire::ChatResponse {
        model: model.to_owned(),
        created_at: now.rfc3339(),
        done: true,
        done_reason: Some(intent.done_reason().to_owned()),
        ..wire::ChatResponse::default()
    }
}

/// Turns the pieces of a generated answer into lines.
#[derive(Debug)]
pub(crate) struct GenerateLines {
    model: String,
}

impl GenerateLines {
    /// Lines of an answer by `model`.
    pub(crate) fn new(model: impl Into<String>) -> Self {
        Self { model: model.into() }
    }

    /// The line for a piece, if it has anything to tell.
    pub(crate) fn piece(&mut self, piece: Piece, now: Timestamp) -> Option<wire::GenerateResponse> {
        let mut line =
            wire::GenerateResponse { model: self.model.clone(), created_at: now.rfc3339(), ..wire::GenerateResponse::default() };
        match piece {
            Piece::Text { text, logprobs: tokens } => {
                if text.is_empty() && tokens.is_empty() {
                    return None;
                }
                line.response = text;
                line.logprobs = some(logprobs(tokens));
            }
            Piece::Reasoning(text) if text.is_empty() => return None,
            Piece::Reasoning(text) => line.thinking = Some(text),
            // Generate offers no tools; were one called all the same, its JSON is told.
            Piece::ToolCall(call) => line.response = call.arguments.to_string(),
            Piece::Done(done) => {
                line.done = true;
                line.done_reason = done_reason(&done.reason);
                line.metrics = Some(metrics(&done));
                line.context = some(done.context);
            }
        }
        Some(line)
    }
}

/// Folds the pieces of a generated answer into one.
#[derive(Debug)]
pub(crate) struct GenerateFold {
    lines: GenerateLines,
    whole: wire::GenerateResponse,
}

impl GenerateFold {
    /// A fold of an answer by `model`.
    pub(crate) fn new(model: impl Into<String>) -> Self {
        Self { lines: GenerateLines::new(model), whole: wire::GenerateResponse::default() }
    }

    /// Takes a piece.
    pub(crate) fn piece(&mut self, piece: Piece, now: Timestamp) {
        let Some(line) = self.lines.piece(piece, now) else { return };
        let whole = &mut self.whole;
        whole.response.push_str(&line.response);
        append(&mut whole.thinking, line.thinking);
        extend(&mut whole.logprobs, line.logprobs);
        whole.model = line.model;
        whole.created_at = line.created_at;
        whole.done = line.done;
        whole.done_reason = line.done_reason;
        whole.metrics = line.metrics;
        whole.context = line.context;
    }

    /// The whole answer, whose last piece was its end.
    pub(crate) fn close(self) -> wire::GenerateResponse {
        self.whole
    }
}

/// Turns the pieces of a chat's answer into lines.
#[derive(Debug)]
pub(crate) struct ChatLines {
    model: String,
    calls: u32,
}

impl ChatLines {
    /// Lines of an answer by `model`.
    pub(crate) fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), calls: 0 }
    }

    /// The line for a piece, if it has anything to tell.
    pub(crate) fn piece(&mut self, piece: Piece, now: Timestamp) -> Option<wire::ChatResponse> {
        let mut line =
            wire::ChatResponse { model: self.model.clone(), created_at: now.rfc3339(), ..wire::ChatResponse::default() };
        match piece {
            Piece::Text { text, logprobs: tokens } => {
                if text.is_empty() && tokens.is_empty() {
                    return None;
                }
                line.message.content = text;
                line.logprobs = some(logprobs(tokens));
            }
            Piece::Reasoning(text) if text.is_empty() => return None,
            Piece::Reasoning(text) => line.message.thinking = Some(text),
            Piece::ToolCall(call) => {
                line.message.tool_calls = Some(vec![tool_call(self.calls, call)]);
                self.calls += 1;
            }
            Piece::Done(done) => {
                line.done = true;
                line.done_reason = done_reason(&done.reason);
                line.metrics = Some(metrics(&done));
            }
        }
        Some(line)
    }
}

/// Folds the pieces of a chat's answer into one.
#[derive(Debug)]
pub(crate) struct ChatFold {
    lines: ChatLines,
    whole: wire::ChatResponse,
}

impl ChatFold {
    /// A fold of an answer by `model`.
    pub(crate) fn new(model: impl Into<String>) -> Self {
        Self { lines: ChatLines::new(model), whole: wire::ChatResponse::default() }
    }

    /// Takes a piece.
    pub(crate) fn piece(&mut self, piece: Piece, now: Timestamp) {
        let Some(line) = self.lines.piece(piece, now) else { return };
        let whole = &mut self.whole;
        whole.message.content.push_str(&line.message.content);
        append(&mut whole.message.thinking, line.message.thinking);
        extend(&mut whole.message.tool_calls, line.message.tool_calls);
        extend(&mut whole.logprobs, line.logprobs);
        whole.model = line.model;
        whole.created_at = line.created_at;
        whole.done = line.done;
        whole.done_reason = line.done_reason;
        whole.metrics = line.metrics;
    }

    /// The whole answer, whose last piece was its end.
    pub(crate) fn close(self) -> wire::ChatResponse {
        self.whole
    }
}

fn append(text: &mut Option<String>, more: Option<String>) {
    if let Some(more) = more {
        text.get_or_insert_default().push_str(&more);
    }
}

fn extend<T>(list: &mut Option<Vec<T>>, more: Option<Vec<T>>) {
    if let Some(more) = more {
        list.get_or_insert_default().extend(more);
    }
}
