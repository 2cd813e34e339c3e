//! What is sent, and what is refused before anything is sent.

use super::*;
use crate::{
    Options, Tool, ToolCall,
    providers::table::{PROVIDERS, provider},
};
use serde_json::json;

fn chat(messages: Vec<Message>) -> Generate {
    Generate::new("any", Prompt::Chat(messages))
}

fn asked() -> Generate {
    chat(vec![Message::text(Role::User, "Hi")])
}

fn sent(name: &str, request: &Generate) -> Value {
    body(provider(name).unwrap(), "m", request).unwrap()
}

fn refused(name: &str, request: &Generate) -> String {
    match body(provider(name).unwrap(), "m", request) {
        Err(InferenceError::Invalid { field, message }) => {
            assert!(message.contains(&format!("`{field}`")) || field == "prompt" || field == "tool_choice", "{field}: {message}");
            field
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn with(change: impl FnOnce(&mut Generate)) -> Generate {
    let mut request = asked();
    change(&mut request);
    request
}

fn tool() -> Tool {
    Tool {
        name: "weather".into(),
        description: Some("The weather.".into()),
        parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    }
}

fn with_call() -> Generate {
    let call = |id: &str, city: &str| ToolCall { id: id.into(), name: "weather".into(), arguments: json!({"city": city}) };
    let result = |id: &str, text: &str| Message { tool_call_id: Some(id.into()), ..Message::text(Role::Tool, text) };
    let asking =
        Message { tool_calls: vec![call("call_1", "Oslo"), call("call_2", "Rome")], ..Message::text(Role::Assistant, "") };
    let mut request = chat(vec![
        Message::text(Role::System, "Be brief."),
        Message::text(Role::User, "Weather?"),
        asking,
        result("call_1", "rain"),
        result("call_2", "sun"),
    ]);
    request.tools = vec![tool()];
    request
}

#[test]
fn a_plain_question_has_nothing_but_itself() {
    assert_eq!(
        sent("openai", &asked()),
        json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": true, "stream_options": {"include_usage": true}})
    );
    assert_eq!(
        sent("anthropic", &asked()),
        json!({"model": "m", "max_tokens": 8192, "stream": true, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]})
    );
    assert!(sent("mistral", &asked()).get("stream_options").is_none());
}

#[test]
fn options_are_sent_under_the_providers_own_names() {
    let request = with(|request| {
        request.options = Options {
            temperature: Some(0.2),
            top_p: Some(0.9),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.5),
            seed: Some(7),
            max_tokens: Some(100),
            stop: vec!["END".into()],
            ..Options::default()
        };
    });
    let openai = sent("openai", &request);
    assert_eq!((&openai["temperature"], &openai["top_p"], &openai["seed"]), (&json!(0.2), &json!(0.9), &json!(7)));
    assert_eq!((&openai["frequency_penalty"], &openai["presence_penalty"]), (&json!(0.5), &json!(-0.5)));
    assert_eq!((&openai["max_completion_tokens"], &openai["stop"]), (&json!(100), &json!(["END"])));
    assert!(openai.get("max_tokens").is_none());
    let mistral = sent("mistral", &request);
    assert_eq!((&mistral["random_seed"], &mistral["max_tokens"]), (&json!(7), &json!(100)));
    let small = with(|request| request.options = Options { top_k: Some(5), stop: vec!["END".into()], ..Options::default() });
    let anthropic = sent("anthropic", &small);
    assert_eq!((&anthropic["top_k"], &anthropic["stop_sequences"]), (&json!(5), &json!(["END"])));
    let logprobs = with(|request| request.options.logprobs = Some(2));
    assert_eq!(sent("openai", &logprobs)["top_logprobs"], 2);
}

#[test]
fn what_a_provider_cannot_do_is_refused_by_its_field_and_never_dropped() {
    let option = |change: fn(&mut Options)| with(|request| change(&mut request.options));
    assert_eq!(refused("openai", &option(|o| o.top_k = Some(5))), "top_k");
    assert_eq!(refused("openai", &option(|o| o.min_p = Some(0.1))), "min_p");
    assert_eq!(refused("openai", &option(|o| o.repetition_penalty = Some(1.1))), "repetition_penalty");
    assert_eq!(refused("openai", &option(|o| o.repeat_last_n = Some(64))), "repeat_last_n");
    assert_eq!(refused("openai", &option(|o| o.context = Some(4096))), "context");
    assert_eq!(refused("anthropic", &option(|o| o.seed = Some(1))), "seed");
    assert_eq!(refused("anthropic", &option(|o| o.logprobs = Some(0))), "logprobs");
    assert_eq!(refused("anthropic", &option(|o| o.presence_penalty = Some(1.0))), "presence_penalty");
    assert_eq!(refused("groq", &option(|o| o.logit_bias = vec![(1, 1.0)])), "logit_bias");
    assert_eq!(refused("openai", &option(|o| o.temperature = Some(9.0))), "temperature");
    for format in [Format::Regex("a".into()), Format::Lark("start: \"a\"".into())] {
        for row in &PROVIDERS {
            assert_eq!(refused(row.name, &with(|request| request.format = format.clone())), "format");
        }
    }
    assert_eq!(refused("deepseek", &with(|request| request.format = Format::JsonSchema(json!({})))), "format");
    assert_eq!(refused("anthropic", &with(|request| request.format = Format::JsonObject)), "format");
    assert_eq!(refused("mistral", &with(|request| request.think = Some(true))), "think");
    assert_eq!(refused("openai", &with(|request| request.template = Some("x".into()))), "template");
    let forced = with(|request| (request.tools, request.tool_choice) = (vec![tool()], ToolChoice::Required));
    assert_eq!(refused("moonshot", &forced), "tool_choice");
    let single = with(|request| (request.tools, request.parallel_tool_calls) = (vec![tool()], false));
    assert_eq!(refused("deepseek", &single), "parallel_tool_calls");
    assert_eq!(refused("openai", &Generate::new("m", Prompt::Raw("text".into()))), "prompt");
    // A wish that changes nothing is no wish.
    let neutral =
        option(|o| (o.top_k, o.min_p, o.presence_penalty, o.repetition_penalty) = (Some(0), Some(0.0), Some(0.0), Some(1.0)));
    let body = sent("anthropic", &neutral);
    assert!(["top_k", "min_p", "presence_penalty", "repetition_penalty"].iter().all(|key| body.get(key).is_none()));
}

#[test]
fn calls_and_their_results_go_both_ways() {
    let openai = sent("openai", &with_call());
    assert_eq!(openai["messages"][2]["content"], Value::Null);
    assert_eq!(
        openai["messages"][2]["tool_calls"][0],
        json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}})
    );
    assert_eq!(openai["messages"][3], json!({"role": "tool", "tool_call_id": "call_1", "content": "rain"}));
    assert_eq!(openai["tools"][0]["function"]["name"], "weather");
    assert_eq!(openai["tool_choice"], "auto");

    let anthropic = sent("anthropic", &with_call());
    assert_eq!(anthropic["system"], "Be brief.");
    assert_eq!(anthropic["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        anthropic["messages"][1]["content"][1],
        json!({"type": "tool_use", "id": "call_2", "name": "weather", "input": {"city": "Rome"}})
    );
    // Results of parallel calls are one turn.
    assert_eq!(
        anthropic["messages"][2],
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "rain"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "sun"}]})
    );
    assert_eq!(anthropic["tools"][0]["input_schema"]["properties"]["city"]["type"], "string");

    // Where ids must be short, a call and its result keep one id.
    let mistral = sent("mistral", &with_call());
    let id = mistral["messages"][2]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((id.len(), mistral["messages"][3]["tool_call_id"].as_str()), (9, Some(id)));
    assert_ne!(mistral["messages"][3]["tool_call_id"], mistral["messages"][4]["tool_call_id"]);

    let mut nameless = with_call();
    if let Prompt::Chat(messages) = &mut nameless.prompt {
        messages[3].tool_call_id = None;
    }
    assert_eq!(refused("openai", &nameless), "messages[3].tool_call_id");
}

