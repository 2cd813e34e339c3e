//! Messages, one to one: the place of a message in the request is its place in the native conversation.

use crate::field_error::{FieldError, checks};
use kith_inference::{Message, Role, ToolCall};
use kith_wire::openai as wire;
use serde_json::Value;

/// The conversation. Errors name the field below `messages`.
pub(super) fn messages(list: Vec<wire::Message>) -> Result<Vec<Message>, FieldError> {
    if list.is_empty() {
        return Err(FieldError::new("messages", "`messages` is empty; at least one message is needed"));
    }
    let mut done: Vec<Message> = Vec::with_capacity(list.len());
    for (at, message) in list.into_iter().enumerate() {
        let mut message = one(&format!("messages[{at}]"), message)?;
        if message.role == Role::Tool && message.name.is_none() {
            message.name = name_of_call(&done, message.tool_call_id.as_deref());
        }
        done.push(message);
    }
    Ok(done)
}

/// Templates want the tool's name with its outcome; OpenAI's clients send the call's id alone.
pub(super) fn name_of_call(earlier: &[Message], id: Option<&str>) -> Option<String> {
    let calls = earlier.iter().rev().flat_map(|message| &message.tool_calls);
    calls.into_iter().find(|call| Some(call.id.as_str()) == id).map(|call| call.name.clone())
}

fn one(field: &str, message: wire::Message) -> Result<Message, FieldError> {
    let role = match message.role {
        wire::Role::System | wire::Role::Developer => Role::System,
        wire::Role::User => Role::User,
        wire::Role::Assistant => Role::Assistant,
        wire::Role::Tool | wire::Role::Function => Role::Tool,
    };
    let missing = |what: &str, why: &str| {
        let at = format!("{field}.{what}");
        let message = format!("`{at}` is missing: {why}");
        Err(FieldError::new(at, message))
    };
    if message.content.is_none() && role != Role::Assistant {
        return missing("content", "only an assistant's message may go without");
    }
    if message.role == wire::Role::Tool && message.tool_call_id.is_none() {
        return missing("tool_call_id", "it tells which call this message answers");
    }
    if message.role == wire::Role::Function && message.name.is_none() {
        return missing("name", "it tells which function this message is from");
    }
    if role != Role::Assistant && message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()) {
        let at = format!("{field}.tool_calls");
        let text = format!("`{at}`: only an assistant's message has tool calls");
        return Err(FieldError::new(at, text));
    }
    let (mut content, images) = content(&format!("{field}.content"), message.content, role)?;
    if content.is_empty()
        && let Some(refusal) = message.refusal
    {
        content = refusal;
    }
    Ok(Message {
        role,
        content,
        images,
        tool_calls: tool_calls(field, message.tool_calls, message.function_call)?,
        tool_call_id: message.tool_call_id,
        // A person's name has no place in chat templates.
        name: message.name.filter(|_| role == Role::Tool),
    })
}

/// Text parts joined by line ends, and the images among them.
fn content(field: &str, content: Option<wire::Content>, role: Role) -> Result<(String, Vec<Vec<u8>>), FieldError> {
    let parts = match content {
        None => return Ok(Default::default()),
        Some(wire::Content::Text(text)) => return Ok((text, Vec::new())),
        Some(wire::Content::Parts(parts)) => parts,
    };
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for (at, part) in parts.into_iter().enumerate() {
        match part {
            wire::Part::Text { text } => texts.push(text),
            wire::Part::Refusal { refusal } => texts.push(refusal),
            wire::Part::ImageUrl { image_url } => {
                let field = format!("{field}[{at}].image_url");
                if role != Role::User {
                    return Err(FieldError::new(&field, format!("`{field}`: only a user's message has images")));
                }
                images.push(image(&field, image_url.url())?);
            }
        }
    }
    Ok((texts.join("\n"), images))
}

/// An image in a `data:` URL.
pub(super) fn image(field: &str, url: &str) -> Result<Vec<u8>, FieldError> {
    match checks::data_url(url) {
        Some(Ok(data)) => checks::image(field, data),
        Some(Err(why)) => Err(FieldError::new(field, format!("`{field}` {why}"))),
        None => {
            let message = format!("`{field}`: images are not fetched from elsewhere; send the file as a `data:` URL in Base64");
            Err(FieldError::new(field, message))
        }
    }
}

fn tool_calls(
    field: &str,
    calls: Option<Vec<wire::ToolCall>>,
    legacy: Option<wire::FunctionCall>,
) -> Result<Vec<ToolCall>, FieldError> {
    let mut done = Vec::new();
    for (at, call) in calls.unwrap_or_default().into_iter().enumerate() {
        let at = format!("{field}.tool_calls[{at}].function.arguments");
        let arguments = checks::arguments(&at, Value::String(call.function.arguments))?;
        done.push(ToolCall { id: call.id, name: call.function.name, arguments });
    }
    if let Some(call) = legacy {
        let at = format!("{field}.function_call.arguments");
        let arguments = checks::arguments(&at, Value::String(call.arguments))?;
        // The deprecated form has no ids; its answers go by the function's name.
        done.push(ToolCall { id: format!("call_{}", call.name), name: call.name, arguments });
    }
    Ok(done)
}
