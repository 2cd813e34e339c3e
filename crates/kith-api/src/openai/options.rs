//! Options that chat and legacy completions share, checked against OpenAI's bounds.

use crate::field_error::{FieldError, checks};
use kith_inference::{Format, Generate, Options};
use kith_wire::openai::{Stop, StreamOptions};
use std::collections::BTreeMap;

/// The most answers to one prompt.
const MAX_ANSWERS: i64 = 8;
/// The most biased tokens.
const MAX_LOGIT_BIAS: usize = 1024;

/// The options as both requests have them.
pub(super) struct Wishes {
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<i64>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub logit_bias: Option<BTreeMap<String, f32>>,
    pub seed: Option<i64>,
    pub stop: Option<Stop>,
}

pub(super) fn options(wishes: Wishes) -> Result<Options, FieldError> {
    let min_p = checks::within("min_p", wishes.min_p, 0.0, 1.0)?;
    if min_p == Some(1.0) {
        return Err(FieldError::new("min_p", "`min_p` is 1; it must be below 1"));
    }
    Ok(Options {
        temperature: checks::within("temperature", wishes.temperature, 0.0, 2.0)?,
        top_p: checks::above("top_p", wishes.top_p, 0.0, 1.0)?,
        top_k: checks::whole("top_k", wishes.top_k, 0, checks::MAX_COUNT)?,
        min_p,
        repetition_penalty: checks::within("repetition_penalty", wishes.repetition_penalty, 0.01, 10.0)?,
        frequency_penalty: checks::within("frequency_penalty", wishes.frequency_penalty, -2.0, 2.0)?,
        presence_penalty: checks::within("presence_penalty", wishes.presence_penalty, -2.0, 2.0)?,
        logit_bias: logit_bias(wishes.logit_bias.unwrap_or_default())?,
        // Negative seeds are as good as others: the same bits, read as unsigned.
        seed: wishes.seed.map(i64::cast_unsigned),
        stop: checks::stops("stop", wishes.stop)?,
        ..Options::default()
    })
}

fn logit_bias(map: BTreeMap<String, f32>) -> Result<Vec<(u32, f32)>, FieldError> {
    if map.len() > MAX_LOGIT_BIAS {
        let message = format!("`logit_bias` has {} entries; at most {MAX_LOGIT_BIAS} are taken", map.len());
        return Err(FieldError::new("logit_bias", message));
    }
    map.into_iter()
        .map(|(token, bias)| {
            let shown: String = token.chars().take(20).collect();
            let field = format!("logit_bias.{shown}");
            let id = token
                .parse()
                .map_err(|_| FieldError::new(&field, format!("`logit_bias`: `{shown}` is not the id of a token")))?;
            checks::within(&field, Some(bias), -100.0, 100.0)?;
            Ok((id, bias))
        })
        .collect()
}

/// How many answers to each prompt.
pub(super) fn answers(n: Option<i64>) -> Result<usize, FieldError> {
    Ok(checks::whole("n", n, 1, MAX_ANSWERS)?.map_or(1, |n| n as usize))
}

/// The same request `n` times; with a seed, each has the next one, so that the answers differ and can be had again.
pub(super) fn repeated(generate: Generate, n: usize) -> Vec<Generate> {
    (0..n as u64)
        .map(|i| {
            let mut copy = generate.clone();
            copy.options.seed = copy.options.seed.map(|seed| seed.wrapping_add(i));
            copy
        })
        .collect()
}

/// The shape of the answer, of which there can be only one.
pub(super) fn one_format(format: Format, grammar: Option<String>, regex: Option<String>) -> Result<Format, FieldError> {
    let mut format = format;
    for (field, other) in [("grammar", grammar.map(Format::Lark)), ("regex", regex.map(Format::Regex))] {
        let Some(other) = other else { continue };
        if format != Format::Text {
            let message = format!("`{field}` cannot be joined with another shape of the answer: give one");
            return Err(FieldError::new(field, message));
        }
        format = other;
    }
    Ok(format)
}

/// Whether a stream is to end with the counts of tokens.
pub(super) fn include_usage(stream: Option<bool>, options: Option<StreamOptions>) -> Result<bool, FieldError> {
    match options {
        Some(_) if stream != Some(true) => {
            Err(FieldError::new("stream_options", "`stream_options` is for streamed answers: set `stream` to true"))
        }
        options => Ok(options.and_then(|o| o.include_usage).unwrap_or(false)),
    }
}
