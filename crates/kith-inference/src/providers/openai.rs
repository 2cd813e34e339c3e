//! OpenAI's chat completions: the request as a body, the events of the answer as pieces.

mod answer;

pub(super) use answer::ChatDecoder;

use super::{
    request::{call_id, continues, image, number},
    table::{Prefill, Row, Thinking},
};
use crate::{Format, Generate, InferenceError, Message, Role, Tool, ToolCall, ToolChoice, tools::parameters};
use serde_json::{Map, Value, json};

/// The body of a request, which has been checked.
pub(super) fn body(row: &Row, model: &str, request: &Generate, messages: &[Message]) -> Result<Value, InferenceError> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    put("model", json!(model));
    let mut turns = messages.iter().enumerate().map(|(at, one)| message(row, at, one)).collect::<Result<Vec<_>, _>>()?;
    if let (Prefill::Flag(flag), true, Some(last)) =
        (row.prefill, messages.last().is_some_and(continues), turns.last_mut().and_then(Value::as_object_mut))
    {
        last.insert(flag.to_owned(), json!(true));
    }
    put("messages", Value::Array(turns));
    put("stream", json!(true));
    if row.ask_usage {
        put("stream_options", json!({"include_usage": true}));
    }
    let wishes = &request.options;
    let floats = [
        ("temperature", wishes.temperature),
        ("top_p", wishes.top_p),
        ("min_p", wishes.min_p.filter(|p| *p > 0.0)),
        ("repetition_penalty", wishes.repetition_penalty),
        ("frequency_penalty", wishes.frequency_penalty),
        ("presence_penalty", wishes.presence_penalty),
    ];
    for (key, value) in floats {
        // A wish that changes nothing is not sent: the provider may not know it.
        let neutral =
            matches!((key, value), ("repetition_penalty", Some(1.0)) | ("frequency_penalty" | "presence_penalty", Some(0.0)));
        if let Some(value) = value.filter(|_| !neutral) {
            put(key, number(value));
        }
    }
    if let Some(k) = wishes.top_k.filter(|k| *k > 0) {
        put("top_k", json!(k));
    }
    if let (Some(field), Some(seed)) = (row.seed, wishes.seed) {
        put(field, json!(seed.cast_signed()));
    }
    if let Some(most) = wishes.max_tokens {
        put(row.limit, json!(most));
    }
    if !wishes.stop.is_empty() {
        put("stop", json!(wishes.stop));
    }
    if let Some(top) = wishes.logprobs {
        put("logprobs", json!(true));
        put("top_logprobs", json!(top));
    }
    if !wishes.logit_bias.is_empty() {
        let bias: Map<String, Value> = wishes.logit_bias.iter().map(|(id, bias)| (id.to_string(), number(*bias))).collect();
        put("logit_bias", Value::Object(bias));
    }
    if let Some(format) = format(&request.format) {
        put("response_format", format);
    }
    if let Some(think) = request.think {
        match row.thinking {
            Thinking::Effort => put("reasoning_effort", json!(effort(think, request.effort.as_deref()))),
            Thinking::Switch | Thinking::Budget => put("thinking", json!({"type": if think { "enabled" } else { "disabled" }})),
            Thinking::No => None,
        };
    }
    if !request.tools.is_empty() {
        put("tools", request.tools.iter().map(tool).collect());
        put("tool_choice", tool_choice(&request.tool_choice));
        if !request.parallel_tool_calls {
            put("parallel_tool_calls", json!(false));
        }
    }
    Ok(Value::Object(body))
}

fn effort(think: bool, effort: Option<&str>) -> &str {
    if think { effort.unwrap_or("medium") } else { "none" }
}

fn format(format: &Format) -> Option<Value> {
    match format {
        Format::JsonObject => Some(json!({"type": "json_object"})),
        Format::JsonSchema(schema) => Some(json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}})),
        Format::Text | Format::Regex(_) | Format::Lark(_) => None,
    }
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name, "parameters": parameters(tool)});
    if let (Some(description), Some(function)) = (&tool.description, function.as_object_mut()) {
        function.insert("description".to_owned(), json!(description));
    }
    json!({"type": "function", "function": function})
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn message(row: &Row, at: usize, message: &Message) -> Result<Value, InferenceError> {
    let text = &message.content;
    Ok(match message.role {
        Role::System => json!({"role": "system", "content": text}),
        Role::User if message.images.is_empty() => json!({"role": "user", "content": text}),
        Role::User => {
            let mut parts = Vec::new();
            if !text.is_empty() {
                parts.push(json!({"type": "text", "text": text}));
            }
            for bytes in &message.images {
                let (media, data) = image(row, at, bytes)?;
                parts.push(json!({"type": "image_url", "image_url": {"url": format!("data:{media};base64,{data}")}}));
            }
            json!({"role": "user", "content": parts})
        }
        Role::Assistant if message.tool_calls.is_empty() => json!({"role": "assistant", "content": text}),
        Role::Assistant => {
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            let calls: Vec<Value> = message.tool_calls.iter().map(|call| tool_call(row, call)).collect();
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        Role::Tool => {
            let id = call_id(row, message.tool_call_id.as_deref().unwrap_or_default());
            json!({"role": "tool", "tool_call_id": id, "content": text})
        }
    })
}

fn tool_call(row: &Row, call: &ToolCall) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
    json!({"id": call_id(row, &call.id), "type": "function", "function": function})
}
