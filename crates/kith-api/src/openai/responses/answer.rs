//! The answer in the making: pieces to items, and the events that tell of them.

use super::{chat_answer, ids::Ids};
use crate::error::ApiError;
use kith_inference::{Done, FinishReason, Piece, ToolCall};
use kith_types::{Code, Timestamp};
use kith_wire::openai::{
    IncompleteDetails, InputTokensDetails, OutputItem, OutputPart, OutputTokensDetails, Response, ResponseEvent, ResponseFault,
    ResponseStatus, ResponseUsage, TokenLogprob,
};

/// An item that is still being written.
#[derive(Debug)]
enum Open {
    Text { text: String, logprobs: Vec<TokenLogprob> },
    Reasoning { text: String },
}

/// One response in the making.
#[derive(Debug)]
pub(super) struct Answering {
    response: Response,
    ids: Ids,
    open: Option<Open>,
    reasoning_bytes: u64,
    answer_bytes: u64,
}

impl Answering {
    pub fn new(response: Response, ids: Ids) -> Self {
        Self { response, ids, open: None, reasoning_bytes: 0, answer_bytes: 0 }
    }

    /// The response as it stands.
    pub fn response(&self) -> &Response {
        &self.response
    }

    fn boxed(&self) -> Box<Response> {
        Box::new(self.response.clone())
    }

    /// It was taken.
    pub fn created(&self) -> Vec<ResponseEvent> {
        let created = ResponseEvent::Created { response: self.boxed() };
        let next = match self.response.status {
            ResponseStatus::Queued => ResponseEvent::Queued { response: self.boxed() },
            _ => ResponseEvent::InProgress { response: self.boxed() },
        };
        vec![created, next]
    }

    /// Its turn has come.
    pub fn begun(&mut self, model: &str) -> ResponseEvent {
        model.clone_into(&mut self.response.model);
        self.response.status = ResponseStatus::InProgress;
        ResponseEvent::InProgress { response: self.boxed() }
    }

    /// Takes a piece; the end comes by [`Answering::done`].
    pub fn piece(&mut self, piece: Piece) -> Vec<ResponseEvent> {
        let mut events = Vec::new();
        match piece {
            Piece::Text { text, logprobs } => {
                if text.is_empty() && logprobs.is_empty() {
                    return events;
                }
                if !matches!(self.open, Some(Open::Text { .. })) {
                    self.close_item("completed", &mut events);
                    self.open_item(Open::Text { text: String::new(), logprobs: Vec::new() }, &mut events);
                }
                self.answer_bytes += text.len() as u64;
                let new: Vec<TokenLogprob> = logprobs.into_iter().map(chat_answer::token_logprob).collect();
                if let Some(Open::Text { text: whole, logprobs }) = &mut self.open {
                    whole.push_str(&text);
                    logprobs.extend(new.iter().cloned());
                }
                let (item_id, output_index) = self.place("msg");
                events.push(ResponseEvent::OutputTextDelta {
                    item_id,
                    output_index,
                    content_index: 0,
                    delta: text,
                    logprobs: new,
                });
            }
            Piece::Reasoning(text) => {
                if text.is_empty() {
                    return events;
                }
                if !matches!(self.open, Some(Open::Reasoning { .. })) {
                    self.close_item("completed", &mut events);
                    self.open_item(Open::Reasoning { text: String::new() }, &mut events);
                }
                self.reasoning_bytes += text.len() as u64;
                if let Some(Open::Reasoning { text: whole }) = &mut self.open {
                    whole.push_str(&text);
                }
                let (item_id, output_index) = self.place("rs");
                events.push(ResponseEvent::ReasoningTextDelta { item_id, output_index, content_index: 0, delta: text });
            }
            Piece::ToolCall(call) => {
                self.close_item("completed", &mut events);
                self.call(call, &mut events);
            }
            Piece::Done(_) => {}
        }
        events
    }

    /// The end of the answer, and the response as a whole.
    pub fn done(&mut self, done: &Done, now: Timestamp) -> Vec<ResponseEvent> {
        let mut events = Vec::new();
        let cut = done.reason == FinishReason::Length;
        self.close_item(if cut { "incomplete" } else { "completed" }, &mut events);
        self.response.usage = Some(self.usage(done));
        events.push(if cut {
            self.response.status = ResponseStatus::Incomplete;
            self.response.incomplete_details = Some(IncompleteDetails { reason: "max_output_tokens".to_owned() });
            ResponseEvent::Incomplete { response: self.boxed() }
        } else {
            self.response.status = ResponseStatus::Completed;
            self.response.completed_at = Some(now.secs());
            ResponseEvent::Completed { response: self.boxed() }
        });
        events
    }

    /// It was stopped; what there is stays.
    pub fn cancelled(&mut self) -> ResponseEvent {
        self.close_item("incomplete", &mut Vec::new());
        self.response.status = ResponseStatus::Cancelled;
        ResponseEvent::Cancelled { response: self.boxed() }
    }

    /// It failed; what there is stays.
    pub fn failed(&mut self, error: &ApiError) -> ResponseEvent {
        self.close_item("incomplete", &mut Vec::new());
        self.response.status = ResponseStatus::Failed;
        self.response.completed_at = None;
        self.response.incomplete_details = None;
        self.response.error = Some(fault(error));
        ResponseEvent::Failed { response: self.boxed() }
    }

