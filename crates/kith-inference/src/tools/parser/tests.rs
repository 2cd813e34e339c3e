//! What `parser` promises, sentence by sentence.

use super::{Reader, Segment, ToolParser};
use crate::{
    Tool, ToolChoice,
    tools::{call::Written, region::MAX_BYTES},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAMES: [&str; 2] = ["add", "get_weather"];

/// The outcome, joined: text, calls, and the input as put together again from text and consumed syntax.
#[derive(Debug, Clone, PartialEq, Default)]
struct Outcome {
    text: String,
    calls: Vec<(String, Value)>,
    whole: String,
}

fn run(pieces: &[&str]) -> Outcome {
    let mut reader = Reader::new(NAMES.map(str::to_owned).to_vec());
    let mut outcome = Outcome::default();
    let mut take = |segments: Vec<Segment>| {
        for segment in segments {
            match segment {
                Segment::Text(text) => {
                    outcome.text.push_str(&text);
                    outcome.whole.push_str(&text);
                }
                Segment::Syntax { calls, source } => {
                    outcome.calls.extend(calls.into_iter().map(|Written { name, arguments }| (name, arguments)));
                    outcome.whole.push_str(&source);
                }
            }
        }
    };
    for piece in pieces {
        take(reader.push(piece));
    }
    take(reader.finish());
    assert!(reader.held.is_empty());
    assert_eq!(outcome.whole, pieces.concat(), "nothing is lost");
    outcome
}

/// Whole, and byte by byte.
fn parse(answer: &str) -> (String, Vec<(String, Value)>) {
    let whole = run(&[answer]);
    let letters: Vec<String> = answer.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(run(&letters), whole, "{answer}");
    (whole.text, whole.calls)
}

fn add(a: i64) -> (String, Value) {
    ("add".to_owned(), json!({ "a": a }))
}

#[test]
fn each_way_of_writing_a_call_is_understood() {
    for answer in [
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>",
        "<tool_call>{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 1}\"}",
        "\n<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"add\"}</tool",
        "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\": 1}, \"id\": \"x\"}]",
        "<|python_tag|>{\"type\": \"function\", \"name\": \"add\", \"parameters\": {\"a\": 1}}",
        "<function=add>{\"a\": 1}</function>",
        "<function=add> {\"a\": 1}",
        "{\"name\": \"add\", \"parameters\": {\"a\": 1}}",
        " [{\"name\": \"add\", \"arguments\": {\"a\": 1}}]\n",
        "{\"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": {\"a\": 1}}}",
        "{\"function\": \"add\", \"arguments\": {\"a\": 1}}",
        "{\"tool_calls\": [{\"name\": \"add\", \"arguments\": {\"a\": 1}}]}",
        "```json\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n```\n",
        "```\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}",
    ] {
        assert_eq!(parse(answer), (String::new(), vec![add(1)]), "{answer}");
    }
}

#[test]
fn several_calls_are_understood() {
    for answer in [
        "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>\n<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":2}}</tool_call>\n",
        "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}\n{\"name\":\"add\",\"arguments\":{\"a\":2}}</tool_call>",
        "<tool_call>[{\"name\":\"add\",\"arguments\":{\"a\":1}}, {\"name\":\"add\",\"arguments\":{\"a\":2}}]</tool_call>",
        "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":2}}",
        "[TOOL_CALLS][{\"name\":\"add\",\"arguments\":{\"a\":1}},{\"name\":\"add\",\"arguments\":{\"a\":2}}]",
        "<|python_tag|>{\"name\":\"add\",\"parameters\":{\"a\":1}}; {\"name\":\"add\",\"parameters\":{\"a\":2}}",
        "{\"name\":\"add\",\"parameters\":{\"a\":1}}; {\"name\":\"add\",\"parameters\":{\"a\":2}}",
        "<function=add>{\"a\":1}</function><function=add>{\"a\":2}</function>",
    ] {
        assert_eq!(parse(answer), (String::new(), vec![add(1), add(2)]), "{answer}");
    }
}

#[test]
fn text_around_marked_calls_is_kept() {
    let answer = "Let me see.\n<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>\n\nDone [1] <b>.";
    assert_eq!(parse(answer), ("Let me see.\n\n\nDone [1] <b>.".to_owned(), vec![add(1)]));
    let cut = "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}} and more";
    assert_eq!(parse(cut), (" and more".to_owned(), vec![add(1)]));
}

#[test]
fn a_closing_tag_within_an_argument_ends_nothing() {
    let answer = "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":\"</tool_call>}\\\"\"}}</tool_call>";
    assert_eq!(parse(answer), (String::new(), vec![("add".to_owned(), json!({"a": "</tool_call>}\""}))]));
}

