//! The answer: pieces to events, and the whole message folded from the same events.

use super::blocks;
use kith_inference::{Done, FinishReason, Piece, ToolCall};
use kith_wire::anthropic::{AnswerBlock, BlockDelta, DeltaUsage, Message, MessageDelta, StopReason, StreamEvent, Usage};

/// What the native ids of calls begin with, and what Anthropic's do.
const NATIVE_CALL: &str = "call_";
const CALL: &str = "toolu_";

/// Turns pieces into events. The order is Anthropic's: the start, then each block from start to stop, then the end.
#[derive(Debug)]
pub(crate) struct Events {
    id: String,
    model: String,
    prompt: u64,
    /// The stop sequences that were asked for; a model's own end its turn.
    stops: Vec<String>,
    /// The place of the next block.
    index: usize,
    open: Option<Open>,
    pinged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

impl Events {
    /// Events of a message whose prompt has this many tokens, from 12 random bytes.
    pub(crate) fn new(random: [u8; 12], model: &str, prompt: u32, stops: Vec<String>) -> Self {
        let id = format!("msg_{}", hex::encode(random));
        Self { id, model: model.to_owned(), prompt: u64::from(prompt), stops, index: 0, open: None, pinged: false }
    }

    /// The message, still empty.
    pub(crate) fn start(&self) -> StreamEvent {
        StreamEvent::MessageStart { message: self.message() }
    }

    fn message(&self) -> Message {
        Message {
            id: self.id.clone(),
            kind: "message".to_owned(),
            role: "assistant".to_owned(),
            model: self.model.clone(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage { input_tokens: self.prompt, cache_read_input_tokens: 0, output_tokens: 0 },
        }
    }

    /// The events for a piece.
    pub(crate) fn piece(&mut self, piece: Piece) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        match piece {
            Piece::Text { text, .. } if !text.is_empty() => {
                self.open(Open::Text, &mut events);
                events.push(self.delta(BlockDelta::TextDelta { text }));
            }
            Piece::Reasoning(thinking) if !thinking.is_empty() => {
                self.open(Open::Thinking, &mut events);
                events.push(self.delta(BlockDelta::ThinkingDelta { thinking }));
            }
            Piece::ToolCall(call) => self.call(call, &mut events),
            Piece::Done(done) => self.done(done, &mut events),
            Piece::Text { .. } | Piece::Reasoning(_) => {}
        }
        events
    }

    fn delta(&self, delta: BlockDelta) -> StreamEvent {
        StreamEvent::ContentBlockDelta { index: self.index, delta }
    }

    fn begin(&mut self, content_block: AnswerBlock, events: &mut Vec<StreamEvent>) {
        events.push(StreamEvent::ContentBlockStart { index: self.index, content_block });
        if !self.pinged {
            self.pinged = true;
            events.push(StreamEvent::Ping);
        }
    }

    fn open(&mut self, kind: Open, events: &mut Vec<StreamEvent>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(events);
        self.begin(
            match kind {
                Open::Text => AnswerBlock::Text { text: String::new() },
                Open::Thinking => AnswerBlock::Thinking { thinking: String::new(), signature: String::new() },
            },
            events,
        );
        self.open = Some(kind);
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) {
        let Some(kind) = self.open.take() else { return };
        if kind == Open::Thinking {
            events.push(self.delta(BlockDelta::SignatureDelta { signature: String::new() }));
        }
        self.stop(events);
    }

    fn stop(&mut self, events: &mut Vec<StreamEvent>) {
        events.push(StreamEvent::ContentBlockStop { index: self.index });
        self.index += 1;
    }

    fn call(&mut self, call: ToolCall, events: &mut Vec<StreamEvent>) {
        self.close(events);
        let id = format!("{CALL}{}", call.id.strip_prefix(NATIVE_CALL).unwrap_or(&call.id));
        let input = blocks::object(serde_json::Value::Null);
        self.begin(AnswerBlock::ToolUse { id, name: call.name, input }, events);
        let partial_json = blocks::object(call.arguments).to_string();
        events.push(self.delta(BlockDelta::InputJsonDelta { partial_json }));
        self.stop(events);
    }

    fn done(&mut self, done: Done, events: &mut Vec<StreamEvent>) {
        self.close(events);
        let (stop_reason, stop_sequence) = match done.reason {
            FinishReason::Stop => (StopReason::EndTurn, None),
            FinishReason::StopSequence(text) if self.stops.contains(&text) => (StopReason::StopSequence, Some(text)),
            FinishReason::StopSequence(_) => (StopReason::EndTurn, None),
            FinishReason::Length => (StopReason::MaxTokens, None),
            FinishReason::ToolCalls => (StopReason::ToolUse, None),
        };
        let cached = u64::from(done.usage.cached);
        let usage = DeltaUsage {
            input_tokens: u64::from(done.usage.prompt).saturating_sub(cached),
            cache_read_input_tokens: cached,
            output_tokens: u64::from(done.usage.completion),
        };
        events.push(StreamEvent::MessageDelta { delta: MessageDelta { stop_reason, stop_sequence }, usage });
        events.push(StreamEvent::MessageStop);
    }
}

/// The whole message, from its events. Events that do not fit are passed over.
pub(crate) fn fold(events: impl IntoIterator<Item = StreamEvent>) -> Option<Message> {
    let mut whole: Option<Message> = None;
    let mut arguments = String::new();
    for event in events {
        let message = match (event, &mut whole) {
            (StreamEvent::MessageStart { message }, _) => {
                whole = Some(message);
                continue;
            }
            (_, None) => continue,
            (event, Some(message)) => (event, message),
        };
        match message {
            (StreamEvent::ContentBlockStart { content_block, .. }, message) => message.content.push(content_block),
            (StreamEvent::ContentBlockDelta { delta, .. }, message) => match (message.content.last_mut(), delta) {
                (Some(AnswerBlock::Text { text }), BlockDelta::TextDelta { text: more }) => text.push_str(&more),
                (Some(AnswerBlock::Thinking { thinking, .. }), BlockDelta::ThinkingDelta { thinking: more }) => {
                    thinking.push_str(&more);
                }
                (Some(AnswerBlock::ToolUse { .. }), BlockDelta::InputJsonDelta { partial_json }) => {
                    arguments.push_str(&partial_json);
                }
                _ => {}
            },
            (StreamEvent::ContentBlockStop { .. }, message) => {
                if let Some(AnswerBlock::ToolUse { input, .. }) = message.content.last_mut() {
                    *input = blocks::object(serde_json::from_str(&std::mem::take(&mut arguments)).unwrap_or_default());
                }
            }
            (StreamEvent::MessageDelta { delta, usage }, message) => {
                message.stop_reason = Some(delta.stop_reason);
                message.stop_sequence = delta.stop_sequence;
                message.usage = Usage {
                    input_tokens: usage.input_tokens,
                    cache_read_input_tokens: usage.cache_read_input_tokens,
                    output_tokens: usage.output_tokens,
                };
            }
            _ => {}
        }
    }
    whole
}
