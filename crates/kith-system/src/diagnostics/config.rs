//! The configuration as it may stand in a report: known harmless values, and of all others only that they are set.

use crate::redact::REDACTED;
use toml::{Table, Value};
use zeroize::Zeroizing;

/// Settings whose values help and harm nobody. What is not here is redacted, so a new setting is safe until somebody thought of it.
const PLAIN: [&str; 13] = [
    "api.host",
    "api.port",
    "api.ollama_port",
    "auth.require_key",
    "limits.standard_per_hour",
    "limits.inference_per_minute",
    "limits.admin_per_minute",
    "inference.memory_mib",
    "inference.parallel",
    "inference.context",
    "inference.keep_alive_seconds",
    "keys.provider",
    "browse.show_hidden",
];
/// Shorter words of the configuration are everyday ones.
const MIN_SECRET: usize = 6;

/// The text of the configuration for a report, and the texts in it that must not turn up elsewhere.
pub(super) fn redacted(text: &str) -> (String, Vec<Zeroizing<String>>) {
    let Ok(table) = text.parse::<Table>() else {
        return ("# The configuration is no TOML, and is left out.\n".to_owned(), Vec::new());
    };
    let mut secrets = Vec::new();
    let table = walk(&table, "", &mut secrets);
    (toml::to_string(&table).unwrap_or_default(), secrets)
}

fn walk(table: &Table, place: &str, secrets: &mut Vec<Zeroizing<String>>) -> Table {
    let entry = |(name, value): (&String, &Value)| {
        let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        let value = match value {
            Value::Table(inner) => Value::Table(walk(inner, &place, secrets)),
            value if PLAIN.contains(&place.as_str()) => value.clone(),
            value => {
                collect(value, secrets);
                Value::String(REDACTED.to_owned())
            }
        };
        (name.clone(), value)
    };
    table.iter().map(entry).collect()
}

fn collect(value: &Value, secrets: &mut Vec<Zeroizing<String>>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| collect(value, secrets)),
        Value::Table(table) => table.values().for_each(|value| collect(value, secrets)),
        Value::Boolean(_) => {}
        plain => {
            let text = plain.as_str().map_or_else(|| plain.to_string(), str::to_owned);
            if text.len() >= MIN_SECRET {
                secrets.push(Zeroizing::new(text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_known_to_be_harmless_are_told() {
        let text = "[api]\nport = 4343\nhosts = [\"box.lan\"]\n[providers.x]\nkey = \"sk-123\"\nseeds = [12345678]\n[[list]]\na = \"bcdefgh\"\n";
        let (told, secrets) = redacted(text);
        assert!(told.contains("port = 4343"), "{told}");
        for word in ["box.lan", "sk-123", "12345678", "bcdefgh"] {
            assert!(!told.contains(word), "{told}");
            assert!(secrets.iter().any(|secret| secret.as_str() == word), "{word}");
        }
        assert!(redacted("key = ").0.starts_with('#'));
    }
}