    /// It failed, and what there is was too large to be kept.
    pub fn failed_without_output(&mut self, error: &ApiError) -> ResponseEvent {
        self.open = None;
        self.response.output.clear();
        self.failed(error)
    }

    fn usage(&self, done: &Done) -> ResponseUsage {
        let output = u64::from(done.usage.completion);
        let all = self.reasoning_bytes + self.answer_bytes;
        // Tokens are not told apart; the share of the text is the best there is to say.
        let reasoning = (output * self.reasoning_bytes + all / 2).checked_div(all).unwrap_or(0);
        ResponseUsage {
            input_tokens: u64::from(done.usage.prompt),
            input_tokens_details: InputTokensDetails { cached_tokens: u64::from(done.usage.cached) },
            output_tokens: output,
            output_tokens_details: OutputTokensDetails { reasoning_tokens: reasoning },
            total_tokens: u64::from(done.usage.prompt) + output,
        }
    }

    /// Id and place of the item that is being written.
    fn place(&self, kind: &str) -> (String, usize) {
        let place = self.response.output.len();
        (self.ids.output(kind, place), place)
    }

    fn open_item(&mut self, open: Open, events: &mut Vec<ResponseEvent>) {
        let (item_id, item, part) = match &open {
            Open::Text { .. } => {
                let id = self.place("msg").0;
                (id.clone(), message(id, "in_progress", Vec::new()), output_text(String::new(), Vec::new()))
            }
            Open::Reasoning { .. } => {
                let id = self.place("rs").0;
                (id.clone(), reasoning(id, "in_progress", Vec::new()), OutputPart::ReasoningText { text: String::new() })
            }
        };
        let output_index = self.response.output.len();
        events.push(ResponseEvent::OutputItemAdded { output_index, item });
        events.push(ResponseEvent::ContentPartAdded { item_id, output_index, content_index: 0, part });
        self.open = Some(open);
    }

    fn close_item(&mut self, status: &str, events: &mut Vec<ResponseEvent>) {
        let Some(open) = self.open.take() else { return };
        let (content_index, output_index) = (0, self.response.output.len());
        let (item_id, part, item) = match open {
            Open::Text { text, logprobs } => {
                let item_id = self.place("msg").0;
                events.push(ResponseEvent::OutputTextDone {
                    item_id: item_id.clone(),
                    output_index,
                    content_index,
                    text: text.clone(),
                    logprobs: logprobs.clone(),
                });
                let part = output_text(text, logprobs);
                (item_id.clone(), part.clone(), message(item_id, status, vec![part]))
            }
            Open::Reasoning { text } => {
                let item_id = self.place("rs").0;
                let done = ResponseEvent::ReasoningTextDone {
                    item_id: item_id.clone(),
                    output_index,
                    content_index,
                    text: text.clone(),
                };
                events.push(done);
                let part = OutputPart::ReasoningText { text };
                (item_id.clone(), part.clone(), reasoning(item_id, status, vec![part]))
            }
        };
        events.push(ResponseEvent::ContentPartDone { item_id, output_index, content_index, part });
        events.push(ResponseEvent::OutputItemDone { output_index, item: item.clone() });
        self.response.output.push(item);
    }

    fn call(&mut self, call: ToolCall, events: &mut Vec<ResponseEvent>) {
        let (id, output_index) = self.place("fc");
        let function = chat_answer::function_call(call.name, &call.arguments);
        self.answer_bytes += function.arguments.len() as u64;
        let item = |status: &str, arguments: String| OutputItem::FunctionCall {
            id: id.clone(),
            status: status.to_owned(),
            arguments,
            call_id: call.id.clone(),
            name: function.name.clone(),
        };
        let whole = item("completed", function.arguments.clone());
        events.extend([
            ResponseEvent::OutputItemAdded { output_index, item: item("in_progress", String::new()) },
            ResponseEvent::FunctionCallArgumentsDelta { item_id: id.clone(), output_index, delta: function.arguments.clone() },
            ResponseEvent::FunctionCallArgumentsDone {
                item_id: id.clone(),
                name: function.name.clone(),
                output_index,
                arguments: function.arguments.clone(),
            },
            ResponseEvent::OutputItemDone { output_index, item: whole.clone() },
        ]);
        self.response.output.push(whole);
    }
}

fn message(id: String, status: &str, content: Vec<OutputPart>) -> OutputItem {
    OutputItem::Message { id, status: status.to_owned(), role: "assistant".to_owned(), content }
}

fn reasoning(id: String, status: &str, content: Vec<OutputPart>) -> OutputItem {
    OutputItem::Reasoning { id, summary: Vec::new(), content, status: status.to_owned() }
}

fn output_text(text: String, logprobs: Vec<TokenLogprob>) -> OutputPart {
    OutputPart::OutputText { annotations: Vec::new(), logprobs, text }
}

/// An error in the words a response has for it.
pub(super) fn fault(error: &ApiError) -> ResponseFault {
    let code = match error.code {
        Code::RateLimited | Code::Overloaded => "rate_limit_exceeded",
        code if code.status() < 500 => "invalid_prompt",
        _ => "server_error",
    };
    ResponseFault { code: code.to_owned(), message: error.message.clone() }
}
