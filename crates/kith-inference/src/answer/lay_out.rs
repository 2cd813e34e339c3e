//! A prompt in the model's own layout: the text of its chat template, its images in their places, and how many tokens that is.

use super::engine_error;
use crate::{
    Generate, InferenceError, Message, ModelCard, Prompt, Role, Tool, ToolChoice,
    reasoning::{self, ReasoningParser},
    residency::Use,
    template::{ChatTemplate, RenderInput, Rendered, without_marks},
};
use kith_engine::{EngineError, Image, ImageMark, Input, Loaded};
use kith_types::{Clock, Timestamp};
use std::sync::Arc;

/// A prompt in the model's own layout.
pub(super) struct Laid {
    pub(super) input: Input,
    pub(super) tokens: u32,
    /// For [`Prompt::Instruct`]: its tokens, which begin the answer's `context`. Images are not among them.
    pub(super) context: Option<Vec<u32>>,
    pub(super) reasoning: Option<ReasoningParser>,
}

/// The first field of the prompt that has images.
pub(super) fn first_image(prompt: &Prompt) -> Option<String> {
    match prompt {
        Prompt::Chat(messages) => {
            messages.iter().position(|message| !message.images.is_empty()).map(|at| format!("messages[{at}]"))
        }
        Prompt::Instruct { images, .. } => (!images.is_empty()).then(|| "images".to_owned()),
        Prompt::Raw(_) | Prompt::Tokens(_) => None,
    }
}

/// Lays the prompt out for the model in `used`.
pub(super) async fn lay_out(request: &Generate, used: &Use, card: &ModelCard, clock: &dyn Clock) -> Result<Laid, InferenceError> {
    let resident = &used.0;
    if request.template.is_some() {
        return Err(InferenceError::Invalid {
            field: "template".into(),
            message: "a request cannot bring a template of its own: import the model with one, or send the text `raw`".into(),
        });
    }
    let messages = match &request.prompt {
        Prompt::Raw(text) => return plain(&resident.model, text, card).await,
        Prompt::Tokens(tokens) => {
            let vocabulary = resident.model.info().vocabulary;
            if let Some(id) = tokens.iter().find(|id| vocabulary > 0 && **id >= vocabulary) {
                return Err(InferenceError::Invalid {
                    field: "prompt".into(),
                    message: format!("token {id} is not in the vocabulary of `{}` ({vocabulary} tokens)", card.name),
                });
            }
            return Ok(Laid { tokens: count(tokens), input: Input::Tokens(tokens.clone()), context: None, reasoning: None });
        }
        Prompt::Chat(messages) if messages.is_empty() => {
            return Err(InferenceError::Invalid { field: "messages".into(), message: "`messages` is empty".into() });
        }
        Prompt::Chat(messages) => opened(messages.clone(), card),
        Prompt::Instruct { prompt, system, images, context } => {
            let mut messages = Vec::new();
            if let Some(system) = system.as_ref().filter(|text| !text.is_empty()).or(card.system.as_ref()) {
                messages.push(Message::text(Role::System, system.clone()));
            }
            // A conversation that goes on has had them.
            if context.is_empty() {
                messages.extend(card.messages.iter().cloned());
            }
            messages.push(Message { images: images.clone(), ..Message::text(Role::User, prompt.clone()) });
            messages
        }
    };
    let mut messages = messages;
    let mark = resident.model.info().image_mark.as_ref();
    if let Some(mark) = mark {
        for message in &mut messages {
            message.content = without_marks(&message.content, mark);
        }
    }
    let images = images_of(&mut messages, &request.prompt)?;
    let offered = if request.tool_choice == ToolChoice::None { &[][..] } else { &request.tools };
    let reasons = resident.template.supports_thinking();
    let rendered = rendered(&resident.template, messages, offered.to_vec(), request.think, clock.now()).await?;
    let reasons = reasons || rendered.text.contains("<think>");
    let reasoning = reasons.then(|| ReasoningParser::new(reasoning::opened_by(&rendered.text)));
    let special = card.add_bos && !rendered.starts_with_bos;
    if let (Some(mark), false) = (mark, images.is_empty()) {
        let laid = with_images(request, &resident.model, mark, &rendered.text, special, images).await;
        return Ok(Laid { reasoning, ..laid.map_err(|error| told(error, request, card))? });
    }
    let mut tokens = tokenize(&resident.model, &rendered.text, special, card).await?;
    let mut context = None;
    if let Prompt::Instruct { context: before, .. } = &request.prompt {
        let mut all = before.clone();
        all.append(&mut tokens);
        context = Some(all.clone());
        tokens = all;
    }
    Ok(Laid { tokens: count(&tokens), input: Input::Tokens(tokens), context, reasoning })
}

