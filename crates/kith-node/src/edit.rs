//! Changes to the text of config.toml that leave everything else in it as it was: comments, order, spacing.

use serde_json::{Map, Value as Json};
use std::{collections::BTreeSet, path::Path};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

/// A key that cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `table.key`; empty where the whole text is at fault.
    pub key: String,
    /// One sentence.
    pub message: String,
}

fn fault(key: &str, message: impl Into<String>) -> Fault {
    Fault { key: key.to_owned(), message: message.into() }
}

fn parse(text: &str) -> Result<DocumentMut, Fault> {
    text.parse().map_err(|error: toml_edit::TomlError| fault("", format!("config.toml is not TOML: {}", error.message())))
}

/// The keys of the text, `table.key`.
pub(crate) fn keys(text: &str) -> Result<BTreeSet<String>, Fault> {
    fn walk(prefix: &str, table: &dyn TableLike, keys: &mut BTreeSet<String>) {
        for (key, item) in table.iter() {
            let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            match item.as_table_like() {
                Some(inner) => walk(&path, inner, keys),
                None => {
                    keys.insert(path);
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    walk("", parse(text)?.as_table(), &mut found);
    Ok(found)
}

fn toml_value(key: &str, value: &Json) -> Result<Value, Fault> {
    match value {
        Json::Bool(value) => Ok((*value).into()),
        Json::String(text) => Ok(text.as_str().into()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(whole.into()),
            (None, Some(fraction)) if number.is_f64() => Ok(fraction.into()),
            _ => Err(fault(key, format!("`{key}`: {number} is too large"))),
        },
        Json::Array(values) => {
            let values: Result<Vec<Value>, Fault> = values.iter().map(|value| toml_value(key, value)).collect();
            Ok(Array::from_iter(values?).into())
        }
        Json::Null | Json::Object(_) => Err(fault(key, format!("`{key}` cannot be {value}"))),
    }
}

/// The text with these settings; null takes one away. Keys are `table.key`.
pub(crate) fn edit(text: &str, changes: &Map<String, Json>) -> Result<String, Fault> {
    let mut document = parse(text)?;
    for (path, value) in changes {
        let (table, key) = path.rsplit_once('.').ok_or_else(|| fault(path, format!("there is no setting `{path}`")))?;
        let mut place: &mut dyn TableLike = document.as_table_mut();
        let mut there = true;
        for part in table.split('.') {
            if value.is_null() && !place.contains_key(part) {
                there = false;
                break;
            }
            let item = place.entry(part).or_insert_with(|| Item::Table(Table::new()));
            place = item.as_table_like_mut().ok_or_else(|| fault(path, format!("`{part}` in config.toml is not a table")))?;
        }
        match value {
            Json::Null if there => {
                place.remove(key);
            }
            Json::Null => {}
            value => {
                let mut new = toml_value(path, value)?;
                match place.get_mut(key) {
                    Some(item) => {
                        if let Some(old) = item.as_value() {
                            *new.decor_mut() = old.decor().clone();
                        }
                        *item = Item::Value(new);
                    }
                    None => {
                        place.insert(key, Item::Value(new));
                    }
                }
            }
        }
    }
    Ok(document.to_string())
}

/// Writes the file in one step. A link stays one: what it points to is written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), kith_keys::KeyError> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    kith_keys::private_file::replace(&target, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "# The house.\n[api]\nport = 4343 # not the usual one\n\n# How much.\n[limits]\nstandard_per_hour = 5\n";

    fn changed(text: &str, changes: Json) -> Result<String, Fault> {
        let Json::Object(changes) = changes else { unreachable!() };
        edit(text, &changes)
    }

    #[test]
    fn only_what_is_changed_changes() {
        let text = changed(TEXT, json!({"api.port": 1, "api.hosts": ["a", "b"], "model.default": "m:1"})).unwrap();
        assert_eq!(
            text,
            "# The house.\n[api]\nport = 1 # not the usual one\nhosts = [\"a\", \"b\"]\n\n# How much.\n[limits]\n\
             standard_per_hour = 5\n\n[model]\ndefault = \"m:1\"\n"
        );
    }

    #[test]
    fn null_takes_a_setting_away_and_makes_no_table() {
        let text = changed(TEXT, json!({"limits.standard_per_hour": null, "update.feed": null})).unwrap();
        assert!(!text.contains("standard_per_hour") && !text.contains("update") && text.contains("# How much."));
        assert_eq!(changed(TEXT, json!({})).unwrap(), TEXT);
    }

    #[test]
    fn tables_in_one_line_are_edited_where_they_stand() {
        assert_eq!(changed("api = { port = 1 }\n", json!({"api.port": 2})).unwrap(), "api = { port = 2 }\n");
    }

    #[test]
    fn what_cannot_stand_in_the_file_is_refused() {
        for value in [json!({}), json!([null]), json!(u64::MAX)] {
            assert_eq!(changed(TEXT, json!({"api.port": value})).unwrap_err().key, "api.port");
        }
        assert!(changed("api = 1\n", json!({"api.port": 2})).is_err());
        assert!(changed("[api", json!({})).is_err());
    }

    #[test]
    fn the_keys_of_a_text_are_told_with_their_tables() {
        let keys: Vec<String> = keys(TEXT).unwrap().into_iter().collect();
        assert_eq!(keys, ["api.port", "limits.standard_per_hour"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("config.toml"));
        std::fs::write(&real, "a = 1").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, b"a = 2").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "a = 2");
    }
}
