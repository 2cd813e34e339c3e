//! JSON Schemas of tools: of one tool's arguments, and of an answer that must be a call.

use super::offered;
use crate::{Tool, ToolChoice};
use serde_json::{Map, Value, json};

/// The most calls of one forced answer. Without a bound a small model can go on calling until its window is full.
const MAX_CALLS: usize = 16;

/// Keywords whose value is data, not a schema.
const DATA: [&str; 5] = ["const", "enum", "default", "example", "examples"];

/// Whether these can be the parameters of a tool: the schema of an object, or nothing.
pub(super) fn check(parameters: &Value) -> Result<(), String> {
    let object = match parameters {
        Value::Null => return Ok(()),
        Value::Object(object) => object,
        _ => return Err("the parameters must be a JSON Schema of an object".to_owned()),
    };
    match object.get("type") {
        None => {}
        Some(Value::String(kind)) if kind == "object" => {}
        Some(other) => return Err(format!("the parameters must have the type \"object\", not {other}")),
    }
    match object.get("properties") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err("`properties` of the parameters must be an object".to_owned()),
    }
}

/// The schema of a tool's arguments, with the parts that may be left out.
pub(crate) fn parameters(tool: &Tool) -> Value {
    let mut object = match &tool.parameters {
        Value::Object(object) => object.clone(),
        _ => Map::new(),
    };
    let refers = object.contains_key("$ref");
    if !refers && !object.contains_key("type") {
        object.insert("type".to_owned(), json!("object"));
    }
    if !refers && !["properties", "anyOf", "oneOf", "allOf"].iter().any(|key| object.contains_key(*key)) {
        object.insert("properties".to_owned(), json!({}));
    }
    Value::Object(object)
}

/// The schema of an answer that must be a call: `{"name": …, "arguments": {…}}`, or if `parallel` a list of 1 to 16 of them.
/// `None` if nothing is forced. [`super::ToolParser`] reads the answer.
pub(crate) fn forced_schema(tools: &[Tool], choice: &ToolChoice, parallel: bool) -> Option<Value> {
    if !matches!(choice, ToolChoice::Required | ToolChoice::Named(_)) {
        return None;
    }
    let tools: Vec<&Tool> = offered(tools, choice).collect();
    let place = if parallel { "#/items" } else { "#" };
    let one = match tools.as_slice() {
        [] => return None,
        [tool] => call(tool, place),
        several => {
            let branches: Vec<Value> =
                several.iter().enumerate().map(|(index, tool)| call(tool, &format!("{place}/anyOf/{index}"))).collect();
            json!({ "anyOf": branches })
        }
    };
    Some(if parallel { json!({ "type": "array", "items": one, "minItems": 1, "maxItems": MAX_CALLS }) } else { one })
}

/// The schema of a call of `tool`, which will stand at the JSON pointer `place`.
fn call(tool: &Tool, place: &str) -> Value {
    let mut arguments = parameters(tool);
    move_references(&mut arguments, &format!("{place}/properties/arguments"), false);
    json!({
        "type": "object",
        "properties": { "name": { "const": tool.name }, "arguments": arguments },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// References within a tool's schema are relative to its own root; it now stands at `root` of another schema. In a `dictionary`
/// (`properties`, `$defs`) keys are names, not keywords.
fn move_references(schema: &mut Value, root: &str, dictionary: bool) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (dictionary, key.as_str(), value) {
                    (false, "$ref", Value::String(target)) => {
                        if let Some(rest) = target.strip_prefix('#')
                            && (rest.is_empty() || rest.starts_with('/'))
                        {
                            *target = format!("{root}{rest}");
                        }
                    }
                    (false, key, _) if DATA.contains(&key) => {}
                    (false, key, value) => {
                        let names =
                            ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"].contains(&key);
                        move_references(value, root, names);
                    }
                    (true, _, value) => move_references(value, root, false),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, root, false)),
        _ => {}
    }
}
