//! Chat templates in Go's `text/template`, as Ollama's Modelfiles have them, put into Jinja, which is what models are laid out with
//! here. What has no exact counterpart is refused by name.

mod expression;
mod parse;
mod scan;
mod translate;

use std::borrow::Cow;

/// The longest template translated, in bytes.
pub const MAX_BYTES: usize = 256 << 10;

/// Why a Go template has no translation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template is written for Go and cannot be translated: {0}; give it in Jinja instead")]
pub struct GoError(pub String);

impl GoError {
    fn new<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self(reason.into()))
    }
}

/// The template in Jinja: translated if it is one of Go's, else as it is.
///
/// # Errors
/// [`GoError`] naming the first construct that has no counterpart.
pub fn to_jinja(source: &str) -> Result<Cow<'_, str>, GoError> {
    if is_go(source) { translate(source).map(Cow::Owned) } else { Ok(Cow::Borrowed(source)) }
}

/// Whether a template is one of Go's: it has an action that only Go knows, and no block of Jinja's.
pub fn is_go(source: &str) -> bool {
    if source.contains("{%") {
        return false;
    }
    source.split("{{").skip(1).any(|action| {
        let action = action.strip_prefix('-').unwrap_or(action).trim_start();
        let word: &str = action.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let field = action.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        field
            || action.starts_with('$')
            || action.starts_with("/*")
            || matches!(word, "if" | "range" | "with" | "end" | "else" | "json" | "block" | "define" | "template")
    })
}

/// Translates a Go template.
fn translate(source: &str) -> Result<String, GoError> {
    if source.len() > MAX_BYTES {
        return GoError::new(format!("it has {} bytes, more than {MAX_BYTES}", source.len()));
    }
    let nodes = parse::parse(scan::scan(source)?)?;
    translate::template(nodes)
}

#[cfg(test)]
mod tests;
