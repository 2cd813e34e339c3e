//! A conversation bent to what a template can show, and turned into its values.

use super::{
    Habits,
    images::Images,
    value::{Dictionary, from_json},
};
use crate::{Message, Role, Tool, ToolCall, tools};
use minijinja::Value;
use std::borrow::Cow;

/// A conversation ready for one template.
pub(super) struct Layout<'a> {
    /// Its messages, those the template cannot show folded into others.
    pub(super) messages: Cow<'a, [Message]>,
    /// The tools the template is told of.
    tools: &'a [Tool],
    habits: Habits,
    images: Option<&'a Images>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(messages: &'a [Message], tools: &'a [Tool], habits: Habits, images: Option<&'a Images>) -> Self {
        let told = !tools.is_empty() && !habits.tools;
        let past = messages.iter().any(|message| message.role == Role::Tool || !message.tool_calls.is_empty());
        let mut messages = if told || (past && !habits.results) {
            Cow::Owned(tools::fold(messages, if told { tools } else { &[] }))
        } else {
            Cow::Borrowed(messages)
        };
        if !habits.system && messages.iter().any(|message| message.role == Role::System) {
            messages = Cow::Owned(fold_system(&messages));
        }
        Self { messages, tools: if told { &[] } else { tools }, habits, images }
    }

    /// The message to be continued, and those before it.
    pub(super) fn continued(&self) -> Option<(&[Message], &Message)> {
        let (last, before) = self.messages.split_last()?;
        (last.role == Role::Assistant && last.tool_calls.is_empty()).then_some((before, last))
    }

    /// The tools as templates see them; `none` without any.
    pub(super) fn tool_values(&self) -> Value {
        if self.tools.is_empty() {
            return Value::from(());
        }
        self.tools.iter().map(|tool| from_json(&tools::shown(tool))).collect::<Vec<_>>().into()
    }

    /// Messages as templates see them. Absent fields are absent, since templates ask whether they are defined.
    pub(super) fn message_values(&self, messages: &[Message], arguments_as_text: bool) -> Value {
        let mut values = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let calls = &message.tool_calls;
            let content = if self.habits.null_content && message.content.is_empty() && !calls.is_empty() {
                Value::from(())
            } else if let Some(images) = self.images {
                images.content(message)
            } else {
                Value::from(message.content.as_str())
            };
            let mut fields = vec![("role", Value::from(role(message.role))), ("content", content)];
            if !calls.is_empty() {
                let calls: Vec<Value> = calls.iter().map(|call| self.call_value(call, arguments_as_text)).collect();
                fields.push(("tool_calls", calls.into()));
            }
            if let Some(id) = &message.tool_call_id {
                fields.push(("tool_call_id", Value::from(self.id(id))));
            }
            if let Some(name) = message.name.as_deref().or_else(|| name_of_result(messages, index)) {
                fields.push(("name", Value::from(name)));
            }
            values.push(Dictionary::value(fields));
        }
        values.into()
    }

    fn call_value(&self, call: &ToolCall, arguments_as_text: bool) -> Value {
        let arguments = if arguments_as_text { Value::from(call.arguments.to_string()) } else { from_json(&call.arguments) };
        let function = Dictionary::value(vec![("name", Value::from(call.name.as_str())), ("arguments", arguments)]);
        Dictionary::value(vec![("id", Value::from(self.id(&call.id))), ("type", Value::from("function")), ("function", function)])
    }

    /// An id in the form the template insists on. The same id always gets the same short form.
    fn id<'i>(&self, id: &'i str) -> Cow<'i, str> {
        const LENGTH: usize = 9;
        if !self.habits.short_ids || (id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            return Cow::Borrowed(id);
        }
        // FNV-1a, 64 bits: ids of one conversation must differ, nothing more.
        let hash =
            id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Cow::Owned(format!("{hash:016x}").chars().skip(16 - LENGTH).collect())
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// The tool whose result the message at `index` holds, from the call it answers.
fn name_of_result(messages: &[Message], index: usize) -> Option<&str> {
    let message = messages.get(index).filter(|message| message.role == Role::Tool)?;
    let id = message.tool_call_id.as_ref()?;
    let mut calls = messages[..index].iter().rev().flat_map(|message| &message.tool_calls);
    calls.find(|call| call.id == *id).map(|call| call.name.as_str())
}

/// Moves each system message to the front of the next message of the user, or makes it one where none follows.
fn fold_system(messages: &[Message]) -> Vec<Message> {
    let mut folded: Vec<Message> = Vec::with_capacity(messages.len());
    let mut standing = String::new();
    for message in messages {
        match message.role {
            Role::System => append(&mut standing, &message.content),
            Role::User if !standing.is_empty() => {
                let mut text = std::mem::take(&mut standing);
                append(&mut text, &message.content);
                folded.push(Message { content: text, ..message.clone() });
            }
            _ => folded.push(message.clone()),
        }
    }
    if !standing.is_empty() {
        let at = if folded.last().is_some_and(|last| last.role == Role::Assistant) { folded.len() - 1 } else { folded.len() };
        folded.insert(at, Message::text(Role::User, standing));
    }
    folded
}

/// Joins neighbours of the same role, for templates that insist on turns.
pub(super) fn merge_turns(messages: &[Message]) -> Vec<Message> {
    let mut merged: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match merged.last_mut() {
            Some(last) if last.role == message.role && message.role != Role::Tool && last.tool_calls.is_empty() => {
                append(&mut last.content, &message.content);
                last.images.extend(message.images.iter().cloned());
                last.tool_calls.clone_from(&message.tool_calls);
            }
            _ => merged.push(message.clone()),
        }
    }
    merged
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}
