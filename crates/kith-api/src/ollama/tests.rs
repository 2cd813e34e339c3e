//! What `ollama` promises, sentence by sentence.

use super::*;
use crate::field_error::FieldError;
use kith_engine::{Timings, Usage};
use kith_inference::{Done, FinishReason, Format, Piece, Prompt, Role, TokenLogprob, ToolCall};
use kith_types::Timestamp;
use kith_wire::ollama as wire;
use proptest::prelude::*;
use serde_json::{Value, from_value, json, to_string};

mod answers;

fn generated(body: Value) -> Result<Asked, FieldError> {
    generate(from_value(body).unwrap())
}

fn chatted(body: Value) -> Result<Asked, FieldError> {
    chat(from_value(body).unwrap())
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "prompt": "hi", "messages": [{"role": "user", "content": "hi"}]});
    body[field] = value;
    body
}

#[test]
fn the_python_clients_generate_is_an_instruction_that_streams_unless_told_otherwise() {
    let asked = generated(json!({
        "model": "smollm2:135m", "prompt": "Why?", "suffix": "", "system": "", "template": "", "context": null, "stream": false,
        "raw": null, "images": null, "format": "", "options": null, "keep_alive": null,
    }))
    .unwrap();
    let plain = Prompt::Instruct { prompt: "Why?".into(), system: None, images: vec![], context: vec![] };
    assert_eq!(asked.generate, kith_inference::Generate::new("smollm2:135m", plain));
    assert_eq!((asked.intent, asked.stream), (Intent::Answer, false));
    assert!(generated(json!({"name": "m", "prompt": "x"})).unwrap().stream);
}

#[test]
fn system_context_template_images_and_thinking_are_translated() {
    let asked = generated(json!({
        "model": "m", "prompt": "what?", "system": "Be kind.", "template": "{{ x }}", "context": [1, 2], "images": ["aGk="],
        "think": "high", "keep_alive": -1, "format": {"type": "object"}, "logprobs": true, "top_logprobs": 3,
    }))
    .unwrap();
    let prompt = Prompt::Instruct {
        prompt: "what?".into(),
        system: Some("Be kind.".into()),
        images: vec![b"hi".to_vec()],
        context: vec![1, 2],
    };
    assert_eq!(asked.generate.prompt, prompt);
    assert_eq!(asked.generate.template.as_deref(), Some("{{ x }}"));
    assert_eq!((asked.generate.think, asked.generate.effort.as_deref()), (Some(true), Some("high")));
    assert_eq!(asked.generate.keep_alive, Some(KeepAlive::Forever));
    assert_eq!(asked.generate.format, Format::JsonSchema(json!({"type": "object"})));
    assert_eq!(asked.generate.options.logprobs, Some(3));
    assert_eq!(generated(with("raw", json!(true))).unwrap().generate.prompt, Prompt::Raw("hi".into()));
}

#[test]
fn nothing_to_answer_loads_and_without_keeping_unloads() {
    let intent = |body: Value| (generated(body.clone()).unwrap().intent, chatted(body).unwrap().intent);
    assert_eq!(intent(json!({"model": "m"})), (Intent::Load, Intent::Load));
    assert_eq!(intent(json!({"model": "m", "keep_alive": "5m"})), (Intent::Load, Intent::Load));
    assert_eq!(intent(json!({"model": "m", "prompt": "", "messages": [], "keep_alive": 0})), (Intent::Unload, Intent::Unload));
    assert_eq!(intent(json!({"model": "m", "keep_alive": "0s"})), (Intent::Unload, Intent::Unload));
    assert_eq!(intent(with("keep_alive", json!(0))), (Intent::Answer, Intent::Answer));
    // An image alone is something to answer.
    assert_eq!(generated(json!({"model": "m", "images": ["aGk="]})).unwrap().intent, Intent::Answer);
    let load = chatted(json!({"model": "m", "options": {"num_ctx": 512}})).unwrap();
    assert!(matches!(&load.generate.prompt, Prompt::Instruct { prompt, .. } if prompt.is_empty()));
    assert_eq!(load.generate.options.context, Some(512));
}

#[test]
fn open_webuis_options_are_translated_and_ollamas_special_values_kept() {
    let options = |value: Value| generated(with("options", value)).unwrap().generate.options;
    let all = options(json!({
        "num_predict": 128, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "seed": 42, "stop": ["<|im_end|>"],
        "num_ctx": 4096, "repeat_penalty": 1.1, "repeat_last_n": 64, "frequency_penalty": 0.1, "presence_penalty": 0.2,
        "num_gpu": 99, "mirostat": 0, "use_mmap": true,
    }));
    let expected = kith_inference::Options {
        temperature: Some(0.7),
        top_k: Some(40),
        top_p: Some(0.9),
        min_p: Some(0.05),
        repetition_penalty: Some(1.1),
        repeat_last_n: Some(64),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(0.2),
        seed: Some(42),
        max_tokens: Some(128),
        stop: vec!["<|im_end|>".into()],
        context: Some(4096),
        ..kith_inference::Options::default()
    };
    assert_eq!(all, expected);
    let special = options(json!({"num_predict": -1, "top_k": -1, "seed": -1, "repeat_last_n": -1, "num_ctx": 0}));
    let expected =
        kith_inference::Options { top_k: Some(0), repeat_last_n: Some(u32::MAX), ..kith_inference::Options::default() };
    assert_eq!(special, expected);
    assert!(options(json!({"top_p": 0})).top_p.unwrap() > 0.0);
}

