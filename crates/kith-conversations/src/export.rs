//! A conversation as a file: the branch that is shown as Markdown, and a name for the file that every system takes.

use crate::{Conversation, Message, Role, tree};
use std::fmt::Write;

/// The longest stem of a file's name, in characters.
const MAX_STEM_CHARS: usize = 60;
/// The name of a conversation's file where its title has nothing fit for one.
const PLAIN_STEM: &str = "conversation";

/// A file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// In ASCII letters, digits, `-` and `.`.
    pub ascii: String,
    /// In the title's own letters, without what some system refuses.
    pub full: String,
}

/// A name for the file of a conversation with this title.
pub fn file_name(title: &str, extension: &str) -> FileName {
    let ascii = stem(title, |c| c.is_ascii_alphanumeric(), '-');
    let full = stem(title, |c| c.is_alphanumeric() || matches!(c, '-' | '_' | '(' | ')' | ',' | '\'' | '+' | '&'), ' ');
    FileName { ascii: format!("{ascii}.{extension}"), full: format!("{full}.{extension}") }
}

/// The title with `gap` for each run of what may not stand in it, none at the ends.
fn stem(title: &str, may_stand: fn(char) -> bool, gap: char) -> String {
    let mut stem = String::new();
    for c in title.chars() {
        if may_stand(c) {
            stem.push(c);
        } else if !stem.is_empty() && !stem.ends_with(gap) {
            stem.push(gap);
        }
        if stem.chars().count() == MAX_STEM_CHARS {
            break;
        }
    }
    let stem = stem.trim_end_matches([gap, '-', ' ']).trim_start_matches(['-', ' ']);
    // Names that Windows keeps for devices, whatever their extension.
    let upper = stem.to_ascii_uppercase();
    let device = matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (upper.len() == 4
            && (upper.starts_with("COM") || upper.starts_with("LPT"))
            && upper.ends_with(|c: char| c.is_ascii_digit()));
    match (stem.is_empty(), device) {
        (true, _) => PLAIN_STEM.to_owned(),
        (_, true) => format!("{PLAIN_STEM}-{stem}"),
        _ => stem.to_owned(),
    }
}

/// The branch that is shown as Markdown: title, system prompt, and each message under who says it.
pub fn markdown(conversation: &Conversation) -> String {
    let summary = &conversation.summary;
    let mut text = String::new();
    let title = if summary.title.is_empty() { "Conversation" } else { &summary.title };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# {title}\n");
    let model = summary.model.as_ref().map(|model| format!(" · {model}")).unwrap_or_default();
    let _ = writeln!(text, "*{}{model}*\n", summary.created.rfc3339());
    if let Some(system) = conversation.system.as_ref().filter(|system| !system.trim().is_empty()) {
        let _ = writeln!(text, "## System\n\n{}\n", system.trim_end());
    }
    for message in tree::branch(&conversation.messages, summary.head.as_deref()) {
        section(&mut text, message);
    }
    text
}

fn section(text: &mut String, message: &Message) {
    let details = &message.details;
    let who = match message.role {
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::System => "System",
        Role::Tool => "Tool",
    };
    let model = details.model.as_ref().filter(|_| message.role == Role::Assistant);
    let model = model.map(|model| format!(" · {model}")).unwrap_or_default();
    let _ = writeln!(text, "## {who}{model}\n");
    if let Some(reasoning) = details.reasoning.as_ref().filter(|reasoning| !reasoning.trim().is_empty()) {
        for line in reasoning.trim().lines() {
            let _ = writeln!(text, "> {line}");
        }
        text.push('\n');
    }
    for picture in &details.pictures {
        let _ = writeln!(text, "*Image: {} ({})*\n", picture.name.as_deref().unwrap_or("without a name"), picture.media_type);
    }
    for attachment in &details.attachments {
        let _ = writeln!(text, "**Attachment: {}**\n", attachment.name);
        fenced(text, "", &attachment.text);
    }
    if !message.content.trim().is_empty() {
        let _ = writeln!(text, "{}\n", message.content.trim_end());
    }
    for call in &details.tool_calls {
        let _ = writeln!(text, "**Tool call: {}**\n", call.name);
        fenced(text, "json", &call.arguments);
    }
    if let Some(error) = &details.error {
        let _ = writeln!(text, "*Failed: {error}*\n");
    }
    if details.stopped {
        text.push_str("*Stopped.*\n\n");
    }
}

/// `content` between fences longer than any inside it.
fn fenced(text: &mut String, language: &str, content: &str) {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(text, "{fence}{language}\n{}\n{fence}\n", content.trim_end_matches('\n'));
}

#[cfg(test)]
mod tests;
