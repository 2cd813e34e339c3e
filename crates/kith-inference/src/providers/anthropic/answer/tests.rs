//! Streams of messages.

use super::*;
use serde_json::json;

fn read(events: &[Value]) -> Result<(Vec<Piece>, Ending), ProviderFault> {
    let mut decoder = Box::<MessageDecoder>::default();
    let mut pieces = Vec::new();
    for event in events {
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        pieces.extend(decoder.event(&Event { name, data: event.to_string() })?);
    }
    let (last, ending) = decoder.close()?;
    pieces.extend(last);
    Ok((pieces, ending))
}

fn start() -> Value {
    let usage = json!({"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2});
    json!({"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": usage}})
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn end(reason: &str) -> [Value; 2] {
    let delta =
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 7}});
    [delta, json!({"type": "message_stop"})]
}

#[test]
fn text_reasoning_calls_and_counts_come_out() {
    let mut events = vec![
        start(),
        block(0, json!({"type": "thinking", "thinking": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "x"})),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "ping"}),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Let me look."})),
        block(2, json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"city\": \"Os"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "lo\"}"})),
        json!({"type": "something_new", "index": 9}),
    ];
    events.extend(end("tool_use"));
    let (pieces, ending) = read(&events).unwrap();
    let call = crate::ToolCall { id: "toolu_1".into(), name: "weather".into(), arguments: json!({"city": "Oslo"}) };
    assert_eq!(
        pieces,
        [Piece::Reasoning("hm".into()), Piece::Text { text: "Let me look.".into(), logprobs: Vec::new() }, Piece::ToolCall(call)]
    );
    assert_eq!(ending, Ending { reason: FinishReason::ToolCalls, usage: Usage { prompt: 10, cached: 3, completion: 7 } });
}

#[test]
fn every_end_has_its_reason() {
    for (reason, native) in [
        ("end_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("stop_sequence", FinishReason::Stop),
    ] {
        let [first, last] = end(reason);
        assert_eq!(read(&[start(), first, last]).unwrap().1.reason, native, "{reason}");
    }
    let stop = json!({"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}});
    let (_, ending) = read(&[start(), stop, json!({"type": "message_stop"})]).unwrap();
    assert_eq!(ending.reason, FinishReason::StopSequence("END".into()));
}

#[test]
fn an_answer_without_its_end_is_no_answer() {
    let [first, last] = end("end_turn");
    for events in [vec![start()], vec![start(), first.clone()], vec![start(), last], vec![json!({"no": "type"})]] {
        assert!(matches!(read(&events), Err(ProviderFault::Broken(_))), "{events:?}");
    }
    let [refusal, _] = end("refusal");
    assert!(matches!(read(&[start(), refusal]), Err(ProviderFault::Withheld(_))));
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert_eq!(read(&[start(), overloaded]), Err(ProviderFault::Overloaded { retry_after: None }));
}
