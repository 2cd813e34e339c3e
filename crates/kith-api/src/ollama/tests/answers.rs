//! What clients read: lines, their last, and the whole.

use super::*;

const NOW: Timestamp = Timestamp::from_ms(0);

fn done(reason: FinishReason) -> Piece {
    Piece::Done(Done {
        reason,
        usage: Usage { prompt: 3, cached: 0, completion: 2 },
        timings: Timings { prefill: Duration::from_micros(5), decode: Duration::from_micros(7) },
        total: Duration::from_millis(9),
        load: Duration::from_millis(1),
        context: vec![1, 2, 3],
    })
}

fn text(text: &str) -> Piece {
    Piece::Text { text: text.into(), logprobs: Vec::new() }
}

fn call(name: &str) -> Piece {
    Piece::ToolCall(ToolCall { id: "call_1".into(), name: name.into(), arguments: json!({"a": 1}) })
}

fn lines<T: serde::Serialize>(lines: impl Iterator<Item = T>) -> String {
    lines.map(|line| to_string(&line).unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_generated_answer_in_lines_ends_with_context_and_nanoseconds() {
    let mut writer = GenerateLines::new("m:1");
    let pieces = vec![Piece::Reasoning("hm".into()), text("Hi"), text(""), done(FinishReason::Length)];
    insta::assert_snapshot!(lines(pieces.into_iter().filter_map(|piece| writer.piece(piece, NOW))), @r#"
    {"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","response":"","thinking":"hm","done":false}
    {"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","response":"Hi","done":false}
    {"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","response":"","done":true,"done_reason":"length","context":[1,2,3],"total_duration":9000000,"load_duration":1000000,"prompt_eval_count":3,"prompt_eval_duration":5000,"eval_count":2,"eval_duration":7000}
    "#);
}

#[test]
fn a_chats_lines_carry_tool_calls_with_objects_and_no_context() {
    let mut writer = ChatLines::new("m:1");
    let pieces = vec![call("add"), call("sub"), done(FinishReason::ToolCalls)];
    insta::assert_snapshot!(lines(pieces.into_iter().filter_map(|piece| writer.piece(piece, NOW))), @r#"
    {"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_1","function":{"index":0,"name":"add","arguments":{"a":1}}}]},"done":false}
    {"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_1","function":{"index":1,"name":"sub","arguments":{"a":1}}}]},"done":false}
    {"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":9000000,"load_duration":1000000,"prompt_eval_count":3,"prompt_eval_duration":5000,"eval_count":2,"eval_duration":7000}
    "#);
}

#[test]
fn a_whole_answer_is_the_sum_of_its_lines() {
    let logprobs = vec![TokenLogprob { token: "a".into(), bytes: vec![97], logprob: -0.5, top: Vec::new() }];
    let mut fold = GenerateFold::new("m:1");
    for piece in [
        Piece::Reasoning("h".into()),
        Piece::Reasoning("m".into()),
        Piece::Text { text: "a".into(), logprobs: logprobs.clone() },
        text("b"),
        done(FinishReason::StopSequence("x".into())),
    ] {
        fold.piece(piece, NOW);
    }
    insta::assert_snapshot!(to_string(&fold.close()).unwrap(), @r#"{"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","response":"ab","thinking":"hm","done":true,"done_reason":"stop","context":[1,2,3],"total_duration":9000000,"load_duration":1000000,"prompt_eval_count":3,"prompt_eval_duration":5000,"eval_count":2,"eval_duration":7000,"logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}"#);
    let mut fold = ChatFold::new("m:1");
    for piece in [text("a"), call("add"), text("b"), call("sub"), done(FinishReason::ToolCalls)] {
        fold.piece(piece, NOW);
    }
    insta::assert_snapshot!(to_string(&fold.close()).unwrap(), @r#"{"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","message":{"role":"assistant","content":"ab","tool_calls":[{"id":"call_1","function":{"index":0,"name":"add","arguments":{"a":1}}},{"id":"call_1","function":{"index":1,"name":"sub","arguments":{"a":1}}}]},"done":true,"done_reason":"stop","total_duration":9000000,"load_duration":1000000,"prompt_eval_count":3,"prompt_eval_duration":5000,"eval_count":2,"eval_duration":7000}"#);
}

#[test]
fn loading_and_unloading_are_told_in_one_line() {
    insta::assert_snapshot!(to_string(&generate_without_answer("m:1", Intent::Load, NOW)).unwrap(), @r#"{"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","response":"","done":true,"done_reason":"load"}"#);
    insta::assert_snapshot!(to_string(&chat_without_answer("m:1", Intent::Unload, NOW)).unwrap(), @r#"{"model":"m:1","created_at":"1970-01-01T00:00:00.000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"unload"}"#);
}
