//! Text and actions, and the tokens inside actions.

use super::GoError;

/// A stretch of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// A token inside an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A word: a keyword, a function, `true`, `nil`.
    Word(String),
    /// `.A.B`, or `.` alone: the names.
    Field(Vec<String>),
    /// `$x.A`: the variable (empty for `$`) and the names.
    Variable(String, Vec<String>),
    Text(String),
    Number(i64),
    Open,
    Close,
    Pipe,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// Cuts a template into its pieces. Blanks that an action trims are gone; comments too.
pub(super) fn scan(source: &str) -> Result<Vec<Piece>, GoError> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut trim = false;
    loop {
        let (text, action) = match rest.split_once("{{") {
            Some((text, action)) => (text, Some(action)),
            None => (rest, None),
        };
        let mut text = if trim { text.trim_start() } else { text };
        // `{{-` trims only if a blank follows; otherwise the sign belongs to a number.
        let trims = action.is_some_and(|action| {
            action.strip_prefix('-').is_some_and(|inside| inside.starts_with(|c: char| c.is_ascii_whitespace()))
        });
        if trims {
            text = text.trim_end();
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let Some(action) = action else { return Ok(pieces) };
        let action = if trims { &action[1..] } else { action };
        let (tokens, length) = tokens(action)?;
        rest = &action[length..];
        // The tokens end before `}}` or ` -}}`.
        trim = rest.starts_with('-');
        rest = &rest[if trim { 3 } else { 2 }..];
        if let Some(tokens) = tokens {
            pieces.push(Piece::Action(tokens));
        }
    }
}

/// The tokens of an action, `None` for a comment, and where its closing braces begin.
fn tokens(action: &str) -> Result<(Option<Vec<Token>>, usize), GoError> {
    let start = action.trim_start();
    if let Some(comment) = start.strip_prefix("/*") {
        let Some(end) = comment.find("*/") else { return GoError::new("a comment does not end") };
        let after = comment[end + 2..].trim_start();
        let at = action.len() - after.len();
        if after.starts_with("}}") || after.starts_with("-}}") {
            return Ok((None, at));
        }
        return GoError::new("a comment stands beside something else");
    }
    let mut tokens = Vec::new();
    let mut rest = start;
    loop {
        let blank = rest.len() - rest.trim_start().len();
        rest = &rest[blank..];
        if rest.starts_with("}}") || (blank > 0 && rest.starts_with("-}}")) {
            return Ok((Some(tokens), action.len() - rest.len()));
        }
        let (token, length) = token(rest)?;
        tokens.push(token);
        rest = &rest[length..];
    }
}

fn token(rest: &str) -> Result<(Token, usize), GoError> {
    let Some(first) = rest.chars().next() else { return GoError::new("an action does not end") };
    let plain = |token, length| Ok((token, length));
    match first {
        '(' => plain(Token::Open, 1),
        ')' => plain(Token::Close, 1),
        '|' => plain(Token::Pipe, 1),
        ',' => plain(Token::Comma, 1),
        ':' if rest.starts_with(":=") => plain(Token::Declare, 2),
        '=' => plain(Token::Assign, 1),
        '"' => quoted(rest),
        '`' => match rest[1..].find('`') {
            Some(end) => plain(Token::Text(rest[1..=end].to_owned()), end + 2),
            None => GoError::new("a text in backquotes does not end"),
        },
        '.' => {
            let (names, length) = fields(rest);
            plain(Token::Field(names), length.max(1))
        }
        '$' => {
            let name = word(&rest[1..]);
            let (names, length) = fields(&rest[1 + name.len()..]);
            plain(Token::Variable(name.to_owned(), names), 1 + name.len() + length)
        }
        '0'..='9' | '-' | '+' => {
            let digits = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
            match rest[..digits].parse() {
                Ok(number) => plain(Token::Number(number), digits),
                Err(_) => GoError::new(format!("`{}` is no whole number", shown(&rest[..digits]))),
            }
        }
        c if c.is_alphabetic() || c == '_' => {
            let word = word(rest);
            plain(Token::Word(word.to_owned()), word.len())
        }
        c => GoError::new(format!("`{c}` has no meaning there")),
    }
}

fn word(rest: &str) -> &str {
    &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
}

/// `.A.B` as names, and its length.
fn fields(rest: &str) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(after) = rest[at..].strip_prefix('.') {
        let name = word(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        at += 1 + name.len();
    }
    (names, at)
}

fn quoted(rest: &str) -> Result<(Token, usize), GoError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(text), at + 1)),
            '\n' => break,
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, c @ ('"' | '\\' | '\''))) => text.push(c),
                Some((_, c)) => return GoError::new(format!("the escape `\\{c}` is not known")),
                None => break,
            },
            c => text.push(c),
        }
    }
    GoError::new("a text in quotes does not end")
}

/// The beginning of what the template says, fit for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
