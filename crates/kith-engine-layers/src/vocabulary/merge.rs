//! Merging neighbours until nothing more fits: byte pairs by their rank, SentencePiece's pieces by their score.

use kith_decoding::{Kind, Tokens, byte_letters, named_byte};
use kith_engine::EngineError;
use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// A run of bytes that is one token, or may become part of one. An empty one has been merged away.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    id: u32,
    before: usize,
    after: usize,
}

/// The id of text that is no token.
const NO_TOKEN: u32 = u32::MAX;
/// No neighbour.
const NONE: usize = usize::MAX;

/// Merges neighbours, those with the lowest rank first and of equals the leftmost. `join` gives the rank and the id of what two make.
fn merge<R: Ord + Copy>(symbols: &mut [Symbol], join: impl Fn(&Symbol, &Symbol) -> Option<(R, u32)>) {
    let mut waiting = BinaryHeap::new();
    let look = |symbols: &[Symbol], left: usize, right: usize, waiting: &mut BinaryHeap<_>| {
        if left == NONE || right == NONE {
            return;
        }
        let (a, b) = (&symbols[left], &symbols[right]);
        if let Some((rank, id)) = join(a, b) {
            waiting.push(Reverse((rank, a.start, left, right, b.end, id)));
        }
    };
    for left in 0..symbols.len().saturating_sub(1) {
        look(symbols, left, left + 1, &mut waiting);
    }
    while let Some(Reverse((_, start, left, right, end, id))) = waiting.pop() {
        // Either of them may have been merged with another neighbour since.
        let (a, b) = (symbols[left], symbols[right]);
        if a.start == a.end || b.start == b.end || a.start != start || b.end != end || a.end != b.start {
            continue;
        }
        symbols[left] = Symbol { end, id, after: b.after, ..a };
        symbols[right].end = symbols[right].start;
        if b.after != NONE {
            symbols[b.after].before = left;
        }
        look(symbols, a.before, left, &mut waiting);
        look(symbols, left, b.after, &mut waiting);
    }
}

/// Symbols in a row, by their ends and ids.
fn row(each: impl Iterator<Item = (usize, usize, u32)>) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = each
        .enumerate()
        .map(|(at, (start, end, id))| Symbol { start, end, id, before: at.checked_sub(1).unwrap_or(NONE), after: at + 1 })
        .collect();
    if let Some(last) = symbols.last_mut() {
        last.after = NONE;
    }
    symbols
}

/// The byte pairs of GPT-2's kind.
pub(super) struct BytePairs {
    /// The token of every byte, or [`NO_TOKEN`]: some vocabularies lack bytes that no text holds.
    bytes: Box<[u32; 256]>,
    /// Rank and result of every pair that is merged.
    pairs: HashMap<u64, (u32, u32)>,
    /// Pieces that are tokens as they stand, where those are not merged from their letters.
    whole: HashMap<Box<[u8]>, u32>,
}

impl BytePairs {
    /// From the tokens' names, the merges as written in the file, and the tokens.
    pub(super) fn new(
        tokens: &[Cow<'_, str>],
        merges: &[Cow<'_, str>],
        all: &Tokens,
        whole_words: bool,
    ) -> Result<Self, EngineError> {
        let refused = |what: String| EngineError::UnsupportedModel(what);
        let names: HashMap<&str, u32> = tokens.iter().map(|token| &**token).zip(0u32..).collect();
        let letters = byte_letters();
        let letters = letters.map(|letter| names.get(&*letter.encode_utf8(&mut [0; 4])).copied().unwrap_or(NO_TOKEN));
        let mut joined = String::new();
        let mut pairs = HashMap::with_capacity(merges.len());
        for (rank, pair) in (0u32..).zip(merges) {
            let (left, right) = pair.split_once(' ').ok_or_else(|| refused(format!("{pair:?} is no merge of two tokens")))?;
            joined.clear();
            joined.extend([left, right]);
            // A merge of what is no token is never reached.
            if let (Some(left), Some(right), Some(id)) = (names.get(left), names.get(right), names.get(joined.as_str())) {
                pairs.entry(both(*left, *right)).or_insert((rank, *id));
            }
        }
        let whole = if whole_words { all.each().map(Box::from).zip(0u32..).collect() } else { HashMap::new() };
        Ok(Self { bytes: Box::new(letters), pairs, whole })
    }

    /// Adds the tokens of a piece of text. Bytes without a token are left out, as the tokenizers that such vocabularies were made for do.
    pub(super) fn merge(&self, piece: &[u8], ids: &mut Vec<u32>) {
        if let Some(id) = self.whole.get(piece) {
            ids.push(*id);
            return;
        }
        let mut symbols = row(piece.iter().enumerate().map(|(at, byte)| (at, at + 1, self.bytes[usize::from(*byte)])));
        merge(&mut symbols, |left, right| self.pairs.get(&both(left.id, right.id)).copied());
        let left = symbols.iter().filter(|symbol| symbol.start < symbol.end && symbol.id != NO_TOKEN);
        ids.extend(left.map(|symbol| symbol.id));
    }
}

/// Two ids as one number, which is looked up sooner than a pair.
fn both(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// SentencePiece's pieces.
pub(super) struct Pieces {
    /// Tokens by their text, with what ranks them: the likeliest first.
    tokens: HashMap<String, (Likely, u32)>,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
}

/// Orders scores, the highest first.
type Likely = Reverse<Score>;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Pieces {
    pub(super) fn new(tokens: &[Cow<'_, str>], all: &Tokens, scores: &[f32], unknown: Option<u32>) -> Self {
        let mut bytes = Box::new([None; 256]);
        let mut known = HashMap::with_capacity(tokens.len());
        for (id, token) in (0u32..).zip(tokens) {
            match all.kind(id) {
                Some(Kind::Normal) => {
                    let score = scores.get(id as usize).copied().unwrap_or_default();
                    known.entry(token.to_string()).or_insert((Reverse(Score(score)), id));
                }
                Some(Kind::Byte) => {
                    if let Some(byte) = named_byte(token) {
                        bytes[usize::from(byte)] = Some(id);
                    }
                }
                _ => {}
            }
        }
        let unknown = unknown.filter(|id| (*id as usize) < tokens.len());
        Self { tokens: known, bytes, unknown }
    }

    /// Adds the tokens of a text whose spaces are marked. Characters that are no tokens are written as their bytes, or as the unknown token.
    pub(super) fn merge(&self, text: &str, ids: &mut Vec<u32>) {
        let id = |range: &str| self.tokens.get(range).map_or(NO_TOKEN, |(_, id)| *id);
        let characters = text.char_indices().map(|(at, character)| (at, at + character.len_utf8()));
        let mut symbols = row(characters.map(|(start, end)| (start, end, id(&text[start..end]))));
        merge(&mut symbols, |left, right| self.tokens.get(&text[left.start..right.end]).copied());
        for symbol in symbols.iter().filter(|symbol| symbol.start < symbol.end) {
            if symbol.id != NO_TOKEN {
                ids.push(symbol.id);
                continue;
            }
            let bytes = &text.as_bytes()[symbol.start..symbol.end];
            match bytes.iter().map(|byte| self.bytes[usize::from(*byte)]).collect::<Option<Vec<u32>>>() {
                Some(bytes) => ids.extend(bytes),
                None => ids.extend(self.unknown),
            }
        }
    }
}
