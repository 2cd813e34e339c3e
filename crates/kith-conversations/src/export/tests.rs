//! What exports promise.

use super::*;
use crate::{Attachment, Details, Summary, ToolCall};
use kith_types::Timestamp;
use proptest::prelude::*;

fn message(id: &str, parent: Option<&str>, role: Role, content: &str, details: Details) -> Message {
    let at = Timestamp::from_ms(0);
    let parent = parent.map(str::to_owned);
    Message { id: id.to_owned(), parent, role, content: content.to_owned(), details, created: at, updated: at }
}

fn conversation(messages: Vec<Message>, head: &str) -> Conversation {
    Conversation {
        summary: Summary {
            id: "c".into(),
            title: "Tides".into(),
            named: false,
            pinned: false,
            model: Some("m:1".into()),
            head: Some(head.into()),
            messages: messages.len() as u64,
            created: Timestamp::from_ms(0),
            updated: Timestamp::from_ms(0),
            deleted: None,
        },
        system: Some("Be brief.".into()),
        options: None,
        messages,
    }
}

#[test]
fn the_branch_that_is_shown_is_exported_and_no_other() {
    let attachment = Attachment { name: "a.md".into(), kind: "text".into(), text: "```\ncode\n```".into() };
    let asked = Details { attachments: vec![attachment], ..Details::default() };
    let call = ToolCall { id: "1".into(), name: "tide".into(), arguments: "{\"at\":1}".into() };
    let answered = Details {
        reasoning: Some("Hm.\nWell.".into()),
        tool_calls: vec![call],
        model: Some("m:1".into()),
        stopped: true,
        ..Details::default()
    };
    let messages = vec![
        message("1", None, Role::User, "Why tides?", asked),
        message("x", Some("1"), Role::Assistant, "another variant", Details::default()),
        message("2", Some("1"), Role::Assistant, "The moon.", answered),
    ];
    let expected = "# Tides\n\n*1970-01-01T00:00:00.000Z · m:1*\n\n## System\n\nBe brief.\n\n## User\n\n**Attachment: a.md**\n\n\
                    ````\n```\ncode\n```\n````\n\nWhy tides?\n\n## Assistant · m:1\n\n> Hm.\n> Well.\n\nThe moon.\n\n\
                    **Tool call: tide**\n\n```json\n{\"at\":1}\n```\n\n*Stopped.*\n\n";
    assert_eq!(markdown(&conversation(messages, "2")), expected);
}

#[test]
fn a_files_name_is_made_of_its_title() {
    for (title, ascii, full) in [
        ("Why tides?", "Why-tides.md", "Why tides.md"),
        ("Crème brûlée", "Cr-me-br-l-e.md", "Crème brûlée.md"),
        ("猫が好き", "conversation.md", "猫が好き.md"),
        ("../../etc/passwd", "etc-passwd.md", "etc passwd.md"),
        ("a\"\r\nX: y", "a-X-y.md", "a X y.md"),
        ("nul", "conversation-nul.md", "conversation-nul.md"),
        ("COM1", "conversation-COM1.md", "conversation-COM1.md"),
        ("...", "conversation.md", "conversation.md"),
        ("", "conversation.md", "conversation.md"),
        ("-rf", "rf.md", "rf.md"),
    ] {
        assert_eq!(file_name(title, "md"), FileName { ascii: ascii.into(), full: full.into() }, "{title}");
    }
}

proptest! {
    #[test]
    fn no_title_makes_a_name_that_leaves_its_folder_or_its_header(title in "\\PC{0,120}") {
        let name = file_name(&title, "json");
        prop_assert!(name.ascii.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')));
        for text in [&name.ascii, &name.full] {
            let stem = text.strip_suffix(".json").unwrap();
            prop_assert!(!stem.is_empty() && stem.chars().count() <= MAX_STEM_CHARS + PLAIN_STEM.len() + 1);
            prop_assert!(!stem.contains(['/', '\\', '"', ':', '*', '?', '<', '>', '|', '.']));
            prop_assert!(!stem.starts_with(['-', ' ']) && !stem.ends_with(' '));
            prop_assert!(!stem.chars().any(char::is_control));
        }
    }
}
