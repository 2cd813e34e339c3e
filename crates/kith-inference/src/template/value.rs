//! Values as templates see them: dictionaries that keep their order, and the two ways Python writes a value down.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Enumerator, Object, ObjectExt, ValueKind, from_args},
};
use std::{borrow::Cow, fmt::Write, sync::Arc};

/// The deepest nesting written down.
const MAX_DEPTH: usize = 128;
/// The most bytes of one value written down.
const MAX_BYTES: usize = 8 << 20;

/// A dictionary with its keys in the order they were given.
#[derive(Debug)]
pub(super) struct Dictionary(Vec<(Cow<'static, str>, Value)>);

impl Dictionary {
    /// The value of a dictionary with these fields.
    pub(super) fn value(fields: Vec<(&'static str, Value)>) -> Value {
        Value::from_object(Self(fields.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect()))
    }
}

impl Object for Dictionary {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_key_value_enumerator(|this| {
            Box::new(this.0.iter().map(|(key, value)| (Value::from(key.as_ref()), value.clone())))
        })
    }

    /// The methods come before the keys: a JSON Schema has a key `items`, and its template calls `.items()`.
    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let keys = || self.0.iter().map(|(key, _)| Value::from(key.as_ref()));
        let values = || self.0.iter().map(|(_, value)| value.clone());
        match method {
            "items" => Ok(keys().zip(values()).map(|(key, value)| Value::from(vec![key, value])).collect()),
            "keys" => Ok(keys().collect()),
            "values" => Ok(values().collect()),
            "get" => {
                let (key, default): (&str, Option<Value>) = from_args(args)?;
                Ok(self.get_value_by_str(key).or(default).unwrap_or_else(|| Value::from(())))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// JSON as a template's value.
pub(super) fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Object(object) => Value::from_object(Dictionary(
            object.iter().map(|(key, value)| (Cow::Owned(key.clone()), from_json(value))).collect(),
        )),
        serde_json::Value::Array(items) => items.iter().map(from_json).collect::<Vec<_>>().into(),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        plain => Value::from_serialize(plain),
    }
}

/// How a value is written down.
pub(super) enum Style {
    /// As `print` writes it.
    Python,
    /// As `json.dumps` does.
    Json {
        /// Spaces of one level; `None` writes one line.
        indent: Option<usize>,
        /// Escape all but ASCII.
        ascii: bool,
        /// Sort the keys.
        sorted: bool,
        /// Between two items.
        item: String,
        /// Between a key and its value.
        key: String,
    },
}

/// Writes `value` down. Fails on what the style cannot express, on nesting below 128 levels and on more than 8 MiB.
pub(super) fn write_value(value: &Value, style: &Style) -> Result<String, Error> {
    let mut out = String::new();
    write(&mut out, value, style, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH || out.len() > MAX_BYTES {
        return Err(Error::new(ErrorKind::InvalidOperation, "the value is too deep or too long to be written"));
    }
    let json = matches!(style, Style::Json { .. });
    match value.kind() {
        ValueKind::None => out.push_str(if json { "null" } else { "None" }),
        ValueKind::Bool => out.push_str(match (value.is_true(), json) {
            (true, true) => "true",
            (true, false) => "True",
            (false, true) => "false",
            (false, false) => "False",
        }),
        ValueKind::Number if value.is_integer() => write!(out, "{value}")?,
        ValueKind::Number => out.push_str(&python_float(f64::try_from(value.clone())?)),
        ValueKind::String => write_text(out, value.as_str().unwrap_or_default(), style)?,
        ValueKind::Map => {
            let keys: Vec<Value> = value.try_iter()?.collect();
            let mut pairs = Vec::with_capacity(keys.len());
            for key in keys {
                let item = value.get_item(&key)?;
                pairs.push((key, item));
            }
            if matches!(style, Style::Json { sorted: true, .. }) {
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            write_list(out, ('{', '}'), &pairs, style, depth, |out, (key, item)| {
                match (json, key.as_str()) {
                    (true, None) => write_text(out, &write_value(key, style)?, style)?,
                    _ => write(out, key, style, depth + 1)?,
                }
                out.push_str(if let Style::Json { key, .. } = style { key } else { ": " });
                write(out, item, style, depth + 1)
            })?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            write_list(out, ('[', ']'), &items, style, depth, |out, item| write(out, item, style, depth + 1))?;
        }
        _ if json => return Err(Error::new(ErrorKind::InvalidOperation, "an undefined value cannot be written as JSON")),
        _ => write!(out, "{value}")?,
    }
    Ok(())
}

fn write_list<T>(
    out: &mut String,
    brackets: (char, char),
    items: &[T],
    style: &Style,
    depth: usize,
    mut each: impl FnMut(&mut String, &T) -> Result<(), Error>,
) -> Result<(), Error> {
    let (separator, indent) = match style {
        Style::Python => (", ", None),
        Style::Json { item, indent, .. } => (item.as_str(), *indent),
    };
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent.min(16) * depth));
        }
    };
    out.push(brackets.0);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        line(out, depth + 1);
        each(out, item)?;
    }
    if !items.is_empty() {
        line(out, depth);
    }
    out.push(brackets.1);
    Ok(())
}

fn write_text(out: &mut String, text: &str, style: &Style) -> Result<(), Error> {
    let Style::Json { ascii, .. } = style else {
        // Python prefers single quotes, unless only they occur in the text.
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        out.push(quote);
        for character in text.chars() {
            match character {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\\' => out.push_str("\\\\"),
                _ if character == quote => out.extend(['\\', quote]),
                _ if character.is_control() && u32::from(character) < 0x100 => write!(out, "\\x{:02x}", u32::from(character))?,
                _ => out.push(character),
            }
        }
        out.push(quote);
        return Ok(());
    };
    let quoted = serde_json::to_string(text).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    if !ascii {
        out.push_str(&quoted);
        return Ok(());
    }
    for character in quoted.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
    }
    Ok(())
}

/// A float as Python writes it: `1.0`, `1e-05`, `1e+16`.
fn python_float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
            format!("{digits}e{sign}{size:0>2}")
        }
        None => text,
    }
}
