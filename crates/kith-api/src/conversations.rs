//! Conversations between their bodies and their values; and what could not be done with them, as an answer.

use crate::error::ApiError;
use axum::http::HeaderValue;
use base64::{Engine, engine::general_purpose::STANDARD};
use kith_conversations::{
    Attachment, Change, Conversation, ConversationsError, Details, Draft, FileName, Found, MAX_PICTURE_BYTES, Message, New, Page,
    Picture, Role, Shown, Source, Summary, Timings, ToolCall, Usage, Written,
};
use kith_types::{Blake3, Code};
use kith_wire::conversations as wire;
use std::fmt::Write;

impl From<ConversationsError> for ApiError {
    fn from(error: ConversationsError) -> Self {
        let message = error.to_string();
        match error {
            ConversationsError::NotFound(_) | ConversationsError::NoMessage(_) | ConversationsError::NoPicture(_) => {
                Self::new(Code::NotFound, message)
            }
            ConversationsError::Clash(_) => Self::new(Code::Conflict, message).with_field("id"),
            ConversationsError::NotInConversation { field, .. } => Self::new(Code::Conflict, message).with_field(field),
            ConversationsError::TooMany { .. } => Self::new(Code::Conflict, message),
            ConversationsError::Invalid { field, .. } => Self::new(Code::InvalidRequest, message).with_field(field),
            ConversationsError::TooLarge { field, .. } => Self::new(Code::BodyTooLarge, message).with_field(field),
            ConversationsError::Full => Self::new(Code::StorageFull, message),
            other => Self::internal(&other),
        }
    }
}

fn role(role: Role) -> wire::MessageRole {
    match role {
        Role::User => wire::MessageRole::User,
        Role::Assistant => wire::MessageRole::Assistant,
        Role::System => wire::MessageRole::System,
        Role::Tool => wire::MessageRole::Tool,
    }
}

fn role_of(role: wire::MessageRole) -> Role {
    match role {
        wire::MessageRole::User => Role::User,
        wire::MessageRole::Assistant => Role::Assistant,
        wire::MessageRole::System => Role::System,
        wire::MessageRole::Tool => Role::Tool,
    }
}

/// A conversation without its messages.
pub(crate) fn summary(summary: Summary, snippet: Option<String>) -> wire::ConversationSummary {
    wire::ConversationSummary {
        id: summary.id,
        title: summary.title,
        named: summary.named,
        pinned: summary.pinned,
        model: summary.model,
        head: summary.head,
        message_count: summary.messages,
        created_at_ms: summary.created,
        updated_at_ms: summary.updated,
        deleted_at_ms: summary.deleted,
        snippet,
    }
}

/// A part of the list.
pub(crate) fn page(page: Page) -> wire::ConversationList {
    let one = |found: Found| summary(found.summary, found.snippet);
    wire::ConversationList { conversations: page.conversations.into_iter().map(one).collect(), next: page.next }
}

/// A conversation.
pub(crate) fn conversation(conversation: Conversation) -> wire::Conversation {
    let Summary { id, title, named, pinned, model, head, messages, created, updated, .. } = conversation.summary;
    wire::Conversation {
        id,
        title,
        named,
        pinned,
        model,
        system: conversation.system,
        options: conversation.options,
        head,
        message_count: messages,
        messages: conversation.messages.into_iter().map(message).collect(),
        created_at_ms: created,
        updated_at_ms: updated,
    }
}

fn image(shown: Shown) -> wire::MessageImage {
    wire::MessageImage {
        data: None,
        digest: Some(shown.digest),
        media_type: Some(shown.media_type),
        size: Some(shown.size),
        name: shown.name,
        width: shown.width,
        height: shown.height,
        thumbnail: shown.thumbnail,
    }
}

/// A message.
pub(crate) fn message(message: Message) -> wire::ConversationMessage {
    let Details {
        reasoning,
        pictures,
        attachments,
        tool_calls,
        tool_call_id,
        model,
        provider,
        usage,
        timings,
        finish,
        error,
        stopped,
    } = message.details;
    let attachment = |a: Attachment| wire::MessageAttachment { name: a.name, kind: a.kind, text: a.text };
    let call = |c: ToolCall| wire::MessageToolCall { id: c.id, name: c.name, arguments: c.arguments };
    wire::ConversationMessage {
        id: message.id,
        parent: message.parent,
        role: role(message.role),
        content: message.content,
        reasoning,
        images: pictures.into_iter().map(image).collect(),
        attachments: attachments.into_iter().map(attachment).collect(),
        tool_calls: tool_calls.into_iter().map(call).collect(),
        tool_call_id,
        model,
        provider,
        usage: usage.map(|usage| wire::MessageUsage { prompt: usage.prompt, completion: usage.completion }),
        timings: timings.map(|timings| wire::MessageTimings {
            prefill_ms: timings.prefill_ms,
            decode_ms: timings.decode_ms,
            tokens_per_s: timings.tokens_per_s,
        }),
        finish,
        error,
        stopped,
        created_at_ms: message.created,
        updated_at_ms: message.updated,
    }
}

/// A message that was written.
pub(crate) fn written(written: Written) -> wire::MessageWritten {
    wire::MessageWritten { conversation: summary(written.conversation, None), message: message(written.message) }
}

/// A conversation that is to be begun.
pub(crate) fn new(body: wire::NewConversation) -> New {
    New { id: body.id, title: body.title, model: body.model, system: body.system, options: body.options }
}

/// What is to change.
pub(crate) fn change(body: wire::ConversationUpdate) -> Change {
    Change {
        title: body.title,
        pinned: body.pinned,
        model: body.model,
        system: body.system,
        options: body.options,
        head: body.head,
    }
}

