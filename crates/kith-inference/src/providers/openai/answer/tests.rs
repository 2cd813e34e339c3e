//! Streams of chat completions, as several providers write them.

use super::*;
use serde_json::json;

/// What becomes of these chunks.
fn read(chunks: &[Value]) -> Result<(Vec<Piece>, Ending), ProviderFault> {
    let mut decoder = Box::<ChatDecoder>::default();
    let mut pieces = Vec::new();
    for chunk in chunks {
        let data = chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned);
        pieces.extend(decoder.event(&Event { name: String::new(), data })?);
    }
    let (last, ending) = decoder.close()?;
    pieces.extend(last);
    Ok((pieces, ending))
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn text(pieces: &[Piece]) -> String {
    pieces.iter().filter_map(|piece| if let Piece::Text { text, .. } = piece { Some(text.as_str()) } else { None }).collect()
}

#[test]
fn text_reasoning_and_counts_come_out() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}});
    let (pieces, ending) = read(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"reasoning": "m", "content": "one "})),
        delta(json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "!"}]}, {"type": "text", "text": "two"}]})),
        finish("stop"),
        usage,
        json!("[DONE]"),
    ])
    .unwrap();
    assert_eq!(text(&pieces), "one two");
    let reasoning: String =
        pieces.iter().filter_map(|piece| if let Piece::Reasoning(text) = piece { Some(text.as_str()) } else { None }).collect();
    assert_eq!(reasoning, "hmm!");
    assert_eq!(ending, Ending { reason: FinishReason::Stop, usage: Usage { prompt: 9, cached: 4, completion: 3 } });
}

#[test]
fn counts_are_found_where_each_provider_puts_them() {
    let counts = json!({"prompt_tokens": 2, "completion_tokens": 1, "prompt_cache_hit_tokens": 1});
    for chunk in [
        json!({"x_groq": {"usage": counts}}),
        json!({"choices": [{"delta": {}, "usage": counts}]}),
        json!({"choices": null, "usage": counts}),
    ] {
        let (_, ending) = read(&[finish("stop"), chunk]).unwrap();
        assert_eq!(ending.usage, Usage { prompt: 2, cached: 1, completion: 1 });
    }
}

#[test]
fn calls_are_put_together_from_their_parts() {
    let part = |call: Value| delta(json!({"tool_calls": [call]}));
    let (pieces, ending) = read(&[
        part(json!({"index": 0, "id": "a", "function": {"name": "weather", "arguments": ""}})),
        part(json!({"index": 0, "function": {"arguments": "{\"city\": \"Os"}})),
        part(json!({"index": 1, "id": "b", "function": {"name": "time"}})),
        part(json!({"index": 0, "function": {"arguments": "lo\"}"}})),
        // A forced call ends with `stop` at some.
        finish("stop"),
    ])
    .unwrap();
    let call =
        |id: &str, name: &str, arguments: Value| Piece::ToolCall(crate::ToolCall { id: id.into(), name: name.into(), arguments });
    assert_eq!(pieces, [call("a", "weather", json!({"city": "Oslo"})), call("b", "time", json!({}))]);
    assert_eq!(ending.reason, FinishReason::ToolCalls);
    // Without places, a new id is a new call.
    let (pieces, _) = read(&[
        part(json!({"id": "a", "function": {"name": "x", "arguments": "{}"}})),
        part(json!({"id": "b", "function": {"name": "y", "arguments": {"z": 1}}})),
        finish("tool_calls"),
    ])
    .unwrap();
    assert_eq!(pieces, [call("a", "x", json!({})), call("b", "y", json!({"z": 1}))]);
}

#[test]
fn a_call_cut_off_by_the_limit_is_none_and_a_broken_one_is_a_fault() {
    let part = delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{\"city\": \"Os"}}]}));
    let (pieces, ending) = read(&[part.clone(), finish("length")]).unwrap();
    assert_eq!((pieces.len(), ending.reason), (0, FinishReason::Length));
    assert!(matches!(read(&[part, finish("tool_calls")]), Err(ProviderFault::Broken(_))));
    let many: Vec<Value> = (0..129).map(|at| json!({"index": at, "id": at.to_string(), "function": {"name": "x"}})).collect();
    assert!(matches!(read(&[delta(json!({"tool_calls": many}))]), Err(ProviderFault::Broken(_))));
}

#[test]
fn log_probabilities_come_with_their_text() {
    let logprobs = json!({"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": null}]}]});
    let (pieces, _) = read(&[json!({"choices": [{"delta": {"content": "a"}, "logprobs": logprobs}]}), finish("stop")]).unwrap();
    let Piece::Text { text, logprobs } = &pieces[0] else { panic!() };
    assert_eq!((text.as_str(), logprobs[0].logprob, logprobs[0].top[0].bytes.as_slice()), ("a", -0.5, b"b".as_slice()));
}

#[test]
fn an_answer_without_its_end_is_no_answer() {
    let piece = delta(json!({"content": "half"}));
    for chunks in [
        vec![piece.clone()],
        vec![piece.clone(), json!("[DONE]")],
        vec![piece.clone(), json!("{nonsense")],
        vec![json!("<html>")],
    ] {
        assert!(matches!(read(&chunks), Err(ProviderFault::Broken(_))), "{chunks:?}");
    }
    assert!(matches!(read(&[piece.clone(), finish("content_filter")]), Err(ProviderFault::Withheld(_))));
    assert!(matches!(read(&[piece.clone(), finish("sudden_rain")]), Err(ProviderFault::Broken(_))));
    let error = json!({"error": {"message": "the server had an error", "type": "server_error"}});
    assert!(matches!(read(&[piece, error]), Err(ProviderFault::Broken(_))));
}
