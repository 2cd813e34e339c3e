//! Events of a chat completion as pieces of an answer.

use crate::{
    FinishReason, Piece, ProviderFault, TokenLogprob,
    providers::{
        answer::{Calls, Decoder, Ending, broken, count},
        http::fault_inside,
        sse::Event,
    },
};
use kith_engine::Usage;
use serde::Deserialize;
use serde_json::Value;

/// Marks the end of the stream.
const DONE: &str = "[DONE]";

#[derive(Debug, Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Counts>,
    /// Where Groq puts its counts.
    x_groq: Option<GroqCounts>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct GroqCounts {
    usage: Option<Counts>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
    logprobs: Option<LogProbs>,
    /// Where Moonshot puts its counts.
    usage: Option<Counts>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: Option<Value>,
    reasoning_content: Option<String>,
    reasoning: Option<Value>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Debug, Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct LogProbs {
    content: Option<Vec<LogProb>>,
}

#[derive(Debug, Deserialize)]
struct LogProb {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<LogProb>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    /// What DeepSeek calls cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let cached = counts.prompt_tokens_details.and_then(|details| details.cached_tokens).or(counts.prompt_cache_hit_tokens);
        Self { prompt: count(counts.prompt_tokens), cached: count(cached), completion: count(counts.completion_tokens) }
    }
}

impl From<LogProb> for TokenLogprob {
    fn from(one: LogProb) -> Self {
        // Natural logarithms of probabilities have more digits than anybody needs.
        #[allow(clippy::cast_possible_truncation)]
        let logprob = one.logprob as f32;
        let bytes = one.bytes.unwrap_or_else(|| one.token.as_bytes().to_vec());
        let top = one.top_logprobs.unwrap_or_default().into_iter().map(Self::from).collect();
        Self { token: one.token, bytes, logprob, top }
    }
}

/// Reads one chat completion.
#[derive(Debug, Default)]
pub(in crate::providers) struct ChatDecoder {
    calls: Calls,
    reason: Option<FinishReason>,
    usage: Usage,
    done: bool,
}

impl Decoder for ChatDecoder {
    fn event(&mut self, event: &Event) -> Result<Vec<Piece>, ProviderFault> {
        if event.data.trim() == DONE {
            self.done = true;
            return Ok(Vec::new());
        }
        if event.data.is_empty() {
            return Ok(Vec::new());
        }
        let chunk: Chunk = serde_json::from_str(&event.data).map_err(|_| broken("has an event that is no chunk of an answer"))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(fault_inside(&error));
        }
        if let Some(counts) = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage)) {
            self.usage = counts.into();
        }
        let mut pieces = Vec::new();
        // One answer was asked for; there is no second choice.
        for choice in chunk.choices.unwrap_or_default().into_iter().take(1) {
            self.choice(choice, &mut pieces)?;
        }
        Ok(pieces)
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn close(self: Box<Self>) -> Result<(Vec<Piece>, Ending), ProviderFault> {
        // The reason says that the answer is whole; some leave the mark of the end out.
        let reason = self.reason.ok_or_else(|| broken("broke off"))?;
        let calls = self.calls.finish(reason == FinishReason::Length)?;
        let reason = if calls.is_empty() || reason == FinishReason::Length { reason } else { FinishReason::ToolCalls };
        Ok((calls.into_iter().map(Piece::ToolCall).collect(), Ending { reason, usage: self.usage }))
    }
}

impl ChatDecoder {
    fn choice(&mut self, choice: Choice, pieces: &mut Vec<Piece>) -> Result<(), ProviderFault> {
        if let Some(counts) = choice.usage {
            self.usage = counts.into();
        }
        let mut logprobs: Vec<TokenLogprob> =
            choice.logprobs.and_then(|list| list.content).unwrap_or_default().into_iter().map(TokenLogprob::from).collect();
        if let Some(delta) = choice.delta {
            let mut reasoning = delta.reasoning_content.unwrap_or_default();
            let mut text = String::new();
            // Two names for one thing; who sends both sends the same twice.
            if let (true, Some(Value::String(more))) = (reasoning.is_empty(), delta.reasoning) {
                reasoning = more;
            }
            spell(delta.content.unwrap_or_default(), &mut text, &mut reasoning);
            text.push_str(&delta.refusal.unwrap_or_default());
            if !reasoning.is_empty() {
                pieces.push(Piece::Reasoning(reasoning));
            }
            if !text.is_empty() || !logprobs.is_empty() {
                pieces.push(Piece::Text { text, logprobs: std::mem::take(&mut logprobs) });
            }
            for call in delta.tool_calls.unwrap_or_default() {
                self.call(call)?;
            }
        }
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some("stop" | "eos") => self.reason = Some(FinishReason::Stop),
            Some("length" | "model_length" | "max_tokens") => self.reason = Some(FinishReason::Length),
            Some("tool_calls" | "function_call") => self.reason = Some(FinishReason::ToolCalls),
            Some("content_filter") => return Err(ProviderFault::Withheld("its filter of contents stopped it".to_owned())),
            Some("insufficient_system_resource") => return Err(ProviderFault::Overloaded { retry_after: None }),
            Some(_) => return Err(broken("ended for a reason that is not known here")),
        }
        Ok(())
    }

    fn call(&mut self, delta: CallDelta) -> Result<(), ProviderFault> {
        let function = delta.function.unwrap_or(FunctionDelta { name: None, arguments: None });
        let arguments = match function.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            // Some give the object itself.
            Some(other) => other.to_string(),
        };
        let index = delta.index.unwrap_or_else(|| self.calls.place_of(delta.id.as_deref()));
        self.calls.add(index, delta.id, function.name, &arguments)
    }
}

/// Content is text, or a list of parts of which some are reasoning.
fn spell(content: Value, text: &mut String, reasoning: &mut String) {
    match content {
        Value::String(more) => text.push_str(&more),
        Value::Array(parts) => {
            for part in parts {
                match (part["type"].as_str(), &part["thinking"]) {
                    (Some("thinking"), thinking) => {
                        let inner = thinking.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
                        inner.chain(thinking.as_str()).for_each(|more| reasoning.push_str(more));
                    }
                    _ => text.push_str(part["text"].as_str().unwrap_or_default()),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
