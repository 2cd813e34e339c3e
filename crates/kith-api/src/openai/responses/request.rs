//! A request for a response.

use super::{chat_request, ids::Ids, input, options};
use crate::field_error::{FieldError, checks};
use kith_inference::{Format, Generate, Prompt, Tool, ToolChoice};
use kith_types::Timestamp;
use kith_wire::openai::{
    InputItem, NamedChoice, Reasoning, Response, ResponseStatus, ResponseTool, ResponseToolChoice, ResponsesRequest, TextConfig,
    TextFormat,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most pairs of metadata, and the most characters of a key and a value, as in OpenAI's contract.
const MAX_PAIRS: usize = 16;
const MAX_KEY: usize = 64;
const MAX_VALUE: usize = 512;
/// What `include` asks for that is told or cannot be there in any case.
const ALWAYS_INCLUDED: [&str; 2] = ["reasoning.encrypted_content", "message.input_image.image_url"];
const LOGPROBS: &str = "message.output_text.logprobs";

/// What a request for a response asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// The native request, its prompt still empty.
    pub generate: Generate,
    /// The response, still without answer.
    pub response: Response,
    /// The ids of its items.
    pub ids: Ids,
    /// What is asked.
    pub items: Vec<InputItem>,
    /// Whether to stream.
    pub stream: bool,
    /// Whether the oldest items may be left out.
    pub truncate: bool,
}

/// Translates a request, but for its conversation. Errors name OpenAI's field.
pub(super) fn asked(mut request: ResponsesRequest, ids: Ids, now: Timestamp) -> Result<Asked, FieldError> {
    checks::model(&request.model)?;
    refuse_what_is_not_offered(&request)?;
    let (stream, store, background) =
        (request.stream.unwrap_or(false), request.store.unwrap_or(true), request.background.unwrap_or(false));
    if background && !store {
        return Err(FieldError::new(
            "background",
            "`background` needs `store`: what goes on without its client is fetched later",
        ));
    }
    if request.input.is_none() && request.previous_response_id.is_none() {
        return Err(FieldError::new("input", "`input` is missing"));
    }
    let metadata = metadata(request.metadata.take().unwrap_or_default())?;
    let items = input::items(request.input.take(), &ids)?;

    let mut generate = Generate::new(request.model.clone(), Prompt::Chat(Vec::new()));
    generate.options = options::options(options::Wishes {
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        min_p: None,
        repetition_penalty: None,
        frequency_penalty: None,
        presence_penalty: None,
        logit_bias: None,
        seed: request.seed,
        stop: None,
    })?;
    generate.options.max_tokens = checks::whole("max_output_tokens", request.max_output_tokens, 1, checks::MAX_COUNT)?;
    generate.options.logprobs = logprobs(request.include.as_deref().unwrap_or_default(), request.top_logprobs)?;
    let text = request.text.unwrap_or_default();
    generate.format = format(text.format.as_ref())?;
    let shown = request.tools.unwrap_or_default();
    generate.tools = tools(&shown)?;
    let choice = request.tool_choice.unwrap_or_else(|| ResponseToolChoice::Mode("auto".to_owned()));
    generate.tool_choice = tool_choice(&choice, &mut generate.tools)?;
    generate.parallel_tool_calls = request.parallel_tool_calls.unwrap_or(true);
    generate.keep_alive = checks::keep_alive(request.keep_alive)?;
    let reasoning = request.reasoning.unwrap_or_default();
    generate.think = chat_request::think("reasoning.effort", reasoning.effort.as_deref())?;
    let truncation = truncation(request.truncation)?;

    let response = Response {
        id: ids.response(),
        object: "response".to_owned(),
        created_at: now.secs(),
        status: if background { ResponseStatus::Queued } else { ResponseStatus::InProgress },
        background,
        completed_at: None,
        error: None,
        incomplete_details: None,
        instructions: request.instructions,
        max_output_tokens: generate.options.max_tokens,
        max_tool_calls: request.max_tool_calls,
        model: request.model,
        output: Vec::new(),
        parallel_tool_calls: generate.parallel_tool_calls,
        previous_response_id: request.previous_response_id,
        prompt_cache_key: request.prompt_cache_key,
        reasoning: Reasoning { effort: reasoning.effort, summary: reasoning.summary },
        safety_identifier: request.safety_identifier,
        service_tier: "default".to_owned(),
        store,
        temperature: generate.options.temperature,
        text: TextConfig { format: Some(text.format.unwrap_or_else(plain_text)), verbosity: text.verbosity },
        tool_choice: choice,
        tools: shown,
        top_logprobs: generate.options.logprobs.unwrap_or(0),
        top_p: generate.options.top_p,
        truncation: truncation.clone(),
        usage: None,
        user: request.user,
        metadata,
    };
    Ok(Asked { generate, response, ids, items, stream, truncate: truncation == "auto" })
}

fn plain_text() -> TextFormat {
    TextFormat { kind: "text".to_owned(), name: None, description: None, schema: None, strict: None }
}

