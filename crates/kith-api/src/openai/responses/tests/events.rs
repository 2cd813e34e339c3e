//! What clients read: the order of events, and the response they add up to.

use super::*;

fn answering() -> Answering {
    let asked = parsed(json!({"model": "m", "input": "hi", "stream": true})).unwrap();
    Answering::new(asked.response, asked.ids)
}

fn done(reason: FinishReason) -> Done {
    Done {
        reason,
        usage: Usage { prompt: 3, cached: 1, completion: 4 },
        timings: Timings::default(),
        total: Duration::from_millis(9),
        load: Duration::ZERO,
        context: Vec::new(),
    }
}

fn text(text: &str) -> Piece {
    Piece::Text { text: text.into(), logprobs: Vec::new() }
}

fn call(id: &str) -> Piece {
    Piece::ToolCall(ToolCall { id: id.into(), name: "add".into(), arguments: json!({"b": 2, "a": 1}) })
}

/// One line an event: its name, and what it says besides ids and whole responses.
fn line(event: &ResponseEvent) -> String {
    let mut value = to_value(event).unwrap();
    let fields = value.as_object_mut().unwrap();
    let name = fields.shift_remove("type").unwrap();
    if let Some(response) = fields.shift_remove("response") {
        return format!("{} {}", name.as_str().unwrap(), response["status"].as_str().unwrap());
    }
    for field in ["item_id", "content_index"] {
        fields.shift_remove(field);
    }
    if let Some(item) = fields.get_mut("item").and_then(Value::as_object_mut) {
        item.shift_remove("id");
    }
    format!("{} {value}", name.as_str().unwrap())
}

/// The events of an answer of these pieces, and the response at its end.
fn told(pieces: Vec<Piece>, reason: FinishReason) -> (String, Value) {
    let mut answering = answering();
    let mut events = answering.created();
    for piece in pieces {
        events.extend(answering.piece(piece));
    }
    events.extend(answering.done(&done(reason), Timestamp::from_ms(9_000)));
    (events.iter().map(line).collect::<Vec<_>>().join("\n"), to_value(answering.response()).unwrap())
}

