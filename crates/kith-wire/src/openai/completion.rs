//! Legacy completions: text in, text out, no template.

use super::{CompletionLogprobs, FinishReason, Stop, StreamOptions, Usage};
use crate::{KeepAlive, union::by_kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /v1/completions`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CompletionRequest {
    /// The model's name, `family:tag`.
    pub model: String,
    /// What is to be continued: a text, a list of texts, a list of token ids, or a list of such lists.
    pub prompt: CompletionPrompt,
    /// Text that comes after the answer. Refused: no model here can insert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// The most tokens of each answer. Default: the rest of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_tokens: Option<i64>,
    /// 0 takes the likeliest token; higher is more varied. 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f32>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach this. Above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub top_p: Option<f32>,
    /// How many answers to write to each prompt. 1 to 8; prompts times answers at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8)]
    pub n: Option<i64>,
    /// Send the answer in chunks, as server-sent events. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Options of the stream; only with `stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Report log-probabilities, with this many of the likeliest alternatives. 0 to 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20)]
    pub logprobs: Option<i64>,
    /// Begin each answer with its prompt. Not together with `logprobs`, nor with prompts of token ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// Texts that end the answer and are not part of it: one, or a list of at most 16, each at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Lowers the logit of every token the answer has. -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f32>,
    /// Lowers a token's logit for each time the answer has it. -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f32>,
    /// Write this many answers and keep the best `n`. Only `best_of` equal to `n` is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_of: Option<i64>,
    /// Token ids (as text) and what is added to their logits, -100 to 100. At most 1024 entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// A name for the person on the client's side; taken and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The same seed, prompt and options give the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Extra: keep the k likeliest tokens; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub top_k: Option<i64>,
    /// Extra: keep tokens at least this fraction as likely as the likeliest. At least 0, below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, exclusive_maximum = 1)]
    pub min_p: Option<f32>,
    /// Extra: weakens tokens seen lately; 1 is off. Above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub repetition_penalty: Option<f32>,
    /// Extra: the answer is text of this Lark grammar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// Extra: the answer is text that this regular expression matches whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Extra: how long the model stays loaded afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Extra: the id of a registered adapter (LoRA) that the model answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora_adapter: Option<String>,
}

/// What a legacy completion continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum CompletionPrompt {
    /// One text.
    Text(String),
    /// Several texts, each continued by itself.
    Texts(Vec<String>),
    /// One prompt of token ids.
    Tokens(Vec<u32>),
    /// Several prompts of token ids.
    TokenLists(Vec<Vec<u32>>),
}

impl Default for CompletionPrompt {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

by_kind!(CompletionPrompt, "a string, a list of strings, a list of token ids, or a list of such lists",
    text => |t| Ok(CompletionPrompt::Text(t)),
    list => CompletionPrompt::from_items,
);

/// An element of a prompt's list.
enum Item {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

by_kind!(Item, "a string, a token id, or a list of token ids",
    text => |t| Ok(Item::Text(t)),
    id => |n: u64| u32::try_from(n).map(Item::Token).map_err(|_| format!("{n} is no token id")),
    list => |l| Ok(Item::Tokens(l)),
);

impl CompletionPrompt {
    fn from_items(items: Vec<Item>) -> Result<Self, String> {
        let (mut texts, mut tokens, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        let count = items.len();
        for item in items {
            match item {
                Item::Text(text) => texts.push(text),
                Item::Token(token) => tokens.push(token),
                Item::Tokens(list) => lists.push(list),
            }
        }
        match count {
            n if n == texts.len() => Ok(Self::Texts(texts)),
            n if n == tokens.len() => Ok(Self::Tokens(tokens)),
            n if n == lists.len() => Ok(Self::TokenLists(lists)),
            _ => Err("a prompt's list holds strings, or token ids, or lists of token ids, but not a mixture".to_owned()),
        }
    }
}

/// A whole answer, or one chunk of a streamed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Completion {
    /// `cmpl-…`.
    pub id: String,
    /// `text_completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// Names the software that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// The answers, those of the first prompt first. In a chunk one piece of one answer.
    pub choices: Vec<CompletionChoice>,
    /// Counts of tokens. In chunks absent unless `include_usage` was asked for; then null in all chunks but the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub usage: Option<Option<Usage>>,
}

/// One answer, or one piece of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CompletionChoice {
    /// The text.
    pub text: String,
    /// The place of the answer: prompt times `n` plus the answer's number.
    pub index: u32,
    /// Log-probabilities, if asked for; else null.
    pub logprobs: Option<CompletionLogprobs>,
    /// Why it ended; null in a chunk that is not the answer's last.
    pub finish_reason: Option<FinishReason>,
}
