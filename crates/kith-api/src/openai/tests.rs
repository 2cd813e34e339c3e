//! What `openai` promises, sentence by sentence.

use super::chat::Chat;
use super::*;
use crate::field_error::FieldError;
use kith_engine::{Timings, Usage};
use kith_inference::{Done, FinishReason, Format, KeepAlive, Piece, Prompt, Role, TokenLogprob, ToolCall, ToolChoice};
use kith_types::Timestamp;
use kith_wire::openai as wire;
use proptest::prelude::*;
use serde_json::{Value, from_value, json, to_string};
use std::time::Duration;

mod answers;
mod fields;

fn parsed(body: Value) -> Result<Chat, FieldError> {
    chat(from_value(body).unwrap())
}

/// A small valid body with one field changed.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body[field] = value;
    body
}

fn conversation(chat: &Chat) -> &[kith_inference::Message] {
    match &chat.generates[0].prompt {
        Prompt::Chat(messages) => messages,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_official_clients_plain_request_is_a_chat_with_nothing_set() {
    let chat = parsed(json!({
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}], "model": "smollm2:135m",
    }))
    .unwrap();
    let mut plain = kith_inference::Generate::new(
        "smollm2:135m",
        Prompt::Chat(vec![
            kith_inference::Message::text(Role::System, "Be brief."),
            kith_inference::Message::text(Role::User, "Hello!"),
        ]),
    );
    plain.options = kith_inference::Options::default();
    assert_eq!(chat, Chat { generates: vec![plain], stream: false, include_usage: false, logprobs: false });
}

#[test]
fn open_webuis_streaming_request_with_unknown_fields_is_taken() {
    let chat = parsed(json!({
        "stream": true, "model": "m", "messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": true},
        "params": {}, "features": {"web_search": false}, "session_id": "x", "chat_id": "y", "metadata": {}, "stop": null,
        "temperature": null, "max_tokens": 64, "seed": 0, "top_k": 40, "min_p": 0.05,
    }))
    .unwrap();
    assert!(chat.stream && chat.include_usage);
    let options = &chat.generates[0].options;
    assert_eq!((options.max_tokens, options.seed, options.top_k), (Some(64), Some(0), Some(40)));
}

#[test]
fn langchains_round_of_tool_calls_keeps_ids_names_and_arguments() {
    let chat = parsed(json!({
        "model": "m", "n": 1, "parallel_tool_calls": false, "tool_choice": {"type": "function", "function": {"name": "add"}},
        "messages": [
            {"role": "user", "content": "1+2?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"type": "function", "id": "call_a", "function": {"name": "add", "arguments": "{\"a\": 1, \"b\": 2}"}},
                {"type": "function", "id": "call_b", "function": {"name": "now", "arguments": ""}}]},
            {"role": "tool", "content": "3", "tool_call_id": "call_a"},
            {"role": "tool", "content": "noon", "tool_call_id": "call_b"},
        ],
        "tools": [{"type": "function", "function": {"name": "add", "description": "Adds.", "strict": true,
                   "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}],
    }))
    .unwrap();
    let messages = conversation(&chat);
    assert_eq!(messages[1].content, "");
    assert_eq!(
        messages[1].tool_calls[0],
        ToolCall { id: "call_a".into(), name: "add".into(), arguments: json!({"a": 1, "b": 2}) }
    );
    assert_eq!(messages[1].tool_calls[1].arguments, json!({}));
    assert_eq!(messages[2].name.as_deref(), Some("add"));
    assert_eq!(messages[3].name.as_deref(), Some("now"));
    assert_eq!(chat.generates[0].tool_choice, ToolChoice::Named("add".into()));
    assert!(!chat.generates[0].parallel_tool_calls);
}

#[test]
fn parts_are_joined_and_images_decoded_in_their_order() {
    let chat = parsed(with(
        "messages",
        json!([{"role": "developer", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
               {"role": "user", "content": [{"type": "text", "text": "what?"},
                   {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "auto"}}]}]),
    ))
    .unwrap();
    let messages = conversation(&chat);
    assert_eq!((messages[0].role, messages[0].content.as_str()), (Role::System, "A\nB"));
    assert_eq!(messages[1].images, [b"hi".to_vec()]);
}

#[test]
fn the_deprecated_function_messages_are_tool_messages() {
    let chat = parsed(with(
        "messages",
        json!([{"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
               {"role": "function", "name": "f", "content": "done"}]),
    ))
    .unwrap();
    let messages = conversation(&chat);
    assert_eq!(messages[0].tool_calls[0].name, "f");
    assert_eq!((messages[1].role, messages[1].name.as_deref()), (Role::Tool, Some("f")));
}

#[test]
fn each_shape_of_the_answer_is_translated() {
    let format = |field: &str, value: Value| parsed(with(field, value)).unwrap().generates[0].format.clone();
    assert_eq!(format("response_format", json!({"type": "text"})), Format::Text);
    assert_eq!(format("response_format", json!({"type": "json_object"})), Format::JsonObject);
    let schema = json!({"type": "object"});
    assert_eq!(
        format(
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}})
        ),
        Format::JsonSchema(schema.clone())
    );
    assert_eq!(format("response_format", json!({"type": "json_object", "schema": schema})), Format::JsonSchema(schema));
    assert_eq!(format("grammar", json!("start: \"a\"")), Format::Lark("start: \"a\"".into()));
    assert_eq!(format("regex", json!("a+")), Format::Regex("a+".into()));
}

#[test]
fn several_answers_have_successive_seeds() {
    let mut body = with("n", json!(3));
    body["seed"] = json!(-1);
    let seeds: Vec<_> = parsed(body).unwrap().generates.iter().map(|g| g.options.seed).collect();
    assert_eq!(seeds, [Some(u64::MAX), Some(0), Some(1)]);
    assert!(parsed(with("n", json!(8))).unwrap().generates.iter().all(|g| g.options.seed.is_none()));
}

#[test]
fn limits_effort_keep_alive_and_bias_are_translated() {
    let mut body = with("max_tokens", json!(5));
    body["max_completion_tokens"] = json!(6);
    body["reasoning_effort"] = json!("none");
    body["keep_alive"] = json!("5m");
    body["logit_bias"] = json!({"50256": -100, "7": 1.5});
    body["logprobs"] = json!(true);
    body["stop"] = json!("END");
    let chat = parsed(body).unwrap();
    let generate = &chat.generates[0];
    assert_eq!(generate.options.max_tokens, Some(6));
    assert_eq!(generate.think, Some(false));
    assert_eq!(generate.keep_alive, Some(KeepAlive::For(Duration::from_secs(300))));
    assert_eq!(generate.options.logit_bias, [(50256, -100.0), (7, 1.5)]);
    assert_eq!(generate.options.logprobs, Some(0));
    assert_eq!(generate.options.stop, ["END"]);
    assert!(chat.logprobs);
}
