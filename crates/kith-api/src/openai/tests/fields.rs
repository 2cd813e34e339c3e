//! Every complaint names OpenAI's field.

use super::*;

#[test]
fn values_out_of_bounds_are_refused_by_openais_names() {
    let user = |extra: Value| {
        let mut message = json!({"role": "user", "content": "hi"});
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([message])
    };
    let part = |part: Value| json!([{"role": "user", "content": [part]}]);
    let cases = [
        ("model", json!(""), "model"),
        ("temperature", json!(2.1), "temperature"),
        ("temperature", json!(-0.1), "temperature"),
        ("top_p", json!(0), "top_p"),
        ("top_p", json!(1.01), "top_p"),
        ("n", json!(0), "n"),
        ("n", json!(9), "n"),
        ("min_p", json!(1), "min_p"),
        ("top_k", json!(-1), "top_k"),
        ("repetition_penalty", json!(0), "repetition_penalty"),
        ("frequency_penalty", json!(-2.1), "frequency_penalty"),
        ("presence_penalty", json!(2.1), "presence_penalty"),
        ("max_tokens", json!(0), "max_tokens"),
        ("max_completion_tokens", json!(-1), "max_completion_tokens"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("stop", json!(vec!["x"; 17]), "stop"),
        ("stop", json!(["a", ""]), "stop[1]"),
        ("logit_bias", json!({"7": 101}), "logit_bias.7"),
        ("logit_bias", json!({"seven": 1}), "logit_bias.seven"),
        ("keep_alive", json!("soon"), "keep_alive"),
        ("reasoning_effort", json!("much"), "reasoning_effort"),
        ("stream_options", json!({"include_usage": true}), "stream_options"),
        ("functions", json!([]), "functions"),
        ("function_call", json!("auto"), "function_call"),
        ("modalities", json!(["text", "audio"]), "modalities"),
        ("response_format", json!({"type": "xml"}), "response_format.type"),
        ("response_format", json!({"type": "json_schema"}), "response_format.json_schema"),
        ("response_format", json!({"type": "json_schema", "json_schema": {"name": "a b"}}), "response_format.json_schema.name"),
        ("response_format", json!({"type": "json_schema", "json_schema": {"name": "a"}}), "response_format.json_schema.schema"),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "a", "schema": []}}),
            "response_format.json_schema.schema",
        ),
        ("tools", json!([{"type": "web_search"}]), "tools[0].type"),
        ("tools", json!([{"type": "function"}]), "tools[0].function"),
        ("tools", json!([{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name"),
        ("tools", json!([{"type": "function", "function": {"name": "a", "parameters": "x"}}]), "tools[0].function.parameters"),
        ("tool_choice", json!("required"), "tool_choice"),
        ("tool_choice", json!("perhaps"), "tool_choice"),
        ("tool_choice", json!({"type": "allowed_tools", "allowed_tools": {}}), "tool_choice"),
        ("tool_choice", json!({"type": "function", "function": {"name": "f"}}), "tool_choice.function.name"),
        ("messages", json!([]), "messages"),
        ("messages", json!([{"role": "user"}]), "messages[0].content"),
        ("messages", json!([{"role": "tool", "content": "x"}]), "messages[0].tool_call_id"),
        ("messages", json!([{"role": "function", "content": "x"}]), "messages[0].name"),
        (
            "messages",
            user(json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]})),
            "messages[0].tool_calls",
        ),
        (
            "messages",
            json!([{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}]),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            "messages",
            json!([{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[]"}}]}]),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            "messages",
            part(json!({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}})),
            "messages[0].content[0].image_url",
        ),
        (
            "messages",
            part(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,***"}})),
            "messages[0].content[0].image_url",
        ),
        (
            "messages",
            json!([{"role": "system", "content": [{"type": "image_url", "image_url": "data:;base64,aGk="}]}]),
            "messages[0].content[0].image_url",
        ),
    ];
    for (field, value, culprit) in cases {
        let error = parsed(with(field, value.clone())).expect_err(&format!("{field}: {value}"));
        assert_eq!(error.field, culprit, "{value}");
        assert!(error.message.contains('`'), "{}", error.message);
    }
}

#[test]
fn two_shapes_of_one_answer_are_refused() {
    let mut body = with("grammar", json!("start: \"a\""));
    body["response_format"] = json!({"type": "json_object"});
    assert_eq!(parsed(body).unwrap_err().field, "grammar");
    let mut body = with("grammar", json!("start: \"a\""));
    body["regex"] = json!("a");
    assert_eq!(parsed(body).unwrap_err().field, "regex");
}

#[test]
fn a_known_field_of_a_wrong_type_is_named_with_its_path() {
    let path = |body: Value| {
        let text = body.to_string();
        let read = &mut serde_json::Deserializer::from_str(&text);
        serde_path_to_error::deserialize::<_, wire::ChatCompletionRequest>(read).expect_err(&text).path().to_string()
    };
    assert_eq!(path(with("temperature", json!("hot"))), "temperature");
    assert_eq!(path(with("stream", json!("yes"))), "stream");
    assert_eq!(path(with("stop", json!(["a", 7]))), "stop[1]");
    assert_eq!(path(with("stop", json!(7))), "stop");
    assert_eq!(path(with("tool_choice", json!(true))), "tool_choice");
    assert_eq!(path(with("logit_bias", json!({"7": "x"}))), "logit_bias.7");
    assert_eq!(path(with("messages", json!([{"role": "king", "content": ""}]))), "messages[0].role");
    assert_eq!(path(with("messages", json!([{"role": "user", "content": 7}]))), "messages[0].content");
    let audio = json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_audio"}]}]);
    assert!(path(with("messages", audio)).starts_with("messages[0].content[1]"));
    let response_format = json!({"type": "json_schema", "json_schema": {"name": 7}});
    assert_eq!(path(with("response_format", response_format)), "response_format.json_schema.name");
}

#[test]
fn completions_have_their_own_rules() {
    let parse = |body: Value| completions(from_value(body).unwrap());
    let base = |field: &str, value: Value| {
        let mut body = json!({"model": "m", "prompt": "Once"});
        body[field] = value;
        body
    };
    let plan = parse(json!({"model": "m", "prompt": ["a", "b"], "n": 2, "echo": true, "seed": 4})).unwrap();
    let prompts: Vec<_> = plan.generates.iter().map(|g| (g.prompt.clone(), g.options.seed)).collect();
    let raw = |t: &str| Prompt::Raw(t.to_owned());
    assert_eq!(prompts, [(raw("a"), Some(4)), (raw("a"), Some(5)), (raw("b"), Some(4)), (raw("b"), Some(5))]);
    assert_eq!((plan.per_prompt, plan.echo), (2, vec!["a".to_owned(), "a".into(), "b".into(), "b".into()]));
    let plan = parse(json!({"model": "m", "prompt": [[1, 2], [3]], "logprobs": 0})).unwrap();
    assert_eq!(plan.generates[1].prompt, Prompt::Tokens(vec![3]));
    assert_eq!((plan.generates[0].options.logprobs, plan.logprobs), (Some(0), true));

    let mut echo_with_logprobs = base("echo", json!(true));
    echo_with_logprobs["logprobs"] = json!(1);
    for (body, culprit) in [
        (base("suffix", json!("end")), "suffix"),
        (base("best_of", json!(2)), "best_of"),
        (base("logprobs", json!(21)), "logprobs"),
        (base("prompt", json!([])), "prompt"),
        (base("max_tokens", json!(0)), "max_tokens"),
        (echo_with_logprobs, "echo"),
        (json!({"model": "m", "prompt": [1, 2], "echo": true}), "echo"),
        (json!({"model": "m", "prompt": vec!["a"; 17], "n": 8}), "prompt"),
    ] {
        assert_eq!(parse(body.clone()).expect_err(&body.to_string()).field, culprit);
    }
    assert_eq!(parse(json!({"model": "m", "prompt": vec!["a"; 16], "n": 8, "best_of": 8})).unwrap().generates.len(), 128);
}

#[test]
fn native_fields_are_told_in_openais_words() {
    for (native, chat, completion) in [
        ("temperature", "temperature", "temperature"),
        ("logprobs", "top_logprobs", "logprobs"),
        ("format", "response_format", "grammar"),
        ("constraint", "response_format", "grammar"),
        ("sampling.top_p", "top_p", "top_p"),
        ("think", "reasoning_effort", "think"),
        ("tools[3].name", "tools[3].function.name", "tools[3].name"),
        ("messages[2].content", "messages[2].content", "prompt"),
        ("messages[2].images[1]", "messages[2].content", "prompt"),
        ("messages[2].tool_calls[1].name", "messages[2].tool_calls[1].function.name", "prompt"),
        ("prompt", "messages", "prompt"),
    ] {
        assert_eq!((chat_field(native).as_str(), completion_field(native).as_str()), (chat, completion), "{native}");
    }
}

/// Any JSON, nested a little.
fn nonsense() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![Just("user"), Just("assistant"), Just("tool"), Just("function"), Just("auto"), Just("data:;base64,aGk=")]
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            Just("role".to_owned()),
            Just("content".to_owned()),
            Just("type".to_owned()),
            Just("function".to_owned()),
            Just("name".to_owned()),
            Just("arguments".to_owned()),
            Just("id".to_owned()),
            "[a-z_]{1,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nonsense_never_panics(field in prop::sample::select(vec![
        "model", "messages", "tools", "tool_choice", "response_format", "temperature", "top_p", "n", "stop", "max_tokens", "seed",
        "logit_bias", "top_logprobs", "stream_options", "keep_alive", "prompt", "logprobs", "top_k", "best_of",
    ]), value in nonsense()) {
        let mut body = with(field, value);
        if let Ok(request) = from_value::<wire::ChatCompletionRequest>(body.clone())
            && let Err(error) = chat(request)
        {
            prop_assert!(!error.field.is_empty() && !error.message.is_empty());
        }
        body["prompt"] = body.get("prompt").cloned().unwrap_or_else(|| json!("x"));
        if let Ok(request) = from_value::<wire::CompletionRequest>(body)
            && let Err(error) = completions(request)
        {
            prop_assert!(!error.field.is_empty() && !error.message.is_empty());
        }
    }

    #[test]
    fn what_is_taken_lies_within_the_bounds(temperature in any::<f32>(), top_p in any::<f32>(), n in any::<i64>()) {
        let request = wire::ChatCompletionRequest {
            model: "m".into(),
            messages: vec![wire::Message::text(wire::Role::User, "hi")],
            temperature: Some(temperature), top_p: Some(top_p), n: Some(n),
            ..wire::ChatCompletionRequest::default()
        };
        if let Ok(chat) = chat(request) {
            prop_assert!((0.0..=2.0).contains(&temperature) && top_p > 0.0 && top_p <= 1.0);
            prop_assert_eq!(chat.generates.len() as i64, n);
        }
    }

    #[test]
    fn renaming_never_panics(native in "(sampling\\.)?(messages|tools|prompt|logprobs)?[\\[\\]a-z_.0-9é]{0,30}") {
        let _ = (chat_field(&native), completion_field(&native));
    }
}