#[test]
fn what_is_no_call_of_an_offered_tool_is_text_unchanged() {
    for answer in [
        "",
        "  ",
        "Plain text with { braces } and [1].",
        "[1] says so.",
        "{\"answer\": 42}",
        "{\"name\": \"Ada\", \"age\": 36}",
        "{\"name\": \"add\"}",
        "{\"name\": \"add\", \"description\": \"x\", \"parameters\": {}}",
        "{\"name\": \"add\", \"arguments\": {\"a\": 1}} is how to call it.",
        "{\"name\": \"add\", \"arguments\": [1]}",
        "{\"name\": \"add\", \"arguments\": {\"a\": 1}",
        "[]",
        "{}",
        "```json\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n```\nlike this",
        "```python\nadd(1)\n```",
        "<tool_call>{\"name\": \"rm\", \"arguments\": {}}</tool_call>",
        "<tool_call>add(1)</tool_call>",
        "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\":",
        "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": tru}}</tool_call>",
        "<|python_tag|>print(1)",
        "[TOOL_CALLS] none",
        "<function=rm>{}</function>",
        "<function=add {}",
        "<tool_",
        "[TOOL",
        "`",
    ] {
        assert_eq!(parse(answer), (answer.to_owned(), vec![]), "{answer}");
    }
}

#[test]
fn a_call_within_a_failed_one_is_still_found() {
    let answer = "<tool_call>oops <tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>";
    assert_eq!(parse(answer), ("<tool_call>oops ".to_owned(), vec![add(1)]));
}

#[test]
fn plain_text_and_ordinary_json_are_not_held_back() {
    let mut reader = Reader::new(vec!["add".to_owned()]);
    assert_eq!(reader.push("Hello <"), [Segment::Text("Hello ".into())]);
    assert_eq!(reader.push("b> "), [Segment::Text("<b> ".into())]);
    let mut reader = Reader::new(vec!["add".to_owned()]);
    assert_eq!(reader.push("{\"an"), [Segment::Text("{\"an".into())]);
    let spaced = format!("{{{}", " ".repeat(100));
    let mut reader = Reader::new(vec!["add".to_owned()]);
    assert_eq!(reader.push(&spaced), [Segment::Text(spaced.clone())]);
}

#[test]
fn a_call_longer_than_the_bound_is_text() {
    let long =
        |size: usize| format!("<tool_call>{{\"name\":\"add\",\"arguments\":{{\"a\":\"{}\"}}}}</tool_call>", "x".repeat(size));
    assert_eq!(run(&[&long(MAX_BYTES / 2)]).calls.len(), 1);
    let over = long(MAX_BYTES);
    let pieces: Vec<&str> = over.as_bytes().chunks(1000).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    let outcome = run(&pieces);
    assert_eq!((outcome.text.as_str(), outcome.calls.len()), (over.as_str(), 0));
    assert_eq!(run(&[&over]), outcome);
}

#[test]
fn ids_are_new_for_each_call_and_only_chosen_tools_count() {
    let tools = NAMES.map(|name| Tool { name: name.into(), description: None, parameters: Value::Null });
    let mut next = 0_u8;
    let random = move |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    };
    let answer = "<function=add>{}</function><function=get_weather>{}</function><function=add>{}</function>";
    let mut parser = ToolParser::new(&tools, &ToolChoice::Named("add".into()), Box::new(random));
    let parsed = parser.push(answer);
    assert_eq!(parsed.text, "<function=get_weather>{}</function>");
    let ids: Vec<&str> = parsed.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        let letters = id.strip_prefix("call_").unwrap();
        assert!(letters.len() == 24 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    }
    assert_eq!(parser.finish(), super::Parsed::default());
    let mut none = ToolParser::new(&tools, &ToolChoice::None, Box::new(|_| {}));
    assert_eq!(none.push(answer).text, answer);
}

proptest! {
    #[test]
    fn chunking_never_changes_the_outcome_and_nothing_is_lost(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<function=", "<function=add>", "</function>", "```", "```json",
            "{\"name\":\"add\",\"arguments\":{\"a\":1}}", "{\"name\":\"rm\",\"arguments\":{}}", "{\"a\":1}", "[", "]", "{", "}", "\"", ";", ",",
            "\n", " ", "é", "text", "<", "name", "{\"name\":",
        ]), 0..14),
        cuts in prop::collection::vec(1_usize..12, 0..60),
    ) {
        let whole = parts.concat();
        let mut pieces = Vec::new();
        let mut rest = whole.as_str();
        for length in cuts {
            let at = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
            let (piece, after) = rest.split_at(at);
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(run(&pieces), run(&[&whole]));
    }
}
