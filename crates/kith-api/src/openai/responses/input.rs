//! Items of the input, as messages of the native conversation.

use super::{chat_messages, ids::Ids};
use crate::field_error::{FieldError, checks};
use kith_inference::{Message, Role, ToolCall};
use kith_wire::openai::{InputItem, ItemContent, ItemPart, ResponseInput};
use serde_json::Value;

/// The most items of one request.
const MAX_ITEMS: usize = 8192;

/// The request's items, each with an id. A text is one message of the person.
pub(super) fn items(input: Option<ResponseInput>, ids: &Ids) -> Result<Vec<InputItem>, FieldError> {
    let mut items = match input {
        None => Vec::new(),
        Some(ResponseInput::Text(text)) => vec![InputItem {
            kind: Some("message".to_owned()),
            role: Some("user".to_owned()),
            content: Some(ItemContent::Parts(vec![ItemPart {
                kind: "input_text".to_owned(),
                text: Some(text),
                ..ItemPart::default()
            }])),
            ..InputItem::default()
        }],
        Some(ResponseInput::Items(items)) => items,
    };
    if items.len() > MAX_ITEMS {
        return Err(FieldError::new("input", format!("`input` has {} items; at most {MAX_ITEMS} are taken", items.len())));
    }
    for (place, item) in items.iter_mut().enumerate() {
        item.kind.get_or_insert_with(|| "message".to_owned());
        let prefix = match item.kind.as_deref() {
            Some("message") => "msg",
            Some("function_call") => "fc",
            Some("function_call_output") => "fco",
            Some("reasoning") => "rs",
            _ => continue,
        };
        item.id.get_or_insert_with(|| ids.input(prefix, place));
    }
    Ok(items)
}

/// Adds the items to the conversation. Errors name the item below `field`.
pub(super) fn messages(field: &str, items: &[InputItem], done: &mut Vec<Message>) -> Result<(), FieldError> {
    for (at, item) in items.iter().enumerate() {
        let field = format!("{field}[{at}]");
        match item.kind.as_deref().unwrap_or("message") {
            "message" => done.push(message(&field, item)?),
            "function_call" => {
                let call = call(&field, item)?;
                match done.last_mut() {
                    // Calls of one answer, and the words before them, are one message of the model.
                    Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
                    _ => done.push(Message { tool_calls: vec![call], ..Message::text(Role::Assistant, "") }),
                }
            }
            "function_call_output" => {
                let id = needed(&field, "call_id", item.call_id.as_ref())?;
                let output = item.output.as_ref().ok_or_else(|| missing(&field, "output"))?;
                let (content, _) = content(&format!("{field}.output"), output, Role::Tool)?;
                let name = chat_messages::name_of_call(done, Some(id));
                done.push(Message { tool_call_id: Some(id.to_owned()), name, ..Message::text(Role::Tool, content) });
            }
            // Earlier reasoning is not shown to the model again.
            "reasoning" => {}
            other => {
                let at = format!("{field}.type");
                let shown: String = other.chars().take(checks::MAX_NAME).collect();
                let text = format!(
                    "`{at}` is `{shown}`; `message`, `function_call`, `function_call_output`, `reasoning` and `item_reference` are taken"
                );
                return Err(FieldError::new(at, text));
            }
        }
    }
    Ok(())
}

fn missing(field: &str, what: &str) -> FieldError {
    FieldError::new(format!("{field}.{what}"), format!("`{field}.{what}` is missing"))
}

fn needed<'a>(field: &str, what: &str, value: Option<&'a String>) -> Result<&'a str, FieldError> {
    value.map(String::as_str).filter(|text| !text.is_empty()).ok_or_else(|| missing(field, what))
}

fn message(field: &str, item: &InputItem) -> Result<Message, FieldError> {
    let role = match needed(field, "role", item.role.as_ref())? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" | "developer" => Role::System,
        _ => {
            let at = format!("{field}.role");
            let text = format!("`{at}` must be `user`, `assistant`, `system` or `developer`");
            return Err(FieldError::new(at, text));
        }
    };
    let given = item.content.as_ref().ok_or_else(|| missing(field, "content"))?;
    let (content, images) = content(&format!("{field}.content"), given, role)?;
    Ok(Message { images, ..Message::text(role, content) })
}

fn call(field: &str, item: &InputItem) -> Result<ToolCall, FieldError> {
    let arguments = item.arguments.clone().ok_or_else(|| missing(field, "arguments"))?;
    Ok(ToolCall {
        id: needed(field, "call_id", item.call_id.as_ref())?.to_owned(),
        name: needed(field, "name", item.name.as_ref())?.to_owned(),
        arguments: checks::arguments(&format!("{field}.arguments"), Value::String(arguments))?,
    })
}

/// Texts joined by line ends, and the images among them.
fn content(field: &str, content: &ItemContent, role: Role) -> Result<(String, Vec<Vec<u8>>), FieldError> {
    let parts = match content {
        ItemContent::Text(text) => return Ok((text.clone(), Vec::new())),
        ItemContent::Parts(parts) => parts,
    };
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for (at, part) in parts.iter().enumerate() {
        let field = format!("{field}[{at}]");
        match part.kind.as_str() {
            "input_text" | "output_text" | "text" => {
                texts.push(part.text.as_deref().ok_or_else(|| missing(&field, "text"))?);
            }
            "refusal" => texts.push(part.refusal.as_deref().ok_or_else(|| missing(&field, "refusal"))?),
            "input_image" if role != Role::User => {
                return Err(FieldError::new(&field, format!("`{field}`: only a user's message has images")));
            }
            "input_image" if part.file_id.is_some() => {
                let at = format!("{field}.file_id");
                let text = format!("`{at}`: there are no stored files; send the image in `image_url`");
                return Err(FieldError::new(at, text));
            }
            "input_image" => {
                let url = needed(&field, "image_url", part.image_url.as_ref())?;
                images.push(chat_messages::image(&format!("{field}.image_url"), url)?);
            }
            other => {
                let at = format!("{field}.type");
                let shown: String = other.chars().take(checks::MAX_NAME).collect();
                let text = format!("`{at}` is `{shown}`; `input_text`, `input_image`, `output_text` and `refusal` are taken");
                return Err(FieldError::new(at, text));
            }
        }
    }
    Ok((texts.join("\n"), images))
}
