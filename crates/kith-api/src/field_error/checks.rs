//! Checks that dialects share. Each names the field by the path it is given.

use super::FieldError;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use kith_inference::{Format, KeepAlive, Tool, ToolChoice};
use kith_wire::openai::Stop;
use serde_json::{Value, json};

/// The most stop texts, and the most bytes of one.
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 256;
/// The most functions offered to the model, as in OpenAI's contract.
const MAX_TOOLS: usize = 128;
/// The longest name of a function or schema, in characters.
pub(crate) const MAX_NAME: usize = 64;
/// The most alternatives reported with each token.
pub(crate) const MAX_TOP_LOGPROBS: i64 = 20;
/// The largest count a client can name: the native request counts in `u32`.
pub(crate) const MAX_COUNT: i64 = u32::MAX as i64;

/// Base64 with or without padding: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A number between two bounds, both included.
pub(crate) fn within(field: &str, value: Option<f32>, low: f32, high: f32) -> Result<Option<f32>, FieldError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(FieldError::new(field, format!("`{field}` is {value}; it must lie between {low} and {high}")))
        }
        value => Ok(value),
    }
}

/// A number above one bound and at most another.
pub(crate) fn above(field: &str, value: Option<f32>, low: f32, high: f32) -> Result<Option<f32>, FieldError> {
    match value {
        Some(value) if !(value > low && value <= high) => {
            Err(FieldError::new(field, format!("`{field}` is {value}; it must be above {low} and at most {high}")))
        }
        value => Ok(value),
    }
}

/// A whole number between two bounds, both included; `low` and `high` lie within `u32`.
pub(crate) fn whole(field: &str, value: Option<i64>, low: i64, high: i64) -> Result<Option<u32>, FieldError> {
    let Some(value) = value else { return Ok(None) };
    match u32::try_from(value) {
        Ok(count) if (low..=high).contains(&value) => Ok(Some(count)),
        _ if high == MAX_COUNT => Err(FieldError::new(field, format!("`{field}` is {value}; it must be at least {low}"))),
        _ => Err(FieldError::new(field, format!("`{field}` is {value}; it must lie between {low} and {high}"))),
    }
}

/// The log-probabilities asked for: a switch, and how many alternatives.
pub(crate) fn logprobs(switch: Option<bool>, top: Option<i64>) -> Result<Option<u8>, FieldError> {
    let top = whole("top_logprobs", top, 0, MAX_TOP_LOGPROBS)?;
    match (switch, top) {
        (Some(true), top) => Ok(Some(top.and_then(|n| u8::try_from(n).ok()).unwrap_or(0))),
        (_, Some(n)) if n > 0 => Err(FieldError::new("top_logprobs", "`top_logprobs` needs `logprobs` to be true")),
        _ => Ok(None),
    }
}

/// Stop texts: at most 16, each of 1 to 256 bytes.
pub(crate) fn stops(field: &str, stop: Option<Stop>) -> Result<Vec<String>, FieldError> {
    let one = matches!(stop, Some(Stop::One(_)));
    let texts = stop.map(Stop::into_vec).unwrap_or_default();
    if texts.len() > MAX_STOPS {
        return Err(FieldError::new(field, format!("`{field}` has {} texts; at most {MAX_STOPS} are taken", texts.len())));
    }
    if let Some(at) = texts.iter().position(|text| text.is_empty() || text.len() > MAX_STOP_BYTES) {
        let place = if one { field.to_owned() } else { format!("{field}[{at}]") };
        let message = format!("`{place}` has {} bytes; 1 to {MAX_STOP_BYTES} are taken", texts[at].len());
        return Err(FieldError::new(place, message));
    }
    Ok(texts)
}

/// How long the model stays loaded.
pub(crate) fn keep_alive(wish: Option<kith_wire::KeepAlive>) -> Result<Option<KeepAlive>, FieldError> {
    let Some(wish) = wish else { return Ok(None) };
    let time = wish.duration().map_err(|error| FieldError::new("keep_alive", format!("`keep_alive`: {error}")))?;
    Ok(Some(time.map_or(KeepAlive::Forever, KeepAlive::For)))
}

/// A model's name is there.
pub(crate) fn model(name: &str) -> Result<(), FieldError> {
    if name.is_empty() { Err(FieldError::new("model", "`model` is missing")) } else { Ok(()) }
}

/// The adapter asked for; clients send an empty text for none.
pub(crate) fn adapter(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty())
}

