//! What counts as a call: JSON that names an offered tool.

use serde_json::{Map, Value};

/// A call as a model wrote it, still without an id.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    pub(super) name: String,
    /// Always an object.
    pub(super) arguments: Value,
}

/// Keys an unmarked object may have; any other makes it an ordinary JSON answer.
pub(super) const KEYS: [&str; 7] = ["name", "arguments", "parameters", "type", "function", "id", "tool_calls"];

/// The calls of one JSON value: one call, or a list of nothing but calls. `None` if it is something else.
///
/// An `unmarked` value stands in the answer without any call syntax around it, so it must have no other keys than [`KEYS`].
pub(super) fn calls(value: Value, names: &[String], unmarked: bool) -> Option<Vec<Written>> {
    match value {
        Value::Array(items) if !items.is_empty() => items.into_iter().map(|item| call(item, names, unmarked)).collect(),
        Value::Object(mut object) if object.len() == 1 && object.contains_key("tool_calls") => {
            object.remove("tool_calls").filter(Value::is_array).and_then(|list| calls(list, names, unmarked))
        }
        object @ Value::Object(_) => call(object, names, unmarked).map(|call| vec![call]),
        _ => None,
    }
}

/// One call: `{"name": …, "arguments" or "parameters": …}`, or that inside or beside `"function"`.
fn call(value: Value, names: &[String], unmarked: bool) -> Option<Written> {
    let Value::Object(mut object) = value else { return None };
    if unmarked && !object.keys().all(|key| KEYS.contains(&key.as_str())) {
        return None;
    }
    let name = match object.remove("function") {
        Some(Value::Object(inner)) => {
            object = inner;
            object.remove("name")
        }
        Some(name @ Value::String(_)) => Some(name),
        _ => object.remove("name"),
    };
    let Some(Value::String(name)) = name else { return None };
    if !names.contains(&name) {
        return None;
    }
    let arguments = object.remove("arguments").or_else(|| object.remove("parameters"));
    // Unmarked JSON that only has a name is as likely an answer as a call.
    if unmarked && arguments.is_none() {
        return None;
    }
    Some(Written { name, arguments: arguments_object(arguments)? })
}

/// Arguments as an object: absent and null are empty, and a string is read as JSON, since some models quote it.
pub(super) fn arguments_object(arguments: Option<Value>) -> Option<Value> {
    match arguments {
        None | Some(Value::Null) => Some(Value::Object(Map::new())),
        Some(object @ Value::Object(_)) => Some(object),
        Some(Value::String(text)) => serde_json::from_str(&text).ok().filter(Value::is_object),
        Some(_) => None,
    }
}

/// Letters and digits of an id.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A new id: `call_` and 24 letters and digits. `random` fills its argument with random bytes.
pub(super) fn new_id(random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut bytes = [0_u8; 48];
    random(&mut bytes);
    let letters = bytes.chunks_exact(2).map(|pair| {
        // Sixteen bits for one of 62 letters: the bias is below one in a thousand.
        let index = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % ALPHABET.len();
        char::from(ALPHABET[index])
    });
    "call_".chars().chain(letters).collect()
}