/// Fields that would change the answer and have no meaning here are refused, not passed over.
fn refuse_what_is_not_offered(request: &ResponsesRequest) -> Result<(), FieldError> {
    let set = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    let tier = request.service_tier.as_deref().unwrap_or("auto");
    let verbosity = request.text.as_ref().and_then(|text| text.verbosity.as_deref()).unwrap_or("medium");
    let refused = [
        ("conversation", set(&request.conversation), "is not kept apart from responses; send `previous_response_id`"),
        ("prompt", set(&request.prompt), "names a stored prompt; there are none: send `instructions` and `input`"),
        ("context_management", set(&request.context_management), "is not offered; send `truncation`"),
        ("moderation", set(&request.moderation), "is not offered"),
        ("service_tier", !matches!(tier, "auto" | "default"), "must be `auto` or `default`; there is one tier"),
        ("text.verbosity", verbosity != "medium", "must be `medium`; models here have no degrees of it"),
    ];
    match refused.iter().find(|(_, present, _)| *present) {
        Some((field, _, why)) => Err(FieldError::new(*field, format!("`{field}` {why}"))),
        None => Ok(()),
    }
}

fn metadata(pairs: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, FieldError> {
    if pairs.len() > MAX_PAIRS {
        let message = format!("`metadata` has {} pairs; at most {MAX_PAIRS} are taken", pairs.len());
        return Err(FieldError::new("metadata", message));
    }
    for (key, value) in &pairs {
        if key.chars().count() > MAX_KEY || value.chars().count() > MAX_VALUE {
            let message = format!("`metadata`: keys have at most {MAX_KEY} characters, values at most {MAX_VALUE}");
            return Err(FieldError::new("metadata", message));
        }
    }
    Ok(pairs)
}

fn logprobs(include: &[String], top: Option<i64>) -> Result<Option<u8>, FieldError> {
    for (at, wish) in include.iter().enumerate() {
        if wish != LOGPROBS && !ALWAYS_INCLUDED.contains(&wish.as_str()) {
            let field = format!("include[{at}]");
            let shown: String = wish.chars().take(checks::MAX_NAME).collect();
            let message = format!("`{field}`: there is no `{shown}` here; `{LOGPROBS}` is offered");
            return Err(FieldError::new(field, message));
        }
    }
    let wanted = include.iter().any(|wish| wish == LOGPROBS);
    checks::logprobs(Some(wanted), top).map_err(|error| match error.message.contains("`logprobs`") {
        true => FieldError::new("top_logprobs", format!("`top_logprobs` needs `{LOGPROBS}` in `include`")),
        false => error,
    })
}

fn format(format: Option<&TextFormat>) -> Result<Format, FieldError> {
    let Some(format) = format else { return Ok(Format::Text) };
    match format.kind.as_str() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            if !format.name.as_deref().is_some_and(|name| checks::name_ok(name, false)) {
                let message = "`text.format.name` must have 1 to 64 letters, digits, `_` or `-`";
                return Err(FieldError::new("text.format.name", message));
            }
            checks::schema("text.format.schema", format.schema.clone().unwrap_or_default())
        }
        _ => Err(FieldError::new("text.format.type", "`text.format.type` must be `text`, `json_object` or `json_schema`")),
    }
}

fn tools(list: &[ResponseTool]) -> Result<Vec<Tool>, FieldError> {
    let tools = list.iter().enumerate().map(|(at, tool)| {
        let field = format!("tools[{at}]");
        if tool.kind != "function" {
            let at = format!("{field}.type");
            let shown: String = tool.kind.chars().take(checks::MAX_NAME).collect();
            let message = format!("`{at}` is `{shown}`; only tools of type `function` are offered");
            return Err(FieldError::new(at, message));
        }
        checks::tool(&field, tool.name.clone().unwrap_or_default(), tool.description.clone(), tool.parameters.clone())
    });
    checks::flat_tools(tools.collect::<Result<_, _>>()?)
}

/// The choice; `allowed_tools` takes the others out of `tools`.
fn tool_choice(choice: &ResponseToolChoice, tools: &mut Vec<Tool>) -> Result<ToolChoice, FieldError> {
    let named = match choice {
        ResponseToolChoice::Mode(mode) => return checks::tool_mode("tool_choice", mode, tools),
        ResponseToolChoice::Named(named) => named,
    };
    match (named.kind.as_str(), &named.name) {
        ("function", Some(name)) => checks::tool_named("tool_choice.name", name, tools),
        ("function", None) => Err(FieldError::new("tool_choice.name", "`tool_choice.name` is missing")),
        ("allowed_tools", _) => allowed(named, tools),
        (other, _) => {
            let shown: String = other.chars().take(checks::MAX_NAME).collect();
            let message = format!("`tool_choice.type` is `{shown}`; `function` and `allowed_tools` are offered");
            Err(FieldError::new("tool_choice.type", message))
        }
    }
}

fn allowed(choice: &NamedChoice, tools: &mut Vec<Tool>) -> Result<ToolChoice, FieldError> {
    let mut names = Vec::new();
    for (at, tool) in choice.tools.as_deref().unwrap_or_default().iter().enumerate() {
        let field = format!("tool_choice.tools[{at}].name");
        checks::tool_named(&field, tool.name.as_deref().unwrap_or_default(), tools)?;
        names.extend(tool.name.as_deref());
    }
    tools.retain(|tool| names.contains(&tool.name.as_str()));
    match choice.mode.as_deref().unwrap_or("auto") {
        mode @ ("auto" | "required") => checks::tool_mode("tool_choice.mode", mode, tools),
        _ => Err(FieldError::new("tool_choice.mode", "`tool_choice.mode` must be `auto` or `required`")),
    }
}

fn truncation(wish: Option<String>) -> Result<String, FieldError> {
    match wish.as_deref().unwrap_or("disabled") {
        wish @ ("auto" | "disabled") => Ok(wish.to_owned()),
        _ => Err(FieldError::new("truncation", "`truncation` must be `auto` or `disabled`")),
    }
}