/// Whether a name has only letters, digits, `_`, `-` and, where `dots`, `.`; and at most 64 of them.
pub(crate) fn name_ok(name: &str, dots: bool) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || (dots && b == b'.'))
}

/// One function at `field` (`tools[0].function`).
pub(crate) fn tool(
    field: &str,
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
) -> Result<Tool, FieldError> {
    if !name_ok(&name, true) {
        let at = format!("{field}.name");
        let message = format!("`{at}` must have 1 to {MAX_NAME} letters, digits, `_`, `-` or `.`");
        return Err(FieldError::new(at, message));
    }
    let parameters = match parameters {
        // A function without arguments, in each way clients write it.
        None | Some(Value::Null) => json!({"type": "object", "properties": {}}),
        Some(Value::Object(schema)) => Value::Object(schema),
        Some(_) => {
            let at = format!("{field}.parameters");
            let message = format!("`{at}` must be a JSON Schema, an object");
            return Err(FieldError::new(at, message));
        }
    };
    Ok(Tool { name, description, parameters })
}

/// At most 128 functions, no two of one name.
pub(crate) fn tools(tools: Vec<Tool>) -> Result<Vec<Tool>, FieldError> {
    if tools.len() > MAX_TOOLS {
        return Err(FieldError::new("tools", format!("`tools` has {} entries; at most {MAX_TOOLS} are taken", tools.len())));
    }
    for (at, tool) in tools.iter().enumerate() {
        if tools[..at].iter().any(|earlier| earlier.name == tool.name) {
            let field = format!("tools[{at}].function.name");
            let message = format!("`{field}`: there are two functions named `{}`", tool.name);
            return Err(FieldError::new(field, message));
        }
    }
    Ok(tools)
}

/// The same for dialects that have a function's fields in the tool itself: `tools[0].name`.
pub(crate) fn flat_tools(list: Vec<Tool>) -> Result<Vec<Tool>, FieldError> {
    let flat = |text: String| text.replace("].function.", "].");
    tools(list).map_err(|error| FieldError { field: flat(error.field), message: flat(error.message) })
}

/// The shape of an answer that follows a JSON Schema.
pub(crate) fn schema(field: &str, schema: Value) -> Result<Format, FieldError> {
    if schema.is_object() {
        Ok(Format::JsonSchema(schema))
    } else {
        Err(FieldError::new(field, format!("`{field}` must be a JSON Schema, an object")))
    }
}

/// Whether the model must call one of `tools`: `auto`, `none`, or `required`, which some clients write `any`.
pub(crate) fn tool_mode(field: &str, mode: &str, tools: &[Tool]) -> Result<ToolChoice, FieldError> {
    match mode {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" if tools.is_empty() => {
            Err(FieldError::new(field, format!("`{field}` asks for a call, but there are no `tools`")))
        }
        "required" | "any" => Ok(ToolChoice::Required),
        _ => {
            let message = format!("`{field}` must be `auto`, `none`, `required`, or an object that names a function");
            Err(FieldError::new(field, message))
        }
    }
}

/// The tool at `field` that must be called is one of `tools`.
pub(crate) fn tool_named(field: &str, name: &str, tools: &[Tool]) -> Result<ToolChoice, FieldError> {
    if tools.iter().any(|tool| tool.name == name) {
        return Ok(ToolChoice::Named(name.to_owned()));
    }
    let (shown, parent): (String, _) = (name.chars().take(MAX_NAME).collect(), field.split('.').next().unwrap_or(field));
    Err(FieldError::new(field, format!("`{parent}` names `{shown}`, which is not among `tools`")))
}

/// An image file in Base64.
pub(crate) fn image(field: &str, text: &str) -> Result<Vec<u8>, FieldError> {
    let refuse = |why: &str| FieldError::new(field, format!("`{field}` {why}"));
    // Some clients wrap long lines.
    let wrapped = text.bytes().any(|b| b.is_ascii_whitespace());
    let bytes = if wrapped {
        let joined: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        BASE64.decode(joined)
    } else {
        BASE64.decode(text)
    };
    match bytes {
        Ok(bytes) if bytes.is_empty() => Err(refuse("is an empty image")),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(refuse("is not Base64")),
    }
}

/// The Base64 of a `data:` URL, if the text is one.
pub(crate) fn data_url(text: &str) -> Option<Result<&str, &'static str>> {
    let (scheme, rest) = text.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("data") {
        return None;
    }
    Some(match rest.split_once(',') {
        Some((kind, data)) if kind.to_ascii_lowercase().ends_with(";base64") => Ok(data),
        _ => Err("is a `data:` URL, but not one in Base64"),
    })
}

