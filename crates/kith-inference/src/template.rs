//! Chat templates: lays a conversation out as the text a model was trained on, the way the `transformers` library does.
//!
//! Differences between templates (no system role, no tools, strict turns) are found by laying out small conversations when a template
//! is parsed, and bridged when it is used.

mod environment;
mod images;
mod layout;
mod value;

use crate::{Message, Role, Tool, ToolCall};
use images::Images;
pub(crate) use images::without_marks;
use kith_types::Timestamp;
use layout::Layout;
use minijinja::{Environment, ErrorKind, Value};
use serde_json::json;
use std::{collections::BTreeMap, io};

/// For models that bring no template: ChatML, which most small models understand.
const CHATML: &str = include_str!("template/chatml.jinja");
/// The most bytes of a template's source.
const MAX_SOURCE: usize = 1 << 20;
/// The most bytes a template may write.
const MAX_TEXT: usize = 8 << 20;
/// Stands where a message of the assistant is to be continued, until the text is cut there.
const CONTINUE: &str = "KithContinuesThisMessageHere";
/// The name of the only template in an environment.
const NAME: &str = "chat_template";

/// A chat template, compiled.
#[derive(Debug, Clone)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    bos: Option<String>,
    eos: Option<String>,
    habits: Habits,
    /// For models that see.
    images: Option<Images>,
}

/// What is to be laid out. If the last message is the assistant's and no tool call, it is left open for the model to continue;
/// otherwise the model's turn is opened.
#[derive(Debug, Clone)]
pub(crate) struct RenderInput<'a> {
    /// The conversation.
    pub(crate) messages: &'a [Message],
    /// The tools the model is told of.
    pub(crate) tools: &'a [Tool],
    /// Whether to reason; `None` leaves it to the template.
    pub(crate) think: Option<bool>,
    /// The present time (templates see UTC).
    pub(crate) now: Timestamp,
}

/// A conversation as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// The text.
    pub(crate) text: String,
    /// Whether it begins with the model's opening token, so that the tokenizer must not add another.
    pub(crate) starts_with_bos: bool,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// The source is no template.
    #[error("the chat template cannot be read: {0}")]
    Syntax(String),
    /// The template refuses this conversation, in its own words.
    #[error("the chat template refuses this conversation: {0}")]
    Refused(String),
    /// The template fails on this conversation.
    #[error("the chat template fails on this conversation: {0}")]
    Failed(String),
    /// The text exceeds 8 MiB.
    #[error("the chat template writes more than {} MiB", MAX_TEXT >> 20)]
    TooLong,
}

/// What a template can show, as found by trying, and what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Habits {
    system: bool,
    tools: bool,
    /// Calls and their results in the conversation.
    results: bool,
    thinking: bool,
    /// Tells calls from text by an absent content.
    null_content: bool,
    /// Insists on ids of nine letters and digits (Mistral).
    short_ids: bool,
}

