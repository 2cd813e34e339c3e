//! The Jinja environment as templates written for Python expect it.

use super::value::{Style, write_value};
use chrono::{DateTime, Utc};
use kith_types::Timestamp;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind, from_args},
};
use std::fmt::Write;

/// How deep macros and includes may nest. Templates in the wild use two or three levels.
const MAX_RECURSION: usize = 128;
/// The most instructions one layout may take. A conversation of a thousand messages takes some hundred thousand.
const FUEL: u64 = 4_000_000;

/// Compiles `source` as the only template, under `name`.
pub(super) fn compile(name: &'static str, source: &str) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_recursion_limit(MAX_RECURSION);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(method);
    environment.set_formatter(|out, _, value| {
        match value.as_str() {
            Some(text) => out.write_str(text)?,
            None if value.is_undefined() => {}
            None => out.write_str(&write_value(value, &Style::Python)?)?,
        }
        Ok(())
    });
    environment.add_filter("tojson", tojson);
    environment.add_filter("string", |value: &Value| match value.as_str() {
        Some(text) => Ok(Value::from(text)),
        None => write_value(value, &Style::Python).map(Value::from),
    });
    // In Python strings and dictionaries are sequences too.
    environment.add_test("sequence", |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String));
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(Raised(message)))
    });
    environment.add_template_owned(name, without_generation_marks(source))?;
    Ok(environment)
}

/// The words of a template's `raise_exception`, if that is what happened.
pub(super) fn refusal(error: &Error) -> Option<&str> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(Raised(words)) = error.downcast_ref() {
            return Some(words);
        }
        cause = error.source();
    }
    None
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

/// The function `strftime_now(format)`, at a fixed instant in UTC.
pub(super) fn strftime(now: Timestamp) -> Value {
    let now = DateTime::<Utc>::from_timestamp_millis(now.ms()).unwrap_or(DateTime::UNIX_EPOCH);
    Value::from_function(move |format: &str| {
        let mut text = String::new();
        match write!(text, "{}", now.format(format)) {
            Ok(()) => Ok(text),
            Err(_) => Err(Error::new(ErrorKind::InvalidOperation, format!("`{format}` is no format of time"))),
        }
    })
}

/// Methods of Python's strings, lists and dictionaries.
fn method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), method) {
        (Some(text), "removeprefix") => {
            let (affix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_prefix(affix).unwrap_or(text)))
        }
        (Some(text), "removesuffix") => {
            let (affix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_suffix(affix).unwrap_or(text)))
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// `json.dumps` as `transformers` offers it: no HTML escapes, letters of all scripts kept, keys in their order.
fn tojson(value: &Value, position: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let mut ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let mut indent = options.get::<Option<usize>>("indent")?;
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    options.assert_all_used()?;
    // The first argument is `ensure_ascii` in `transformers` and `indent` in Jinja; their types tell them apart.
    if let Some(position) = position {
        match bool::try_from(position.clone()) {
            Ok(flag) => ascii = flag,
            Err(_) => indent = Some(usize::try_from(position)?),
        }
    }
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "separators must be two texts")),
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    write_value(value, &Style::Json { indent, ascii, sorted, item, key })
}

/// `{% generation %}` marks what a model is trained on. It has no meaning here, and this engine does not know it.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, tail)) = rest.split_once("{%") {
        out.push_str(before);
        out.push_str("{%");
        rest = tail;
        let Some((inside, after)) = tail.split_once("%}") else { continue };
        let word = inside.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+'));
        let plain = match word {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => continue,
        };
        out.push_str(&inside.replace(word, plain));
        out.push_str("%}");
        rest = after;
    }
    out.push_str(rest);
    out
}
