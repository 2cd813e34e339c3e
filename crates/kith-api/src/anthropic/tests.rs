//! What `anthropic` promises, sentence by sentence.

use super::{answer::Events, *};
use crate::field_error::FieldError;
use kith_engine::{Timings, Usage};
use kith_inference::{Done, FinishReason, Format, Generate, Message, Piece, Prompt, Role, ToolCall, ToolChoice};
use kith_wire::anthropic::StreamEvent;
use serde_json::{Value, from_value, json, to_string, to_value};
use std::time::Duration;

fn parsed(body: Value) -> Result<Generate, FieldError> {
    messages(from_value(body).unwrap()).map(|asked| asked.generate)
}

/// A small valid body with one field changed.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]});
    body[field] = value;
    body
}

fn conversation(generate: &Generate) -> &[Message] {
    match &generate.prompt {
        Prompt::Chat(messages) => messages,
        other => panic!("{other:?}"),
    }
}

fn done(reason: FinishReason) -> Piece {
    Piece::Done(Done {
        reason,
        usage: Usage { prompt: 5, cached: 2, completion: 4 },
        timings: Timings::default(),
        total: Duration::from_millis(9),
        load: Duration::ZERO,
        context: Vec::new(),
    })
}

fn text(text: &str) -> Piece {
    Piece::Text { text: text.into(), logprobs: Vec::new() }
}

fn call() -> Piece {
    Piece::ToolCall(ToolCall { id: "call_1".into(), name: "add".into(), arguments: json!({"b": 2, "a": 1}) })
}

fn events(pieces: Vec<Piece>) -> Vec<StreamEvent> {
    let mut events = Events::new([0; 12], "m:1", 5, vec!["END".to_owned()]);
    let mut told = vec![events.start()];
    for piece in pieces {
        told.extend(events.piece(piece));
    }
    told
}

