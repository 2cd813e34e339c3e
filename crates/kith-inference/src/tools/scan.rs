//! Finds the end of one JSON object or array in text that arrives in pieces, and refuses early what cannot become one.
//!
//! Numbers and literals are only checked for their letters here; `serde_json` has the last word on a complete value.

/// The deepest nesting followed; deeper values are refused.
const MAX_DEPTH: usize = 64;

/// Follows one value byte by byte.
#[derive(Debug, Clone, Default)]
pub(super) struct JsonScanner {
    /// The open brackets, outermost first; true is an object.
    open: Vec<bool>,
    expect: Expect,
}

/// What the next byte may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Expect {
    /// A value (at the outside: an object or array).
    #[default]
    Value,
    /// A value or `]`.
    FirstItem,
    /// A key or `}`.
    FirstKey,
    /// A key.
    Key,
    /// `:`.
    Colon,
    /// `,` or a closing bracket.
    Separator,
    /// More of a string; true if it is a key.
    Text(bool),
    /// The byte after a backslash; true if in a key.
    Escape(bool),
    /// More of a number, `true`, `false` or `null`.
    Scalar,
}

/// The state after a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// The value goes on.
    More,
    /// This byte ended the value.
    Done,
    /// No JSON object or array begins like this.
    Invalid,
}

impl JsonScanner {
    /// Takes the next byte.
    pub(super) fn byte(&mut self, byte: u8) -> Scan {
        match self.expect {
            Expect::Text(key) => match byte {
                b'"' => self.then(if key { Expect::Colon } else { Expect::Separator }),
                b'\\' => self.then(Expect::Escape(key)),
                0..0x20 => Scan::Invalid,
                _ => Scan::More,
            },
            Expect::Escape(key) => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u' => self.then(Expect::Text(key)),
                _ => Scan::Invalid,
            },
            Expect::Scalar => match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'-' | b'E' => Scan::More,
                _ => {
                    self.expect = Expect::Separator;
                    self.byte(byte)
                }
            },
            _ if byte.is_ascii_whitespace() && byte != b'\x0c' => Scan::More,
            Expect::FirstItem if byte == b']' => self.close(),
            Expect::FirstKey if byte == b'}' => self.close(),
            Expect::Value | Expect::FirstItem => match byte {
                b'{' => self.enter(true),
                b'[' => self.enter(false),
                _ if self.open.is_empty() => Scan::Invalid,
                b'"' => self.then(Expect::Text(false)),
                b't' | b'f' | b'n' | b'-' | b'0'..=b'9' => self.then(Expect::Scalar),
                _ => Scan::Invalid,
            },
            Expect::FirstKey | Expect::Key if byte == b'"' => self.then(Expect::Text(true)),
            Expect::Colon if byte == b':' => self.then(Expect::Value),
            Expect::Separator => match (byte, self.open.last()) {
                (b',', Some(true)) => self.then(Expect::Key),
                (b',', Some(false)) => self.then(Expect::Value),
                (b'}', Some(true)) | (b']', Some(false)) => self.close(),
                _ => Scan::Invalid,
            },
            Expect::FirstKey | Expect::Key | Expect::Colon => Scan::Invalid,
        }
    }

    fn then(&mut self, expect: Expect) -> Scan {
        self.expect = expect;
        Scan::More
    }

    fn enter(&mut self, object: bool) -> Scan {
        if self.open.len() == MAX_DEPTH {
            return Scan::Invalid;
        }
        self.open.push(object);
        self.then(if object { Expect::FirstKey } else { Expect::FirstItem })
    }

    fn close(&mut self) -> Scan {
        self.open.pop();
        self.expect = Expect::Separator;
        if self.open.is_empty() { Scan::Done } else { Scan::More }
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonScanner, MAX_DEPTH, Scan};

    /// How many bytes were read, and how it ended.
    fn scan(text: &str) -> (usize, Scan) {
        let mut scanner = JsonScanner::default();
        for (index, &byte) in text.as_bytes().iter().enumerate() {
            match scanner.byte(byte) {
                Scan::More => {}
                end => return (index + 1, end),
            }
        }
        (text.len(), Scan::More)
    }

    #[test]
    fn a_value_ends_at_its_own_bracket() {
        for value in [r#"{"a":{"b":[1,-2.5e3,true,null,"}]\"\\"]},"c":""}"#, "[]", "{}", "[ { } , [ ] ]"] {
            assert_eq!(scan(&format!("{value} }}")), (value.len(), Scan::Done), "{value}");
            assert_eq!(scan(&value[..value.len() - 1]).1, Scan::More);
        }
    }

    #[test]
    fn what_cannot_become_json_is_refused_at_once() {
        for (text, at) in [
            ("x", 1),
            ("{x", 2),
            ("{'", 2),
            ("[,", 2),
            ("{\"a\" \"", 6),
            ("[1 2", 4),
            ("{\"a\":1]", 7),
            ("[\"\n", 3),
            ("{\"a\":1,}", 8),
        ] {
            assert_eq!(scan(text), (at, Scan::Invalid), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        assert_eq!(scan(&"[".repeat(MAX_DEPTH)).1, Scan::More);
        assert_eq!(scan(&"[".repeat(MAX_DEPTH + 1)), (MAX_DEPTH + 1, Scan::Invalid));
    }
}
