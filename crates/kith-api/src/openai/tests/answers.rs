//! What clients read: order of fields, nulls, ends.

use super::*;

fn head() -> Head {
    Head::chat([0; 12], Timestamp::from_ms(7_000), "m:1")
}

fn done(reason: FinishReason, prompt: u32, completion: u32) -> Piece {
    Piece::Done(Done {
        reason,
        usage: Usage { prompt, cached: 1, completion },
        timings: Timings::default(),
        total: Duration::from_millis(9),
        load: Duration::ZERO,
        context: Vec::new(),
    })
}

fn text(text: &str) -> Piece {
    Piece::Text { text: text.into(), logprobs: Vec::new() }
}

fn token(token: &str, logprob: f32, top: Vec<TokenLogprob>) -> TokenLogprob {
    TokenLogprob { token: token.into(), bytes: token.as_bytes().to_vec(), logprob, top }
}

fn call() -> Piece {
    Piece::ToolCall(ToolCall { id: "call_1".into(), name: "add".into(), arguments: json!({"b": 2, "a": 1}) })
}

/// A body as text, with the program's version out of the way.
fn told(body: &impl serde::Serialize) -> String {
    to_string(body).unwrap().replace(concat!("fp_kith_", env!("CARGO_PKG_VERSION")), "fp_kith")
}

/// The chunks of one answer, a line each, without what all have in common.
fn streamed(pieces: Vec<Piece>, include_usage: bool, logprobs: bool) -> String {
    let mut chunks = ChatChunks::new(head(), 1, include_usage, logprobs);
    let mut list: Vec<_> = pieces.into_iter().flat_map(|piece| chunks.piece(0, piece)).collect();
    list.extend(chunks.close());
    let start = "{\"id\":\"chatcmpl-000000000000000000000000\",\"object\":\"chat.completion.chunk\",\"created\":7,\
                 \"model\":\"m:1\",\"system_fingerprint\":\"fp_kith\",";
    let lines: Vec<_> = list.iter().map(|chunk| told(chunk).strip_prefix(start).unwrap().to_owned()).collect();
    lines.join("\n")
}

#[test]
fn a_stream_is_role_text_end_and_the_counts_if_asked_for() {
    insta::assert_snapshot!(streamed(vec![text("Hel"), text(""), text("lo"), done(FinishReason::Stop, 3, 2)], false, false), @r#"
    "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{"content":"lo"},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}
    "#);
    insta::assert_snapshot!(streamed(vec![text("Hi"), done(FinishReason::Length, 3, 2)], true, false), @r#"
    "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}
    "choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null}
    "choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}
    "choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}}
    "#);
}

#[test]
fn a_streamed_tool_call_comes_whole_after_reasoning() {
    let pieces = vec![Piece::Reasoning("hm".into()), call(), call(), done(FinishReason::ToolCalls, 3, 2)];
    insta::assert_snapshot!(streamed(pieces, false, false), @r#"
    "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{"reasoning_content":"hm"},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"add","arguments":"{\"b\":2,\"a\":1}"}}]},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_1","type":"function","function":{"name":"add","arguments":"{\"b\":2,\"a\":1}"}}]},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]}
    "#);
    // An answer that opens with a call never has content.
    assert!(!streamed(vec![call()], false, false).contains("\"content\""));
}

#[test]
fn log_probabilities_come_with_their_text() {
    let piece = Piece::Text {
        text: "é".into(),
        logprobs: vec![token("é", -0.5, vec![token("é", -0.5, vec![]), token("e", -1.5, vec![])])],
    };
    insta::assert_snapshot!(streamed(vec![piece], false, true), @r#"
    "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}
    "choices":[{"index":0,"delta":{"content":"é"},"logprobs":{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169]},{"token":"e","logprob":-1.5,"bytes":[101]}]}],"refusal":null},"finish_reason":null}]}
    "#);
}

#[test]
fn answers_that_come_mixed_are_told_apart_by_index_and_their_prompt_counts_once() {
    let mut chunks = ChatChunks::new(head(), 2, true, false);
    let mut seen = Vec::new();
    for (index, piece) in [
        (1, text("b")),
        (0, text("a")),
        (1, done(FinishReason::Stop, 3, 2)),
        (0, done(FinishReason::Stop, 3, 4)),
        (2, text("nobody asked")),
    ] {
        for chunk in chunks.piece(index, piece) {
            seen.push((chunk.choices[0].index, chunk.choices[0].delta.role.is_some()));
        }
    }
    assert_eq!(seen, [(1, true), (1, false), (0, true), (0, false), (1, false), (0, false)]);
    let usage = chunks.close().unwrap().usage.unwrap().unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (3, 6, 9));
}

