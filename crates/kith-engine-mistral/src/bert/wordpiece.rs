//! WordPiece: text into the pieces of words that an encoder knows.
//!
//! GGUF files write the vocabulary in llama.cpp's way: a piece that begins a word has U+2581 before it, one that continues a word
//! has nothing, and names in brackets stand as they are. Other files keep the original `##` before pieces that continue a word.

use crate::header::{Fields, missing};
use candle_core::quantized::gguf_file::Content;
use kith_engine::EngineError;
use tokenizers::{
    AddedToken, Tokenizer,
    models::{bpe::Vocab, wordpiece::WordPieceBuilder},
    normalizers::BertNormalizer,
    pre_tokenizers::bert::BertPreTokenizer,
};

/// Marks a piece that begins a word.
const BEGINS: char = '\u{2581}';
/// Marks a piece that continues a word, in the tokenizer's own writing.
const CONTINUES: &str = "##";
/// Text is cut into tokens so many bytes at a time: the tokenizer takes a hundred times as much memory, a cancelled request is to end
/// soon, and a text that is to be cut is not read to its end.
const STRETCH: usize = 16 << 10;
/// The most bytes at a time. Words of more than 100 letters are all one to the model, so this changes none that means anything.
const LONGEST_STRETCH: usize = 4 * STRETCH;

/// The tokenizer's fields as they stand in the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct WordPieceFields {
    pub(super) tokens: Vec<String>,
    pub(super) first: Option<u32>,
    pub(super) last: Option<u32>,
    pub(super) lowercase: Option<bool>,
    pub(super) strip_accents: Option<bool>,
}

impl WordPieceFields {
    /// Reads them.
    pub(super) fn of(content: &Content) -> Result<Self, EngineError> {
        let fields = Fields(content);
        let kind = fields.text("tokenizer.ggml.model").unwrap_or_default();
        if kind != "bert" {
            return Err(EngineError::UnsupportedModel(format!("the encoder's tokenizer {kind:?} is not known")));
        }
        let id = |names: [&str; 2]| {
            let mut found = names.iter().filter_map(|name| fields.number(&format!("tokenizer.ggml.{name}")));
            found.next().and_then(|id| u32::try_from(id).ok())
        };
        Ok(Self {
            tokens: fields.list("tokenizer.ggml.tokens", |value| value.to_string().cloned().ok()),
            first: id(["cls_token_id", "bos_token_id"]),
            // The first is the format's own spelling.
            last: id(["seperator_token_id", "eos_token_id"]),
            lowercase: fields.flag("tokenizer.ggml.normalizer.lowercase"),
            strip_accents: fields.flag("tokenizer.ggml.normalizer.strip_accents"),
        })
    }
}

/// The vocabulary of one encoder.
pub(super) struct WordPiece {
    tokenizer: Tokenizer,
    pieces: Vec<String>,
    first: u32,
    last: u32,
}

/// Cutting stopped because nobody waits for it any more.
pub(super) struct Cancelled;

fn bracketed(token: &str) -> bool {
    token.len() > 2 && token.starts_with('[') && token.ends_with(']')
}

/// The vocabulary in the tokenizer's own writing.
fn own_writing(tokens: &[String]) -> Vec<String> {
    if !tokens.iter().any(|token| token.starts_with(BEGINS)) {
        return tokens.to_vec();
    }
    let own = |token: &String| match token.strip_prefix(BEGINS) {
        Some(word) => word.to_owned(),
        None if bracketed(token) => token.clone(),
        None => format!("{CONTINUES}{token}"),
    };
    tokens.iter().map(own).collect()
}

