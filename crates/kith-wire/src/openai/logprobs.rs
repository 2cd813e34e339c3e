//! Log-probabilities, in the chat form and the legacy form.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The log-probabilities of a chat answer's tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChatLogprobs {
    /// The tokens of the answer in order.
    pub content: Option<Vec<TokenLogprob>>,
    /// The tokens of a refusal; always null.
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// One token of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenLogprob {
    /// Its text; lossy where it is no whole UTF-8.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at this place, likeliest first.
    pub top_logprobs: Vec<TopLogprob>,
}

/// One of the likeliest tokens at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopLogprob {
    /// Its text; lossy where it is no whole UTF-8.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Its bytes.
    pub bytes: Option<Vec<u8>>,
}

/// The log-probabilities of a legacy completion: four lists of equal length.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CompletionLogprobs {
    /// The tokens' texts.
    pub tokens: Vec<String>,
    /// Natural logarithms of their probabilities.
    pub token_logprobs: Vec<f32>,
    /// For each place, the likeliest tokens and the one taken, with their log-probabilities.
    pub top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Where each token begins in the choice's text, in characters.
    pub text_offset: Vec<usize>,
}
