//! How text is cut before byte pairs are merged: one set of patterns per `tokenizer.ggml.pre`.
//!
//! The patterns are those of llama.cpp (`src/llama-vocab.cpp`), which names them in the files it writes. All but some end in
//! `\s+(?!\S)|\s+`: of white space before a word, the last character goes with the word. That is done by hand here, so that
//! the patterns need no looking ahead and are matched in one pass.

use kith_engine::EngineError;
use regex::Regex;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+";
const DIGIT: &str = r"\p{N}";

/// What becomes of white space before a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// Nothing: it is cut as the pattern says.
    Whole,
    /// Its last character goes with the word.
    Lends,
    /// The same, but for a run that ends in a line break: the pattern has taken that by itself.
    LendsButBreaks,
}

/// One pre-tokenizer.
pub(super) struct Pretokenizer {
    /// Cut by each in turn; every match and every gap becomes a piece.
    patterns: Vec<(Regex, Space)>,
    /// A piece that is a token as it stands is not merged from its letters.
    pub(super) whole_words: bool,
    /// BOS is added unless the file says otherwise.
    pub(super) adds_bos: bool,
}

impl Pretokenizer {
    /// The pre-tokenizer of this name; `None` for one not known here.
    pub(super) fn named(name: &str) -> Option<Result<Self, EngineError>> {
        const DEEPSEEK_CODER: &[&str] = &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"];
        let (patterns, whole_words): (&[&str], bool) = match name {
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "pixtral" => (&[LLAMA3], true),
            "dbrx" | "smaug-bpe" | "chameleon" => (&[LLAMA3], false),
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" => (&[QWEN2], false),
            "tekken" => (&[TEKKEN], true),
            "gpt-4o" | "llama4" => (&[GPT4O], false),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => (&[DIGIT, GPT2], false),
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "jina-es" | "jina-de" | "jina-v2-code" => (&[GPT2], false),
            "deepseek-coder" => (DEEPSEEK_CODER, false),
            _ => return None,
        };
        Some(Self::new(patterns, whole_words))
    }

    /// What is used for files that name none.
    pub(super) fn fallback() -> Result<Self, EngineError> {
        Self::new(&[LLAMA3], false)
    }

    fn new(patterns: &[&str], whole_words: bool) -> Result<Self, EngineError> {
        let mut compiled = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let space = match *pattern {
                GPT2 => Space::Lends,
                LLAMA3 | QWEN2 | TEKKEN | GPT4O => Space::LendsButBreaks,
                _ => Space::Whole,
            };
            let regex = Regex::new(pattern).map_err(|error| EngineError::Failed(format!("a pattern is none: {error}")))?;
            compiled.push((regex, space));
        }
        Ok(Self { patterns: compiled, whole_words, adds_bos: whole_words })
    }

    /// Cuts `text` into pieces that, joined, are the text.
    pub(super) fn cut(&self, text: &str, piece: &mut dyn FnMut(&str)) {
        cut(&self.patterns, text, piece);
    }
}

fn cut(patterns: &[(Regex, Space)], text: &str, piece: &mut dyn FnMut(&str)) {
    let Some(((pattern, space), rest)) = patterns.split_first() else {
        if !text.is_empty() {
            piece(text);
        }
        return;
    };
    let (mut from, mut at) = (0, 0);
    while let Some(found) = pattern.find_at(text, at) {
        let end = found.start() + kept(found.as_str(), &text[found.end()..], *space);
        cut(rest, &text[from..found.start()], piece);
        cut(rest, &text[found.start()..end], piece);
        (from, at) = (end, end);
    }
    cut(rest, &text[from..], piece);
}

/// How many bytes of a match are kept where white space lends its last character to the word that follows.
fn kept(found: &str, after: &str, space: Space) -> usize {
    let Some(last) = found.chars().next_back() else { return found.len() };
    let lends = match space {
        Space::Whole => false,
        Space::Lends => true,
        Space::LendsButBreaks => !matches!(last, '\r' | '\n'),
    };
    let before_word = after.chars().next().is_some_and(|next| !next.is_whitespace());
    let several = found.len() > last.len_utf8();
    if lends && before_word && several && found.chars().all(char::is_whitespace) {
        found.len() - last.len_utf8()
    } else {
        found.len()
    }
}
