//! What `template` promises, sentence by sentence.

use super::{ChatTemplate, MAX_TEXT, RenderInput, Rendered, TemplateError};
use crate::{Message, Role, Tool, ToolCall};
use kith_types::Timestamp;
use serde_json::{Value, json};

/// 2025-06-07 08:09:10 UTC, as in `golden.py`.
const NOW: Timestamp = Timestamp::from_ms(1_749_283_750_000);

fn fixture(name: &str) -> &'static str {
    match name {
        "smollm2" => include_str!("fixtures/smollm2.jinja"),
        "gemma-2" => include_str!("fixtures/gemma-2.jinja"),
        "phi-3" => include_str!("fixtures/phi-3.jinja"),
        "qwen2.5" => include_str!("fixtures/qwen2.5.jinja"),
        "qwen3" => include_str!("fixtures/qwen3.jinja"),
        "llama-3.1" => include_str!("fixtures/llama-3.1.jinja"),
        "mistral-v0.3" => include_str!("fixtures/mistral-v0.3.jinja"),
        other => panic!("no fixture {other}"),
    }
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn message(value: &Value) -> Message {
    let role = serde_json::from_value(value["role"].clone()).unwrap();
    let calls = value.get("tool_calls").cloned().unwrap_or_else(|| json!([]));
    Message {
        tool_calls: serde_json::from_value(calls).unwrap(),
        tool_call_id: text_of(value, "tool_call_id"),
        name: text_of(value, "name"),
        ..Message::text(role, text_of(value, "content").unwrap_or_default())
    }
}

fn weather() -> Vec<Tool> {
    let tools: Value = serde_json::from_str(include_str!("fixtures/tools.json")).unwrap();
    serde_json::from_value(tools["weather"].clone()).unwrap()
}

fn render(template: &ChatTemplate, messages: &[Message], tools: &[Tool]) -> Result<Rendered, TemplateError> {
    template.render(&RenderInput { messages, tools, think: None, now: NOW })
}

fn parse(source: &str) -> ChatTemplate {
    ChatTemplate::parse(Some(source), Some("<s>".into()), Some("</s>".into())).unwrap()
}

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn call(id: &str, name: &str) -> Message {
    let calls = vec![ToolCall { id: id.into(), name: name.into(), arguments: json!({"b": 1, "a": [2.0]}) }];
    Message { tool_calls: calls, ..Message::text(Role::Assistant, "") }
}

fn result(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::text(Role::Tool, text) }
}

#[test]
fn templates_of_the_field_write_what_python_writes() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("fixtures/golden.json")).unwrap();
    let conversations: Value = serde_json::from_str(include_str!("fixtures/conversations.json")).unwrap();
    let mut compared = 0;
    for case in &golden {
        let (name, title) = (case["template"].as_str().unwrap(), case["conversation"].as_str().unwrap());
        let Some(expected) = case.get("text").and_then(Value::as_str) else { continue };
        let template = ChatTemplate::parse(Some(fixture(name)), text_of(case, "bos"), text_of(case, "eos")).unwrap();
        let conversation = &conversations[title];
        let messages: Vec<Message> = conversation["messages"].as_array().unwrap().iter().map(message).collect();
        let tools = if conversation.get("tools").is_some() { weather() } else { Vec::new() };
        // What a template cannot show is told in other words here, and left out in Python.
        if (!tools.is_empty() && !template.supports_tools()) || (title == "tools used" && !template.habits.results) {
            continue;
        }
        let think = conversation.get("think").and_then(Value::as_bool);
        let rendered = template.render(&RenderInput { messages: &messages, tools: &tools, think, now: NOW }).unwrap();
        assert_eq!(rendered.text, expected, "{name}, {title}");
        let bos = case["bos"].as_str().unwrap();
        assert_eq!(rendered.starts_with_bos, !bos.is_empty() && expected.starts_with(bos), "{name}, {title}");
        compared += 1;
    }
    assert!(compared >= 45, "only {compared} compared");
}

#[test]
fn what_a_template_can_show_is_found_by_trying() {
    let known = [
        // Name, system, tools, results, thinking.
        ("smollm2", true, false, false, false),
        ("gemma-2", false, false, false, false),
        ("phi-3", true, false, false, false),
        ("qwen2.5", true, true, true, false),
        ("qwen3", true, true, true, true),
        ("llama-3.1", true, true, true, false),
        ("mistral-v0.3", true, true, true, false),
    ];
    for (name, system, tools, results, thinking) in known {
        let template = parse(fixture(name));
        let habits = template.habits;
        assert_eq!((habits.system, habits.tools, habits.results), (system, tools, results), "{name}");
        assert_eq!(template.supports_thinking(), thinking, "{name}");
    }
}

