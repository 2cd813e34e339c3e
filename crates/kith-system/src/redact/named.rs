//! Secrets told by the name before them: `password = …`, `"api_key": "…"`, `Authorization: Bearer …`.

use super::REDACTED;

/// A name that ends in one of these names a secret. Compared without case, `_` and `-`.
const NAMES: [&str; 21] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "signingkey",
    "sealingkey",
    "swarmkey",
    "providerkey",
    "authorization",
    "credential",
    "cookie",
    "psk",
    "seed",
    "mnemonic",
    "pushendpoint",
];
/// After these words the secret stands without `:` or `=`.
const BARE: [&str; 6] = ["bearer", "basic", "password", "passphrase", "secret", "token"];
/// The most characters between a name and its value.
const MAX_SEPARATOR: usize = 8;

/// Whether what has this name is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    // Tokens are counted everywhere; a single one opens something.
    let single = if name.ends_with("tokens") { name.as_str() } else { name.strip_suffix('s').unwrap_or(&name) };
    NAMES.iter().any(|secret| single.ends_with(secret) || name.ends_with(secret))
}

fn is_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn length(text: &str, keep: impl Fn(char) -> bool) -> usize {
    text.find(|c| !keep(c)).unwrap_or(text.len())
}

/// The length of the value at the start of `text`, behind `separator`. `None` where there is none to take out.
fn value(separator: &str, text: &str) -> Option<usize> {
    let open = separator.chars().next_back().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = open {
        let mut escaped = false;
        let end = text.char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        return Some(end.map_or(text.len(), |(end, _)| end)).filter(|end| *end > 0);
    }
    if text.starts_with('[') {
        return Some(text.find(']').map_or(text.len(), |end| end + 1)).filter(|_| !text.starts_with(REDACTED));
    }
    let end = length(text, |c| !c.is_whitespace() && !matches!(c, ',' | ';' | '&' | ')' | '}' | ']' | '"' | '\''));
    let word = &text[..end];
    (end > 0 && !text.starts_with('{') && !matches!(word, "true" | "false" | "null" | "None" | "is" | "was" | "are"))
        .then_some(end)
}

/// `text` without the values of secret names.
pub(super) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let before = length(rest, |c| !is_word(c));
        out.push_str(&rest[..before]);
        rest = &rest[before..];
        let end = length(rest, is_word);
        let name = &rest[..end];
        out.push_str(name);
        rest = &rest[end..];
        if !(is_secret_name(name) || is_scheme(name)) {
            continue;
        }
        let end = length(rest, |c| matches!(c, ':' | '=' | '"' | '\'' | ' ' | '\t' | '\\')).min(MAX_SEPARATOR);
        let separator = &rest[..end];
        let signed = separator.contains([':', '=']);
        let bare = separator.contains([' ', '\t']) && BARE.iter().any(|word| name.eq_ignore_ascii_case(word));
        if !(signed || bare) {
            continue;
        }
        let after = &rest[end..];
        // `Authorization: Bearer x`: the secret comes after the next word.
        if is_scheme(&after[..length(after, is_word)]) {
            continue;
        }
        if let Some(length) = value(separator, after) {
            out.push_str(separator);
            out.push_str(REDACTED);
            rest = &after[length..];
        }
    }
    out
}