impl WordPiece {
    /// Builds it from the file's fields.
    pub(super) fn new(fields: &WordPieceFields) -> Result<Self, EngineError> {
        let refused = |sentence: String| EngineError::UnsupportedModel(sentence);
        let pieces = own_writing(&fields.tokens);
        let vocabulary: Vocab = pieces.iter().cloned().zip(0u32..).collect();
        let special = |name: &str, stated: Option<u32>| {
            let known = stated.filter(|id| (*id as usize) < pieces.len());
            known.or_else(|| vocabulary.get(name).copied()).ok_or_else(|| missing(&format!("token {name}")))
        };
        let (first, last) = (special("[CLS]", fields.first)?, special("[SEP]", fields.last)?);
        special("[UNK]", None)?;
        // Files do not always say it: a vocabulary without capitals is one of lower case.
        let capitals = || pieces.iter().any(|piece| !bracketed(piece) && piece.bytes().any(|byte| byte.is_ascii_uppercase()));
        let lowercase = fields.lowercase.unwrap_or_else(|| !capitals());
        let names: Vec<AddedToken> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
            .into_iter()
            .filter(|name| vocabulary.contains_key(*name))
            .map(|name| AddedToken::from(name, true))
            .collect();
        let model = WordPieceBuilder::new()
            .vocab(vocabulary)
            .unk_token("[UNK]".into())
            .continuing_subword_prefix(CONTINUES.into())
            .build()
            .map_err(|error| refused(format!("cannot build the tokenizer: {error}")))?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, fields.strip_accents, lowercase)));
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer.add_special_tokens(&names);
        Ok(Self { tokenizer, pieces, first, last })
    }

    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The ids of `text`, without those that open and close it. Stops early once there are more than `enough`, and when `cancelled`.
    pub(super) fn ids(
        &self,
        text: &str,
        enough: usize,
        cancelled: impl Fn() -> bool,
    ) -> Result<Result<Vec<u32>, Cancelled>, EngineError> {
        let mut ids = Vec::new();
        for stretch in stretches(text) {
            if cancelled() {
                return Ok(Err(Cancelled));
            }
            let encoding = self.tokenizer.encode_fast(stretch, false);
            let encoding = encoding.map_err(|error| EngineError::Failed(format!("tokenizer: {error}")))?;
            ids.extend_from_slice(encoding.get_ids());
            if ids.len() > enough {
                break;
            }
        }
        Ok(Ok(ids))
    }

    /// The ids without the tokens that open and close a text.
    pub(super) fn bare<'a>(&self, ids: &'a [u32]) -> &'a [u32] {
        let ids = ids.strip_prefix(&[self.first]).unwrap_or(ids);
        ids.strip_suffix(&[self.last]).unwrap_or(ids)
    }

    /// The ids between the tokens that open and close a text.
    pub(super) fn framed(&self, mut ids: Vec<u32>) -> Vec<u32> {
        ids.insert(0, self.first);
        ids.push(self.last);
        ids
    }

    /// The text of `ids`, with single spaces between words.
    pub(super) fn text(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        for piece in ids.iter().filter_map(|id| self.pieces.get(*id as usize)) {
            match piece.strip_prefix(CONTINUES) {
                Some(rest) if !text.is_empty() => text.push_str(rest),
                _ => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(piece);
                }
            }
        }
        text
    }
}

/// The text in stretches that end where no word and no name in brackets goes on, so that the tokens of the stretches are those of
/// the text. A word that does not end for [`LONGEST_STRETCH`] is cut all the same.
fn stretches(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (stretch, tail) = rest.split_at(end_of_stretch(rest));
        rest = tail;
        (!stretch.is_empty()).then_some(stretch)
    })
}

fn end_of_stretch(text: &str) -> usize {
    let least = text.floor_char_boundary(STRETCH);
    let mut before = text[..least].chars().next_back().unwrap_or(' ');
    for (at, char) in text[least..].char_indices() {
        let at = least + at;
        let mark = before.is_ascii_punctuation() && before != '[';
        // Each Chinese character is a word of its own.
        let chinese = matches!(char, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}');
        if mark || chinese || char.is_whitespace() || at >= LONGEST_STRETCH {
            return at;
        }
        before = char;
    }
    text.len()
}

#[cfg(test)]
mod tests;
