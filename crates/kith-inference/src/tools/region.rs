//! One stretch of an answer that may turn out to be a tool call: from its opening to the verdict.

use super::{
    call::{KEYS, Written, calls},
    scan::{JsonScanner, Scan},
};
use serde_json::Value;

/// The most bytes one stretch may have before it counts as text.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// The longest name of a tool, in bytes.
const MAX_NAME: usize = 64;

/// The ways models write calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `<tool_call>{…}</tool_call>` (Hermes, Qwen).
    Hermes,
    /// `[TOOL_CALLS] [{…}]` (Mistral).
    Mistral,
    /// `<|python_tag|>{…}; {…}` (Llama 3.1).
    PythonTag,
    /// `<function=NAME>{…}</function>` (Llama).
    Function,
    /// An answer that is JSON and nothing else; several objects may be separated by `;`.
    Bare,
    /// An answer that is one fenced block of JSON and nothing else.
    Fenced,
}

impl Kind {
    /// The openings that may stand anywhere in an answer.
    pub(super) const MARKED: [(&'static str, Self); 4] = [
        ("<tool_call>", Self::Hermes),
        ("[TOOL_CALLS]", Self::Mistral),
        ("<|python_tag|>", Self::PythonTag),
        ("<function=", Self::Function),
    ];
    /// The opening of [`Kind::Fenced`], which like [`Kind::Bare`] counts only at the start of an answer.
    pub(super) const FENCE: &'static str = "```";

    /// Whether other text may stand around the call.
    fn is_marked(self) -> bool {
        !matches!(self, Self::Bare | Self::Fenced)
    }

    /// What ends a call.
    fn closing(self) -> &'static str {
        match self {
            Self::Hermes => "</tool_call>",
            Self::Function => "</function>",
            Self::Fenced => Self::FENCE,
            Self::Mistral | Self::PythonTag | Self::Bare => "",
        }
    }
}

/// The verdict over a stretch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Undecided: more text is needed.
    More,
    /// The first `length` bytes are these calls.
    Calls { length: usize, calls: Vec<Written> },
    /// No call: the first `length` bytes, its opening, are text, and what follows is to be looked at anew.
    Text { length: usize },
}

/// A stretch under examination. Every byte is looked at once, and each decision needs only the bytes before it, so the pieces in which
/// the text arrives do not matter.
#[derive(Debug)]
pub(super) struct Region {
    kind: Kind,
    /// Bytes of the opening, with the whitespace before it.
    opening: usize,
    /// The next byte to look at.
    at: usize,
    phase: Phase,
    scanner: JsonScanner,
    /// The name in a function's tag.
    name: Option<String>,
    calls: Vec<Written>,
    /// Where the last whole call ends.
    settled: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The language after an opening fence.
    Language,
    /// The name in a function's tag.
    Name,
    /// Whitespace before a value.
    Gap,
    /// In the value that began at `start`. `plausible` once its first key is known to be one of a call's.
    Value { start: usize, plausible: bool },
    /// After a value.
    After,
    /// After the closing fence.
    Closed,
}

impl Region {
    /// A stretch of `kind` whose opening (with whitespace before it) has `opening` bytes.
    pub(super) fn new(kind: Kind, opening: usize) -> Self {
        let phase = match kind {
            Kind::Fenced => Phase::Language,
            Kind::Function => Phase::Name,
            _ => Phase::Gap,
        };
        Self {
            kind,
            opening,
            at: opening,
            phase,
            scanner: JsonScanner::default(),
            name: None,
            calls: Vec::new(),
            settled: opening,
        }
    }

