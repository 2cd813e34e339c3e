//! One request to a loaded model and the steps of its answer.

mod bounds;

use crate::{Adapter, Image};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the model reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Text, already in the model's template. Special tokens written in it are read as such.
    Text {
        /// The text.
        text: String,
        /// Whether the tokenizer adds the model's opening token (BOS); false when the template has written it.
        add_special: bool,
        /// Images, in the order of their places: the text has [`crate::LoadedInfo::image_mark`] once for each of them, and nowhere else.
        /// Otherwise, or if one cannot be decoded, the request is [`crate::EngineError::Invalid`] in `images`.
        images: Vec<Image>,
    },
    /// Token ids of this model's vocabulary.
    Tokens(Vec<u32>),
}

/// How the next token is chosen from the logits. Filters apply in the order of the fields: penalties, then temperature, top-k, top-p, min-p.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 takes the likeliest token; otherwise logits are divided by it. 0 to 5.
    pub temperature: f32,
    /// Keep the k likeliest tokens. `None` keeps all.
    pub top_k: Option<u32>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach p. 0 < p <= 1.
    pub top_p: Option<f32>,
    /// Keep tokens at least this fraction as likely as the likeliest. 0 <= p < 1.
    pub min_p: Option<f32>,
    /// Divides (positive) or multiplies (negative) the logits of tokens seen in the last `repeat_last_n` tokens. 1 is off.
    pub repetition_penalty: f32,
    /// How many of the last tokens (prompt and answer) the repetition penalty looks at. 0 looks at none, `u32::MAX` at all.
    pub repeat_last_n: u32,
    /// Subtracted from the logit of each token for every time the answer has it. -2 to 2.
    pub frequency_penalty: f32,
    /// Subtracted from the logit of each token that the answer has. -2 to 2.
    pub presence_penalty: f32,
    /// Added to the logits of these token ids. -100 to 100.
    pub logit_bias: Vec<(u32, f32)>,
    /// The seed of this request's own random sequence; `None` draws one.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    /// Plain sampling from the model's own distribution.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            repeat_last_n: 64,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

/// A language the answer must belong to; enforced token by token.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// Anything.
    None,
    /// JSON that this JSON Schema accepts.
    JsonSchema(serde_json::Value),
    /// Any JSON object.
    JsonObject,
    /// Text that this regular expression matches whole.
    Regex(String),
    /// Text of this Lark grammar.
    Lark(String),
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// What the model reads.
    pub input: Input,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The most tokens the answer may have; `None` is the rest of the window.
    pub max_tokens: Option<u32>,
    /// How many alternatives to report with each token (0 to 20); `None` reports no log-probabilities at all.
    pub logprobs: Option<u8>,
    /// The language of the answer.
    pub constraint: Constraint,
    /// Go on after the model's end-of-text token (for benchmarks).
    pub ignore_eos: bool,
    /// The adapter that the model answers with. Engines that do not apply any ([`crate::Loaded::adapts`]) refuse the request.
    pub adapter: Option<Adapter>,
}

/// A token with its log-probability under the model's distribution after penalties, before temperature and filters.
#[derive(Debug, Clone, PartialEq)]
pub struct TopToken {
    /// The id in the model's vocabulary.
    pub id: u32,
    /// Natural logarithm of the probability.
    pub logprob: f32,
    /// The token's own bytes; not always whole UTF-8 by itself.
    pub bytes: Vec<u8>,
}

/// One token of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// The id in the model's vocabulary.
    pub id: u32,
    /// The text that became whole with this token; may be empty while a character is incomplete.
    pub text: String,
    /// Present if log-probabilities were asked for.
    pub logprob: Option<TopToken>,
    /// The likeliest tokens at this place, likeliest first; as many as asked for.
    pub top: Vec<TopToken>,
}

/// Why the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it, or the grammar was complete.
    Stop,
    /// `max_tokens` or the window was reached.
    Length,
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// How many of them were taken from the prefix cache.
    pub cached: u32,
    /// Tokens of the answer.
    pub completion: u32,
}

/// Where the time went, measured by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Reading the prompt, from its start to the first token.
    pub prefill: Duration,
    /// Writing the answer, from the first token to the last.
    pub decode: Duration,
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Why it ended.
    pub finish: Finish,
    /// Counts of tokens.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
}

/// One step of an answer: tokens, then exactly one `Done`.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// One more token.
    Token(Token),
    /// The end.
    Done(Generated),
}
