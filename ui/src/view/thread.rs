//! The tree of a conversation: the branch that is shown, its variants, and what of it the model is given to read.

use kith_wire::{
    conversations::{ConversationMessage, MessageRole},
    ollama::{Message, Role},
};
use std::collections::{HashMap, HashSet};

/// The places of the messages from the first to `head`. Links that lead nowhere or in a circle end it.
pub fn path(messages: &[ConversationMessage], head: Option<&str>) -> Vec<usize> {
    let places: HashMap<&str, usize> = messages.iter().enumerate().map(|(at, message)| (message.id.as_str(), at)).collect();
    let (mut path, mut seen) = (Vec::new(), HashSet::new());
    let mut next = head;
    while let Some(at) = next.and_then(|id| places.get(id)).copied() {
        if !seen.insert(at) {
            break;
        }
        path.push(at);
        next = messages.get(at).and_then(|message| message.parent.as_deref());
    }
    path.reverse();
    path
}

/// The variants of a message, itself among them, in the order they were made.
pub fn variants<'a>(messages: &'a [ConversationMessage], of: &ConversationMessage) -> Vec<&'a ConversationMessage> {
    messages.iter().filter(|other| other.parent == of.parent && other.role == of.role).collect()
}

/// The end of the branch that goes on from a message by its newest children.
pub fn tip(messages: &[ConversationMessage], from: &str) -> String {
    let mut tip = from.to_owned();
    let mut seen = HashSet::from([tip.clone()]);
    while let Some(child) = messages.iter().rev().find(|message| message.parent.as_deref() == Some(&tip)) {
        if !seen.insert(child.id.clone()) {
            break;
        }
        tip = child.id.clone();
    }
    tip
}

/// What the model reads: the system prompt, then the branch. Files stand before the words that are about them. Answers that failed
/// before they began are left out.
pub fn prompt(system: Option<&str>, branch: &[&ConversationMessage]) -> Vec<Message> {
    let mut prompt = Vec::new();
    if let Some(system) = system.map(str::trim).filter(|system| !system.is_empty()) {
        prompt.push(Message::text(Role::System, system));
    }
    for message in branch {
        let role = match message.role {
            MessageRole::User => Role::User,
            MessageRole::Assistant => Role::Assistant,
            MessageRole::System => Role::System,
            MessageRole::Tool => Role::Tool,
        };
        if message.role == MessageRole::Assistant && message.content.is_empty() && message.tool_calls.is_empty() {
            continue;
        }
        let mut text = String::new();
        for file in &message.attachments {
            text.push_str(&format!("File `{}`:\n```\n{}\n```\n\n", file.name, file.text.trim_end()));
        }
        text.push_str(&message.content);
        prompt.push(Message::text(role, text));
    }
    prompt
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_wire::conversations::MessageAttachment;

    fn message(id: &str, parent: Option<&str>, role: MessageRole) -> ConversationMessage {
        serde_json::from_value(serde_json::json!({
            "id": id, "parent": parent, "role": role, "content": id, "created_at_ms": 0, "updated_at_ms": 0,
        }))
        .unwrap()
    }

    fn tree() -> Vec<ConversationMessage> {
        use MessageRole::{Assistant, User};
        vec![
            message("q", None, User),
            message("a1", Some("q"), Assistant),
            message("a2", Some("q"), Assistant),
            message("q2", Some("a2"), User),
        ]
    }

    #[test]
    fn the_branch_runs_from_the_first_message_to_the_head() {
        let tree = tree();
        assert_eq!(path(&tree, Some("q2")), [0, 2, 3]);
        assert_eq!(path(&tree, Some("a1")), [0, 1]);
        assert!(path(&tree, None).is_empty() && path(&tree, Some("gone")).is_empty());
        let mut circle = tree;
        circle[0].parent = Some("q2".into());
        assert_eq!(path(&circle, Some("q2")).len(), 3);
    }

    #[test]
    fn variants_are_answers_to_the_same_message() {
        let tree = tree();
        assert_eq!(variants(&tree, &tree[1]).len(), 2);
        assert_eq!(variants(&tree, &tree[3]).len(), 1);
        assert_eq!(tip(&tree, "a2"), "q2");
        assert_eq!(tip(&tree, "q"), "q2");
    }

    #[test]
    fn the_model_reads_system_files_and_words_and_no_empty_answers() {
        let mut tree = tree();
        tree[0].attachments.push(MessageAttachment { name: "a.txt".into(), kind: "text".into(), text: "inside\n".into() });
        tree[2].content.clear();
        let branch: Vec<_> = path(&tree, Some("q2")).into_iter().map(|at| &tree[at]).collect();
        let prompt = prompt(Some(" be brief "), &branch);
        let texts: Vec<_> = prompt.iter().map(|message| message.content.clone().unwrap_or_default()).collect();
        assert_eq!(texts, ["be brief", "File `a.txt`:\n```\ninside\n```\n\nq", "q2"]);
    }
}