    /// Looks at what is new in `text`, which begins with the opening. At the `end` of the answer it never asks for more.
    pub(super) fn advance(&mut self, text: &str, names: &[String], end: bool) -> Verdict {
        while let Some(&byte) = text.as_bytes().get(self.at) {
            if self.at >= MAX_BYTES {
                return self.refuse();
            }
            let verdict = match self.phase {
                Phase::Language => self.language(text, end),
                Phase::Name => self.name(text, byte, names),
                Phase::Gap => self.gap(byte),
                Phase::Value { start, plausible } => self.value(text, byte, names, start, plausible),
                Phase::After => self.after(text, byte, end),
                Phase::Closed if byte.is_ascii_whitespace() => self.skip(),
                Phase::Closed => Some(self.refuse()),
            };
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        match (end, self.phase) {
            (false, _) => Verdict::More,
            (true, Phase::After | Phase::Closed) => self.accept(text.len()),
            (true, Phase::Gap) if !self.calls.is_empty() => self.accept(text.len()),
            (true, _) => self.refuse(),
        }
    }

    fn skip(&mut self) -> Option<Verdict> {
        self.at += 1;
        None
    }

    fn language(&mut self, text: &str, end: bool) -> Option<Verdict> {
        let rest = &text[self.at..];
        if rest.starts_with("json") {
            self.at += "json".len();
        } else if "json".starts_with(rest) && !end {
            return Some(Verdict::More);
        }
        self.phase = Phase::Gap;
        // A longer language (`jsonc`) is refused there.
        None
    }

    fn name(&mut self, text: &str, byte: u8, names: &[String]) -> Option<Verdict> {
        if byte == b'>' {
            let name = text.get(self.opening..self.at)?;
            if !names.iter().any(|known| known == name) {
                return Some(self.refuse());
            }
            self.name = Some(name.to_owned());
            self.phase = Phase::Gap;
        } else if self.at - self.opening >= MAX_NAME || !is_name_byte(byte) {
            return Some(self.refuse());
        }
        self.skip()
    }

    fn gap(&mut self, byte: u8) -> Option<Verdict> {
        match byte {
            _ if byte.is_ascii_whitespace() => self.skip(),
            b'{' | b'[' if byte == b'{' || self.kind != Kind::Function => {
                self.scanner = JsonScanner::default();
                self.phase = Phase::Value { start: self.at, plausible: self.kind.is_marked() };
                None
            }
            _ => Some(self.refuse()),
        }
    }

    fn value(&mut self, text: &str, byte: u8, names: &[String], start: usize, plausible: bool) -> Option<Verdict> {
        let scan = self.scanner.byte(byte);
        self.at += 1;
        match scan {
            Scan::Invalid => Some(self.refuse()),
            Scan::More if plausible => None,
            Scan::More => match first_key(&text.as_bytes()[start..self.at]) {
                FirstKey::Pending => None,
                FirstKey::OfACall => {
                    self.phase = Phase::Value { start, plausible: true };
                    None
                }
                FirstKey::Other => Some(self.refuse()),
            },
            Scan::Done => {
                let value = text.get(start..self.at).and_then(|json| serde_json::from_str::<Value>(json).ok());
                let written = match (value, &self.name) {
                    (Some(arguments), Some(name)) => Some(vec![Written { name: name.clone(), arguments }]),
                    (Some(value), None) => calls(value, names, !self.kind.is_marked()),
                    (None, _) => None,
                };
                let Some(written) = written else { return Some(self.refuse()) };
                self.calls.extend(written);
                self.settled = self.at;
                self.phase = Phase::After;
                (self.kind == Kind::Mistral).then(|| self.accept(self.at))
            }
        }
    }

    fn after(&mut self, text: &str, byte: u8, end: bool) -> Option<Verdict> {
        let several = matches!(self.kind, Kind::PythonTag | Kind::Bare);
        match byte {
            _ if byte.is_ascii_whitespace() => return self.skip(),
            b';' if several => {
                self.phase = Phase::Gap;
                return self.skip();
            }
            b'{' if several || self.kind == Kind::Hermes => {
                self.phase = Phase::Gap;
                return None;
            }
            _ => {}
        }
        let (rest, closing) = (&text[self.at..], self.kind.closing());
        if closing.is_empty() {
            Some(self.refuse())
        } else if rest.starts_with(closing) {
            self.at += closing.len();
            if self.kind == Kind::Fenced {
                self.phase = Phase::Closed;
                return None;
            }
            Some(self.accept(self.at))
        } else if closing.starts_with(rest) {
            // The answer may end within its own closing.
            Some(if end { self.accept(text.len()) } else { Verdict::More })
        } else {
            Some(self.refuse())
        }
    }

    fn accept(&mut self, length: usize) -> Verdict {
        Verdict::Calls { length, calls: std::mem::take(&mut self.calls) }
    }

    /// What follows belongs to no call. Calls that stand behind a marker and are whole stay calls.
    fn refuse(&mut self) -> Verdict {
        if self.kind.is_marked() && !self.calls.is_empty() {
            self.accept(self.settled)
        } else {
            Verdict::Text { length: self.opening }
        }
    }
}

/// Whether a tool's name may have this byte.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The most bytes of brackets and whitespace before the first key.
const MAX_INDENT: usize = 64;

enum FirstKey {
    Pending,
    OfACall,
    Other,
}

/// Judges JSON by its first key, so that an ordinary JSON answer is not held back to its end.
fn first_key(json: &[u8]) -> FirstKey {
    let Some(quote) = json.iter().position(|&byte| byte == b'"') else {
        let plausible =
            json.len() <= MAX_INDENT && json.iter().all(|&byte| matches!(byte, b'{' | b'[') || byte.is_ascii_whitespace());
        return if plausible { FirstKey::Pending } else { FirstKey::Other };
    };
    let key = &json[quote + 1..];
    match key.iter().position(|&byte| byte == b'"') {
        Some(end) if KEYS.iter().any(|known| known.as_bytes() == &key[..end]) => FirstKey::OfACall,
        None if KEYS.iter().any(|known| known.as_bytes().starts_with(key)) => FirstKey::Pending,
        _ => FirstKey::Other,
    }
}
