//! Tools told in words, for models whose chat template knows none. The wording and the syntax are those of Hermes, which most open
//! models have seen.

use super::schema::parameters;
use crate::{Message, Role, Tool};
use serde_json::{Value, json};

/// A tool as chat templates and prompts show it (the form of the OpenAI API).
pub(crate) fn shown(tool: &Tool) -> Value {
    let mut function = serde_json::Map::new();
    function.insert("name".to_owned(), json!(tool.name));
    if let Some(description) = &tool.description {
        function.insert("description".to_owned(), json!(description));
    }
    function.insert("parameters".to_owned(), parameters(tool));
    json!({ "type": "function", "function": function })
}

/// What to tell a model about `tools`; empty without tools.
fn system_preamble(tools: &[Tool]) -> String {
    if tools.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = tools.iter().map(|tool| shown(tool).to_string()).collect();
    format!(
        "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
         You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\n\
         For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n\
         <tool_call>\n{{\"name\": <function-name>, \"arguments\": <args-json-object>}}\n</tool_call>",
        lines.join("\n")
    )
}

/// A conversation with its tools, calls and results written out as text. The tools go to the end of the system message, or into a new
/// one; results become turns of the user, several in a row one turn.
pub(crate) fn fold(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut folded: Vec<Message> = Vec::with_capacity(messages.len() + 1);
    let mut after_result = false;
    for message in messages {
        let is_result = message.role == Role::Tool;
        if is_result {
            let text = format!("<tool_response>\n{}\n</tool_response>", message.content);
            match folded.last_mut() {
                Some(last) if after_result => {
                    last.content.push('\n');
                    last.content.push_str(&text);
                }
                _ => folded.push(Message::text(Role::User, text)),
            }
        } else {
            let mut plain = message.clone();
            for call in std::mem::take(&mut plain.tool_calls) {
                if !plain.content.is_empty() {
                    plain.content.push('\n');
                }
                let call = json!({ "name": call.name, "arguments": call.arguments });
                plain.content.push_str(&format!("<tool_call>\n{call}\n</tool_call>"));
            }
            folded.push(plain);
        }
        after_result = is_result;
    }
    let preamble = system_preamble(tools);
    if !preamble.is_empty() {
        match folded.first_mut() {
            Some(system) if system.role == Role::System && system.content.is_empty() => system.content = preamble,
            Some(system) if system.role == Role::System => {
                system.content.push_str("\n\n");
                system.content.push_str(&preamble);
            }
            _ => folded.insert(0, Message::text(Role::System, preamble)),
        }
    }
    folded
}
