//! NeuroShard's prompts in native words, and the pieces of an answer in NeuroShard's.

use crate::field_error::{FieldError, checks};
use kith_inference::{Done, FinishReason, Generate, Piece, Prompt};
use kith_wire::{
    neuroshard::{Cost, InferenceRequest, InferenceResponse, StreamEvent, Timing, Usage},
    openai::Stop,
};
use std::time::Duration;

/// What NeuroShard's page names as defaults.
const MAX_TOKENS: u32 = 100;
const TEMPERATURE: f32 = 1.0;
const TOP_P: f32 = 1.0;
const TOP_K: u32 = 50;
/// The currency of costs.
const CURRENCY: &str = "KITH";
/// The last token of a stream.
const DONE: &str = "[DONE]";

/// Translates a request to the given model. Errors name NeuroShard's field.
pub(crate) fn generate(request: InferenceRequest, model: String) -> Result<Generate, FieldError> {
    if request.prompt.is_empty() {
        return Err(FieldError::new("prompt", "`prompt` is empty"));
    }
    let prompt = Prompt::Instruct { prompt: request.prompt, system: None, images: Vec::new(), context: Vec::new() };
    let mut generate = Generate::new(model, prompt);
    let options = &mut generate.options;
    options.max_tokens = checks::whole("max_tokens", request.max_tokens, 1, checks::MAX_COUNT)?.or(Some(MAX_TOKENS));
    options.temperature = checks::within("temperature", request.temperature, 0.0, 2.0)?.or(Some(TEMPERATURE));
    options.top_p = checks::above("top_p", request.top_p, 0.0, 1.0)?.or(Some(TOP_P));
    options.top_k = checks::whole("top_k", request.top_k, 0, checks::MAX_COUNT)?.or(Some(TOP_K));
    options.stop = checks::stops("stop", request.stop.map(Stop::Many))?;
    options.seed = request.seed;
    Ok(generate)
}

/// The native field in NeuroShard's words.
pub(crate) fn field(native: &str) -> String {
    if native.starts_with("messages") { "prompt".to_owned() } else { native.to_owned() }
}

fn reason(done: &Done) -> String {
    if done.reason == FinishReason::Length { "length".to_owned() } else { "stop".to_owned() }
}

fn usage(done: &Done) -> Usage {
    let (prompt, completion) = (u64::from(done.usage.prompt), u64::from(done.usage.completion));
    Usage { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

fn timing(done: &Done) -> Timing {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let work = done.timings.prefill + done.timings.decode;
    Timing { queue_ms: ms(done.total.saturating_sub(work)), inference_ms: ms(work), total_ms: ms(done.total) }
}

fn cost() -> Cost {
    Cost { amount: 0.0, currency: CURRENCY.to_owned() }
}

/// Text of a piece. Reasoning is not part of the answer.
fn text_of(piece: Piece) -> Result<String, Box<Done>> {
    match piece {
        Piece::Text { text, .. } => Ok(text),
        Piece::Reasoning(_) => Ok(String::new()),
        Piece::ToolCall(call) => Ok(call.arguments.to_string()),
        Piece::Done(done) => Err(Box::new(done)),
    }
}

/// Folds the pieces of an answer into one.
pub(crate) struct Fold {
    whole: InferenceResponse,
}

impl Fold {
    /// An answer of this id by `model`.
    pub fn new(id: String, model: String) -> Self {
        let whole = InferenceResponse {
            id,
            model,
            text: String::new(),
            tokens_generated: 0,
            finish_reason: String::new(),
            usage: Usage::default(),
            cost: cost(),
            timing: Timing::default(),
        };
        Self { whole }
    }

    /// Takes a piece.
    pub fn piece(&mut self, piece: Piece) {
        match text_of(piece) {
            Ok(text) => self.whole.text.push_str(&text),
            Err(done) => {
                self.whole.tokens_generated = done.usage.completion.into();
                self.whole.finish_reason = reason(&done);
                self.whole.usage = usage(&done);
                self.whole.timing = timing(&done);
            }
        }
    }

    /// The whole answer, whose last piece was its end.
    pub fn close(self) -> InferenceResponse {
        self.whole
    }
}

/// Turns the pieces of an answer into events.
#[derive(Default)]
pub(crate) struct Events {
    index: u64,
}

impl Events {
    /// The event for a piece, if it has anything to tell.
    pub fn piece(&mut self, piece: Piece) -> Option<StreamEvent> {
        match text_of(piece) {
            Ok(text) if text.is_empty() => None,
            Ok(token) => {
                let index = self.index;
                self.index += 1;
                Some(StreamEvent { token, index: Some(index), ..StreamEvent::default() })
            }
            Err(done) => Some(StreamEvent {
                token: DONE.to_owned(),
                index: None,
                finish_reason: Some(reason(&done)),
                usage: Some(usage(&done)),
                cost: Some(cost()),
                timing: Some(timing(&done)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Generate, FieldError> {
        generate(serde_json::from_str(text).unwrap(), "m:1".into())
    }

    #[test]
    fn what_is_left_out_is_as_the_reference_says() {
        let options = asked(r#"{"prompt":"x"}"#).unwrap().options;
        assert_eq!((options.max_tokens, options.temperature), (Some(100), Some(1.0)));
        assert_eq!((options.top_p, options.top_k, options.stop), (Some(1.0), Some(50), vec![]));
    }

    #[test]
    fn every_field_that_is_out_of_bounds_is_named() {
        for (body, field) in [
            (r#"{"prompt":""}"#, "prompt"),
            (r#"{"prompt":"x","max_tokens":0}"#, "max_tokens"),
            (r#"{"prompt":"x","temperature":2.5}"#, "temperature"),
            (r#"{"prompt":"x","top_p":0}"#, "top_p"),
            (r#"{"prompt":"x","top_k":-1}"#, "top_k"),
            (r#"{"prompt":"x","stop":[""]}"#, "stop[0]"),
        ] {
            assert_eq!(asked(body).unwrap_err().field, field);
        }
    }
}