#[test]
fn the_choice_of_a_tool_is_the_same_in_both_forms() {
    for (choice, openai, anthropic) in [
        (ToolChoice::Auto, json!("auto"), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (ToolChoice::None, json!("none"), json!({"type": "none"})),
        (ToolChoice::Required, json!("required"), json!({"type": "any", "disable_parallel_tool_use": true})),
        (
            ToolChoice::Named("weather".into()),
            json!({"type": "function", "function": {"name": "weather"}}),
            json!({"type": "tool", "name": "weather", "disable_parallel_tool_use": true}),
        ),
    ] {
        let request = with(|request| {
            request.tools = vec![tool()];
            request.tool_choice = choice;
            request.parallel_tool_calls = false;
        });
        assert_eq!(sent("openai", &request)["tool_choice"], openai);
        assert_eq!(sent("openai", &request)["parallel_tool_calls"], false);
        assert_eq!(sent("anthropic", &request)["tool_choice"], anthropic);
    }
}

#[test]
fn images_are_sent_with_their_kind_and_others_are_refused() {
    let seen = |bytes: &[u8]| {
        let message = Message { images: vec![bytes.to_vec()], ..Message::text(Role::User, "What is it?") };
        chat(vec![message])
    };
    let png = [0x89, b'P', b'N', b'G', 1];
    let openai = sent("openai", &seen(&png));
    assert_eq!(openai["messages"][0]["content"][1]["image_url"]["url"], "data:image/png;base64,iVBORwE=");
    let anthropic = sent("anthropic", &seen(&[0xff, 0xd8, 0xff, 0xe0]));
    assert_eq!(
        anthropic["messages"][0]["content"][0]["source"],
        json!({"type": "base64", "media_type": "image/jpeg", "data": "/9j/4A=="})
    );
    assert_eq!(refused("openai", &seen(b"BM")), "messages[0]");
    assert_eq!(refused("deepseek", &seen(&png)), "messages[0]");
}

#[test]
fn a_message_of_the_assistant_is_continued_where_that_can_be_asked() {
    let request = chat(vec![Message::text(Role::User, "Count."), Message::text(Role::Assistant, "One, two")]);
    assert_eq!(refused("openai", &request), "messages[1]");
    assert_eq!(sent("mistral", &request)["messages"][1]["prefix"], true);
    assert_eq!(sent("moonshot", &request)["messages"][1]["partial"], true);
    assert_eq!(sent("anthropic", &request)["messages"][1]["content"][0]["text"], "One, two");
}

#[test]
fn formats_and_reasoning_are_asked_for_in_each_providers_way() {
    let schema = json!({"type": "object", "properties": {}});
    let shaped = with(|request| request.format = Format::JsonSchema(schema.clone()));
    assert_eq!(sent("openai", &shaped)["response_format"]["json_schema"]["schema"], schema);
    assert_eq!(sent("anthropic", &shaped)["output_config"]["format"], json!({"type": "json_schema", "schema": schema}));
    let json = with(|request| request.format = Format::JsonObject);
    assert_eq!(sent("openai", &json)["response_format"], json!({"type": "json_object"}));

    let thinking =
        |on: bool, effort: Option<&str>| with(|request| (request.think, request.effort) = (Some(on), effort.map(str::to_owned)));
    assert_eq!(sent("openai", &thinking(true, Some("low")))["reasoning_effort"], "low");
    assert_eq!(sent("openai", &thinking(true, None))["reasoning_effort"], "medium");
    assert_eq!(sent("openai", &thinking(false, None))["reasoning_effort"], "none");
    assert_eq!(sent("deepseek", &thinking(false, None))["thinking"], json!({"type": "disabled"}));
    assert_eq!(sent("anthropic", &thinking(true, None))["thinking"], json!({"type": "enabled", "budget_tokens": 4096}));
    let mut short = thinking(true, None);
    short.options.max_tokens = Some(1024);
    assert_eq!(refused("anthropic", &short), "max_tokens");
}

#[test]
fn ollamas_instruction_is_a_conversation_and_its_context_is_none() {
    let instruct = |context: Vec<u32>| {
        let prompt = Prompt::Instruct { prompt: "Hi".into(), system: Some("Be brief.".into()), images: Vec::new(), context };
        Generate::new("m", prompt)
    };
    let body = sent("openai", &instruct(Vec::new()));
    assert_eq!(body["messages"], json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]));
    assert_eq!(refused("openai", &instruct(vec![1])), "prompt.context");
}
