//! A message's request.

use super::blocks;
use crate::field_error::{FieldError, checks};
use kith_inference::{Format, Generate, Message, Options, Prompt, Role, Tool, ToolChoice};
use kith_wire::{anthropic as wire, openai::Stop};

/// The least budget of reasoning that Anthropic takes, in tokens.
const MIN_BUDGET: i64 = 1024;

/// What a request for a message asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// The native request.
    pub generate: Generate,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// Translates a request. Errors name Anthropic's field.
pub(crate) fn messages(request: wire::MessagesRequest) -> Result<Asked, FieldError> {
    refuse_what_is_not_offered(&request)?;
    let max_tokens = checks::whole("max_tokens", Some(request.max_tokens), 1, checks::MAX_COUNT)?;
    let mut generate = asked(request.model, request.system, request.messages, request.tools, request.tool_choice)?;
    generate.options = Options {
        temperature: checks::within("temperature", request.temperature, 0.0, 1.0)?,
        top_p: checks::above("top_p", request.top_p, 0.0, 1.0)?,
        top_k: checks::whole("top_k", request.top_k, 0, checks::MAX_COUNT)?,
        seed: request.seed.map(i64::cast_unsigned),
        max_tokens,
        stop: checks::stops("stop_sequences", request.stop_sequences.map(Stop::Many))?,
        ..Options::default()
    };
    generate.format = format(request.output_config)?;
    generate.think = think(request.thinking, Some(request.max_tokens))?;
    generate.keep_alive = checks::keep_alive(request.keep_alive)?;
    Ok(Asked { generate, stream: request.stream.unwrap_or(false) })
}

/// Translates a request whose tokens are only counted.
pub(crate) fn count(request: wire::CountTokensRequest) -> Result<Generate, FieldError> {
    let mut generate = asked(request.model, request.system, request.messages, request.tools, request.tool_choice)?;
    generate.think = think(request.thinking, None)?;
    Ok(generate)
}

/// What both requests have: the conversation and the tools.
fn asked(
    model: String,
    system: Option<wire::Content>,
    messages: Vec<wire::InputMessage>,
    tools: Option<Vec<wire::Tool>>,
    choice: Option<wire::ToolChoice>,
) -> Result<Generate, FieldError> {
    checks::model(&model)?;
    if messages.is_empty() {
        return Err(FieldError::new("messages", "`messages` is empty; at least one message is needed"));
    }
    let mut conversation = Vec::with_capacity(messages.len() + 1);
    if let Some(system) = system {
        let text = blocks::text("system", &system)?;
        if !text.is_empty() {
            conversation.push(Message::text(Role::System, text));
        }
    }
    for (at, message) in messages.into_iter().enumerate() {
        blocks::message(&format!("messages[{at}]"), message, &mut conversation)?;
    }
    let mut generate = Generate::new(model, Prompt::Chat(conversation));
    generate.tools = self::tools(tools.unwrap_or_default())?;
    generate.parallel_tool_calls = choice.as_ref().is_none_or(|choice| choice.disable_parallel_tool_use != Some(true));
    generate.tool_choice = tool_choice(choice, &generate.tools)?;
    Ok(generate)
}

/// Fields that would change the answer and have no meaning here are refused, not passed over.
fn refuse_what_is_not_offered(request: &wire::MessagesRequest) -> Result<(), FieldError> {
    let set = |value: &Option<serde_json::Value>| {
        value.as_ref().is_some_and(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
    };
    let tier = request.service_tier.as_deref().unwrap_or("auto");
    let refused = [
        ("container", set(&request.container), "asks for code that runs at the server; none is run"),
        ("mcp_servers", set(&request.mcp_servers), "asks for tools that the server calls; send `tools`"),
        ("context_management", set(&request.context_management), "is not offered"),
        ("service_tier", !matches!(tier, "auto" | "standard_only"), "must be `auto` or `standard_only`; there is one tier"),
    ];
    match refused.iter().find(|(_, present, _)| *present) {
        Some((field, _, why)) => Err(FieldError::new(*field, format!("`{field}` {why}"))),
        None => Ok(()),
    }
}

fn tools(list: Vec<wire::Tool>) -> Result<Vec<Tool>, FieldError> {
    let tools = list.into_iter().enumerate().map(|(at, tool)| {
        let field = format!("tools[{at}]");
        if let Some(kind) = tool.kind.filter(|kind| kind != "custom") {
            let at = format!("{field}.type");
            let shown: String = kind.chars().take(checks::MAX_NAME).collect();
            let message = format!("`{at}` is `{shown}`; only tools of type `custom` are offered");
            return Err(FieldError::new(at, message));
        }
        checks::tool(&field, tool.name, tool.description, tool.input_schema).map_err(|error| FieldError {
            field: error.field.replace("].parameters", "].input_schema"),
            message: error.message.replace("].parameters", "].input_schema"),
        })
    });
    checks::flat_tools(tools.collect::<Result<_, _>>()?)
}

fn tool_choice(choice: Option<wire::ToolChoice>, tools: &[Tool]) -> Result<ToolChoice, FieldError> {
    let Some(choice) = choice else { return Ok(ToolChoice::Auto) };
    match choice.kind.as_str() {
        mode @ ("auto" | "any" | "none") => checks::tool_mode("tool_choice.type", mode, tools),
        "tool" => checks::tool_named("tool_choice.name", choice.name.as_deref().unwrap_or_default(), tools),
        _ => Err(FieldError::new("tool_choice.type", "`tool_choice.type` must be `auto`, `any`, `tool` or `none`")),
    }
}

fn format(config: Option<wire::OutputConfig>) -> Result<Format, FieldError> {
    let config = config.unwrap_or_default();
    if !matches!(config.effort.as_deref(), None | Some("low" | "medium" | "high" | "xhigh" | "max")) {
        let message = "`output_config.effort` must be `low`, `medium`, `high`, `xhigh` or `max`";
        return Err(FieldError::new("output_config.effort", message));
    }
    match config.format {
        None => Ok(Format::Text),
        Some(format) if format.kind == "json_schema" => {
            checks::schema("output_config.format.schema", format.schema.unwrap_or_default())
        }
        Some(_) => Err(FieldError::new("output_config.format.type", "`output_config.format.type` must be `json_schema`")),
    }
}

/// Without a word on it there is no reasoning, as at Anthropic.
fn think(thinking: Option<wire::Thinking>, max_tokens: Option<i64>) -> Result<Option<bool>, FieldError> {
    let Some(thinking) = thinking else { return Ok(Some(false)) };
    match (thinking.kind.as_str(), thinking.budget_tokens) {
        ("disabled", _) => Ok(Some(false)),
        ("adaptive", _) => Ok(None),
        ("enabled", Some(budget)) if budget >= MIN_BUDGET && max_tokens.is_none_or(|most| budget < most) => Ok(Some(true)),
        ("enabled", _) => Err(FieldError::new(
            "thinking.budget_tokens",
            format!("`thinking.budget_tokens` must be at least {MIN_BUDGET} and below `max_tokens`"),
        )),
        _ => Err(FieldError::new("thinking.type", "`thinking.type` must be `enabled`, `disabled` or `adaptive`")),
    }
}
