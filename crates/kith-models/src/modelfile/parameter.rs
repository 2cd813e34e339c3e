//! Parameters by their names: which there are, and what kind of value each has.

use serde_json::{Map, Value};

/// What kind of value a parameter has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Fraction,
    Truth,
    /// One of a list of texts.
    Texts,
}

/// Ollama's parameters. Those that have no meaning here are kept and shown, and change nothing.
const KNOWN: [(&str, Kind); 29] = [
    ("num_ctx", Kind::Whole),
    ("num_batch", Kind::Whole),
    ("num_gpu", Kind::Whole),
    ("main_gpu", Kind::Whole),
    ("num_thread", Kind::Whole),
    ("num_keep", Kind::Whole),
    ("num_predict", Kind::Whole),
    ("num_gqa", Kind::Whole),
    ("seed", Kind::Whole),
    ("top_k", Kind::Whole),
    ("repeat_last_n", Kind::Whole),
    ("mirostat", Kind::Whole),
    ("temperature", Kind::Fraction),
    ("top_p", Kind::Fraction),
    ("min_p", Kind::Fraction),
    ("tfs_z", Kind::Fraction),
    ("typical_p", Kind::Fraction),
    ("repeat_penalty", Kind::Fraction),
    ("presence_penalty", Kind::Fraction),
    ("frequency_penalty", Kind::Fraction),
    ("mirostat_tau", Kind::Fraction),
    ("mirostat_eta", Kind::Fraction),
    ("penalize_newline", Kind::Truth),
    ("low_vram", Kind::Truth),
    ("f16_kv", Kind::Truth),
    ("logits_all", Kind::Truth),
    ("use_mmap", Kind::Truth),
    ("use_mlock", Kind::Truth),
    ("stop", Kind::Texts),
];

/// Adds a parameter; a list grows, anything else is replaced.
pub(super) fn add(parameters: &mut Map<String, Value>, name: &str, text: &str) -> Result<(), String> {
    let name = name.to_ascii_lowercase();
    let Some((_, kind)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        let short: String = name.chars().take(64).collect();
        return Err(format!("there is no parameter `{short}`"));
    };
    let wrong =
        |what: &str| format!("the parameter `{name}` must be {what}, not `{}`", text.chars().take(64).collect::<String>());
    let value = match kind {
        Kind::Whole => Value::from(text.parse::<i64>().map_err(|_| wrong("a whole number"))?),
        Kind::Fraction => {
            let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(|| wrong("a number"))?)
        }
        Kind::Truth => Value::from(text.parse::<bool>().map_err(|_| wrong("`true` or `false`"))?),
        Kind::Texts => {
            if let Some(Value::Array(texts)) = parameters.get_mut(&name) {
                texts.push(Value::from(text));
                return Ok(());
            }
            Value::from(vec![text])
        }
    };
    parameters.insert(name, value);
    Ok(())
}

/// A parameter's values as texts, one for each line it takes.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        value => vec![value.to_string()],
    }
}
