//! Blocks of a message, as messages of the native conversation: outcomes of calls are messages of their own there.

use crate::field_error::{FieldError, checks};
use kith_inference::{Message, Role, ToolCall};
use kith_wire::anthropic::{Block, BlockSource, Content, InputMessage};
use serde_json::Value;

/// What stands before the words of a call that failed, for the model.
const FAILED: &str = "Error: ";

/// Adds one message to the conversation. Errors name the field below `field`.
pub(super) fn message(field: &str, message: InputMessage, done: &mut Vec<Message>) -> Result<(), FieldError> {
    let role = match message.role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => {
            let at = format!("{field}.role");
            let text = format!("`{at}` must be `user`, `assistant` or `system`; standing instructions belong into `system`");
            return Err(FieldError::new(at, text));
        }
    };
    let blocks = match message.content {
        Content::Text(text) => {
            done.push(Message::text(role, text));
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    let mut growing = Growing { role, texts: Vec::new(), message: Message::text(role, ""), outcomes: false };
    for (at, block) in blocks.into_iter().enumerate() {
        growing.block(&format!("{field}.content[{at}]"), block, done)?;
    }
    growing.flush(done);
    Ok(())
}

/// The words of a content that may hold nothing but text.
pub(super) fn text(field: &str, content: &Content) -> Result<String, FieldError> {
    let blocks = match content {
        Content::Text(text) => return Ok(text.clone()),
        Content::Blocks(blocks) => blocks,
    };
    let texts = blocks.iter().enumerate().map(|(at, block)| {
        let field = format!("{field}[{at}]");
        match block.kind.as_str() {
            "text" => block.text.clone().ok_or_else(|| missing(&field, "text")),
            _ => Err(refused(&field, &block.kind, "only `text` is taken here")),
        }
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

fn missing(field: &str, what: &str) -> FieldError {
    FieldError::new(format!("{field}.{what}"), format!("`{field}.{what}` is missing"))
}

fn refused(field: &str, kind: &str, why: &str) -> FieldError {
    let shown: String = kind.chars().take(checks::MAX_NAME).collect();
    FieldError::new(format!("{field}.type"), format!("`{field}.type` is `{shown}`; {why}"))
}

/// A native message in the making.
struct Growing {
    role: Role,
    texts: Vec<String>,
    message: Message,
    /// Whether an outcome of a call came before.
    outcomes: bool,
}

impl Growing {
    /// Gives out what there is. A message that only held outcomes of calls leaves no empty one behind.
    fn flush(&mut self, done: &mut Vec<Message>) {
        let mut message = std::mem::replace(&mut self.message, Message::text(self.role, ""));
        message.content = std::mem::take(&mut self.texts).join("\n");
        let empty = message.content.is_empty() && message.images.is_empty() && message.tool_calls.is_empty();
        if !(empty && self.outcomes) {
            done.push(message);
        }
    }

    fn needs(&self, field: &str, kind: &str, role: Role, who: &str) -> Result<(), FieldError> {
        if self.role == role { Ok(()) } else { Err(refused(field, kind, &format!("only {who} message has these"))) }
    }

    fn block(&mut self, field: &str, block: Block, done: &mut Vec<Message>) -> Result<(), FieldError> {
        match block.kind.as_str() {
            "text" => self.texts.push(block.text.ok_or_else(|| missing(field, "text"))?),
            "image" => {
                self.needs(field, "image", Role::User, "a user's")?;
                self.message.images.push(image(field, block.source)?);
            }
            "document" => self.texts.push(document(field, block.title, block.source)?),
            "tool_use" => {
                self.needs(field, "tool_use", Role::Assistant, "an assistant's")?;
                let id = block.id.ok_or_else(|| missing(field, "id"))?;
                let name = block.name.ok_or_else(|| missing(field, "name"))?;
                let input = block.input.filter(|input| !input.is_string()).ok_or_else(|| missing(field, "input"))?;
                let arguments = checks::arguments(&format!("{field}.input"), input)?;
                self.message.tool_calls.push(ToolCall { id, name, arguments });
            }
            "tool_result" => {
                self.needs(field, "tool_result", Role::User, "a user's")?;
                let outcome = outcome(field, block, done)?;
                if !self.texts.is_empty() || !self.message.images.is_empty() {
                    self.flush(done);
                }
                self.outcomes = true;
                done.push(outcome);
            }
            // Earlier reasoning is not shown to the model again.
            "thinking" | "redacted_thinking" => self.needs(field, &block.kind, Role::Assistant, "an assistant's")?,
            other => {
                let taken = "`text`, `image`, `document`, `tool_use`, `tool_result` and `thinking` are taken";
                return Err(refused(field, other, taken));
            }
        }
        Ok(())
    }
}

fn outcome(field: &str, block: Block, done: &[Message]) -> Result<Message, FieldError> {
    let id = block.tool_use_id.ok_or_else(|| missing(field, "tool_use_id"))?;
    let mut content = match &block.content {
        Some(content) => text(&format!("{field}.content"), content)?,
        None => String::new(),
    };
    if block.is_error == Some(true) {
        content.insert_str(0, FAILED);
    }
    let calls = done.iter().rev().flat_map(|message| &message.tool_calls);
    let name = calls.into_iter().find(|call| call.id == id).map(|call| call.name.clone());
    Ok(Message { tool_call_id: Some(id), name, ..Message::text(Role::Tool, content) })
}

fn image(field: &str, source: Option<BlockSource>) -> Result<Vec<u8>, FieldError> {
    let source = source.ok_or_else(|| missing(field, "source"))?;
    let at = format!("{field}.source");
    match source.kind.as_str() {
        "base64" => checks::image(&format!("{at}.data"), source.data.as_deref().unwrap_or_default()),
        other => Err(refused(&at, other, "images are not fetched from elsewhere; send the file as `base64`")),
    }
}

fn document(field: &str, title: Option<String>, source: Option<BlockSource>) -> Result<String, FieldError> {
    let source = source.ok_or_else(|| missing(field, "source"))?;
    let at = format!("{field}.source");
    if source.kind != "text" {
        return Err(refused(&at, &source.kind, "only documents of plain text are read; send the words as `text`"));
    }
    let text = source.data.ok_or_else(|| missing(&at, "data"))?;
    Ok(title.map_or_else(|| text.clone(), |title| format!("{title}\n{text}")))
}

/// The arguments of a call as an object, whatever they are.
pub(super) fn object(value: Value) -> Value {
    if value.is_object() { value } else { Value::Object(serde_json::Map::new()) }
}
