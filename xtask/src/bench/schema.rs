//! `bench schema`: answers constrained to a JSON Schema, each of another seed, checked one by one.

use std::io::Read;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::inference::{Scratch, command, start};
use super::machine;
use crate::paths::Paths;
use crate::{check, http, model, process, setup};

const TRIES: usize = 200;

/// Measures and gives the section of the page.
pub fn measure(paths: &Paths) -> Result<String> {
    let file = setup::for_running(paths)?;
    process::run(&mut check::build(paths))?;
    let folder = Scratch::make(paths)?;
    let data = folder.0.join("node");
    let (_node, url) = start(paths, &data)?;
    process::run(command(paths, &data).arg("import").arg(&file).args(["--name", model::NAME]))?;
    let schemas = schemas();
    let (mut valid, mut cut) = (0, 0);
    for number in 0..TRIES {
        let (subject, schema) = &schemas[number % schemas.len()];
        let said = ask(&url, subject, schema, number)?;
        if said["choices"][0]["finish_reason"] == "length" {
            // Cut by the bound the request itself set: what was written is a beginning, and counts against us all the same.
            cut += 1;
        }
        let text = said["choices"][0]["message"]["content"].as_str().context("no content")?;
        let fault = match serde_json::from_str(text) {
            Ok(value) => fault(&value, schema),
            Err(error) => Some(error.to_string()),
        };
        match fault {
            None => valid += 1,
            Some(fault) => eprintln!("try {number}: {fault}: {text}"),
        }
    }
    let mut text = format!(
        "{} at temperature 1, {} schemas in turn, a seed of its own each, on {}.\n\n",
        model::NAME,
        schemas.len(),
        machine::described()
    );
    text += "| what | measured | wanted |\n|---|--:|--:|\n";
    text += &format!("| valid by their schema | {valid} of {TRIES} | {TRIES} of {TRIES} |\n");
    text += &format!("| of the others, cut at the request's own bound | {cut} | |\n");
    Ok(text)
}

fn ask(url: &str, subject: &str, schema: &Value, seed: usize) -> Result<Value> {
    let body = json!({
        "model": model::NAME, "temperature": 1.0, "seed": seed, "max_tokens": 400,
        "messages": [{"role": "user", "content": format!("Describe {subject} as JSON.")}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}},
    });
    let mut answer = http::post(url, "/v1/chat/completions", &body.to_string())?;
    let mut text = String::new();
    answer.body.read_to_string(&mut text)?;
    if answer.status != 200 {
        bail!("answered {}: {text}", answer.status);
    }
    serde_json::from_str(&text).context("not JSON")
}

fn schemas() -> Vec<(&'static str, Value)> {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 24});
    vec![
        (
            "a city",
            json!({"type": "object", "additionalProperties": false, "required": ["name", "people", "capital"], "properties": {
                "name": name, "people": {"type": "integer", "minimum": 0, "maximum": 50_000_000}, "capital": {"type": "boolean"}}}),
        ),
        (
            "a shopping list",
            json!({"type": "array", "minItems": 1, "maxItems": 4, "items": {
                "type": "object", "additionalProperties": false, "required": ["item", "count", "shop"], "properties": {
                    "item": name, "count": {"type": "integer", "minimum": 1, "maximum": 99},
                    "shop": {"enum": ["baker", "grocer", "market"]}}}}),
        ),
        (
            "a book",
            json!({"type": "object", "additionalProperties": false, "required": ["title", "author", "year", "tags"], "properties": {
                "title": name, "year": {"type": ["integer", "null"], "minimum": 0, "maximum": 2100},
                "author": {"type": "object", "additionalProperties": false, "required": ["first", "last"],
                           "properties": {"first": name, "last": name}},
                "tags": {"type": "array", "maxItems": 3, "items": {"enum": ["fiction", "history", "poetry", "science"]}}}}),
        ),
        ("a colour", json!({"enum": ["red", "green", "blue", null, 7]})),
    ]
}

/// What in the value is against the schema: those words of JSON Schema that [`schemas`] uses.
fn fault(value: &Value, schema: &Value) -> Option<String> {
    if let Some(allowed) = schema["enum"].as_array() {
        return (!allowed.contains(value)).then(|| format!("{value} is none of {allowed:?}"));
    }
    let is = |kind: &Value| match kind.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    let kinds = &schema["type"];
    if !kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is)) {
        return Some(format!("{value} is no {kinds}"));
    }
    let within = |size: u64, least: &str, most: &str| {
        size >= schema[least].as_u64().unwrap_or(0) && size <= schema[most].as_u64().unwrap_or(u64::MAX)
    };
    match value {
        Value::String(text) => {
            (!within(text.chars().count() as u64, "minLength", "maxLength")).then(|| format!("length of {value}"))
        }
        Value::Number(number) => (!number.as_u64().is_some_and(|number| within(number, "minimum", "maximum")))
            .then(|| format!("{value} is out of bounds")),
        Value::Array(items) if !within(items.len() as u64, "minItems", "maxItems") => Some(format!("number of items in {value}")),
        Value::Array(items) => items.iter().find_map(|item| fault(item, &schema["items"])),
        Value::Object(fields) => {
            let known = &schema["properties"];
            let missing = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|name| !fields.contains_key(name.as_str().unwrap_or("")));
            let missing = missing.map(|name| format!("{name} is missing"));
            missing.or_else(|| {
                fields.iter().find_map(|(name, value)| match known.get(name) {
                    Some(schema) => fault(value, schema),
                    None => Some(format!("{name} is not expected")),
                })
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_a_schema_is_checked() {
        let schemas = schemas();
        let check = |schema: usize, value: Value| fault(&value, &schemas[schema].1);
        assert_eq!(check(0, json!({"name": "Oslo", "people": 700_000, "capital": true})), None);
        for wrong in [
            json!({"name": "", "people": 1, "capital": true}),
            json!({"name": "x", "people": -1, "capital": true}),
            json!({"name": "x", "people": 1.5, "capital": true}),
            json!({"name": "x", "people": 1}),
            json!({"name": "x", "people": 1, "capital": true, "more": 1}),
            json!([]),
        ] {
            assert!(check(0, wrong.clone()).is_some(), "{wrong}");
        }
        assert_eq!(check(1, json!([{"item": "egg", "count": 6, "shop": "market"}])), None);
        assert!(check(1, json!([])).is_some() && check(1, json!([{"item": "egg", "count": 6, "shop": "pub"}])).is_some());
        assert_eq!(
            check(2, json!({"title": "T", "author": {"first": "A", "last": "B"}, "year": null, "tags": ["poetry"]})),
            None
        );
        assert!(check(2, json!({"title": "T", "author": {"first": "A"}, "year": null, "tags": []})).is_some());
        assert_eq!(check(3, json!(7)), None);
        assert!(check(3, json!(8)).is_some());
    }
}
