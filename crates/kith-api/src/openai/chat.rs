//! A chat completion's request.

use super::{messages::messages, options};
use crate::field_error::{FieldError, checks};
use kith_inference::{Format, Generate, Prompt, Tool, ToolChoice};
use kith_wire::openai as wire;

/// What a request for a chat completion asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chat {
    /// One native request for each of the `n` answers, by index.
    pub generates: Vec<Generate>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the stream is to end with the counts of tokens.
    pub include_usage: bool,
    /// Whether log-probabilities are to be reported.
    pub logprobs: bool,
}

/// Translates a request. Errors name OpenAI's field.
pub(crate) fn chat(request: wire::ChatCompletionRequest) -> Result<Chat, FieldError> {
    checks::model(&request.model)?;
    refuse_what_is_not_offered(&request)?;
    let include_usage = options::include_usage(request.stream, request.stream_options)?;
    let n = options::answers(request.n)?;
    let max_tokens = checks::whole("max_tokens", request.max_tokens, 1, checks::MAX_COUNT)?;
    let max_completion = checks::whole("max_completion_tokens", request.max_completion_tokens, 1, checks::MAX_COUNT)?;

    let mut generate = Generate::new(request.model, Prompt::Chat(messages(request.messages)?));
    generate.options = options::options(options::Wishes {
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        min_p: request.min_p,
        repetition_penalty: request.repetition_penalty,
        frequency_penalty: request.frequency_penalty,
        presence_penalty: request.presence_penalty,
        logit_bias: request.logit_bias,
        seed: request.seed,
        stop: request.stop,
    })?;
    generate.options.max_tokens = max_completion.or(max_tokens);
    generate.options.logprobs = checks::logprobs(request.logprobs, request.top_logprobs)?;
    generate.format = options::one_format(format(request.response_format)?, request.grammar, request.regex)?;
    generate.tools = tools(request.tools.unwrap_or_default())?;
    generate.tool_choice = tool_choice(request.tool_choice, &generate.tools)?;
    generate.parallel_tool_calls = request.parallel_tool_calls.unwrap_or(true);
    generate.keep_alive = checks::keep_alive(request.keep_alive)?;
    generate.lora_adapter = checks::adapter(request.lora_adapter);
    generate.think = think("reasoning_effort", request.reasoning_effort.as_deref())?;
    generate.effort = request.reasoning_effort.filter(|word| word != "none");
    Ok(Chat {
        logprobs: generate.options.logprobs.is_some(),
        generates: options::repeated(generate, n),
        stream: request.stream.unwrap_or(false),
        include_usage,
    })
}

/// Fields that would change the answer and have no meaning here are refused, not passed over.
fn refuse_what_is_not_offered(request: &wire::ChatCompletionRequest) -> Result<(), FieldError> {
    let refused = [
        ("functions", request.functions.is_some(), "is the deprecated form of `tools`; send `tools`"),
        ("function_call", request.function_call.is_some(), "is the deprecated form of `tool_choice`; send `tool_choice`"),
        ("audio", request.audio.is_some(), "asks for a spoken answer; answers are text"),
        ("web_search_options", request.web_search_options.is_some(), "asks for a search of the web; none is done"),
        (
            "modalities",
            request.modalities.as_ref().is_some_and(|kinds| kinds.iter().any(|kind| kind != "text")),
            "must be [\"text\"]; answers are text",
        ),
    ];
    match refused.iter().find(|(_, present, _)| *present) {
        Some((field, _, why)) => Err(FieldError::new(*field, format!("`{field}` {why}"))),
        None => Ok(()),
    }
}

/// Whether a model that can reason aloud should, from the effort at `field`.
pub(super) fn think(field: &str, effort: Option<&str>) -> Result<Option<bool>, FieldError> {
    match effort {
        None => Ok(None),
        Some("none") => Ok(Some(false)),
        Some("minimal" | "low" | "medium" | "high" | "xhigh") => Ok(Some(true)),
        Some(_) => {
            let message = format!("`{field}` must be `none`, `minimal`, `low`, `medium`, `high` or `xhigh`");
            Err(FieldError::new(field, message))
        }
    }
}

fn format(format: Option<wire::ResponseFormat>) -> Result<Format, FieldError> {
    let Some(format) = format else { return Ok(Format::Text) };
    match (format.kind.as_str(), format.json_schema, format.schema) {
        ("text", _, _) => Ok(Format::Text),
        ("json_object", _, None) => Ok(Format::JsonObject),
        ("json_object", _, Some(schema)) => checks::schema("response_format.schema", schema),
        ("json_schema", Some(named), _) => {
            if !checks::name_ok(&named.name, false) {
                let message = "`response_format.json_schema.name` must have 1 to 64 letters, digits, `_` or `-`";
                return Err(FieldError::new("response_format.json_schema.name", message));
            }
            checks::schema("response_format.json_schema.schema", named.schema.unwrap_or_default())
        }
        ("json_schema", None, _) => {
            Err(FieldError::new("response_format.json_schema", "`response_format.json_schema` is missing"))
        }
        _ => {
            Err(FieldError::new("response_format.type", "`response_format.type` must be `text`, `json_object` or `json_schema`"))
        }
    }
}

fn tools(list: Vec<wire::Tool>) -> Result<Vec<Tool>, FieldError> {
    let tools = list.into_iter().enumerate().map(|(at, tool)| {
        if tool.kind != "function" {
            let field = format!("tools[{at}].type");
            let message = format!("`{field}` must be `function`");
            return Err(FieldError::new(field, message));
        }
        let field = format!("tools[{at}].function");
        match tool.function {
            Some(function) => checks::tool(&field, function.name, function.description, function.parameters),
            None => Err(FieldError::new(&field, format!("`{field}` is missing"))),
        }
    });
    checks::tools(tools.collect::<Result<_, _>>()?)
}

fn tool_choice(choice: Option<wire::ToolChoice>, tools: &[Tool]) -> Result<ToolChoice, FieldError> {
    match choice {
        None => Ok(ToolChoice::Auto),
        Some(wire::ToolChoice::Mode(mode)) => checks::tool_mode("tool_choice", &mode, tools),
        Some(wire::ToolChoice::Named(named)) => {
            let Some(function) = named.function.filter(|_| named.kind == "function") else {
                let message = "`tool_choice` must be {\"type\": \"function\", \"function\": {\"name\": …}}";
                return Err(FieldError::new("tool_choice", message));
            };
            checks::tool_named("tool_choice.function.name", &function.name, tools)
        }
    }
}
