//! Small rules of writing.

/// Begins with a capital and ends with a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    // What begins with code or a name stays as it is.
    let mut out: String = if first.is_lowercase() { first.to_uppercase().chain(letters).collect() } else { text.to_owned() };
    if !out.ends_with(['.', '?', ':', ')']) {
        out.push('.');
    }
    out
}

/// `1 model`, `4 models`.
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", super::format::count(count), if count == 1 { one } else { many })
}

/// The cloud provider that a model's name says it is at (`openai/gpt-…`); `None` for models on one's own devices.
pub fn provider(model: &str) -> Option<&str> {
    let (before, rest) = model.split_once('/')?;
    // Names of the library have dots in front (`hf.co/…`) or a tag; a provider's name is one plain word.
    let is_plain = !before.is_empty() && before.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    (is_plain && !rest.is_empty()).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_large_and_ends() {
        assert_eq!(sentence("the model is busy"), "The model is busy.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence("`a` is no name"), "`a` is no name.");
        assert_eq!(sentence(""), "");
        assert_eq!(provider("openai/gpt-5"), Some("openai"));
        assert_eq!((provider("smollm2:135m"), provider("hf.co/a/b")), (None, None));
        assert_eq!(provider("a<b>x</b>"), None);
        assert_eq!(plural(1, "model", "models"), "1 model");
        assert_eq!(plural(1200, "model", "models"), "1\u{202f}200 models");
    }
}
