//! The tokens of a model: their bytes, what kind they are, which of them end an answer, and how text is cut into them.

mod fields;
mod letters;
mod merge;
mod names;
mod pretokenizer;

pub(crate) use fields::TokenizerFields;
pub(crate) use letters::byte_letters;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use kith_engine::EngineError;
use merge::{BytePairs, Pieces};
use names::Names;
use pretokenizer::Pretokenizer;
use std::borrow::Cow;

/// What SentencePiece writes for a space.
const SPACE_MARK: &str = "\u{2581}";

/// Tokens that end a turn in the templates in use, whatever the file says of them. They count only where they are control tokens.
const TURN_ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<|EOT|>",
    "<EOT>",
    "</s>",
];

/// What a token is (`tokenizer.ggml.token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Normal,
    /// Text that is never cut: shown, but read only whole.
    UserDefined,
    /// Steers the model; not shown.
    Control,
    /// One byte.
    Byte,
    /// Never written by the model on purpose.
    Unused,
}

impl Kind {
    /// By the format's number: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    fn of(number: Option<&i64>) -> Self {
        match number {
            Some(2 | 3) => Self::Control,
            Some(4) => Self::UserDefined,
            Some(5) => Self::Unused,
            Some(6) => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// How what lies between special tokens is cut.
enum Cutter {
    /// By patterns, then byte pairs are merged by rank.
    Bytes(Pretokenizer, BytePairs),
    /// SentencePiece's: the neighbours that make the likeliest token are merged first.
    Pieces { pieces: Pieces, space_prefix: bool },
}

/// The vocabulary of one model.
pub(crate) struct Vocabulary {
    bytes: Names,
    kinds: Vec<Kind>,
    ends: Vec<u32>,
    bos: Option<u32>,
    adds_bos: bool,
    /// What closes a text that is embedded, where the file wants that.
    close: Option<u32>,
    cutter: Cutter,
    /// Finds special tokens, the longest first; their ids by pattern.
    special: Option<(AhoCorasick, Vec<u32>)>,
}

impl Vocabulary {
    /// Builds it from the file's fields. Takes tens of milliseconds.
    pub(crate) fn new(fields: &TokenizerFields<'_>) -> Result<Self, EngineError> {
        if fields.tokens.is_empty() {
            return Err(EngineError::UnsupportedModel("the model file has no vocabulary".into()));
        }
        let sentencepiece = match fields.model.as_str() {
            "gpt2" => false,
            "llama" => true,
            other => return Err(EngineError::UnsupportedModel(format!("the tokenizer {other:?} is not known"))),
        };
        let kinds: Vec<Kind> = (0..fields.tokens.len()).map(|at| Kind::of(fields.kinds.get(at))).collect();
        let letters = letter_bytes();
        let mut bytes = Names::with_room(fields.tokens.len());
        for (token, kind) in fields.tokens.iter().zip(&kinds) {
            bytes.push(|bytes| write_bytes(token, *kind, sentencepiece, &letters, bytes));
        }
        let (cutter, adds_bos) = if sentencepiece {
            let pieces = Pieces::new(&fields.tokens, &kinds, &fields.scores, fields.unknown);
            (Cutter::Pieces { pieces, space_prefix: fields.add_space_prefix.unwrap_or(true) }, true)
        } else {
            let pre = fields.pre.as_deref().and_then(Pretokenizer::named);
            if let (None, Some(name)) = (&pre, &fields.pre) {
                return Err(EngineError::UnsupportedModel(format!("the pre-tokenizer {name:?} is not known")));
            }
            let pre = pre.unwrap_or_else(Pretokenizer::fallback)?;
            let pairs = BytePairs::new(&fields.tokens, &fields.merges, &bytes, pre.whole_words)?;
            let adds_bos = pre.adds_bos;
            (Cutter::Bytes(pre, pairs), adds_bos)
        };
        let count = fields.tokens.len();
        let known = |id: &u32| (*id as usize) < count;
        let mut ends: Vec<u32> = fields.ends.iter().copied().filter(known).collect();
        ends.extend(
            (0u32..)
                .zip(fields.tokens.iter().zip(&kinds))
                .filter_map(|(id, (token, kind))| (*kind == Kind::Control && TURN_ENDS.contains(&&**token)).then_some(id)),
        );
        ends.sort_unstable();
        ends.dedup();
        Ok(Self {
            special: special(&fields.tokens, &kinds)?,
            bytes,
            kinds,
            ends,
            bos: fields.bos.filter(known),
            adds_bos: fields.add_bos.unwrap_or(adds_bos),
            close: fields.eos.filter(|id| known(id) && fields.add_eos == Some(true)),
            cutter,
        })
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Refuses a vocabulary that differs in any token, with the first difference.
    pub(crate) fn must_be(&self, other: &Self) -> Result<(), String> {
        if self.len() != other.len() {
            return Err(format!("it has {} tokens instead of {}", other.len(), self.len()));
        }
        let differs = |at: &usize| self.bytes.get(*at) != other.bytes.get(*at) || self.kinds[*at] != other.kinds[*at];
        match (0..self.len()).find(differs) {
            None => Ok(()),
            Some(at) => {
                let [wanted, found] = [self, other].map(|all| String::from_utf8_lossy(all.bytes.get(at)).into_owned());
                Err(format!("its token {at} is {found:?} instead of {wanted:?}, or of another kind"))
            }
        }
    }

    /// The bytes of a token; none for ids beyond the vocabulary. For a control token, the bytes of its name.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize)
    }

    /// The bytes of a token as an answer shows them: none for control tokens.
    pub(crate) fn shown(&self, id: u32) -> &[u8] {
        match self.kinds.get(id as usize) {
            Some(Kind::Normal | Kind::UserDefined | Kind::Byte) => self.bytes(id),
            _ => &[],
        }
    }

    /// What a token is.
    pub(crate) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }

    /// The tokens that end an answer, ascending.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The tokens that open and close a text that is embedded.
    pub(crate) fn frame(&self) -> (Option<u32>, Option<u32>) {
        (self.bos.filter(|_| self.adds_bos), self.close)
    }

    /// The ids of `text`; special tokens written in it are read as such. `add_special` adds BOS where the model wants one.
    pub(crate) fn ids(&self, text: &str, add_special: bool) -> Vec<u32> {
        let mut ids: Vec<u32> = self.bos.filter(|_| add_special && self.adds_bos).into_iter().collect();
        let mut from = 0;
        if let Some((finder, tokens)) = &self.special {
            for found in finder.find_iter(text) {
                self.cut(&text[from..found.start()], &mut ids);
                ids.extend(tokens.get(found.pattern().as_usize()));
                from = found.end();
            }
        }
        self.cut(&text[from..], &mut ids);
        ids
    }

    /// The text of `ids`, special tokens by their names: what [`Self::ids`] reads back as the same ids.
    pub(crate) fn text(&self, ids: &[u32]) -> String {
        let mut bytes: Vec<u8> = ids.iter().flat_map(|id| self.bytes(*id)).copied().collect();
        if matches!(self.cutter, Cutter::Pieces { space_prefix: true, .. }) && bytes.first() == Some(&b' ') {
            bytes.remove(0);
        }
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Text without special tokens.
    fn cut(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        match &self.cutter {
            Cutter::Bytes(pre, pairs) => pre.cut(text, &mut |piece| pairs.merge(piece.as_bytes(), ids)),
            Cutter::Pieces { pieces, space_prefix } => {
                let marked = text.replace(' ', SPACE_MARK);
                pieces.merge(&if *space_prefix { format!("{SPACE_MARK}{marked}") } else { marked }, ids);
            }
        }
    }
}

fn special(tokens: &[Cow<'_, str>], kinds: &[Kind]) -> Result<Option<(AhoCorasick, Vec<u32>)>, EngineError> {
    let found = (0u32..).zip(tokens.iter().zip(kinds));
    let found = found.filter(|(_, (token, kind))| matches!(kind, Kind::Control | Kind::UserDefined) && !token.is_empty());
    let (ids, names): (Vec<u32>, Vec<&str>) = found.map(|(id, (token, _))| (id, &**token)).unzip();
    if names.is_empty() {
        return Ok(None);
    }
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(names)
        .map_err(|error| EngineError::UnsupportedModel(format!("its special tokens cannot be searched for: {error}")))?;
    Ok(Some((finder, ids)))
}

/// Adds the bytes that a token stands for.
fn write_bytes(token: &str, kind: Kind, sentencepiece: bool, letters: &[Option<u8>], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    match kind {
        Kind::Control | Kind::UserDefined => bytes.extend_from_slice(token.as_bytes()),
        Kind::Byte => match byte(token) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(token.as_bytes()),
        },
        _ if sentencepiece => bytes.extend_from_slice(token.replace(SPACE_MARK, " ").as_bytes()),
        _ => {
            for letter in token.chars() {
                let Some(byte) = letters.get(letter as usize).copied().flatten() else {
                    // A token that is not spelt in the alphabet stands for itself.
                    bytes.truncate(start);
                    return bytes.extend_from_slice(token.as_bytes());
                };
                bytes.push(byte);
            }
        }
    }
}

/// The byte that each letter of GPT-2's alphabet stands for, by the letter's number.
fn letter_bytes() -> Vec<Option<u8>> {
    let mut bytes = vec![None; 0x200];
    for (letter, byte) in byte_letters().into_iter().zip(0..=255u8) {
        if let Some(place) = bytes.get_mut(letter as usize) {
            *place = Some(byte);
        }
    }
    bytes
}

/// The byte that a token like `<0x0A>` stands for.
fn byte(token: &str) -> Option<u8> {
    u8::from_str_radix(token.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

#[cfg(test)]
mod tests;
