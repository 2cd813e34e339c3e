//! What a message has besides its words: how it was made, what is attached, what tools were called. Kept as JSON.

use crate::ConversationsError;
use serde::{Deserialize, Serialize};

/// The most attachments of a message.
pub const MAX_ATTACHMENTS: usize = 32;
/// The most tool calls of a message.
pub const MAX_TOOL_CALLS: usize = 128;
/// The longest name, kind or word, in characters.
const MAX_WORD_CHARS: usize = 256;

/// What a message has besides its words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// What the model thought before it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The pictures it shows. Set here, from what was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Shown>,
    /// Files whose text goes with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Tools the model called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// For a tool's message: the call it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The model that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that model is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Tokens it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Time it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// Why the model ended: `stop`, `length`, `tool_calls`. `None` while it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Why it could not be written to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether somebody stopped it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

/// A picture as a message shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The digest of its bytes, 64 hexadecimal digits.
    pub digest: String,
    /// What its bytes are: `image/png`, `image/jpeg`, `image/webp` or `image/gif`.
    pub media_type: String,
    /// Their number.
    pub size: u64,
    /// Its file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its width in pixels, as the client told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels, as the client told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// A small form of it, a `data:` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

/// A file whose text goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// What it is: `text`, `pdf`, a media type.
    pub kind: String,
    /// Its text.
    pub text: String,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it was given, as the model wrote it.
    pub arguments: String,
}

/// Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of what was asked.
    pub prompt: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

/// Times as they were measured; what was not is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Milliseconds until the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_ms: Option<f64>,
    /// Milliseconds from the first token to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_ms: Option<f64>,
    /// Tokens of the answer a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_s: Option<f64>,
}

fn word(field: String, text: &str) -> Result<(), ConversationsError> {
    if text.chars().nth(MAX_WORD_CHARS).is_some() || text.chars().any(char::is_control) {
        let message = format!("must have at most {MAX_WORD_CHARS} characters, none of them a control character");
        return Err(ConversationsError::invalid(field, message));
    }
    Ok(())
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), ConversationsError> {
    if count > most { Err(ConversationsError::invalid(field, format!("must have at most {most} items"))) } else { Ok(()) }
}

impl Details {
    /// Whether a message with these details is written to its end.
    pub fn ended(&self) -> bool {
        self.finish.is_some() || self.error.is_some() || self.stopped
    }

    /// Checks all bounds but that of all texts together.
    pub(crate) fn check(&self) -> Result<(), ConversationsError> {
        at_most("attachments", self.attachments.len(), MAX_ATTACHMENTS)?;
        at_most("tool_calls", self.tool_calls.len(), MAX_TOOL_CALLS)?;
        for (at, attachment) in self.attachments.iter().enumerate() {
            word(format!("attachments[{at}].name"), &attachment.name)?;
            word(format!("attachments[{at}].kind"), &attachment.kind)?;
        }
        for (at, call) in self.tool_calls.iter().enumerate() {
            word(format!("tool_calls[{at}].id"), &call.id)?;
            word(format!("tool_calls[{at}].name"), &call.name)?;
        }
        for (at, picture) in self.pictures.iter().enumerate() {
            word(format!("images[{at}].name"), picture.name.as_deref().unwrap_or_default())?;
        }
        for (field, text) in
            [("tool_call_id", &self.tool_call_id), ("model", &self.model), ("provider", &self.provider), ("finish", &self.finish)]
        {
            word(field.to_owned(), text.as_deref().unwrap_or_default())?;
        }
        let timings = self.timings.unwrap_or_default();
        for (field, figure) in
            [("prefill_ms", timings.prefill_ms), ("decode_ms", timings.decode_ms), ("tokens_per_s", timings.tokens_per_s)]
        {
            if figure.is_some_and(|figure| !figure.is_finite() || figure < 0.0) {
                return Err(ConversationsError::invalid(format!("timings.{field}"), "must not be negative"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_its_bounds_is_told_by_its_field() {
        let long = "x".repeat(MAX_WORD_CHARS + 1);
        let attachment = Attachment { name: "a".into(), kind: "text".into(), text: "x".into() };
        let call = ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() };
        let timings = |tokens_per_s| Some(Timings { tokens_per_s: Some(tokens_per_s), ..Timings::default() });
        for (details, told) in [
            (Details { attachments: vec![attachment.clone(); MAX_ATTACHMENTS + 1], ..Details::default() }, "attachments"),
            (Details { tool_calls: vec![call.clone(); MAX_TOOL_CALLS + 1], ..Details::default() }, "tool_calls"),
            (
                Details { attachments: vec![Attachment { name: long.clone(), ..attachment }], ..Details::default() },
                "attachments[0].name",
            ),
            (Details { tool_calls: vec![ToolCall { name: "\n".into(), ..call }], ..Details::default() }, "tool_calls[0].name"),
            (Details { model: Some(long), ..Details::default() }, "model"),
            (Details { timings: timings(-1.0), ..Details::default() }, "timings.tokens_per_s"),
            (Details { timings: timings(f64::NAN), ..Details::default() }, "timings.tokens_per_s"),
        ] {
            assert!(matches!(details.check(), Err(ConversationsError::Invalid { field, .. }) if field == told), "{told}");
        }
        assert!(Details::default().check().is_ok());
    }

    #[test]
    fn a_message_with_nothing_else_keeps_nothing_else() {
        assert_eq!(serde_json::to_string(&Details::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Details>("{}").unwrap(), Details::default());
    }
}
