//! The request to make a model, in the library's words.

use crate::{error::ApiError, field_error::FieldError};
use kith_models::{
    Message, Overrides, Speaker,
    create::{Base, Recipe, Step},
    modelfile::{Modelfile, go},
};
use kith_types::{Code, ModelName, Sha256};
use kith_wire::ollama::{self as wire, CreateRequest, ProgressResponse};
use std::collections::BTreeMap;

/// What a request asks for.
pub(crate) struct Asked {
    pub name: ModelName,
    pub recipe: Recipe,
    pub stream: bool,
}

/// Translates a request. What is wrong with it is told with Ollama's field.
pub(crate) fn create(mut request: CreateRequest) -> Result<Asked, ApiError> {
    let name = request.model_name().to_owned();
    if name.is_empty() {
        return Err(FieldError::new("model", "`model` is missing".to_owned()).into());
    }
    let name = name.parse().map_err(|error: kith_types::ModelNameError| invalid("model", error.to_string()))?;
    let stream = request.stream.unwrap_or(true);
    if let Some(text) = request.modelfile.take().filter(|text| !text.is_empty()) {
        let file = text.parse::<Modelfile>().map_err(|error| invalid("modelfile", error.to_string()))?;
        fill(&mut request, file)?;
    } else if request.path.as_ref().is_some_and(|path| !path.is_empty()) {
        return Err(invalid("path", "files on the node's disk are not read on request: send the text in `modelfile`".to_owned()));
    }
    let base = base(request.from.filter(|from| !from.is_empty()), request.files.unwrap_or_default())?;
    let adapters = digests("adapters", request.adapters.unwrap_or_default())?;
    let template = text(request.template).map(|text| jinja(&text)).transpose()?;
    let parameters = request.parameters.filter(|parameters| !parameters.is_empty());
    check(template.as_deref(), parameters.as_ref())?;
    let license = request.license.map(|license| license.into_vec().join("\n"));
    let messages = request.messages.filter(|messages| !messages.is_empty()).map(messages).transpose()?;
    let overrides = Overrides {
        template,
        system: text(request.system),
        parameters,
        license: text(license),
        messages,
        parent: None,
        requires: text(request.requires),
    };
    Ok(Asked { name, recipe: Recipe { base, adapters, overrides, quantize: text(request.quantize) }, stream })
}

/// A template in Jinja, from whichever language it is in.
pub(crate) fn jinja(template: &str) -> Result<String, ApiError> {
    go::to_jinja(template).map(|text| text.into_owned()).map_err(|error| invalid("template", error.to_string()))
}

/// Sees that a template is one, and parameters are of their types and within their bounds.
pub(crate) fn check(
    template: Option<&str>,
    parameters: Option<&serde_json::Map<String, serde_json::Value>>,
) -> Result<(), ApiError> {
    kith_inference::check_settings(template, parameters).map_err(ApiError::from)
}

fn invalid(field: &str, message: String) -> ApiError {
    ApiError::new(Code::InvalidRequest, message).with_field(field)
}

/// Clients send empty texts for what they leave open.
fn text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Lays a Modelfile under the request's own fields.
fn fill(request: &mut CreateRequest, file: Modelfile) -> Result<(), ApiError> {
    let uploaded = |from: &str| from.strip_prefix('@').map(str::to_owned);
    if request.from.is_none() && request.files.is_none() {
        let digests: Vec<String> = file.from.iter().filter_map(|from| uploaded(from)).collect();
        match file.from.as_slice() {
            [name] if digests.is_empty() => request.from = Some(name.clone()),
            from if digests.len() == from.len() => {
                request.files = Some(digests.into_iter().map(|digest| (digest.clone(), digest)).collect());
            }
            _ => return Err(invalid("modelfile", "several lines `FROM` must all name uploaded files".to_owned())),
        }
    }
    if request.adapters.is_none() && !file.adapters.is_empty() {
        let digests: Vec<String> = file.adapters.iter().filter_map(|adapter| uploaded(adapter)).collect();
        if digests.len() != file.adapters.len() {
            return Err(invalid("modelfile", "`ADAPTER` must name an uploaded file: `@sha256:…`".to_owned()));
        }
        request.adapters = Some(digests.into_iter().map(|digest| (digest.clone(), digest)).collect());
    }
    request.template = request.template.take().or(file.template);
    request.system = request.system.take().or(file.system);
    request.requires = request.requires.take().or(file.requires);
    if request.license.is_none() && !file.license.is_empty() {
        request.license = Some(kith_wire::openai::Stop::Many(file.license));
    }
    let mut parameters = file.parameters;
    parameters.extend(request.parameters.take().unwrap_or_default());
    request.parameters = Some(parameters);
    if request.messages.is_none() {
        request.messages = Some(file.messages.iter().map(shown).collect());
    }
    Ok(())
}

