//! A legacy completion's request: one native request for each answer to each prompt.

use super::options;
use crate::field_error::{FieldError, checks};
use kith_inference::{Format, Generate, Prompt};
use kith_wire::openai::{CompletionPrompt, CompletionRequest};

/// The most answers of one request: prompts times `n`.
const MAX_CHOICES: usize = 128;

/// What a request for legacy completions asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Completions {
    /// One native request for each answer, by index: the answers to the first prompt first.
    pub generates: Vec<Generate>,
    /// How many answers each prompt has.
    pub per_prompt: usize,
    /// With `echo` the prompts, by index; else empty.
    pub echo: Vec<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the stream is to end with the counts of tokens.
    pub include_usage: bool,
    /// Whether log-probabilities are to be reported.
    pub logprobs: bool,
}

/// Translates a request. Errors name OpenAI's field.
pub(crate) fn completions(request: CompletionRequest) -> Result<Completions, FieldError> {
    checks::model(&request.model)?;
    let include_usage = options::include_usage(request.stream, request.stream_options)?;
    let n = options::answers(request.n)?;
    if request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(FieldError::new("suffix", "`suffix`: the model cannot insert text before a suffix"));
    }
    if request.best_of.is_some_and(|best| usize::try_from(best) != Ok(n)) {
        return Err(FieldError::new("best_of", "`best_of` must equal `n`: ask for `n` answers and choose among them"));
    }
    let logprobs = checks::whole("logprobs", request.logprobs, 0, checks::MAX_TOP_LOGPROBS)?;
    let echo = request.echo.unwrap_or(false);
    if echo && logprobs.is_some() {
        return Err(FieldError::new("echo", "`echo` cannot be joined with `logprobs`: prompts have no log-probabilities here"));
    }
    let prompts = prompts(request.prompt)?;
    if prompts.len().saturating_mul(n) > MAX_CHOICES {
        let message = format!("`prompt` has {} prompts with `n` = {n}; at most {MAX_CHOICES} answers are given", prompts.len());
        return Err(FieldError::new("prompt", message));
    }
    if echo && prompts.iter().any(|prompt| !matches!(prompt, Prompt::Raw(_))) {
        return Err(FieldError::new("echo", "`echo` needs prompts of text, not of token ids"));
    }

    let mut generate = Generate::new(request.model, Prompt::Raw(String::new()));
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
    generate.options.max_tokens = checks::whole("max_tokens", request.max_tokens, 1, checks::MAX_COUNT)?;
    generate.options.logprobs = logprobs.and_then(|n| u8::try_from(n).ok());
    generate.format = options::one_format(Format::Text, request.grammar, request.regex)?;
    generate.keep_alive = checks::keep_alive(request.keep_alive)?;
    generate.lora_adapter = checks::adapter(request.lora_adapter);

    let mut plan = Completions {
        generates: Vec::with_capacity(prompts.len() * n),
        per_prompt: n,
        echo: Vec::new(),
        stream: request.stream.unwrap_or(false),
        include_usage,
        logprobs: logprobs.is_some(),
    };
    for prompt in prompts {
        if echo && let Prompt::Raw(text) = &prompt {
            plan.echo.extend(std::iter::repeat_n(text.clone(), n));
        }
        plan.generates.extend(options::repeated(Generate { prompt, ..generate.clone() }, n));
    }
    Ok(plan)
}

fn prompts(prompt: CompletionPrompt) -> Result<Vec<Prompt>, FieldError> {
    let prompts: Vec<Prompt> = match prompt {
        CompletionPrompt::Text(text) => vec![Prompt::Raw(text)],
        CompletionPrompt::Texts(texts) => texts.into_iter().map(Prompt::Raw).collect(),
        CompletionPrompt::Tokens(tokens) => vec![Prompt::Tokens(tokens)],
        CompletionPrompt::TokenLists(lists) => lists.into_iter().map(Prompt::Tokens).collect(),
    };
    if prompts.is_empty() {
        return Err(FieldError::new("prompt", "`prompt` is an empty list"));
    }
    Ok(prompts)
}
