//! What every wire form needs of a native request: its conversation, and a refusal of all that the provider cannot do.

use super::table::{Form, Offer, Prefill, Row, Thinking};
use crate::{Format, Generate, InferenceError, Message, Prompt, Role, ToolChoice, options, tools};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

fn invalid(field: impl Into<String>, message: String) -> InferenceError {
    InferenceError::Invalid { field: field.into(), message }
}

/// Refuses what the provider cannot do or Kith cannot tell it, naming the field. Nothing is ever dropped in silence.
pub(super) fn check(row: &Row, request: &Generate) -> Result<(), InferenceError> {
    options::check(&request.options)?;
    tools::validate(&request.tools, &request.tool_choice)?;
    let wishes = &request.options;
    let lacks = |offer: Offer| !row.offers(offer);
    let forced = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
    let refused: [(&str, bool); 17] = [
        ("top_k", wishes.top_k.is_some_and(|k| k > 0) && lacks(Offer::TopK)),
        ("min_p", wishes.min_p.is_some_and(|p| p > 0.0) && lacks(Offer::MinP)),
        ("repetition_penalty", wishes.repetition_penalty.is_some_and(differs_from_one) && lacks(Offer::RepetitionPenalty)),
        ("repeat_last_n", wishes.repeat_last_n.is_some()),
        ("frequency_penalty", wishes.frequency_penalty.is_some_and(not_zero) && lacks(Offer::Penalties)),
        ("presence_penalty", wishes.presence_penalty.is_some_and(not_zero) && lacks(Offer::Penalties)),
        ("logit_bias", !wishes.logit_bias.is_empty() && lacks(Offer::LogitBias)),
        ("seed", wishes.seed.is_some() && row.seed.is_none()),
        ("logprobs", wishes.logprobs.is_some() && lacks(Offer::LogProbs)),
        ("context", wishes.context.is_some()),
        ("template", request.template.is_some()),
        ("format", matches!(request.format, Format::Regex(_) | Format::Lark(_))),
        ("format", request.format == Format::JsonObject && lacks(Offer::JsonObject)),
        ("format", matches!(request.format, Format::JsonSchema(_)) && lacks(Offer::JsonSchema)),
        ("parallel_tool_calls", !request.parallel_tool_calls && !request.tools.is_empty() && lacks(Offer::OneCall)),
        ("tool_choice", forced && lacks(Offer::ForcedCall)),
        ("think", request.think.is_some() && row.thinking == Thinking::No),
    ];
    if let Some((field, _)) = refused.iter().find(|(_, refused)| *refused) {
        return Err(cannot(row, field));
    }
    if forced && request.format != Format::Text {
        return Err(invalid("tool_choice", "an answer cannot be both a tool call and of a given format".to_owned()));
    }
    Ok(())
}

/// The refusal of one field.
pub(super) fn cannot(row: &Row, field: &str) -> InferenceError {
    invalid(field, format!("`{field}`: {} cannot do this; leave it out or ask another model", row.title))
}

fn not_zero(value: f32) -> bool {
    value != 0.0
}

fn differs_from_one(value: f32) -> bool {
    (value - 1.0).abs() > f32::EPSILON
}

/// The request's conversation.
pub(super) fn conversation(row: &Row, request: &Generate) -> Result<Vec<Message>, InferenceError> {
    let messages = match &request.prompt {
        Prompt::Chat(messages) => messages.clone(),
        Prompt::Instruct { prompt, system, images, context } => {
            if !context.is_empty() {
                return Err(cannot(row, "prompt.context"));
            }
            let system = system.iter().filter(|text| !text.is_empty()).map(|text| Message::text(Role::System, text.clone()));
            let asked = Message { images: images.clone(), ..Message::text(Role::User, prompt.clone()) };
            system.chain([asked]).collect()
        }
        Prompt::Raw(_) | Prompt::Tokens(_) => {
            let why = format!("{} answers conversations only: send messages instead of raw text or tokens", row.title);
            return Err(invalid("prompt", why));
        }
    };
    let Some(last) = messages.last() else { return Err(invalid("messages", "`messages` is empty".to_owned())) };
    if continues(last) && row.prefill == Prefill::No {
        let at = messages.len() - 1;
        let why = format!("`messages[{at}]`: {} cannot continue a message of the assistant; end with the user's", row.title);
        return Err(invalid(format!("messages[{at}]"), why));
    }
    for (at, message) in messages.iter().enumerate() {
        if !message.images.is_empty() && (!row.offers(Offer::Images) || message.role != Role::User) {
            let field = format!("messages[{at}]");
            let who = if message.role == Role::User { "sees no images" } else { "takes images in the user's messages only" };
            return Err(invalid(field.clone(), format!("`{field}`: {} {who}", row.title)));
        }
        if message.role == Role::Tool && message.tool_call_id.is_none() {
            let field = format!("messages[{at}].tool_call_id");
            return Err(invalid(field.clone(), format!("`{field}` is missing: {} must know which call is answered", row.title)));
        }
    }
    Ok(messages)
}

/// Whether this last message is the assistant's own, to be continued.
pub(super) fn continues(last: &Message) -> bool {
    last.role == Role::Assistant && last.tool_calls.is_empty()
}

/// A number as it was written, not as the nearest longer float.
pub(super) fn number(value: f32) -> Value {
    let exact = value.to_string().parse::<f64>().ok().and_then(Number::from_f64);
    exact.map_or(Value::Null, Value::Number)
}

/// An image's media type by its first bytes, and its Base64.
pub(super) fn image(row: &Row, at: usize, bytes: &[u8]) -> Result<(&'static str, String), InferenceError> {
    let media = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => {
            let field = format!("messages[{at}]");
            let why = format!("`{field}` has an image that is no PNG, JPEG, GIF or WebP, which is all {} sees", row.title);
            return Err(invalid(field, why));
        }
    };
    Ok((media, STANDARD.encode(bytes)))
}

/// An id of a tool call as the provider wants it. The same id always gets the same form.
pub(super) fn call_id(row: &Row, id: &str) -> String {
    const LENGTH: usize = 9;
    if !row.short_ids || (id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return id.to_owned();
    }
    // FNV-1a, 64 bits: ids of one conversation must differ, nothing more.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}").chars().skip(16 - LENGTH).collect()
}

/// The request as the provider's own body.
pub(super) fn body(row: &Row, model: &str, request: &Generate) -> Result<Value, InferenceError> {
    check(row, request)?;
    let messages = conversation(row, request)?;
    match row.form {
        Form::OpenAi => super::openai::body(row, model, request, &messages),
        Form::Anthropic => super::anthropic::body(row, model, request, &messages),
    }
}

#[cfg(test)]
mod tests;
