//! What `tools` promises, sentence by sentence.

use super::{ToolParser, fold, forced_schema, validate};
use crate::{InferenceError, Message, Role, Tool, ToolCall, ToolChoice};
use serde_json::{Value, json};

fn tool(name: &str, parameters: Value) -> Tool {
    Tool { name: name.into(), description: None, parameters }
}

/// The field and the message of a refusal.
fn refusal(tools: &[Tool], choice: &ToolChoice) -> (String, String) {
    match validate(tools, choice) {
        Err(InferenceError::Invalid { field, message }) => (field, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn good_tools_pass() {
    let tools = [
        tool(&"a".repeat(64), json!({"type": "object", "properties": {}})),
        tool("get.the-weather_2", Value::Null),
        tool("b", json!({})),
    ];
    assert_eq!(validate(&tools, &ToolChoice::Required), Ok(()));
    assert_eq!(validate(&tools, &ToolChoice::Named("b".into())), Ok(()));
    assert_eq!(validate(&[], &ToolChoice::Auto), Ok(()));
}

#[test]
fn bad_names_are_refused_by_their_place() {
    for name in ["", "a b", "naïve", "a/b", &"a".repeat(65)] {
        let (field, message) = refusal(&[tool("ok", json!({})), tool(name, json!({}))], &ToolChoice::Auto);
        assert_eq!(field, "tools[1].name");
        assert!(message.contains("1 to 64"), "{message}");
    }
    let (field, message) = refusal(&[tool("a", json!({})), tool("a", json!({}))], &ToolChoice::Auto);
    assert_eq!((field.as_str(), message.as_str()), ("tools[1].name", "there are two tools named `a`"));
}

#[test]
fn parameters_must_be_the_schema_of_an_object() {
    for parameters in [json!("x"), json!([]), json!({"type": "string"}), json!({"type": "object", "properties": []})] {
        assert_eq!(refusal(&[tool("a", parameters)], &ToolChoice::Auto).0, "tools[0].parameters");
    }
}

#[test]
fn there_are_at_most_128_tools() {
    let tools: Vec<Tool> = (0..129).map(|index| tool(&format!("t{index}"), Value::Null)).collect();
    assert_eq!(validate(&tools[..128], &ToolChoice::Auto), Ok(()));
    assert_eq!(refusal(&tools, &ToolChoice::Auto).0, "tools");
}

#[test]
fn a_choice_must_be_possible() {
    assert_eq!(refusal(&[], &ToolChoice::Required).0, "tool_choice");
    assert_eq!(
        refusal(&[tool("a", Value::Null)], &ToolChoice::Named("b".into())),
        ("tool_choice".into(), "no tool is named `b`".into())
    );
}

#[test]
fn a_forced_call_has_a_schema_of_name_and_arguments() {
    let tools = [tool("a", Value::Null), tool("b", json!({"type": "object", "properties": {"x": {"type": "integer"}}}))];
    assert_eq!(forced_schema(&tools, &ToolChoice::Auto, true), None);
    assert_eq!(forced_schema(&tools, &ToolChoice::None, true), None);
    let a = json!({
        "type": "object",
        "properties": {"name": {"const": "a"}, "arguments": {"type": "object", "properties": {}}},
        "required": ["name", "arguments"],
        "additionalProperties": false,
    });
    assert_eq!(forced_schema(&tools, &ToolChoice::Named("a".into()), false), Some(a.clone()));
    let many = forced_schema(&tools, &ToolChoice::Required, true).unwrap();
    assert_eq!((&many["type"], &many["minItems"], &many["maxItems"]), (&json!("array"), &json!(1), &json!(16)));
    assert_eq!(many["items"]["anyOf"][0], a);
    assert_eq!(many["items"]["anyOf"][1]["properties"]["arguments"], tools[1].parameters);
}

#[test]
fn references_within_a_tools_schema_still_reach_their_target() {
    let schema = json!({
        "type": "object",
        "properties": {"$ref": {"$ref": "#/$defs/node"}, "self": {"$ref": "#"}, "far": {"$ref": "https://example.org/x"}},
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}, "default": {"$ref": "#/data"}}},
    });
    let forced = forced_schema(&[tool("a", Value::Null), tool("b", schema)], &ToolChoice::Required, true).unwrap();
    let place = "/items/anyOf/1/properties/arguments";
    let moved = forced.pointer(place).unwrap();
    let target = |pointer: &str| moved.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(target("/properties/$ref/$ref"), format!("#{place}/$defs/node"));
    assert_eq!(target("/properties/self/$ref"), format!("#{place}"));
    assert_eq!(target("/properties/far/$ref"), "https://example.org/x");
    assert_eq!(target("/$defs/node/properties/next/$ref"), format!("#{place}/$defs/node"));
    assert_eq!(target("/$defs/node/default/$ref"), "#/data");
    assert!(forced.pointer(&target("/properties/$ref/$ref")[1..]).is_some());
}

#[test]
fn a_forced_answer_is_read_as_calls() {
    let tools = [tool("a", Value::Null)];
    for (answer, count) in [
        (r#"{"name": "a", "arguments": {"x": [1]}}"#, 1),
        (r#"[{"name": "a", "arguments": {}}, {"name":"a","arguments":{}}]"#, 2),
    ] {
        let mut parser = ToolParser::new(&tools, &ToolChoice::Required, Box::new(|bytes| bytes.fill(0)));
        let mut calls = parser.push(answer).calls;
        let last = parser.finish();
        calls.extend(last.calls);
        assert_eq!((last.text.as_str(), calls.len()), ("", count), "{answer}");
        assert_eq!(calls[0].id, format!("call_{}", "A".repeat(24)));
    }
}

#[test]
fn tools_calls_and_results_are_folded_into_text() {
    let call = |id: &str| ToolCall { id: id.into(), name: "a".into(), arguments: json!({}) };
    let messages = [
        Message::text(Role::System, "Be kind."),
        Message::text(Role::User, "Go"),
        Message { tool_calls: vec![call("1"), call("2")], ..Message::text(Role::Assistant, "Well,") },
        Message::text(Role::Tool, "one"),
        Message::text(Role::Tool, "two"),
        Message::text(Role::User, "And?"),
    ];
    let folded = fold(&messages, &[tool("a", Value::Null)]);
    let roles: Vec<Role> = folded.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User, Role::User]);
    assert!(folded[0].content.starts_with("Be kind.\n\n# Tools\n") && folded[0].content.ends_with("</tool_call>"));
    let written = "<tool_call>\n{\"name\":\"a\",\"arguments\":{}}\n</tool_call>";
    assert_eq!(folded[2].content, format!("Well,\n{written}\n{written}"));
    assert_eq!(folded[3].content, "<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>");
    // Without tools nothing is told of them; without a system message they get one.
    assert_eq!(fold(&messages, &[])[0].content, "Be kind.");
    assert_eq!(fold(&messages[1..2], &[tool("a", Value::Null)])[0].role, Role::System);
}
