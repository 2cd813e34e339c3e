//! A chat completion in chunks: for each answer its role, then its pieces, then its end; at last, if asked for, the counts of tokens.

use super::answer::{Head, Tally, finish_reason, function_call, token_logprob};
use kith_inference::Piece;
use kith_wire::openai::{ChatCompletionChunk, ChatLogprobs, ChunkChoice, Delta, DeltaToolCall, FinishReason, TokenLogprob};

/// Turns the pieces of `n` answers, in whatever order they come, into chunks.
#[derive(Debug)]
pub(crate) struct ChatChunks {
    head: Head,
    answers: Vec<Opened>,
    include_usage: bool,
    logprobs: bool,
    tally: Tally,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, Default)]
struct Opened {
    role_sent: bool,
    calls: u32,
}

impl ChatChunks {
    /// Chunks of `answers` answers, with counts of tokens at the end if `include_usage`, with log-probabilities if `logprobs`.
    pub(crate) fn new(head: Head, answers: usize, include_usage: bool, logprobs: bool) -> Self {
        Self { head, answers: vec![Opened::default(); answers], include_usage, logprobs, tally: Tally::default() }
    }

    /// The chunks for a piece of the answer `index`: none, one, or two. An index beyond the answers is passed over.
    pub(crate) fn piece(&mut self, index: usize, piece: Piece) -> Vec<ChatCompletionChunk> {
        let Some(answer) = self.answers.get_mut(index) else { return Vec::new() };
        let mut chunks = Vec::with_capacity(2);
        let before = *answer;
        answer.role_sent = true;
        if matches!(piece, Piece::ToolCall(_)) {
            answer.calls += 1;
        }
        if !before.role_sent {
            // An answer that opens with a tool call has null content, which in a chunk is no content at all.
            let content = (!matches!(piece, Piece::ToolCall(_))).then(String::new);
            let delta = Delta { role: Some("assistant".to_owned()), content, ..Delta::default() };
            chunks.push(self.chunk(index, delta, Vec::new(), None));
        }
        match piece {
            Piece::Text { text, logprobs } => {
                if !text.is_empty() || !logprobs.is_empty() {
                    let logprobs = logprobs.into_iter().map(token_logprob).collect();
                    chunks.push(self.chunk(index, Delta { content: Some(text), ..Delta::default() }, logprobs, None));
                }
            }
            Piece::Reasoning(text) => {
                if !text.is_empty() {
                    chunks.push(self.chunk(index, Delta { reasoning_content: Some(text), ..Delta::default() }, Vec::new(), None));
                }
            }
            Piece::ToolCall(call) => {
                let call = DeltaToolCall {
                    index: before.calls,
                    id: Some(call.id),
                    kind: Some("function".to_owned()),
                    function: function_call(call.name, &call.arguments),
                };
                chunks.push(self.chunk(index, Delta { tool_calls: Some(vec![call]), ..Delta::default() }, Vec::new(), None));
            }
            Piece::Done(done) => {
                self.tally.add(done.usage, index == 0);
                chunks.push(self.chunk(index, Delta::default(), Vec::new(), Some(finish_reason(&done.reason))));
            }
        }
        chunks
    }

    /// The last chunk, with the counts of tokens, if they were asked for. [`super::DONE`] follows it.
    pub(crate) fn close(self) -> Option<ChatCompletionChunk> {
        self.include_usage.then(|| ChatCompletionChunk { usage: Some(Some(self.tally.usage())), ..self.frame(Vec::new()) })
    }

    fn chunk(
        &self,
        index: usize,
        delta: Delta,
        logprobs: Vec<TokenLogprob>,
        finish: Option<FinishReason>,
    ) -> ChatCompletionChunk {
        let logprobs = (self.logprobs && !logprobs.is_empty()).then_some(ChatLogprobs { content: Some(logprobs), refusal: None });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.frame(vec![ChunkChoice { index, delta, logprobs, finish_reason: finish }])
    }

    fn frame(&self, choices: Vec<ChunkChoice>) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.head.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.head.created,
            model: self.head.model.clone(),
            system_fingerprint: Head::fingerprint(),
            choices,
            usage: self.include_usage.then_some(None),
        }
    }
}