/// The arguments of an earlier tool call: an object, or the text of one. Nothing counts as no arguments.
pub(crate) fn arguments(field: &str, value: Value) -> Result<Value, FieldError> {
    let value = match value {
        Value::Null => json!({}),
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => {
            serde_json::from_str(&text).map_err(|error| FieldError::new(field, format!("`{field}` is not JSON: {error}")))?
        }
        other => other,
    };
    if value.is_object() { Ok(value) } else { Err(FieldError::new(field, format!("`{field}` must be a JSON object"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_part_of_what_is_taken_unless_said_otherwise() {
        assert_eq!(within("t", Some(2.0), 0.0, 2.0), Ok(Some(2.0)));
        assert_eq!(within("t", Some(2.1), 0.0, 2.0).unwrap_err().message, "`t` is 2.1; it must lie between 0 and 2");
        assert!(within("t", Some(f32::INFINITY), 0.0, 2.0).is_err() && within("t", Some(f32::NAN), 0.0, 2.0).is_err());
        assert!(above("p", Some(0.0), 0.0, 1.0).is_err() && above("p", Some(f32::NAN), 0.0, 1.0).is_err());
        assert_eq!(above("p", Some(1.0), 0.0, 1.0), Ok(Some(1.0)));
        assert_eq!(whole("n", Some(MAX_COUNT), 1, MAX_COUNT), Ok(Some(u32::MAX)));
        assert_eq!(whole("n", Some(-1), 1, MAX_COUNT).unwrap_err().message, "`n` is -1; it must be at least 1");
        assert!(whole("n", Some(MAX_COUNT + 1), 1, MAX_COUNT).is_err());
    }

    #[test]
    fn stops_beyond_their_bounds_are_named() {
        let many = |n: usize, text: &str| stops("stop", Some(Stop::Many(vec![text.to_owned(); n])));
        assert_eq!(many(16, &"x".repeat(256)).unwrap().len(), 16);
        assert_eq!(many(17, "x").unwrap_err().field, "stop");
        assert_eq!(many(1, &"x".repeat(257)).unwrap_err().field, "stop[0]");
        assert_eq!(stops("stop", Some(Stop::One(String::new()))).unwrap_err().field, "stop");
        assert_eq!(stops("stop", None), Ok(vec![]));
    }

    #[test]
    fn images_are_base64_with_or_without_padding() {
        assert_eq!(image("i", "aGk="), Ok(b"hi".to_vec()));
        assert_eq!(image("i", "aGk"), Ok(b"hi".to_vec()));
        assert_eq!(image("i", "aG\nk="), Ok(b"hi".to_vec()));
        assert_eq!(image("i", "a*k=").unwrap_err().message, "`i` is not Base64");
        assert!(image("i", "").is_err());
        assert_eq!(data_url("DATA:image/png;base64,aGk="), Some(Ok("aGk=")));
        assert!(matches!(data_url("data:image/png,hi"), Some(Err(_))));
        assert_eq!(data_url("https://example.org/a.png"), None);
    }

    #[test]
    fn at_most_128_functions_of_different_names_are_taken() {
        let make = |n: usize| (0..n).map(|i| tool("tools[0].function", format!("f{i}"), None, None).unwrap()).collect::<Vec<_>>();
        assert_eq!(tools(make(128)).unwrap().len(), 128);
        assert_eq!(tools(make(129)).unwrap_err().field, "tools");
        let twice = vec![make(1).remove(0), make(1).remove(0)];
        assert_eq!(tools(twice).unwrap_err().field, "tools[1].function.name");
        assert_eq!(tool("f", "a b".into(), None, None).unwrap_err().field, "f.name");
        assert_eq!(tool("f", "a".into(), None, Some(json!([]))).unwrap_err().field, "f.parameters");
    }

    #[test]
    fn alternatives_need_the_switch() {
        assert_eq!(logprobs(None, None), Ok(None));
        assert_eq!(logprobs(Some(true), None), Ok(Some(0)));
        assert_eq!(logprobs(Some(true), Some(20)), Ok(Some(20)));
        assert_eq!(logprobs(Some(false), Some(0)), Ok(None));
        for (switch, top) in [(None, 1), (Some(false), 1), (Some(true), 21), (Some(true), -1)] {
            assert_eq!(logprobs(switch, Some(top)).unwrap_err().field, "top_logprobs");
        }
    }
}