#[test]
fn a_whole_answer_is_the_sum_of_its_pieces() {
    let mut fold = ChatFold::new(head(), 2, true);
    fold.piece(0, Piece::Reasoning("so".into()));
    fold.piece(0, Piece::Text { text: "Hi".into(), logprobs: vec![token("Hi", -0.25, vec![])] });
    fold.piece(0, done(FinishReason::StopSequence("!".into()), 3, 1));
    fold.piece(1, call());
    fold.piece(1, done(FinishReason::ToolCalls, 3, 5));
    let whole: Value = serde_json::from_str(&told(&fold.close())).unwrap();
    insta::assert_json_snapshot!(whole, @r#"
    {
      "id": "chatcmpl-000000000000000000000000",
      "object": "chat.completion",
      "created": 7,
      "model": "m:1",
      "choices": [
        {
          "index": 0,
          "message": {
            "role": "assistant",
            "content": "Hi",
            "refusal": null,
            "reasoning_content": "so"
          },
          "logprobs": {
            "content": [
              {
                "token": "Hi",
                "logprob": -0.25,
                "bytes": [
                  72,
                  105
                ],
                "top_logprobs": []
              }
            ],
            "refusal": null
          },
          "finish_reason": "stop"
        },
        {
          "index": 1,
          "message": {
            "role": "assistant",
            "content": null,
            "refusal": null,
            "tool_calls": [
              {
                "id": "call_1",
                "type": "function",
                "function": {
                  "name": "add",
                  "arguments": "{\"b\":2,\"a\":1}"
                }
              }
            ]
          },
          "logprobs": {
            "content": [],
            "refusal": null
          },
          "finish_reason": "tool_calls"
        }
      ],
      "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 6,
        "total_tokens": 9,
        "prompt_tokens_details": {
          "cached_tokens": 1
        }
      },
      "system_fingerprint": "fp_kith"
    }
    "#);
}

#[test]
fn an_empty_answer_is_empty_text_and_not_null() {
    let mut fold = ChatFold::new(head(), 1, false);
    fold.piece(0, done(FinishReason::Stop, 3, 0));
    let answer = fold.close();
    assert_eq!(answer.choices[0].message.content.as_deref(), Some(""));
    assert_eq!(answer.choices[0].logprobs, None);
}

fn legacy_pieces() -> Vec<Piece> {
    vec![
        Piece::Text { text: " ja".into(), logprobs: vec![token(" ja", -2.0, vec![token(" yes", -0.5, vec![])])] },
        Piece::Text { text: "!".into(), logprobs: vec![token("!", -0.1, vec![token("!", -0.1, vec![])])] },
        done(FinishReason::Length, 4, 2),
    ]
}

#[test]
fn a_legacy_completion_has_the_legacy_log_probabilities() {
    let mut fold = CompletionFold::new(Head::completion([0; 12], Timestamp::from_ms(7_000), "m:1"), 1, 1, Vec::new(), true);
    legacy_pieces().into_iter().for_each(|piece| fold.piece(0, piece));
    insta::assert_snapshot!(told(&fold.close()), @r#"{"id":"cmpl-000000000000000000000000","object":"text_completion","created":7,"model":"m:1","system_fingerprint":"fp_kith","choices":[{"text":" ja!","index":0,"logprobs":{"tokens":[" ja","!"],"token_logprobs":[-2.0,-0.1],"top_logprobs":[{" ja":-2.0," yes":-0.5},{"!":-0.1}],"text_offset":[0,3]},"finish_reason":"length"}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":1}}}"#);
}

#[test]
fn streamed_legacy_completions_go_on_with_their_offsets_and_begin_with_their_echo() {
    let mut chunks = CompletionChunks::new(head(), 1, 1, Vec::new(), true, true);
    let list: Vec<_> = legacy_pieces().into_iter().filter_map(|piece| chunks.piece(0, piece)).collect();
    let offsets: Vec<_> = list.iter().filter_map(|c| c.choices[0].logprobs.as_ref()).map(|l| l.text_offset[0]).collect();
    assert_eq!(offsets, [0, 3]);
    assert_eq!(list[0].usage, Some(None));
    assert_eq!(list[2].choices[0].finish_reason, Some(wire::FinishReason::Length));
    assert_eq!(chunks.close().unwrap().choices, []);

    let mut chunks = CompletionChunks::new(head(), 2, 1, vec!["A".into(), "B".into()], false, false);
    let said: Vec<_> = [(1, text("b")), (0, text("a")), (1, text("c")), (0, text(""))]
        .into_iter()
        .filter_map(|(index, piece)| chunks.piece(index, piece))
        .map(|chunk| (chunk.choices[0].index, chunk.choices[0].text.clone(), chunk.usage))
        .collect();
    assert_eq!(said, [(1, "Bb".to_owned(), None), (0, "Aa".to_owned(), None), (1, "c".to_owned(), None)]);
    assert!(chunks.close().is_none());
}

#[test]
fn each_prompt_counts_once_however_often_it_is_answered() {
    let mut fold = CompletionFold::new(head(), 4, 2, vec!["P".into(); 4], false);
    for index in 0..4 {
        fold.piece(index, done(FinishReason::Stop, 10, 1));
    }
    let completion = fold.close();
    assert_eq!(completion.usage.unwrap().unwrap().total_tokens, 24);
    assert!(completion.choices.iter().all(|choice| choice.text == "P"));
}
