//! Anthropic's messages: the request as a body, the events of the answer as pieces.

mod answer;

pub(super) use answer::MessageDecoder;

use super::{
    request::{image, number},
    table::Row,
};
use crate::{Format, Generate, InferenceError, Message, Role, Tool, ToolChoice, tools::parameters};
use serde_json::{Map, Value, json};

/// The version of the API this is written to.
pub(super) const VERSION: &str = "2023-06-01";
/// A limit of tokens must be sent; this one where the request has none. Every model served today takes it.
const MAX_TOKENS: u32 = 8192;
/// The least budget of tokens for reasoning.
const LEAST_BUDGET: u32 = 1024;

/// The body of a request, which has been checked.
pub(super) fn body(row: &Row, model: &str, request: &Generate, messages: &[Message]) -> Result<Value, InferenceError> {
    let wishes = &request.options;
    let limit = wishes.max_tokens.unwrap_or(MAX_TOKENS);
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    put("model", json!(model));
    put("max_tokens", json!(limit));
    put("stream", json!(true));
    // Standing instructions have a place of their own, wherever they stood.
    let system: Vec<&str> = messages
        .iter()
        .filter(|one| one.role == Role::System && !one.content.is_empty())
        .map(|one| one.content.as_str())
        .collect();
    if !system.is_empty() {
        put("system", json!(system.join("\n\n")));
    }
    put("messages", Value::Array(turns(row, messages)?));
    for (key, value) in [("temperature", wishes.temperature), ("top_p", wishes.top_p)] {
        if let Some(value) = value {
            put(key, number(value));
        }
    }
    if let Some(k) = wishes.top_k.filter(|k| *k > 0) {
        put("top_k", json!(k));
    }
    if !wishes.stop.is_empty() {
        put("stop_sequences", json!(wishes.stop));
    }
    if let Format::JsonSchema(schema) = &request.format {
        put("output_config", json!({"format": {"type": "json_schema", "schema": schema}}));
    }
    match request.think {
        Some(true) => put("thinking", json!({"type": "enabled", "budget_tokens": budget(limit, request.effort.as_deref())?})),
        Some(false) => put("thinking", json!({"type": "disabled"})),
        None => None,
    };
    if !request.tools.is_empty() {
        put("tools", request.tools.iter().map(tool).collect());
        put("tool_choice", tool_choice(&request.tool_choice, request.parallel_tool_calls));
    }
    Ok(Value::Object(body))
}

/// The part of the limit that may be spent on reasoning.
fn budget(limit: u32, effort: Option<&str>) -> Result<u32, InferenceError> {
    if limit <= LEAST_BUDGET {
        let message = format!("`max_tokens` is {limit}; Anthropic's models reason with more than {LEAST_BUDGET} tokens only");
        return Err(InferenceError::Invalid { field: "max_tokens".into(), message });
    }
    let quarters = match effort {
        Some("minimal" | "low") => 1,
        Some("high" | "xhigh") => 3,
        _ => 2,
    };
    Ok((limit / 4 * quarters).clamp(LEAST_BUDGET, limit - 1))
}

fn tool(tool: &Tool) -> Value {
    let mut value = json!({"name": tool.name, "input_schema": parameters(tool)});
    if let (Some(description), Some(object)) = (&tool.description, value.as_object_mut()) {
        object.insert("description".to_owned(), json!(description));
    }
    value
}

fn tool_choice(choice: &ToolChoice, parallel: bool) -> Value {
    let mut value = match choice {
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => return json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if let (false, Some(object)) = (parallel, value.as_object_mut()) {
        object.insert("disable_parallel_tool_use".to_owned(), json!(true));
    }
    value
}

/// Messages as turns of user and assistant; neighbours of one side are one turn, as results of parallel calls must be.
fn turns(row: &Row, messages: &[Message]) -> Result<Vec<Value>, InferenceError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let side = match message.role {
            Role::System => continue,
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        let blocks = blocks(row, at, message)?;
        match turns.last_mut() {
            Some((last, there)) if *last == side => there.extend(blocks),
            _ => turns.push((side, blocks)),
        }
    }
    Ok(turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect())
}

fn blocks(row: &Row, at: usize, message: &Message) -> Result<Vec<Value>, InferenceError> {
    if message.role == Role::Tool {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        return Ok(vec![json!({"type": "tool_result", "tool_use_id": id, "content": message.content})]);
    }
    let mut blocks = Vec::new();
    for bytes in &message.images {
        let (media, data) = image(row, at, bytes)?;
        blocks.push(json!({"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}));
    }
    // Empty text is refused there.
    if !message.content.is_empty() {
        blocks.push(json!({"type": "text", "text": message.content}));
    }
    for call in &message.tool_calls {
        blocks.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}));
    }
    Ok(blocks)
}
