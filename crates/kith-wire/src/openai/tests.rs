//! What `openai` promises, sentence by sentence.

use super::*;
use serde_json::{Value, from_value, json, to_string};

fn chunk(delta: Delta, finish_reason: Option<FinishReason>, usage: Option<Option<Usage>>) -> String {
    to_string(&ChatCompletionChunk {
        id: "chatcmpl-1".into(),
        object: "chat.completion.chunk".into(),
        created: 7,
        model: "smollm2:135m".into(),
        system_fingerprint: None,
        choices: vec![ChunkChoice { index: 0, delta, logprobs: None, finish_reason }],
        usage,
    })
    .unwrap()
}

#[test]
fn a_chunk_has_null_where_clients_expect_null_and_no_field_where_they_expect_none() {
    let first = Delta { role: Some("assistant".into()), content: Some(String::new()), ..Delta::default() };
    insta::assert_snapshot!(chunk(first, None, None), @r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"smollm2:135m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#);
    insta::assert_snapshot!(chunk(Delta::default(), Some(FinishReason::ToolCalls), Some(None)), @r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"smollm2:135m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null}"#);
}

#[test]
fn a_whole_answer_of_tool_calls_has_null_content() {
    let answer = ChatCompletion {
        id: "chatcmpl-1".into(),
        object: "chat.completion".into(),
        created: 7,
        model: "m:1".into(),
        choices: vec![ChatChoice {
            index: 0,
            message: AnswerMessage {
                role: "assistant".into(),
                content: None,
                refusal: None,
                reasoning_content: None,
                tool_calls: Some(vec![ToolCall {
                    id: "call_1".into(),
                    kind: "function".into(),
                    function: FunctionCall { name: "add".into(), arguments: "{\"a\":1}".into() },
                }]),
            },
            logprobs: None,
            finish_reason: FinishReason::ToolCalls,
        }],
        usage: Usage {
            prompt_tokens: 3,
            completion_tokens: 2,
            total_tokens: 5,
            prompt_tokens_details: Some(PromptTokensDetails { cached_tokens: 1 }),
        },
        system_fingerprint: Some("fp_kith".into()),
    };
    insta::assert_snapshot!(to_string(&answer).unwrap(), @r#"{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"m:1","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}},"system_fingerprint":"fp_kith"}"#);
    assert_eq!(from_value::<ChatCompletion>(json!(answer)).unwrap(), answer);
}

#[test]
fn a_legacy_completion_and_its_log_probabilities() {
    let completion = Completion {
        id: "cmpl-1".into(),
        object: "text_completion".into(),
        created: 7,
        model: "m:1".into(),
        system_fingerprint: None,
        choices: vec![CompletionChoice {
            text: " yes".into(),
            index: 0,
            logprobs: Some(CompletionLogprobs {
                tokens: vec![" yes".into()],
                token_logprobs: vec![-0.1],
                top_logprobs: vec![[(" yes".to_owned(), -0.1), (" no".to_owned(), -2.5)].into()],
                text_offset: vec![0],
            }),
            finish_reason: Some(FinishReason::Length),
        }],
        usage: Some(Some(Usage { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, prompt_tokens_details: None })),
    };
    insta::assert_snapshot!(to_string(&completion).unwrap(), @r#"{"id":"cmpl-1","object":"text_completion","created":7,"model":"m:1","choices":[{"text":" yes","index":0,"logprobs":{"tokens":[" yes"],"token_logprobs":[-0.1],"top_logprobs":[{" no":-2.5," yes":-0.1}],"text_offset":[0]},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#);
}

#[test]
fn lists_and_errors_keep_openais_order_and_nulls() {
    insta::assert_snapshot!(to_string(&ModelList::new(vec![Model::new("smollm2:135m", 7, "library")])).unwrap(), @r#"{"object":"list","data":[{"id":"smollm2:135m","object":"model","created":7,"owned_by":"library"}]}"#);
    let error =
        ErrorBody { error: ErrorDetail { message: "no".into(), kind: "invalid_request_error".into(), param: None, code: None } };
    insta::assert_snapshot!(to_string(&error).unwrap(), @r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#);
}

#[test]
fn a_prompt_is_text_texts_tokens_or_lists_of_tokens_and_never_a_mixture() {
    let prompt = |value: Value| from_value::<CompletionPrompt>(value);
    assert_eq!(prompt(json!("a")).unwrap(), CompletionPrompt::Text("a".into()));
    assert_eq!(prompt(json!(["a", "b"])).unwrap(), CompletionPrompt::Texts(vec!["a".into(), "b".into()]));
    assert_eq!(prompt(json!([1, 2])).unwrap(), CompletionPrompt::Tokens(vec![1, 2]));
    assert_eq!(prompt(json!([[1], [2, 3]])).unwrap(), CompletionPrompt::TokenLists(vec![vec![1], vec![2, 3]]));
    assert!(prompt(json!(["a", 1])).unwrap_err().to_string().contains("mixture"));
    for value in [json!(1), json!(null), json!({}), json!([1.5]), json!([-1]), json!([4_294_967_296_u64]), json!([[["a"]]])] {
        assert!(prompt(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn unions_take_each_of_their_kinds_and_say_what_they_wanted_of_others() {
    assert_eq!(from_value::<Stop>(json!("x")).unwrap().into_vec(), ["x"]);
    assert_eq!(from_value::<Stop>(json!(["x", "y"])).unwrap().into_vec(), ["x", "y"]);
    assert_eq!(from_value::<ToolChoice>(json!("auto")).unwrap(), ToolChoice::Mode("auto".into()));
    assert_eq!(from_value::<ImageUrl>(json!("data:,")).unwrap().url(), "data:,");
    assert_eq!(from_value::<ImageUrl>(json!({"url": "data:,", "detail": "low"})).unwrap().url(), "data:,");
    assert_eq!(
        from_value::<Stop>(json!(7)).unwrap_err().to_string(),
        "invalid type: integer `7`, expected a string or a list of strings"
    );
    let part = json!([{"type": "input_audio", "input_audio": {}}]);
    assert!(from_value::<Content>(part).unwrap_err().to_string().contains("unknown variant `input_audio`"));
}

#[test]
fn a_request_keeps_its_fields_through_json_and_sends_only_what_is_set() {
    let request = ChatCompletionRequest {
        model: "m:1".into(),
        messages: vec![Message::text(Role::User, "hi")],
        stop: Some(Stop::One("x".into())),
        ..ChatCompletionRequest::default()
    };
    let text = to_string(&request).unwrap();
    insta::assert_snapshot!(text, @r#"{"model":"m:1","messages":[{"role":"user","content":"hi"}],"stop":"x"}"#);
    assert_eq!(serde_json::from_str::<ChatCompletionRequest>(&text).unwrap(), request);
}
