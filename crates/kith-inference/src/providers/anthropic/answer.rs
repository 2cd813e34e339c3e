//! Events of a message as pieces of an answer.

use crate::{
    FinishReason, Piece, ProviderFault,
    providers::{
        answer::{Calls, Decoder, Ending, broken, count},
        http::fault_inside,
        sse::Event,
    },
};
use kith_engine::Usage;
use serde::Deserialize;
use serde_json::Value;

/// All kinds of events in one; each fills what it has.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    index: Option<u64>,
    message: Option<Head>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Option<Counts>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Head {
    usage: Option<Counts>,
}

#[derive(Debug, Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

/// Reads one message.
#[derive(Debug, Default)]
pub(in crate::providers) struct MessageDecoder {
    calls: Calls,
    reason: Option<FinishReason>,
    usage: Usage,
    done: bool,
}

impl Decoder for MessageDecoder {
    fn event(&mut self, event: &Event) -> Result<Vec<Piece>, ProviderFault> {
        let told: Told = serde_json::from_str(&event.data).map_err(|_| broken("has an event that is none of a message"))?;
        let mut pieces = Vec::new();
        match told.kind.as_str() {
            "message_start" => {
                if let Some(counts) = told.message.and_then(|head| head.usage) {
                    // What was read from a cache or written to one is counted apart from the rest of the prompt.
                    let parts = [counts.input_tokens, counts.cache_read_input_tokens, counts.cache_creation_input_tokens];
                    self.usage.prompt = count(Some(parts.into_iter().flatten().fold(0, u64::saturating_add)));
                    self.usage.cached = count(counts.cache_read_input_tokens);
                }
            }
            "content_block_start" => self.block(told.index, told.content_block, &mut pieces)?,
            "content_block_delta" => self.delta(told.index, told.delta, &mut pieces)?,
            "message_delta" => {
                if let Some(counts) = told.usage {
                    self.usage.completion = count(counts.output_tokens);
                }
                self.stop(told.delta)?;
            }
            "message_stop" => self.done = true,
            "error" => return Err(fault_inside(&told.error.unwrap_or_default())),
            // Pings, ends of blocks, and what may be added one day.
            _ => {}
        }
        Ok(pieces)
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn close(self: Box<Self>) -> Result<(Vec<Piece>, Ending), ProviderFault> {
        let reason = self.reason.filter(|_| self.done).ok_or_else(|| broken("broke off"))?;
        let calls = self.calls.finish(reason == FinishReason::Length)?;
        Ok((calls.into_iter().map(Piece::ToolCall).collect(), Ending { reason, usage: self.usage }))
    }
}

impl MessageDecoder {
    fn block(&mut self, index: Option<u64>, block: Option<Block>, pieces: &mut Vec<Piece>) -> Result<(), ProviderFault> {
        let Some(block) = block else { return Ok(()) };
        match block.kind.as_str() {
            "tool_use" => {
                // The input is empty here and follows in parts, except where a proxy sends it whole.
                let whole = block.input.filter(|input| input.as_object().is_some_and(|object| !object.is_empty()));
                let arguments = whole.map(|input| input.to_string()).unwrap_or_default();
                self.calls.add(index.unwrap_or_default(), block.id, block.name, &arguments)?;
            }
            _ => text(block.text, pieces),
        }
        Ok(())
    }

    fn delta(&mut self, index: Option<u64>, delta: Option<Delta>, pieces: &mut Vec<Piece>) -> Result<(), ProviderFault> {
        let Some(delta) = delta else { return Ok(()) };
        text(delta.text, pieces);
        if let Some(thinking) = delta.thinking.filter(|text| !text.is_empty()) {
            pieces.push(Piece::Reasoning(thinking));
        }
        match delta.partial_json {
            Some(part) => self.calls.add(index.unwrap_or_default(), None, None, &part),
            None => Ok(()),
        }
    }

    fn stop(&mut self, delta: Option<Delta>) -> Result<(), ProviderFault> {
        let Some(delta) = delta else { return Ok(()) };
        self.reason = match (delta.stop_reason.as_deref(), delta.stop_sequence) {
            (None, _) => return Ok(()),
            (Some("end_turn"), _) => Some(FinishReason::Stop),
            (Some("stop_sequence"), Some(text)) => Some(FinishReason::StopSequence(text)),
            (Some("stop_sequence"), None) => Some(FinishReason::Stop),
            (Some("max_tokens" | "model_context_window_exceeded"), _) => Some(FinishReason::Length),
            (Some("tool_use"), _) => Some(FinishReason::ToolCalls),
            (Some("refusal"), _) => return Err(ProviderFault::Withheld("the model refuses to answer this".to_owned())),
            (Some(_), _) => return Err(broken("ended for a reason that is not known here")),
        };
        Ok(())
    }
}

fn text(text: Option<String>, pieces: &mut Vec<Piece>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        pieces.push(Piece::Text { text, logprobs: Vec::new() });
    }
}

#[cfg(test)]
mod tests;