#[test]
fn tool_messages_find_the_call_they_answer() {
    let asked = chatted(json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Bern"}}},
                {"function": {"name": "time", "arguments": {}}},
                {"id": "call_x", "function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
            {"role": "tool", "content": "noon", "tool_name": "time"},
            {"role": "tool", "content": "rain"},
            {"role": "tool", "content": "sun", "tool_call_id": "call_x"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "", "parameters": {"type": "object"}}}],
    }))
    .unwrap();
    let Prompt::Chat(messages) = asked.generate.prompt else { panic!("a chat is wanted") };
    assert_eq!(
        messages[1].tool_calls[0],
        ToolCall { id: "call_1_0".into(), name: "weather".into(), arguments: json!({"city": "Bern"}) }
    );
    let answered: Vec<_> =
        messages[2..].iter().map(|m| (m.name.as_deref().unwrap(), m.tool_call_id.as_deref().unwrap())).collect();
    assert_eq!(answered, [("time", "call_1_1"), ("weather", "call_1_0"), ("weather", "call_x")]);
    assert_eq!(messages[2].role, Role::Tool);
    assert_eq!(asked.generate.tools[0].name, "weather");
}

#[test]
fn what_cannot_be_taken_is_named_in_ollamas_words() {
    for (field, value, culprit) in [
        ("suffix", json!("end"), "suffix"),
        ("format", json!("xml"), "format"),
        ("think", json!("much"), "think"),
        ("keep_alive", json!("soon"), "keep_alive"),
        ("images", json!(["***"]), "images[0]"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("options", json!({"stop": vec!["x"; 17]}), "options.stop"),
        ("options", json!({"num_ctx": -5}), "options.num_ctx"),
        ("options", json!({"repeat_last_n": -2}), "options.repeat_last_n"),
        ("options", json!({"num_predict": 1e12}), "options.num_predict"),
    ] {
        assert_eq!(generated(with(field, value.clone())).expect_err(&value.to_string()).field, culprit);
    }
    for field in ["system", "template"] {
        let mut body = with("raw", json!(true));
        body[field] = json!("x");
        assert_eq!(generated(body).unwrap_err().field, field);
    }
    assert_eq!(generated(json!({"prompt": "x"})).unwrap_err().field, "model");
    for (field, value, culprit) in [
        ("tools", json!([{"type": "search", "function": {"name": "a"}}]), "tools[0].type"),
        ("tools", json!([{"function": {"name": ""}}]), "tools[0].function.name"),
        ("messages", json!([{"role": "user", "images": ["*"]}]), "messages[0].images[0]"),
        ("messages", json!([{"role": "user", "tool_calls": [{"function": {"name": "a"}}]}]), "messages[0].tool_calls"),
        (
            "messages",
            json!([{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": [1]}}]}]),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ] {
        assert_eq!(chatted(with(field, value.clone())).expect_err(&value.to_string()).field, culprit);
    }
}

#[test]
fn a_known_field_of_a_wrong_type_is_named_with_its_path() {
    let path = |body: Value| {
        let text = body.to_string();
        let read = &mut serde_json::Deserializer::from_str(&text);
        serde_path_to_error::deserialize::<_, wire::GenerateRequest>(read).expect_err(&text).path().to_string()
    };
    assert_eq!(path(with("options", json!({"temperature": "hot"}))), "options.temperature");
    assert_eq!(path(with("options", json!({"num_predict": "many"}))), "options.num_predict");
    assert_eq!(path(with("options", json!({"stop": [7]}))), "options.stop[0]");
    assert_eq!(path(with("images", json!([7]))), "images[0]");
    assert_eq!(path(with("context", json!([-1]))), "context[0]");
    assert_eq!(path(with("think", json!(7))), "think");
    assert_eq!(path(with("prompt", json!({}))), "prompt");
}

#[test]
fn native_fields_are_told_in_ollamas_words() {
    for (native, told) in [
        ("max_tokens", "options.num_predict"),
        ("temperature", "options.temperature"),
        ("sampling.top_p", "options.top_p"),
        ("stop[2]", "options.stop[2]"),
        ("repetition_penalty", "options.repeat_penalty"),
        ("context", "options.num_ctx"),
        ("format", "format"),
        ("template", "template"),
        ("tools[1].parameters", "tools[1].function.parameters"),
        ("messages[2].content", "messages[2].content"),
        ("messages[2].tool_calls[1].name", "messages[2].tool_calls[1].function.name"),
    ] {
        assert_eq!(chat_field(native), told);
    }
    assert_eq!(generate_field("messages[0].content"), "prompt");
    assert_eq!(generate_field("prompt.images[1]"), "images[1]");
    assert_eq!(generate_field("max_tokens"), "options.num_predict");
}

proptest! {
    #[test]
    fn nonsense_never_panics(
        field in prop::sample::select(vec!["model", "prompt", "messages", "tools", "options", "format", "think", "keep_alive", "images"]),
        text in ".{0,20}", number in any::<f64>(), whole in any::<i64>(),
    ) {
        for value in [
            json!(text), json!(number), json!(whole), json!([text]), json!([{"role": "tool", "content": text}]),
            json!([{"role": "assistant", "tool_calls": [{"function": {"name": text, "arguments": text}}]}, {"role": "tool"}]),
            json!([{"function": {"name": text, "parameters": text}}]),
            json!({"num_predict": number, "top_k": whole, "seed": whole, "num_ctx": whole, "repeat_last_n": whole, "stop": text}),
        ] {
            let body = with(field, value);
            if let Ok(request) = from_value(body.clone())
                && let Err(error) = generate(request)
            {
                prop_assert!(!error.field.is_empty());
            }
            if let Ok(request) = from_value(body)
                && let Err(error) = chat(request)
            {
                prop_assert!(!error.field.is_empty());
            }
        }
        let _ = (chat_field(&text), generate_field(&text));
    }
}
