//! What people type into a search box, as what is sought.

use crate::ConversationsError;
use kith_store::ConversationWords;

/// The longest query, in characters.
pub const MAX_QUERY_CHARS: usize = 200;
/// The most words of a query.
pub const MAX_TERMS: usize = 16;
/// The longest snippet, in characters.
const MAX_SNIPPET_CHARS: usize = 200;

/// Whether `c` belongs to a script that is written without spaces between words (Thai, Lao, Burmese, Khmer, Chinese, Japanese):
/// the index, which goes by spaces, knows only whole sentences of these.
fn unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{3ffff}')
}

/// What is sought: every word of `query`, at the beginning of a word, in one text. `None` if it has no words.
///
/// # Errors
/// [`ConversationsError::Invalid`] over [`MAX_QUERY_CHARS`] or [`MAX_TERMS`].
pub(crate) fn sought(query: &str) -> Result<Option<ConversationWords>, ConversationsError> {
    if query.chars().nth(MAX_QUERY_CHARS).is_some() {
        return Err(ConversationsError::invalid("query", format!("must have at most {MAX_QUERY_CHARS} characters")));
    }
    let terms: Vec<&str> = query.split(|c: char| c.is_whitespace() || c.is_control()).filter(|term| !term.is_empty()).collect();
    if terms.len() > MAX_TERMS {
        return Err(ConversationsError::invalid("query", format!("must have at most {MAX_TERMS} words")));
    }
    let (spaced, letters): (Vec<&str>, Vec<&str>) =
        terms.into_iter().partition(|term| term.contains(char::is_alphanumeric) && !term.contains(unspaced));
    // Quoted, nothing in it is an operator of the index's query language.
    let words: Vec<String> = spaced.iter().map(|term| format!("\"{}\"*", term.replace('"', "\"\""))).collect();
    let words = (!words.is_empty()).then(|| words.join(" "));
    let letters: Vec<String> = letters.into_iter().map(str::to_owned).collect();
    Ok((words.is_some() || !letters.is_empty()).then_some(ConversationWords { words, letters }))
}

/// A snippet as one line of bounded length.
pub(crate) fn one_line(snippet: &str) -> String {
    let words: Vec<&str> = snippet.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_SNIPPET_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests;