#[test]
fn a_model_without_template_gets_chatml() {
    let template = ChatTemplate::parse(None, None, None).unwrap();
    let rendered = render(&template, &[Message::text(Role::System, "Be kind."), user("Hi")], &[]).unwrap();
    assert_eq!(rendered.text, "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    assert!(!rendered.starts_with_bos);
}

#[test]
fn a_system_message_is_folded_where_the_template_refuses_it() {
    let gemma = parse(fixture("gemma-2"));
    let rendered = render(&gemma, &[Message::text(Role::System, "Be kind."), user("Hi")], &[]).unwrap();
    assert_eq!(rendered.text, "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\n");
    assert!(rendered.starts_with_bos);
    // Without a message of the user it becomes one; where there is one it is not left out.
    let alone = render(&gemma, &[Message::text(Role::System, "Be kind.")], &[]).unwrap();
    assert_eq!(alone.text, "<s><start_of_turn>user\nBe kind.<end_of_turn>\n<start_of_turn>model\n");
    // A template that drops it silently is found out too.
    let silent = parse("{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}");
    assert_eq!(render(&silent, &[Message::text(Role::System, "S"), user("U")], &[]).unwrap().text, "[S\n\nU]");
}

#[test]
fn neighbours_of_one_role_are_joined_where_the_template_insists_on_turns() {
    let rendered = render(&parse(fixture("gemma-2")), &[user("One"), user("Two")], &[]).unwrap();
    assert_eq!(rendered.text, "<s><start_of_turn>user\nOne\n\nTwo<end_of_turn>\n<start_of_turn>model\n");
    let kept = render(&parse(fixture("smollm2")), &[user("One"), user("Two")], &[]).unwrap();
    assert!(kept.text.contains("One<|im_end|>\n<|im_start|>user\nTwo"));
}

#[test]
fn tools_are_told_in_words_where_the_template_knows_none() {
    let template = parse(fixture("smollm2"));
    let messages = [user("Weather?"), call("1", "get_weather"), result("1", "21"), result("2", "22")];
    let text = render(&template, &messages, &weather()).unwrap().text;
    assert!(text.starts_with("<|im_start|>system\n# Tools\n"), "{text}");
    assert!(text.contains("\n<tools>\n{\"type\":\"function\",\"function\":{\"name\":\"get_weather\","), "{text}");
    assert!(text.ends_with(
        "<|im_start|>user\nWeather?<|im_end|>\n\
         <|im_start|>assistant\n<tool_call>\n{\"name\":\"get_weather\",\"arguments\":{\"b\":1,\"a\":[2.0]}}\n</tool_call><|im_end|>\n\
         <|im_start|>user\n<tool_response>\n21\n</tool_response>\n<tool_response>\n22\n</tool_response><|im_end|>\n\
         <|im_start|>assistant\n"
    ));
    // Where there is no system role either, all of it goes to the user's first message.
    let gemma = render(&parse(fixture("gemma-2")), &messages, &weather()).unwrap().text;
    assert!(
        gemma.starts_with("<s><start_of_turn>user\n# Tools\n") && gemma.contains("</tool_call>\n\nWeather?<end_of_turn>"),
        "{gemma}"
    );
}

#[test]
fn ids_are_shortened_where_the_template_insists() {
    let template = parse(fixture("mistral-v0.3"));
    let id = "call_ABCDEFGHIJKLMNOPQRSTUVWX";
    let messages = [user("Weather?"), call(id, "ping"), result(id, "21")];
    let text = render(&template, &messages, &weather()).unwrap().text;
    let short = text.split("\"id\": \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(short.len(), 9);
    assert!(text.ends_with(&format!("\"call_id\": \"{short}\"}}[/TOOL_RESULTS]")), "{text}");
}

#[test]
fn arguments_and_absent_contents_are_given_as_the_template_wants_them() {
    let as_text = parse(
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name + c.function.arguments }}{% endfor %}{% endfor %}",
    );
    assert_eq!(render(&as_text, &[user("U"), call("1", "ping")], &[]).unwrap().text, r#"Uping{"b":1,"a":[2.0]}"#);
    let null = parse(
        "{% for m in messages %}{% if m['content'] is none %}{{ m.tool_calls[0].function.name }}{{ tools }}{% else %}{{ m.content }}{% endif %}{% endfor %}",
    );
    assert_eq!(render(&null, &[user("U"), call("1", "ping")], &[]).unwrap().text, "UpingNone");
}

#[test]
fn the_name_of_a_result_is_taken_from_the_call_it_answers() {
    let source = "{% for m in messages %}{{ m.name or m.role }}({{ m.content }}{{ m.tool_calls | map(attribute='function.name') | join }}) {% endfor %}";
    assert_eq!(
        render(&parse(source), &[user("U"), call("1", "ping"), result("1", "R")], &[]).unwrap().text,
        "user(U) assistant(ping) ping(R) "
    );
}

#[test]
fn an_answer_is_continued_exactly_where_it_ended() {
    for (content, expected) in [("One, ", "One, "), ("", ""), ("<", "<"), ("a\n", "a\n")] {
        let text =
            render(&parse(fixture("smollm2")), &[user("Count"), Message::text(Role::Assistant, content)], &[]).unwrap().text;
        assert!(text.ends_with(&format!("<|im_start|>assistant\n{expected}")), "{text}");
    }
    // A template that hides the message still has it continued.
    let hides = parse(
        "{% for m in messages if m.role == 'user' %}U{{ m.content }}{% endfor %}{% if add_generation_prompt %}A{% endif %}",
    );
    assert_eq!(render(&hides, &[user("x"), Message::text(Role::Assistant, "One, ")], &[]).unwrap().text, "UxAOne, ");
    // A call is whole: the model's next turn is opened.
    assert!(
        render(&parse(fixture("qwen2.5")), &[user("x"), call("1", "ping")], &[])
            .unwrap()
            .text
            .ends_with("<|im_start|>assistant\n")
    );
}

#[test]
fn values_are_written_as_python_writes_them() {
    for (source, expected) in [
        (
            "{{ {'a': [1, 2.0, 1e-5, 1e16, true, none, 'it\\'s', '\"', '<é>\\n']} }}",
            r#"{'a': [1, 2.0, 1e-05, 1e+16, True, None, "it's", '"', '<é>\n']}"#,
        ),
        ("{{ {'a': ['<é>&\\'', 0.5, false, none]} | tojson }}", r#"{"a": ["<é>&'", 0.5, false, null]}"#),
        ("{{ {'a': [1, {}], 'b': []} | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"),
        ("{{ ['é😀'] | tojson(ensure_ascii=true) }}", r#"["\u00e9\ud83d\ude00"]"#),
        ("{{ {'a': 1, 'b': 2} | tojson(separators=(',', ':')) }}", r#"{"a":1,"b":2}"#),
        ("{{ none }}{{ true }}{{ missing }}{{ 3 }}{{ [1, 'x']|string }}", "NoneTrue3[1, 'x']"),
        ("{{ strftime_now('%d %b %Y, %H:%M') }}", "07 Jun 2025, 08:09"),
        (
            "{{ 'a-b'.removeprefix('a').removesuffix('b') }}{{ ' x '.strip() }}{{ 'aXbXc'.split('X')[-1] }}{{ 'abc'[::-1] }}",
            "-xccba",
        ),
        ("{% if 'x' is sequence and messages[0] is mapping %}{{ messages[0].get('nothing', 'else') }}{% endif %}", "else"),
        ("  {% if true %}\n  a\n  {% endif %}\nb", "  a\nb"),
        ("{%- generation -%} g {% endgeneration %}", "g "),
    ] {
        assert_eq!(render(&parse(source), &[user("U")], &[]).unwrap().text, expected, "{source}");
    }
}

#[test]
fn a_dictionary_keeps_its_order_and_its_methods_win_over_its_keys() {
    let source = "{% for t in tools or [] %}{% for k, v in t.function.parameters.items() %}{{ k }},{% endfor %}{{ t.function.parameters | tojson }}{% endfor %}";
    let tools = [Tool {
        name: "t".into(),
        description: None,
        parameters: json!({"type": "object", "properties": {"z": {}, "a": {}}, "items": 1}),
    }];
    let text = render(&parse(source), &[user("U")], &tools).unwrap().text;
    // This template never tells the tool's name, so the tools are told in words as well.
    assert_eq!(text, "");
    let named = parse(&source.replace("{% for k", "{{ t.function.name }}:{% for k"));
    assert_eq!(
        render(&named, &[user("U")], &tools).unwrap().text,
        r#"t:type,properties,items,{"type": "object", "properties": {"z": {}, "a": {}}, "items": 1}"#
    );
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let syntax = ChatTemplate::parse(Some("a\n{% if %}"), None, None).unwrap_err();
    assert!(matches!(&syntax, TemplateError::Syntax(words) if words.contains("line 2")), "{syntax}");
    let refuses = parse("{{ raise_exception('No ' ~ messages[0].role ~ 's here') }}");
    assert_eq!(render(&refuses, &[user("U")], &[]), Err(TemplateError::Refused("No users here".into())));
    let fails = parse("{{ messages[0].nothing.more }}");
    assert!(matches!(render(&fails, &[user("U")], &[]), Err(TemplateError::Failed(words)) if words.contains("line 1")));
    assert!(matches!(ChatTemplate::parse(Some(&"x".repeat((1 << 20) + 1)), None, None), Err(TemplateError::Syntax(_))));
    let format = render(&parse("{{ strftime_now('%Q!') }}"), &[user("U")], &[]);
    assert!(matches!(format, Err(TemplateError::Failed(words)) if words.contains("%Q!")));
}

#[test]
fn text_depth_and_recursion_have_bounds() {
    let long = parse("{% for a in range(1000) %}{% for b in range(1000) %}0123456789{% endfor %}{% endfor %}");
    assert_eq!(render(&long, &[user("U")], &[]), Err(TemplateError::TooLong));
    const { assert!(MAX_TEXT < 10_000_000) };
    let deep = parse("{% set ns = namespace(x=[]) %}{% for a in range(200) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}");
    assert!(matches!(render(&deep, &[user("U")], &[]), Err(TemplateError::Failed(_))));
    let endless = parse("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
    assert!(matches!(render(&endless, &[user("U")], &[]), Err(TemplateError::Failed(_))));
}