/// The images of the conversation, in their order. What stays with the messages is their number.
fn images_of(messages: &mut [Message], prompt: &Prompt) -> Result<Vec<Image>, InferenceError> {
    let files: Vec<Vec<u8>> = messages.iter_mut().flat_map(|message| message.images.iter_mut().map(std::mem::take)).collect();
    Image::all(files).map_err(|error| InferenceError::Invalid { field: image_field(prompt), message: error.to_string() })
}

fn image_field(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Instruct { .. } => "prompt.images".to_owned(),
        _ => "messages".to_owned(),
    }
}

/// An engine's error in the request's own words.
pub(super) fn told(error: EngineError, request: &Generate, card: &ModelCard) -> InferenceError {
    match error {
        EngineError::Invalid { field: "images", message } => {
            InferenceError::Invalid { field: image_field(&request.prompt), message }
        }
        EngineError::Invalid { field: "adapter", message } => InferenceError::Invalid { field: "lora_adapter".into(), message },
        error => engine_error(error, &card.name),
    }
}

/// A text with a mark for each image. After the tokens of an earlier answer's context it is their text that goes before it: the images
/// that it was about are not seen again.
async fn with_images(
    request: &Generate,
    model: &Arc<dyn Loaded>,
    mark: &ImageMark,
    rendered: &str,
    special: bool,
    images: Vec<Image>,
) -> Result<Laid, EngineError> {
    let (mut text, mut add_special) = (rendered.to_owned(), special);
    let mut context = None;
    if let Prompt::Instruct { context: before, .. } = &request.prompt {
        if !before.is_empty() {
            text = without_marks(&model.detokenize(before).await?, mark) + rendered;
            add_special = false;
        }
        context = Some(model.tokenize(&text.replace(&mark.text, ""), add_special).await?);
    }
    let input = Input::Text { text, add_special, images };
    Ok(Laid { tokens: model.count(&input).await?, input, context, reasoning: None })
}

/// Lays the conversation out, away from the threads that answer requests: a template may compute for a while.
async fn rendered(
    template: &Arc<ChatTemplate>,
    messages: Vec<Message>,
    tools: Vec<Tool>,
    think: Option<bool>,
    now: Timestamp,
) -> Result<Rendered, InferenceError> {
    let template = Arc::clone(template);
    let task = move || template.render(&RenderInput { messages: &messages, tools: &tools, think, now });
    match tokio::task::spawn_blocking(task).await {
        Ok(rendered) => {
            rendered.map_err(|error| InferenceError::Invalid { field: "messages".into(), message: error.to_string() })
        }
        Err(panic) => Err(InferenceError::Failed(panic.to_string())),
    }
}

async fn plain(model: &Arc<dyn Loaded>, text: &str, card: &ModelCard) -> Result<Laid, InferenceError> {
    let tokens = tokenize(model, text, card.add_bos, card).await?;
    if tokens.is_empty() {
        return Err(InferenceError::Invalid { field: "prompt".into(), message: "the prompt is empty".into() });
    }
    Ok(Laid { tokens: count(&tokens), input: Input::Tokens(tokens), context: None, reasoning: None })
}

async fn tokenize(model: &Arc<dyn Loaded>, text: &str, special: bool, card: &ModelCard) -> Result<Vec<u32>, InferenceError> {
    model.tokenize(text, special).await.map_err(|error| engine_error(error, &card.name))
}

fn count(tokens: &[u32]) -> u32 {
    u32::try_from(tokens.len()).unwrap_or(u32::MAX)
}

/// A conversation with what the model was made with before it: its own messages, and its system text where the conversation has
/// none of its own (the order is Ollama's).
fn opened(messages: Vec<Message>, card: &ModelCard) -> Vec<Message> {
    let own = messages.iter().any(|message| message.role == Role::System);
    let system = card.system.as_ref().filter(|_| !own).map(|text| Message::text(Role::System, text.clone()));
    system.into_iter().chain(card.messages.iter().cloned()).chain(messages).collect()
}
