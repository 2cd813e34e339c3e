//! The request to generate.

use super::{Asked, Intent, options};
use crate::field_error::{FieldError, checks};
use kith_inference::{Generate, Prompt};
use kith_wire::ollama::GenerateRequest;

/// Translates a request. Errors name Ollama's field.
pub(crate) fn generate(request: GenerateRequest) -> Result<Asked, FieldError> {
    checks::model(request.model_name())?;
    let mut generate = Generate::new(request.model_name(), Prompt::Raw(String::new()));
    if request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(FieldError::new("suffix", "`suffix`: the model cannot insert text before a suffix"));
    }
    let prompt = request.prompt.unwrap_or_default();
    // Clients send empty texts for what they leave open.
    let system = request.system.filter(|text| !text.is_empty());
    let template = request.template.filter(|text| !text.is_empty());
    let context = request.context.unwrap_or_default();
    let images = options::images("images", request.images)?;
    let raw = request.raw.unwrap_or(false);
    if raw {
        let clash = [
            ("template", template.is_some()),
            ("system", system.is_some()),
            ("context", !context.is_empty()),
            ("images", !images.is_empty()),
        ];
        if let Some((field, _)) = clash.iter().find(|(_, present)| *present) {
            return Err(FieldError::new(*field, format!("`{field}` cannot be joined with `raw`")));
        }
    }
    generate.options = options::options(request.options)?;
    generate.options.logprobs = checks::logprobs(request.logprobs, request.top_logprobs)?;
    generate.format = options::format(request.format)?;
    generate.keep_alive = checks::keep_alive(request.keep_alive)?;
    generate.effort = options::effort(request.think.as_ref());
    generate.think = options::think(request.think)?;
    generate.lora_adapter = checks::adapter(request.lora_adapter);
    generate.template = template;
    let intent = Intent::of(prompt.is_empty() && images.is_empty(), generate.keep_alive);
    generate.prompt =
        if raw && intent == Intent::Answer { Prompt::Raw(prompt) } else { Prompt::Instruct { prompt, system, images, context } };
    Ok(Asked { generate, intent, stream: request.stream.unwrap_or(true) })
}
