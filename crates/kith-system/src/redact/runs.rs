//! Secrets told by their looks: known beginnings, and long runs of mixed letters and digits.

use super::REDACTED;

/// How tokens of others begin. Ours are long enough to be told by their looks.
const BEGINNINGS: [&str; 17] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "hf_",
    "gsk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "nvapi-",
    "xai-",
    "xox",
    "AKIA",
    "AIza",
    "eyJ",
];
/// The shortest token with such a beginning, in characters.
const MIN_TOKEN: usize = 10;
/// The shortest run that may be a secret, in characters.
const MIN_RUN: usize = 20;

const fn is_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '.' | '%' | '~')
}

/// Whether a run without dots looks random: three kinds of characters, or two in a word without slashes.
fn looks_random(run: &str) -> bool {
    if run.len() < MIN_RUN {
        return false;
    }
    let has = |kind: fn(&char) -> bool| u32::from(run.chars().any(|c| kind(&c)));
    let kinds = has(char::is_ascii_lowercase) + has(char::is_ascii_uppercase) + has(char::is_ascii_digit);
    kinds >= if run.contains('/') { 3 } else { 2 }
}

fn is_secret(run: &str) -> bool {
    let start = |part: &str| BEGINNINGS.iter().any(|beginning| part.starts_with(beginning)) && part.len() >= MIN_TOKEN;
    start(run) || run.split(['=', '/', '.', '%']).any(start) || run.split('.').any(looks_random)
}

/// The length of `scheme://user:password@` at the start of `text`, up to the `@`, and of its scheme.
fn user_info(text: &str) -> Option<(usize, usize)> {
    let scheme = text.find("://")? + 3;
    let end =
        scheme + text[scheme..].find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'')).unwrap_or(text.len() - scheme);
    Some((scheme, scheme + text[scheme..end].rfind('@')?))
}

/// `text` without what looks like a secret. Words that are `plain` stay.
pub(super) fn redact(text: &str, plain: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !is_run(c) {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !is_run(c)).unwrap_or(rest.len());
        let run = &rest[..end];
        if rest[end..].starts_with("://")
            && let Some((scheme, at)) = user_info(rest)
        {
            out.push_str(&rest[..scheme]);
            out.push_str(REDACTED);
            rest = &rest[at..];
            continue;
        }
        let bare = run.trim_matches(['.', '/']);
        if !plain.iter().any(|word| word == bare) && is_secret(run) {
            out.push_str(REDACTED);
        } else {
            out.push_str(run);
        }
        rest = &rest[end..];
    }
    out
}
