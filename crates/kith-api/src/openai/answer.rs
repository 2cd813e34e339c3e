//! A whole chat completion, folded from the pieces of its answers; and what whole and streamed answers share.

use kith_engine::Usage;
use kith_inference::{FinishReason, Piece, TokenLogprob, ToolCall};
use kith_types::Timestamp;
use kith_wire::openai as wire;

/// Names the software that answers: the same version, model and seed give the same answer.
const FINGERPRINT: &str = concat!("fp_kith_", env!("CARGO_PKG_VERSION"));

/// What stands at the head of every body of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// `chatcmpl-…` or `cmpl-…`.
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that answers.
    pub model: String,
}

impl Head {
    /// The head of a chat completion, from 12 random bytes.
    pub(crate) fn chat(random: [u8; 12], now: Timestamp, model: impl Into<String>) -> Self {
        Self { id: format!("chatcmpl-{}", hex::encode(random)), created: now.secs(), model: model.into() }
    }

    /// The head of a legacy completion, from 12 random bytes.
    pub(crate) fn completion(random: [u8; 12], now: Timestamp, model: impl Into<String>) -> Self {
        Self { id: format!("cmpl-{}", hex::encode(random)), created: now.secs(), model: model.into() }
    }

    pub(super) fn fingerprint() -> Option<String> {
        Some(FINGERPRINT.to_owned())
    }
}

/// Counts of tokens over all answers of a request. A prompt that is answered `n` times counts once, as at OpenAI.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    prompt: u64,
    cached: u64,
    completion: u64,
}

impl Tally {
    pub(super) fn add(&mut self, usage: Usage, first_of_its_prompt: bool) {
        if first_of_its_prompt {
            self.prompt += u64::from(usage.prompt);
            self.cached += u64::from(usage.cached);
        }
        self.completion += u64::from(usage.completion);
    }

    pub(super) fn usage(self) -> wire::Usage {
        wire::Usage {
            prompt_tokens: self.prompt,
            completion_tokens: self.completion,
            total_tokens: self.prompt + self.completion,
            prompt_tokens_details: Some(wire::PromptTokensDetails { cached_tokens: self.cached }),
        }
    }
}

pub(super) fn finish_reason(reason: &FinishReason) -> wire::FinishReason {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) => wire::FinishReason::Stop,
        FinishReason::Length => wire::FinishReason::Length,
        FinishReason::ToolCalls => wire::FinishReason::ToolCalls,
    }
}

pub(super) fn token_logprob(token: TokenLogprob) -> wire::TokenLogprob {
    wire::TokenLogprob {
        token: token.token,
        logprob: token.logprob,
        bytes: Some(token.bytes),
        top_logprobs: token
            .top
            .into_iter()
            .map(|top| wire::TopLogprob { token: top.token, logprob: top.logprob, bytes: Some(top.bytes) })
            .collect(),
    }
}

/// The arguments of a call as text, which is how OpenAI sends them.
pub(super) fn function_call(name: String, arguments: &serde_json::Value) -> wire::FunctionCall {
    wire::FunctionCall { name, arguments: arguments.to_string() }
}

fn tool_call(call: ToolCall) -> wire::ToolCall {
    wire::ToolCall { id: call.id, kind: "function".to_owned(), function: function_call(call.name, &call.arguments) }
}

/// One answer in the making.
#[derive(Debug, Default)]
struct Growing {
    text: String,
    reasoning: String,
    calls: Vec<wire::ToolCall>,
    logprobs: Vec<wire::TokenLogprob>,
    finish: Option<wire::FinishReason>,
}

/// Folds the pieces of `n` answers into one chat completion.
#[derive(Debug)]
pub(crate) struct ChatFold {
    head: Head,
    answers: Vec<Growing>,
    logprobs: bool,
    tally: Tally,
}

impl ChatFold {
    /// A fold of `answers` answers, with log-probabilities if `logprobs`.
    pub(crate) fn new(head: Head, answers: usize, logprobs: bool) -> Self {
        let answers = std::iter::repeat_with(Growing::default).take(answers).collect();
        Self { head, answers, logprobs, tally: Tally::default() }
    }

    /// Takes a piece of the answer `index`; an index beyond the answers is passed over.
    pub(crate) fn piece(&mut self, index: usize, piece: Piece) {
        let Some(answer) = self.answers.get_mut(index) else { return };
        match piece {
            Piece::Text { text, logprobs } => {
                answer.text.push_str(&text);
                answer.logprobs.extend(logprobs.into_iter().map(token_logprob));
            }
            Piece::Reasoning(text) => answer.reasoning.push_str(&text),
            Piece::ToolCall(call) => answer.calls.push(tool_call(call)),
            Piece::Done(done) => {
                answer.finish = Some(finish_reason(&done.reason));
                self.tally.add(done.usage, index == 0);
            }
        }
    }

    /// The chat completion.
    pub(crate) fn close(self) -> wire::ChatCompletion {
        let logprobs = self.logprobs;
        let choices = self.answers.into_iter().zip(0..).map(|(answer, index)| wire::ChatChoice {
            index,
            message: wire::AnswerMessage {
                role: "assistant".to_owned(),
                content: (!answer.text.is_empty() || answer.calls.is_empty()).then_some(answer.text),
                refusal: None,
                reasoning_content: (!answer.reasoning.is_empty()).then_some(answer.reasoning),
                tool_calls: (!answer.calls.is_empty()).then_some(answer.calls),
            },
            logprobs: logprobs.then_some(wire::ChatLogprobs { content: Some(answer.logprobs), refusal: None }),
            finish_reason: answer.finish.unwrap_or(wire::FinishReason::Stop),
        });
        wire::ChatCompletion {
            choices: choices.collect(),
            id: self.head.id,
            object: "chat.completion".to_owned(),
            created: self.head.created,
            model: self.head.model,
            usage: self.tally.usage(),
            system_fingerprint: Head::fingerprint(),
        }
    }
}
