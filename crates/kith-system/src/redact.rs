//! Takes secrets out of text: those that are known, those that are named, and those that look like one. Rather too much than too little.

mod named;
mod runs;

pub(crate) use named::is_secret_name;

use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";
/// Known secrets shorter than this would tear words apart, and are found by their names.
const MIN_KNOWN: usize = 4;

/// Knows this node's own secrets.
#[derive(Default)]
pub struct Redactor {
    known: Vec<Zeroizing<String>>,
    home: Option<String>,
    plain: Vec<String>,
}

impl Redactor {
    /// A redactor that takes out `known` wherever it stands, shortens the `home` folder to `~`, and leaves the words of `plain`.
    pub fn new(known: Vec<Zeroizing<String>>, home: Option<String>, plain: Vec<String>) -> Self {
        let mut forms: Vec<Zeroizing<String>> = Vec::new();
        for secret in known {
            let trimmed = Zeroizing::new(secret.trim().to_owned());
            // As it stands inside JSON.
            let quoted = Zeroizing::new(serde_json::Value::from(trimmed.as_str()).to_string());
            forms.push(Zeroizing::new(quoted.trim_matches('"').to_owned()));
            forms.push(trimmed);
        }
        forms.retain(|secret| secret.len() >= MIN_KNOWN);
        // The longest first: one secret may be a part of another.
        forms.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { known: forms, home: home.filter(|home| home.len() > 1), plain }
    }

    /// `text` without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.known {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        if let Some(home) = &self.home {
            text = text.replace(home.as_str(), "~");
        }
        runs::redact(&named::redact(&text), &self.plain)
    }
}

#[cfg(test)]
mod tests;