impl ChatTemplate {
    /// Compiles `source`, or ChatML where a model has none. `bos` and `eos` are the texts of the model's opening and closing tokens.
    pub(crate) fn parse(source: Option<&str>, bos: Option<String>, eos: Option<String>) -> Result<Self, TemplateError> {
        let source = source.unwrap_or(CHATML);
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::Syntax(format!("it has {} bytes; at most {MAX_SOURCE} are read", source.len())));
        }
        let environment = environment::compile(NAME, source).map_err(|error| TemplateError::Syntax(told(&error)))?;
        let habits = Habits {
            system: true,
            tools: true,
            results: true,
            thinking: ["<think>", "</think>", "enable_thinking"].iter().any(|sign| source.contains(sign)),
            null_content: asks_for_null_content(source),
            short_ids: ["length != 9", "length == 9"].iter().any(|sign| source.contains(sign)),
        };
        let mut template = Self { environment, bos, eos, habits, images: None };
        template.habits = template.probe();
        Ok(template)
    }

    /// Whether the template itself tells the model of tools; otherwise they are told in the system message.
    #[cfg(test)]
    pub(crate) fn supports_tools(&self) -> bool {
        self.habits.tools
    }

    /// Whether models with this template can reason aloud.
    pub(crate) fn supports_thinking(&self) -> bool {
        self.habits.thinking
    }

    /// Lays a conversation out. The text has at most 8 MiB.
    pub(crate) fn render(&self, input: &RenderInput<'_>) -> Result<Rendered, TemplateError> {
        let layout = Layout::new(input.messages, input.tools, self.habits, self.images.as_ref());
        let text = match layout.continued() {
            Some((before, last)) => self.render_open(&layout, before, last, input)?,
            None => self.attempt(&layout, &layout.messages, true, input)?,
        };
        let starts_with_bos = self.bos.as_ref().is_some_and(|bos| !bos.is_empty() && text.starts_with(bos.as_str()));
        Ok(Rendered { text, starts_with_bos })
    }

    /// A conversation whose `last` message is left open.
    fn render_open(
        &self,
        layout: &Layout,
        before: &[Message],
        last: &Message,
        input: &RenderInput<'_>,
    ) -> Result<String, TemplateError> {
        let mut messages = before.to_vec();
        messages.push(Message { content: format!("{}{CONTINUE}", last.content), ..last.clone() });
        let mut text = self.attempt(layout, &messages, false, input)?;
        if let Some(end) = text.rfind(CONTINUE) {
            text.truncate(end);
            return Ok(text);
        }
        // The template hides the message: open the model's turn and write it there.
        Ok(self.attempt(layout, before, true, input)? + &last.content)
    }

    /// Tries the layouts that templates differ in, the usual one first, and tells the usual one's error if all fail.
    fn attempt(
        &self,
        layout: &Layout,
        messages: &[Message],
        open: bool,
        input: &RenderInput<'_>,
    ) -> Result<String, TemplateError> {
        let run = |messages: &[Message], arguments_as_text| {
            self.run(layout.message_values(messages, arguments_as_text), layout.tool_values(), open, input)
        };
        run(messages, false).or_else(|error| {
            let calls = messages.iter().any(|message| !message.tool_calls.is_empty());
            if let Some(text) = calls.then(|| run(messages, true).ok()).flatten() {
                return Ok(text);
            }
            let merged = layout::merge_turns(messages);
            if merged.len() < messages.len()
                && let Ok(text) = run(&merged, false)
            {
                return Ok(text);
            }
            Err(error)
        })
    }

    fn run(&self, messages: Value, tools: Value, open: bool, input: &RenderInput<'_>) -> Result<String, TemplateError> {
        let token = |token: &Option<String>| Value::from(token.as_deref().unwrap_or_default());
        let mut context = BTreeMap::from([
            ("messages", messages),
            ("tools", tools),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(open)),
            ("bos_token", token(&self.bos)),
            ("eos_token", token(&self.eos)),
            ("strftime_now", environment::strftime(input.now)),
        ]);
        if let Some(think) = input.think {
            context.insert("enable_thinking", Value::from(think));
            context.insert("thinking", Value::from(think));
        }
        let template = self.environment.get_template(NAME).map_err(|error| TemplateError::Failed(told(&error)))?;
        let mut page = Page::default();
        match template.render_captured_to(context, &mut page) {
            Ok(_) => String::from_utf8(page.bytes).map_err(|error| TemplateError::Failed(error.to_string())),
            Err(_) if page.full => Err(TemplateError::TooLong),
            Err(error) => Err(environment::refusal(&error)
                .map_or_else(|| TemplateError::Failed(told(&error)), |words| TemplateError::Refused(words.to_owned()))),
        }
    }

    /// Finds out what the template shows, by looking for signs in small conversations.
    fn probe(&self) -> Habits {
        const SYSTEM: &str = "KithProbesSystem";
        const TOOL: &str = "kith_probes_tool";
        const RESULT: &str = "KithProbesResult";
        let tools = [Tool { name: TOOL.to_owned(), description: Some("A probe.".to_owned()), parameters: json!({}) }];
        let user = Message::text(Role::User, "Hello");
        let system = Message::text(Role::System, SYSTEM);
        let call = ToolCall { id: "probe0001".to_owned(), name: TOOL.to_owned(), arguments: json!({"a": 1}) };
        let asks = Message { tool_calls: vec![call], ..Message::text(Role::Assistant, "") };
        let answers = Message {
            tool_call_id: Some("probe0001".to_owned()),
            name: Some(TOOL.to_owned()),
            ..Message::text(Role::Tool, RESULT)
        };
        let shows = |messages: &[Message], tools: &[Tool], signs: &[&str]| {
            let input = RenderInput { messages, tools, think: None, now: Timestamp::default() };
            let text = self.attempt(&Layout::new(messages, tools, self.habits, None), messages, true, &input);
            text.is_ok_and(|text| signs.iter().all(|sign| text.contains(sign)))
        };
        let usable = shows(std::slice::from_ref(&user), &[], &[]);
        if !usable {
            // Nothing is known of a template that fails even here; its own error tells more than any bridge.
            return self.habits;
        }
        let shows_system = shows(&[system.clone(), user.clone()], &[], &[SYSTEM]);
        let offers = shows(std::slice::from_ref(&user), &tools, &[TOOL]) || shows(&[system, user.clone()], &tools, &[TOOL]);
        Habits {
            system: shows_system,
            tools: offers,
            results: shows(&[user, asks, answers], if offers { &tools } else { &[] }, &[TOOL, RESULT]),
            ..self.habits
        }
    }
}

/// Whether the template compares a content with `none`.
fn asks_for_null_content(source: &str) -> bool {
    ["content is none", "content is not none", "content == none", "content != none"]
        .iter()
        .any(|sign| source.replace(['\'', '"', ']'], "").to_lowercase().contains(sign))
}

/// An error with its place, without the template's source.
fn told(error: &minijinja::Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation | ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// Takes what a template writes, up to [`MAX_TEXT`].
#[derive(Debug, Default)]
struct Page {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_TEXT {
            self.full = true;
            return Err(io::Error::other("the text is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
