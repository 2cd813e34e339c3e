//! Titles: given by somebody, or the first line of the first thing the user said.

use crate::ConversationsError;

/// The longest title, in characters.
pub const MAX_TITLE_CHARS: usize = 200;
/// The longest title that is taken from a message, in characters.
pub const AUTOMATIC_TITLE_CHARS: usize = 60;

/// A title somebody gave: without space around it, each other run of white space as one space.
pub(crate) fn given(text: &str) -> Result<String, ConversationsError> {
    let title = spaced(text.chars().take(MAX_TITLE_CHARS * 8));
    if title.is_empty() {
        return Err(ConversationsError::invalid("title", "must not be empty"));
    }
    if title.chars().nth(MAX_TITLE_CHARS).is_some() || text.chars().nth(MAX_TITLE_CHARS * 8).is_some() {
        return Err(ConversationsError::invalid("title", format!("must have at most {MAX_TITLE_CHARS} characters")));
    }
    Ok(title)
}

/// White space and control characters as single spaces, none at the ends.
fn spaced(text: impl Iterator<Item = char>) -> String {
    let mut spaced = String::new();
    let mut gap = false;
    for c in text {
        if c.is_whitespace() || c.is_control() {
            gap = true;
            continue;
        }
        if gap && !spaced.is_empty() {
            spaced.push(' ');
        }
        gap = false;
        spaced.push(c);
    }
    spaced
}

/// The first line of `text` that says something, cut at the end of a word after at most [`AUTOMATIC_TITLE_CHARS`] characters, the
/// last of them an ellipsis. `None` if no line does.
pub(crate) fn automatic(text: &str) -> Option<String> {
    // White space beyond this is not waited out: the line may have 8 MiB.
    let line = |line: &str| spaced(line.chars().take(MAX_TITLE_CHARS * 8));
    let title = text.lines().map(line).find(|line| !line.is_empty())?;
    let Some((end, _)) = title.char_indices().nth(AUTOMATIC_TITLE_CHARS) else { return Some(title) };
    let room = title.char_indices().nth(AUTOMATIC_TITLE_CHARS - 1).map_or(end, |(at, _)| at);
    let cut = title.get(..room)?;
    // A cut within the first half of the line means one long word, or a script without spaces: cut it there and then.
    let whole_words = if title.get(room..)?.starts_with(' ') { Some(cut) } else { cut.rsplit_once(' ').map(|(words, _)| words) };
    let cut = whole_words.filter(|words| words.chars().count() > AUTOMATIC_TITLE_CHARS / 2).unwrap_or(cut);
    Some(format!("{}…", cut.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-'))))
}

#[cfg(test)]
mod tests;