#[test]
fn a_text_is_an_item_with_one_part_from_its_beginning_to_its_end() {
    let (events, response) = told(vec![text("Hel"), text(""), text("lo")], FinishReason::Stop);
    insta::assert_snapshot!(events, @r#"
    response.created in_progress
    response.in_progress in_progress
    response.output_item.added {"output_index":0,"item":{"type":"message","status":"in_progress","role":"assistant","content":[]}}
    response.content_part.added {"output_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}
    response.output_text.delta {"output_index":0,"delta":"Hel","logprobs":[]}
    response.output_text.delta {"output_index":0,"delta":"lo","logprobs":[]}
    response.output_text.done {"output_index":0,"text":"Hello","logprobs":[]}
    response.content_part.done {"output_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"Hello"}}
    response.output_item.done {"output_index":0,"item":{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hello"}]}}
    response.completed completed
    "#);
    assert_eq!(response["completed_at"], 9);
    assert_eq!(
        response["usage"],
        json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 4,
               "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7})
    );
}

#[test]
fn reasoning_text_and_calls_are_items_in_their_order() {
    let pieces = vec![Piece::Reasoning("hmhm".into()), text("so"), call("call_1"), call("call_2")];
    let (events, response) = told(pieces, FinishReason::ToolCalls);
    insta::assert_snapshot!(events, @r#"
    response.created in_progress
    response.in_progress in_progress
    response.output_item.added {"output_index":0,"item":{"type":"reasoning","summary":[],"content":[],"status":"in_progress"}}
    response.content_part.added {"output_index":0,"part":{"type":"reasoning_text","text":""}}
    response.reasoning_text.delta {"output_index":0,"delta":"hmhm"}
    response.reasoning_text.done {"output_index":0,"text":"hmhm"}
    response.content_part.done {"output_index":0,"part":{"type":"reasoning_text","text":"hmhm"}}
    response.output_item.done {"output_index":0,"item":{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hmhm"}],"status":"completed"}}
    response.output_item.added {"output_index":1,"item":{"type":"message","status":"in_progress","role":"assistant","content":[]}}
    response.content_part.added {"output_index":1,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}
    response.output_text.delta {"output_index":1,"delta":"so","logprobs":[]}
    response.output_text.done {"output_index":1,"text":"so","logprobs":[]}
    response.content_part.done {"output_index":1,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"so"}}
    response.output_item.done {"output_index":1,"item":{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"so"}]}}
    response.output_item.added {"output_index":2,"item":{"type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"add"}}
    response.function_call_arguments.delta {"output_index":2,"delta":"{\"b\":2,\"a\":1}"}
    response.function_call_arguments.done {"name":"add","output_index":2,"arguments":"{\"b\":2,\"a\":1}"}
    response.output_item.done {"output_index":2,"item":{"type":"function_call","status":"completed","arguments":"{\"b\":2,\"a\":1}","call_id":"call_1","name":"add"}}
    response.output_item.added {"output_index":3,"item":{"type":"function_call","status":"in_progress","arguments":"","call_id":"call_2","name":"add"}}
    response.function_call_arguments.delta {"output_index":3,"delta":"{\"b\":2,\"a\":1}"}
    response.function_call_arguments.done {"name":"add","output_index":3,"arguments":"{\"b\":2,\"a\":1}"}
    response.output_item.done {"output_index":3,"item":{"type":"function_call","status":"completed","arguments":"{\"b\":2,\"a\":1}","call_id":"call_2","name":"add"}}
    response.completed completed
    "#);
    let ids: Vec<&str> = response["output"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().map(|id| &id[..3]).collect::<Vec<_>>(), ["rs_", "msg", "fc_", "fc_"]);
    // What comes out can go in again.
    let again: Vec<InputItem> = from_value(response["output"].clone()).unwrap();
    let mut messages = Vec::new();
    input::messages("input", &again, &mut messages).unwrap();
    assert_eq!((messages.len(), messages[0].tool_calls.len()), (1, 2));
}

#[test]
fn an_answer_that_reaches_its_limit_is_incomplete_and_says_why() {
    let (events, response) = told(vec![text("one two")], FinishReason::Length);
    assert!(events.ends_with("response.incomplete incomplete"), "{events}");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][0]["status"], "incomplete");
    assert_eq!(response["completed_at"], Value::Null);
}

#[test]
fn an_answer_without_a_word_has_no_item() {
    let (events, response) = told(Vec::new(), FinishReason::Stop);
    assert_eq!(events.lines().count(), 3);
    assert_eq!(response["output"], json!([]));
}

#[test]
fn what_fails_or_is_stopped_keeps_what_it_has_said() {
    let mut failing = answering();
    failing.piece(text("half"));
    let event = failing.failed(&ApiError::new(Code::EngineFailed, "the engine failed"));
    assert_eq!(line(&event), "response.failed failed");
    let response = to_value(failing.response()).unwrap();
    assert_eq!(response["error"], json!({"code": "server_error", "message": "the engine failed"}));
    assert_eq!(response["output"][0]["content"][0]["text"], "half");

    let mut stopped = answering();
    stopped.piece(text("half"));
    assert_eq!(line(&stopped.cancelled()), "response.cancelled cancelled");
    assert_eq!(stopped.response().status, ResponseStatus::Cancelled);
    assert_eq!(stopped.response().output.len(), 1);
}

#[test]
fn a_queued_response_says_so_until_its_turn_comes() {
    let asked = parsed(json!({"model": "m", "input": "hi", "background": true})).unwrap();
    let mut answering = Answering::new(asked.response, asked.ids);
    let lines: Vec<_> = answering.created().iter().map(line).collect();
    assert_eq!(lines, ["response.created queued", "response.queued queued"]);
    assert_eq!(line(&answering.begun("m:1")), "response.in_progress in_progress");
    assert_eq!(answering.response().model, "m:1");
}

#[test]
fn an_event_on_the_wire_has_its_name_and_its_number() {
    let frame = super::super::drive::frame(answering().cancelled(), 7);
    let text = std::str::from_utf8(&frame).unwrap();
    let data = text.strip_prefix("event: response.cancelled\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    assert!(data.starts_with("{\"type\":\"response.cancelled\",") && data.ends_with(",\"sequence_number\":7}"), "{data}");
    assert_eq!(serde_json::from_str::<NumberedEvent>(data).unwrap().sequence_number, 7);
}
