//! What `openai::responses` promises, sentence by sentence.

use super::{
    answer::Answering,
    drive::shorten,
    ids::Ids,
    input,
    request::{Asked, asked},
    stored::item_page,
};
use crate::{error::ApiError, field_error::FieldError};
use kith_engine::{Timings, Usage};
use kith_inference::{Done, FinishReason, Format, Message, Piece, Prompt, Role, ToolCall, ToolChoice};
use kith_types::{Code, Timestamp};
use kith_wire::openai::{InputItem, NumberedEvent, ResponseEvent, ResponseStatus};
use serde_json::{Value, from_value, json, to_value};
use std::time::Duration;

mod events;
mod fields;

fn ids() -> Ids {
    Ids::new([0; 24])
}

fn parsed(body: Value) -> Result<Asked, FieldError> {
    asked(from_value(body).unwrap(), ids(), Timestamp::from_ms(7_000))
}

/// A small valid body with one field changed.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    body[field] = value;
    body
}

fn conversation(items: Value) -> Result<Vec<Message>, FieldError> {
    let mut messages = Vec::new();
    let items: Vec<InputItem> = from_value(items).unwrap();
    input::messages("input", &items, &mut messages)?;
    Ok(messages)
}

#[test]
fn items_become_messages_and_calls_of_one_answer_are_one_message() {
    let messages = conversation(json!([
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"},
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{\"a\":1}"},
        {"type": "function_call", "call_id": "c2", "name": "now", "arguments": ""},
        {"type": "function_call_output", "call_id": "c2", "output": "noon"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "3"}]},
    ]))
    .unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::Tool]);
    assert_eq!((messages[1].content.as_str(), messages[1].images.as_slice()), ("A\nB", [b"hi".to_vec()].as_slice()));
    let calls: Vec<_> = messages[2].tool_calls.iter().map(|call| (call.id.as_str(), call.name.as_str())).collect();
    assert_eq!((messages[2].content.as_str(), calls.as_slice()), ("Let me see.", [("c1", "add"), ("c2", "now")].as_slice()));
    assert_eq!((messages[3].name.as_deref(), messages[3].content.as_str()), (Some("now"), "noon"));
    assert_eq!((messages[4].name.as_deref(), messages[4].content.as_str()), (Some("add"), "3"));
}

#[test]
fn an_item_that_cannot_be_taken_is_told_by_its_place() {
    let user = |part: Value| json!([{"role": "user", "content": [part]}]);
    for (items, field) in [
        (json!([{"role": "alien", "content": "x"}]), "input[0].role"),
        (json!([{"content": "x"}]), "input[0].role"),
        (json!([{"role": "user"}]), "input[0].content"),
        (json!([{"type": "computer_call"}]), "input[0].type"),
        (json!([{"type": "function_call", "name": "f", "arguments": "{}"}]), "input[0].call_id"),
        (json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "[1]"}]), "input[0].arguments"),
        (json!([{"type": "function_call_output", "call_id": "c"}]), "input[0].output"),
        (user(json!({"type": "input_file", "file_id": "f"})), "input[0].content[0].type"),
        (user(json!({"type": "input_image", "file_id": "f"})), "input[0].content[0].file_id"),
        (user(json!({"type": "input_image", "image_url": "https://x.example/a.png"})), "input[0].content[0].image_url"),
        (user(json!({"type": "input_text"})), "input[0].content[0].text"),
        (
            json!([{"role": "assistant", "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGk="}]}]),
            "input[0].content[0]",
        ),
    ] {
        assert_eq!(conversation(items.clone()).unwrap_err().field, field, "{items}");
    }
}

#[test]
fn leaving_messages_out_spares_instructions_the_last_and_the_outcomes_of_calls_without_their_calls() {
    let call = ToolCall { id: "c".into(), name: "f".into(), arguments: json!({}) };
    let calling = Message { tool_calls: vec![call], ..Message::text(Role::Assistant, "calls") };
    let mut prompt = Prompt::Chat(vec![
        Message::text(Role::System, "rules"),
        calling,
        Message::text(Role::Tool, "outcome"),
        Message::text(Role::User, "old"),
        Message::text(Role::User, "new"),
    ]);
    let left = |prompt: &Prompt| match prompt {
        Prompt::Chat(messages) => messages.iter().map(|message| message.content.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert!(shorten(&mut prompt, 101, 100));
    assert_eq!(left(&prompt), ["rules", "old", "new"]);
    assert!(shorten(&mut prompt, 1000, 10));
    assert_eq!(left(&prompt), ["rules", "new"]);
    assert!(!shorten(&mut prompt, 101, 100));
    assert!(!shorten(&mut Prompt::Chat(Vec::new()), 101, 100));
}

#[test]
fn input_items_come_in_pages_from_either_end() {
    let items = (0..5).map(|n| json!({"type": "message", "id": format!("msg_{n}"), "role": "user", "content": "x"}));
    let record = kith_responses::Record {
        summary: kith_responses::Summary {
            id: "resp_1".into(),
            status: kith_responses::Status::Completed,
            broke_off: false,
            previous: None,
            model: "m".into(),
            background: false,
            streamed: false,
            created: Timestamp::from_ms(0),
            ended: None,
            bytes: 0,
        },
        input: Value::Array(items.collect()).to_string(),
        body: "{}".into(),
    };
    let page = |limit, order, after, before| {
        let page = item_page(&record, limit, order, after, before).unwrap();
        (page.data.into_iter().map(|item| item.id.unwrap()).collect::<Vec<_>>().join(" "), page.has_more)
    };
    assert_eq!(page(None, None, None, None), ("msg_4 msg_3 msg_2 msg_1 msg_0".to_owned(), false));
    assert_eq!(page(Some(2), Some("asc"), None, None), ("msg_0 msg_1".to_owned(), true));
    assert_eq!(page(Some(2), Some("asc"), Some("msg_1"), None), ("msg_2 msg_3".to_owned(), true));
    assert_eq!(page(Some(2), Some("asc"), Some("msg_3"), None), ("msg_4".to_owned(), false));
    assert_eq!(page(None, Some("asc"), Some("msg_0"), Some("msg_3")), ("msg_1 msg_2".to_owned(), false));
    assert_eq!(page(None, None, Some("msg_0"), Some("msg_4")), (String::new(), false));
    for (limit, order, after) in
        [(Some(0), None, None), (Some(101), None, None), (None, Some("up"), None), (None, None, Some("x"))]
    {
        assert_eq!(item_page(&record, limit, order, after, None).unwrap_err().code, Code::InvalidRequest);
    }
}
