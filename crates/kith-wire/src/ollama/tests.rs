//! What `ollama` promises, sentence by sentence.

use super::*;
use crate::KeepAlive;
use serde_json::{from_value, json, to_string};

fn details() -> Details {
    Details {
        parent_model: String::new(),
        format: "gguf".into(),
        family: "llama".into(),
        families: Some(vec!["llama".into()]),
        parameter_size: "135M".into(),
        quantization_level: "Q4_1".into(),
    }
}

#[test]
fn a_line_in_the_middle_has_no_figures_and_the_last_has_all() {
    let line =
        GenerateResponse { model: "m:1".into(), created_at: "t".into(), response: "He".into(), ..GenerateResponse::default() };
    insta::assert_snapshot!(to_string(&line).unwrap(), @r#"{"model":"m:1","created_at":"t","response":"He","done":false}"#);
    let last = GenerateResponse {
        done: true,
        done_reason: Some("stop".into()),
        context: Some(vec![1, 2]),
        metrics: Some(Metrics { total_duration: 9, eval_count: 2, ..Metrics::default() }),
        response: String::new(),
        ..line
    };
    let text = to_string(&last).unwrap();
    insta::assert_snapshot!(text, @r#"{"model":"m:1","created_at":"t","response":"","done":true,"done_reason":"stop","context":[1,2],"total_duration":9,"load_duration":0,"prompt_eval_count":0,"prompt_eval_duration":0,"eval_count":2,"eval_duration":0}"#);
    assert_eq!(serde_json::from_str::<GenerateResponse>(&text).unwrap(), last);
}

#[test]
fn a_chats_tool_call_has_its_arguments_as_an_object() {
    let line = ChatResponse {
        model: "m:1".into(),
        created_at: "t".into(),
        message: AnswerMessage {
            tool_calls: Some(vec![ToolCall {
                id: None,
                function: FunctionCall { index: None, name: "add".into(), arguments: json!({"a": 1}) },
            }]),
            ..AnswerMessage::default()
        },
        ..ChatResponse::default()
    };
    insta::assert_snapshot!(to_string(&line).unwrap(), @r#"{"model":"m:1","created_at":"t","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"add","arguments":{"a":1}}}]},"done":false}"#);
}

#[test]
fn the_librarys_bodies_keep_ollamas_order() {
    let tags = TagsResponse {
        models: vec![ModelSummary {
            name: "smollm2:135m".into(),
            model: "smollm2:135m".into(),
            modified_at: "2026-01-31T08:00:00.000Z".into(),
            size: 98,
            digest: "ab".into(),
            details: details(),
            status: Some("available".into()),
        }],
    };
    insta::assert_snapshot!(to_string(&tags).unwrap(), @r#"{"models":[{"name":"smollm2:135m","model":"smollm2:135m","modified_at":"2026-01-31T08:00:00.000Z","size":98,"digest":"ab","details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"135M","quantization_level":"Q4_1"},"status":"available"}]}"#);
    let show = ShowResponse {
        details: details(),
        capabilities: vec!["completion".into()],
        modified_at: "t".into(),
        ..ShowResponse::default()
    };
    insta::assert_snapshot!(to_string(&show).unwrap(), @r#"{"details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"135M","quantization_level":"Q4_1"},"model_info":{},"capabilities":["completion"],"modified_at":"t"}"#);
}

#[test]
fn the_name_of_a_model_may_stand_in_model_or_name() {
    let name = |value| from_value::<ShowRequest>(value).unwrap().model_name().to_owned();
    assert_eq!(name(json!({"model": "a"})), "a");
    assert_eq!(name(json!({"name": "a"})), "a");
    assert_eq!(name(json!({"model": "a", "name": "b"})), "a");
    assert_eq!(name(json!({"model": "", "name": "b"})), "b");
    assert_eq!(name(json!({})), "");
}

#[test]
fn whole_numbers_may_be_written_as_floats_and_unknown_options_are_ignored() {
    let options: Options =
        from_value(json!({"num_predict": 10.0, "top_k": null, "seed": 1e3, "num_gpu": 99, "mirostat": "x", "temperature": 1}))
            .unwrap();
    assert_eq!(options, Options { num_predict: Some(10), seed: Some(1000), temperature: Some(1.0), ..Options::default() });
    assert!(from_value::<Options>(json!({"num_predict": "10"})).unwrap_err().to_string().contains("a whole number"));
}

#[test]
fn unions_take_each_of_their_kinds() {
    let request: GenerateRequest =
        from_value(json!({"model": "m", "format": {"type": "object"}, "think": "high", "keep_alive": -1})).unwrap();
    assert!(matches!(request.format, Some(Format::Schema(_))));
    assert_eq!(request.think, Some(Think::Level("high".into())));
    assert_eq!(request.keep_alive, Some(KeepAlive::Seconds(-1.0)));
    let request: GenerateRequest =
        from_value(json!({"model": "m", "format": "json", "think": false, "keep_alive": null})).unwrap();
    assert_eq!(request.format, Some(Format::Word("json".into())));
    assert_eq!(request.think, Some(Think::Switch(false)));
    assert_eq!(request.keep_alive, None);
    assert!(from_value::<GenerateRequest>(json!({"format": 7})).is_err());
}
