//! Each field of the request.

use super::*;

fn field(body: Value) -> String {
    parsed(body).unwrap_err().field
}

#[test]
fn the_official_clients_plain_request_is_stored_and_told_again() {
    let asked =
        parsed(json!({"model": "m", "input": "Hello!", "instructions": "Be brief.", "metadata": {"a": "b"}, "user": "me"}))
            .unwrap();
    assert!(!asked.stream && !asked.truncate);
    let told = to_value(&asked.response).unwrap();
    for (field, value) in [
        ("object", json!("response")),
        ("status", json!("in_progress")),
        ("created_at", json!(7)),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
        ("instructions", json!("Be brief.")),
        ("output", json!([])),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("store", json!(true)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("truncation", json!("disabled")),
        ("usage", Value::Null),
        ("metadata", json!({"a": "b"})),
        ("user", json!("me")),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
    assert_eq!(asked.response.id, format!("resp_{}", "0".repeat(48)));
    let item = to_value(&asked.items[0]).unwrap();
    assert_eq!(item["content"], json!([{"type": "input_text", "text": "Hello!"}]));
    assert_eq!(item["id"], format!("msg_{}8000", "0".repeat(48)));
}

#[test]
fn options_formats_and_effort_are_translated() {
    let asked = parsed(json!({
        "model": "m", "input": [], "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 9, "seed": -1, "top_k": 3,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 2,
        "reasoning": {"effort": "low", "summary": "auto"}, "truncation": "auto", "stream": true, "keep_alive": "5m",
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": true}, "verbosity": "medium"},
    }))
    .unwrap();
    let options = &asked.generate.options;
    assert_eq!((options.temperature, options.top_p, options.top_k), (Some(0.5), Some(0.9), Some(3)));
    assert_eq!((options.max_tokens, options.seed, options.logprobs), (Some(9), Some(u64::MAX), Some(2)));
    assert_eq!(asked.generate.format, Format::JsonSchema(json!({"type": "object"})));
    assert_eq!(asked.generate.think, Some(true));
    assert!(asked.truncate && asked.stream);
    assert_eq!(parsed(with("reasoning", json!({"effort": "none"}))).unwrap().generate.think, Some(false));
    assert_eq!(parsed(with("text", json!({"format": {"type": "json_object"}}))).unwrap().generate.format, Format::JsonObject);
}

#[test]
fn tools_and_the_choice_among_them_are_translated() {
    let tools = json!([{"type": "function", "name": "a", "description": "A.", "parameters": {"type": "object"}, "strict": true},
                       {"type": "function", "name": "b", "parameters": null}]);
    let choose = |choice: Value| {
        let mut body = with("tools", tools.clone());
        body["tool_choice"] = choice;
        let asked = parsed(body).unwrap();
        (asked.generate.tool_choice, asked.generate.tools.len(), to_value(&asked.response.tools).unwrap()[0]["name"].clone())
    };
    assert_eq!(choose(json!("required")), (ToolChoice::Required, 2, json!("a")));
    assert_eq!(choose(json!("none")), (ToolChoice::None, 2, json!("a")));
    assert_eq!(choose(json!({"type": "function", "name": "b"})), (ToolChoice::Named("b".into()), 2, json!("a")));
    let allowed = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]});
    assert_eq!(choose(allowed), (ToolChoice::Required, 1, json!("a")));
}

#[test]
fn what_is_not_offered_or_out_of_bounds_is_told_by_its_field() {
    let tool = |kind: &str, name: &str| json!([{"type": kind, "name": name}]);
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    for (name, value, expected) in [
        ("model", json!(""), "model"),
        ("temperature", json!(3), "temperature"),
        ("top_p", json!(0), "top_p"),
        ("max_output_tokens", json!(0), "max_output_tokens"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("include", json!(["file_search_call.results"]), "include[0]"),
        ("tools", tool("web_search", "x"), "tools[0].type"),
        ("tools", tool("function", ""), "tools[0].name"),
        ("tools", json!([{"type": "function", "name": "x"}, {"type": "function", "name": "x"}]), "tools[1].name"),
        ("tool_choice", json!("required"), "tool_choice"),
        ("tool_choice", json!("perhaps"), "tool_choice"),
        ("tool_choice", json!({"type": "function", "name": "x"}), "tool_choice.name"),
        ("tool_choice", json!({"type": "mcp"}), "tool_choice.type"),
        ("text", json!({"format": {"type": "json_schema", "name": "a b", "schema": {}}}), "text.format.name"),
        ("text", json!({"format": {"type": "json_schema", "name": "a", "schema": 7}}), "text.format.schema"),
        ("text", json!({"format": {"type": "xml"}}), "text.format.type"),
        ("text", json!({"verbosity": "high"}), "text.verbosity"),
        ("reasoning", json!({"effort": "heroic"}), "reasoning.effort"),
        ("metadata", json!({"k": "v".repeat(513)}), "metadata"),
        ("metadata", Value::Object(many), "metadata"),
        ("truncation", json!("some"), "truncation"),
        ("conversation", json!("conv_1"), "conversation"),
        ("prompt", json!({"id": "p"}), "prompt"),
        ("service_tier", json!("priority"), "service_tier"),
    ] {
        assert_eq!(field(with(name, value.clone())), expected, "{name} {value}");
    }
    assert_eq!(field(json!({"model": "m"})), "input");
    assert_eq!(field(json!({"model": "m", "input": "x", "background": true, "store": false})), "background");
    let many_items = vec![json!({"role": "user", "content": "x"}); 8193];
    assert_eq!(field(with("input", Value::Array(many_items))), "input");
}

#[test]
fn native_fields_have_responses_words() {
    for (native, word) in [
        ("max_tokens", "max_output_tokens"),
        ("messages[2].content", "input"),
        ("format", "text.format"),
        ("tools[0].name", "tools[0].name"),
        ("sampling.temperature", "temperature"),
        ("think", "reasoning.effort"),
    ] {
        assert_eq!(super::super::response_field(native), word);
    }
}