fn lines(events: &[StreamEvent]) -> String {
    events.iter().map(|event| to_string(event).unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_stream_is_the_start_each_block_from_start_to_stop_and_the_end() {
    let told = events(vec![Piece::Reasoning("hm".into()), text("Hel"), text("lo"), call(), done(FinishReason::ToolCalls)]);
    insta::assert_snapshot!(lines(&told), @r#"
    {"type":"message_start","message":{"id":"msg_000000000000000000000000","type":"message","role":"assistant","model":"m:1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":0,"output_tokens":0}}}
    {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
    {"type":"ping"}
    {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}
    {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":""}}
    {"type":"content_block_stop","index":0}
    {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
    {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hel"}}
    {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo"}}
    {"type":"content_block_stop","index":1}
    {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"add","input":{}}}
    {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"b\":2,\"a\":1}"}}
    {"type":"content_block_stop","index":2}
    {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":4}}
    {"type":"message_stop"}
    "#);
}

#[test]
fn a_whole_message_is_the_sum_of_its_events() {
    let told = events(vec![Piece::Reasoning("hm".into()), text("Hel"), text("lo"), call(), done(FinishReason::ToolCalls)]);
    insta::assert_snapshot!(to_string(&fold(told).unwrap()).unwrap(), @r#"{"id":"msg_000000000000000000000000","type":"message","role":"assistant","model":"m:1","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"Hello"},{"type":"tool_use","id":"toolu_1","name":"add","input":{"b":2,"a":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":4}}"#);
    assert!(fold(events(vec![done(FinishReason::Stop)])).unwrap().content.is_empty());
}

#[test]
fn each_end_has_its_reason_and_only_an_asked_for_stop_is_named() {
    let end = |reason| {
        let message = to_value(fold(events(vec![text("x"), done(reason)])).unwrap()).unwrap();
        (message["stop_reason"].clone(), message["stop_sequence"].clone())
    };
    assert_eq!(end(FinishReason::Stop), (json!("end_turn"), Value::Null));
    assert_eq!(end(FinishReason::Length), (json!("max_tokens"), Value::Null));
    assert_eq!(end(FinishReason::StopSequence("END".into())), (json!("stop_sequence"), json!("END")));
    assert_eq!(end(FinishReason::StopSequence("<model's own>".into())), (json!("end_turn"), Value::Null));
    assert_eq!(end(FinishReason::ToolCalls), (json!("tool_use"), Value::Null));
}

#[test]
fn a_frame_has_the_events_name() {
    assert_eq!(frame(&StreamEvent::Ping), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

#[test]
fn the_official_clients_plain_request_has_no_reasoning_and_nothing_else_set() {
    let generate = parsed(with("metadata", json!({"user_id": "me"}))).unwrap();
    let mut plain = Generate::new("m", Prompt::Chat(vec![Message::text(Role::User, "hi")]));
    plain.options.max_tokens = Some(64);
    plain.think = Some(false);
    assert_eq!(generate, plain);
}

#[test]
fn a_round_of_calls_keeps_ids_names_outcomes_and_what_is_said_after() {
    let generate = parsed(json!({
        "model": "m", "max_tokens": 64, "system": [{"type": "text", "text": "Be", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image", "source":
                {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "I add."},
                {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [{"type": "text", "text": "overflow"}]},
                {"type": "text", "text": "Try again."}]},
            {"role": "user", "content": [{"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}]},
        ],
    }))
    .unwrap();
    let said: Vec<_> = conversation(&generate).iter().map(|m| (m.role, m.content.as_str(), m.name.as_deref())).collect();
    assert_eq!(
        said,
        [
            (Role::System, "Be\nbrief.", None),
            (Role::User, "look", None),
            (Role::Assistant, "I add.", None),
            (Role::Tool, "Error: overflow", Some("add")),
            (Role::User, "Try again.", None),
            (Role::User, "Notes\nx", None),
        ]
    );
    assert_eq!(conversation(&generate)[1].images, [b"hi".to_vec()]);
    assert_eq!(conversation(&generate)[2].tool_calls[0].arguments, json!({"a": 1}));
    assert_eq!(conversation(&generate)[3].tool_call_id.as_deref(), Some("toolu_1"));
}

#[test]
fn tools_choices_thinking_and_formats_are_translated() {
    let tools = json!([{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}]);
    let choose = |choice: Value| {
        let mut body = with("tools", tools.clone());
        body["tool_choice"] = choice;
        let generate = parsed(body).unwrap();
        (generate.tool_choice, generate.parallel_tool_calls)
    };
    assert_eq!(choose(json!({"type": "auto"})), (ToolChoice::Auto, true));
    assert_eq!(choose(json!({"type": "any", "disable_parallel_tool_use": true})), (ToolChoice::Required, false));
    assert_eq!(choose(json!({"type": "tool", "name": "add"})), (ToolChoice::Named("add".into()), true));
    assert_eq!(choose(json!({"type": "none"})), (ToolChoice::None, true));
    let think = |thinking: Value| {
        let mut body = with("thinking", thinking);
        body["max_tokens"] = json!(2048);
        parsed(body).unwrap().think
    };
    assert_eq!(think(json!({"type": "enabled", "budget_tokens": 1024})), Some(true));
    assert_eq!(think(json!({"type": "disabled"})), Some(false));
    assert_eq!(think(json!({"type": "adaptive"})), None);
    let shaped = parsed(with("output_config", json!({"format": {"type": "json_schema", "schema": {"type": "object"}}}))).unwrap();
    assert_eq!(shaped.format, Format::JsonSchema(json!({"type": "object"})));
}

#[test]
fn what_cannot_be_taken_is_told_by_its_field() {
    let block = |block: Value| json!([{"role": "user", "content": [block]}]);
    for (name, value, expected) in [
        ("model", json!(""), "model"),
        ("max_tokens", json!(0), "max_tokens"),
        ("messages", json!([]), "messages"),
        ("messages", json!([{"role": "tool", "content": "x"}]), "messages[0].role"),
        ("messages", block(json!({"type": "text"})), "messages[0].content[0].text"),
        ("messages", block(json!({"type": "video"})), "messages[0].content[0].type"),
        ("messages", block(json!({"type": "image"})), "messages[0].content[0].source"),
        (
            "messages",
            block(json!({"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}})),
            "messages[0].content[0].source.type",
        ),
        (
            "messages",
            block(json!({"type": "image", "source": {"type": "base64", "data": "*"}})),
            "messages[0].content[0].source.data",
        ),
        (
            "messages",
            block(json!({"type": "document", "source": {"type": "base64", "data": "aGk="}})),
            "messages[0].content[0].source.type",
        ),
        ("messages", block(json!({"type": "tool_use", "id": "a", "name": "b", "input": {}})), "messages[0].content[0].type"),
        ("messages", block(json!({"type": "tool_result"})), "messages[0].content[0].tool_use_id"),
        (
            "messages",
            block(json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image"}]})),
            "messages[0].content[0].content[0].type",
        ),
        ("system", json!([{"type": "image"}]), "system[0].type"),
        ("temperature", json!(1.5), "temperature"),
        ("top_p", json!(0), "top_p"),
        ("top_k", json!(-1), "top_k"),
        ("stop_sequences", json!([""]), "stop_sequences[0]"),
        ("tools", json!([{"type": "web_search_20250305", "name": "web_search"}]), "tools[0].type"),
        ("tools", json!([{"name": "a b"}]), "tools[0].name"),
        ("tools", json!([{"name": "a", "input_schema": 7}]), "tools[0].input_schema"),
        ("tool_choice", json!({"type": "any"}), "tool_choice.type"),
        ("tool_choice", json!({"type": "tool", "name": "x"}), "tool_choice.name"),
        ("thinking", json!({"type": "enabled", "budget_tokens": 2000}), "thinking.budget_tokens"),
        ("thinking", json!({"type": "deep"}), "thinking.type"),
        ("output_config", json!({"format": {"type": "xml"}}), "output_config.format.type"),
        ("container", json!("c"), "container"),
        ("mcp_servers", json!([{"url": "x"}]), "mcp_servers"),
        ("service_tier", json!("batch"), "service_tier"),
    ] {
        assert_eq!(parsed(with(name, value.clone())).unwrap_err().field, expected, "{name} {value}");
    }
}

#[test]
fn native_fields_have_anthropics_words() {
    for (native, word) in [
        ("stop[1]", "stop_sequences[1]"),
        ("messages[2].images", "messages"),
        ("tools[0].parameters", "tools[0].input_schema"),
        ("sampling.top_k", "top_k"),
        ("format", "output_config.format"),
    ] {
        assert_eq!(message_field(native), word);
    }
}