/// A picture that is to be shown. What is said of its kind and size is not believed.
fn picture(at: usize, image: wire::MessageImage) -> Result<Picture, ApiError> {
    let wrong = |field: &str, message: String| {
        let field = format!("images[{at}].{field}");
        ApiError::new(Code::InvalidRequest, format!("`{field}` {message}")).with_field(field)
    };
    let source = match (image.data, image.digest) {
        (Some(data), _) => {
            let encoded = match data.strip_prefix("data:") {
                Some(rest) => {
                    rest.split_once(";base64,").ok_or_else(|| wrong("data", "is no `data:` URL in base64".to_owned()))?.1
                }
                None => &data,
            };
            // Checked before it is decoded; to the byte it is checked after.
            if encoded.len() > MAX_PICTURE_BYTES.div_ceil(3) * 4 {
                let message = format!("an image would have more than the {MAX_PICTURE_BYTES} bytes that are kept");
                return Err(ApiError::new(Code::BodyTooLarge, message).with_field("images"));
            }
            Source::Bytes(STANDARD.decode(encoded).map_err(|error| wrong("data", format!("is not base64: {error}")))?)
        }
        (None, Some(digest)) => {
            Source::Kept(digest.parse::<Blake3>().map_err(|_| wrong("digest", "must be 64 hexadecimal digits".to_owned()))?)
        }
        (None, None) => return Err(wrong("data", "is missing, and so is `digest`".to_owned())),
    };
    Ok(Picture { source, name: image.name, width: image.width, height: image.height, thumbnail: image.thumbnail })
}

/// A message that is to be written.
pub(crate) fn draft(body: wire::NewConversationMessage) -> Result<Draft, ApiError> {
    let attachment = |a: wire::MessageAttachment| Attachment { name: a.name, kind: a.kind, text: a.text };
    let call = |c: wire::MessageToolCall| ToolCall { id: c.id, name: c.name, arguments: c.arguments };
    let timings = |timings: wire::MessageTimings| Timings {
        prefill_ms: timings.prefill_ms,
        decode_ms: timings.decode_ms,
        tokens_per_s: timings.tokens_per_s,
    };
    let details = Details {
        reasoning: body.reasoning,
        pictures: Vec::new(),
        attachments: body.attachments.into_iter().map(attachment).collect(),
        tool_calls: body.tool_calls.into_iter().map(call).collect(),
        tool_call_id: body.tool_call_id,
        model: body.model,
        provider: body.provider,
        usage: body.usage.map(|usage| Usage { prompt: usage.prompt, completion: usage.completion }),
        timings: body.timings.map(timings),
        finish: body.finish,
        error: body.error,
        stopped: body.stopped,
    };
    let pictures = body.images.into_iter().enumerate().map(|(at, image)| picture(at, image)).collect::<Result<_, _>>()?;
    Ok(Draft { id: body.id, parent: body.parent, role: role_of(body.role), content: body.content, details, pictures })
}

/// The message of the path `id`: the body's own id must be the same, if it has one.
pub(crate) fn draft_of(id: String, body: wire::NewConversationMessage) -> Result<Draft, ApiError> {
    if body.id.as_ref().is_some_and(|other| *other != id) {
        return Err(ApiError::new(Code::InvalidRequest, "`id` differs from the one in the path").with_field("id"));
    }
    Ok(Draft { id: Some(id), ..draft(body)? })
}

/// The header that makes a client keep an answer as a file of this name: the plain one for old clients, the full one for others
/// (RFC 6266, RFC 8187).
pub(crate) fn attachment(name: &FileName) -> HeaderValue {
    let mut full = String::new();
    for byte in name.full.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            full.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(full, "%{byte:02X}");
        }
    }
    let value = format!("attachment; filename=\"{}\"; filename*=UTF-8''{full}", name.ascii);
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_in_the_header_whatever_its_letters() {
        let name = FileName { ascii: "Cr-me.md".into(), full: "Crème 猫's.md".into() };
        let expected = "attachment; filename=\"Cr-me.md\"; filename*=UTF-8''Cr%C3%A8me%20%E7%8C%AB%27s.md";
        assert_eq!(attachment(&name), expected);
    }

    #[test]
    fn an_image_comes_with_data_or_a_digest() {
        let data = |data: &str| wire::MessageImage { data: Some(data.to_owned()), ..wire::MessageImage::default() };
        assert_eq!(picture(0, data("aGk=")).unwrap().source, Source::Bytes(b"hi".to_vec()));
        assert_eq!(picture(0, data("data:image/png;base64,aGk=")).unwrap().source, Source::Bytes(b"hi".to_vec()));
        let kept = wire::MessageImage { digest: Some("ab".repeat(32)), ..wire::MessageImage::default() };
        assert_eq!(picture(0, kept).unwrap().source, Source::Kept(Blake3::from_bytes([0xab; 32])));
        let unknown = wire::MessageImage { digest: Some("abc".into()), ..wire::MessageImage::default() };
        for (image, field) in [
            (data("!"), "images[2].data"),
            (data("data:image/png,hi"), "images[2].data"),
            (wire::MessageImage::default(), "images[2].data"),
            (unknown, "images[2].digest"),
        ] {
            let error = picture(2, image).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some(field)));
        }
        let large = data(&"A".repeat(MAX_PICTURE_BYTES.div_ceil(3) * 4 + 4));
        assert_eq!(picture(0, large).unwrap_err().code, Code::BodyTooLarge);
    }
}
