//! What both requests share: options, format, thinking, images.

use crate::field_error::{FieldError, checks};
use kith_inference::{Format, Options};
use kith_wire::ollama as wire;

/// Options of the run. Bounds that Ollama has no opinion on are those of the native request, which checks them itself.
pub(super) fn options(options: Option<wire::Options>) -> Result<Options, FieldError> {
    let options = options.unwrap_or_default();
    Ok(Options {
        temperature: options.temperature,
        // Zero and below keep all tokens.
        top_k: checks::whole("options.top_k", options.top_k.map(|k| k.max(0)), 0, checks::MAX_COUNT)?,
        // Zero keeps the likeliest token alone; the native request counts it as unset.
        top_p: options.top_p.map(|p| if p == 0.0 { f32::MIN_POSITIVE } else { p }),
        min_p: options.min_p,
        repetition_penalty: options.repeat_penalty,
        repeat_last_n: match options.repeat_last_n {
            Some(-1) => Some(u32::MAX),
            n => checks::whole("options.repeat_last_n", n, 0, checks::MAX_COUNT)?,
        },
        frequency_penalty: options.frequency_penalty,
        presence_penalty: options.presence_penalty,
        logit_bias: Vec::new(),
        seed: options.seed.filter(|seed| *seed != -1).map(i64::cast_unsigned),
        // Zero and below ask for no limit.
        max_tokens: checks::whole("options.num_predict", options.num_predict.filter(|n| *n > 0), 1, checks::MAX_COUNT)?,
        stop: checks::stops("options.stop", options.stop)?,
        logprobs: None,
        context: checks::whole("options.num_ctx", options.num_ctx.filter(|n| *n != 0), 1, checks::MAX_COUNT)?,
    })
}

pub(super) fn format(format: Option<wire::Format>) -> Result<Format, FieldError> {
    match format {
        None => Ok(Format::Text),
        Some(wire::Format::Schema(schema)) => Ok(Format::JsonSchema(schema.into())),
        Some(wire::Format::Word(word)) => match word.as_str() {
            "" => Ok(Format::Text),
            "json" => Ok(Format::JsonObject),
            _ => Err(FieldError::new("format", "`format` must be \"json\" or a JSON Schema")),
        },
    }
}

pub(super) fn think(think: Option<wire::Think>) -> Result<Option<bool>, FieldError> {
    match think {
        None => Ok(None),
        Some(wire::Think::Switch(on)) => Ok(Some(on)),
        Some(wire::Think::Level(level)) => match level.as_str() {
            "low" | "medium" | "high" => Ok(Some(true)),
            _ => Err(FieldError::new("think", "`think` must be true, false, \"low\", \"medium\" or \"high\"")),
        },
    }
}

/// How much to reason, where the client says it.
pub(super) fn effort(think: Option<&wire::Think>) -> Option<String> {
    match think {
        Some(wire::Think::Level(level)) => Some(level.clone()),
        Some(wire::Think::Switch(_)) | None => None,
    }
}

/// Images in Base64; some clients send `data:` URLs.
pub(super) fn images(field: &str, images: Option<Vec<String>>) -> Result<Vec<Vec<u8>>, FieldError> {
    let decode = |(at, text): (usize, String)| {
        let field = format!("{field}[{at}]");
        match checks::data_url(&text) {
            Some(Ok(data)) => checks::image(&field, data),
            Some(Err(why)) => Err(FieldError::new(&field, format!("`{field}` {why}"))),
            None => checks::image(&field, &text),
        }
    };
    images.unwrap_or_default().into_iter().enumerate().map(decode).collect()
}
