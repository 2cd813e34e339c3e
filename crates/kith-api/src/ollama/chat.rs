//! The request to chat.

use super::{Asked, Intent, options};
use crate::field_error::{FieldError, checks};
use kith_inference::{Generate, Message, Prompt, Role, Tool, ToolCall};
use kith_wire::ollama as wire;

/// Translates a request. Errors name Ollama's field.
pub(crate) fn chat(request: wire::ChatRequest) -> Result<Asked, FieldError> {
    checks::model(request.model_name())?;
    let mut generate = Generate::new(request.model_name(), Prompt::Raw(String::new()));
    generate.options = options::options(request.options)?;
    generate.options.logprobs = checks::logprobs(request.logprobs, request.top_logprobs)?;
    generate.format = options::format(request.format)?;
    generate.keep_alive = checks::keep_alive(request.keep_alive)?;
    generate.effort = options::effort(request.think.as_ref());
    generate.think = options::think(request.think)?;
    generate.lora_adapter = checks::adapter(request.lora_adapter);
    generate.tools = tools(request.tools.unwrap_or_default())?;
    let messages = messages(request.messages.unwrap_or_default())?;
    let intent = Intent::of(messages.is_empty(), generate.keep_alive);
    generate.prompt = match intent {
        Intent::Answer => Prompt::Chat(messages),
        Intent::Load | Intent::Unload => {
            Prompt::Instruct { prompt: String::new(), system: None, images: Vec::new(), context: Vec::new() }
        }
    };
    Ok(Asked { generate, intent, stream: request.stream.unwrap_or(true) })
}

fn tools(list: Vec<wire::Tool>) -> Result<Vec<Tool>, FieldError> {
    let tools = list.into_iter().enumerate().map(|(at, tool)| {
        if tool.kind.as_ref().is_some_and(|kind| kind != "function") {
            let field = format!("tools[{at}].type");
            let message = format!("`{field}` must be `function`");
            return Err(FieldError::new(field, message));
        }
        let function = tool.function;
        checks::tool(&format!("tools[{at}].function"), function.name, function.description, function.parameters)
    });
    checks::tools(tools.collect::<Result<_, _>>()?)
}

fn messages(list: Vec<wire::Message>) -> Result<Vec<Message>, FieldError> {
    let mut done: Vec<Message> = Vec::with_capacity(list.len());
    for (at, message) in list.into_iter().enumerate() {
        let mut message = one(at, message)?;
        if message.role == Role::Tool {
            settle_call(&done, &mut message);
        }
        done.push(message);
    }
    Ok(done)
}

fn one(at: usize, message: wire::Message) -> Result<Message, FieldError> {
    let field = format!("messages[{at}]");
    let role = match message.role {
        wire::Role::System => Role::System,
        wire::Role::User => Role::User,
        wire::Role::Assistant => Role::Assistant,
        wire::Role::Tool => Role::Tool,
    };
    let calls = message.tool_calls.unwrap_or_default();
    if role != Role::Assistant && !calls.is_empty() {
        let field = format!("{field}.tool_calls");
        let message = format!("`{field}`: only an assistant's message has tool calls");
        return Err(FieldError::new(field, message));
    }
    let calls = calls.into_iter().enumerate().map(|(nth, call)| {
        let arguments = checks::arguments(&format!("{field}.tool_calls[{nth}].function.arguments"), call.function.arguments)?;
        // Older clients drop the id; any that tells this call from the others will do.
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{at}_{nth}"));
        Ok(ToolCall { id, name: call.function.name, arguments })
    });
    Ok(Message {
        role,
        content: message.content.unwrap_or_default(),
        tool_calls: calls.collect::<Result<_, FieldError>>()?,
        images: options::images(&format!("{field}.images"), message.images)?,
        tool_call_id: message.tool_call_id.filter(|id| role == Role::Tool && !id.is_empty()),
        name: message.tool_name.filter(|name| role == Role::Tool && !name.is_empty()),
    })
}

/// Finds the call that a tool's message answers: by its id, by the tool's name, or by its place after the assistant's message.
fn settle_call(earlier: &[Message], message: &mut Message) {
    let answered = earlier.iter().rev().take_while(|m| m.role == Role::Tool).count();
    let (before, answers) = earlier.split_at(earlier.len() - answered);
    let Some(calls) = before.last().map(|asking| &asking.tool_calls) else { return };
    let open = |call: &&ToolCall| !answers.iter().any(|answer| answer.tool_call_id.as_ref() == Some(&call.id));
    let call = match (&message.tool_call_id, &message.name) {
        (Some(id), _) => calls.iter().find(|call| call.id == *id),
        (None, Some(name)) => calls.iter().filter(open).find(|call| call.name == *name),
        (None, None) => calls.iter().find(open),
    };
    if let Some(call) = call {
        message.tool_call_id.get_or_insert_with(|| call.id.clone());
        message.name.get_or_insert_with(|| call.name.clone());
    }
}