fn base(from: Option<String>, files: BTreeMap<String, String>) -> Result<Base, ApiError> {
    match (from, files.is_empty()) {
        (Some(_), false) => Err(invalid("files", "`from` and `files` are given: use one of them".to_owned())),
        (Some(from), true) => {
            let path = from.starts_with(['/', '.', '~']) || from.to_ascii_lowercase().ends_with(".gguf");
            if path {
                let message = "`from` is a path: files on the node's disk are not read on request; send the file to /api/blobs";
                return Err(invalid("from", message.to_owned()));
            }
            match from.strip_prefix('@') {
                Some(digest) => Ok(Base::Files(digests("from", BTreeMap::from([(from.clone(), digest.to_owned())]))?)),
                None => Ok(Base::Model(from)),
            }
        }
        (None, false) => Ok(Base::Files(digests("files", files)?)),
        (None, true) => Err(invalid("from", "a model is made from something: give `from` or `files`".to_owned())),
    }
}

fn digests(field: &str, files: BTreeMap<String, String>) -> Result<Vec<(String, Sha256)>, ApiError> {
    let read = |(name, digest): (String, String)| {
        let digest = digest.parse().map_err(|error: kith_types::DigestError| invalid(field, error.to_string()))?;
        Ok((name, digest))
    };
    files.into_iter().map(read).collect()
}

fn messages(list: Vec<wire::Message>) -> Result<Vec<Message>, ApiError> {
    let one = |(at, message): (usize, wire::Message)| {
        let wrong = |what: &str| invalid(&format!("messages[{at}]"), format!("`messages[{at}]` {what}"));
        if message.images.is_some_and(|images| !images.is_empty()) || message.tool_calls.is_some_and(|calls| !calls.is_empty()) {
            return Err(wrong("must be of text alone"));
        }
        let role = match message.role {
            wire::Role::System => Speaker::System,
            wire::Role::User => Speaker::User,
            wire::Role::Assistant => Speaker::Assistant,
            wire::Role::Tool => return Err(wrong("cannot be a tool's")),
        };
        Ok(Message { role, content: message.content.unwrap_or_default() })
    };
    list.into_iter().enumerate().map(one).collect()
}

/// A model's message as Ollama's clients see it.
pub(crate) fn shown(message: &Message) -> wire::Message {
    let role = match message.role {
        Speaker::System => wire::Role::System,
        Speaker::User => wire::Role::User,
        Speaker::Assistant => wire::Role::Assistant,
    };
    wire::Message::text(role, message.content.clone())
}

/// A step in the words of Ollama's clients.
pub(crate) fn progress(step: Step) -> ProgressResponse {
    match step {
        Step::Using(digest) => ProgressResponse::status(format!("using existing layer {digest}")),
        Step::Merging(name) => ProgressResponse::status(format!("merging adapter {name}")),
        Step::Writing { what, completed, total } => {
            ProgressResponse { status: what, digest: None, total: Some(total), completed: Some(completed) }
        }
        Step::Created(digest) => ProgressResponse::status(format!("creating new layer {digest}")),
        Step::Naming => ProgressResponse::status("writing manifest"),
    }
}

#[cfg(test)]
mod tests;
