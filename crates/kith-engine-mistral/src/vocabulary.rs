//! The tokens of a model: their bytes, what kind they are, which of them end an answer, and how text is cut into them.

mod json;

pub(crate) use json::JsonTokenizer;

use crate::{header::TokenizerFields, pretokenizer::Pretokenizer};
use kith_engine::EngineError;
use std::collections::HashMap;
use tokenizers::{
    AddedToken, Tokenizer,
    models::bpe::{BPE, Vocab},
    normalizers::{NormalizerWrapper, Prepend, Replace, Sequence as Normalizers},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        sequence::Sequence as Pretokenizers,
        split::{Split, SplitPattern},
    },
    tokenizer::normalizer::SplitDelimiterBehavior,
};

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

/// The vocabulary of one model.
pub(crate) struct Vocabulary {
    bytes: Vec<Box<[u8]>>,
    kinds: Vec<Kind>,
    ends: Vec<u32>,
    bos: Option<u32>,
    adds_bos: bool,
    space_prefix: bool,
    tokenizer: Tokenizer,
}

impl Vocabulary {
    /// Builds it from the file's fields. Takes tenths of a second.
    pub(crate) fn new(fields: &TokenizerFields) -> Result<Self, EngineError> {
        if fields.tokens.is_empty() {
            return Err(EngineError::UnsupportedModel("the model file has no vocabulary".into()));
        }
        let sentencepiece = match fields.model.as_str() {
            "gpt2" => false,
            "llama" => true,
            other => return Err(EngineError::UnsupportedModel(format!("the tokenizer {other:?} is not known"))),
        };
        let kinds: Vec<Kind> = (0..fields.tokens.len()).map(|at| kind(fields, at)).collect();
        let pre = match fields.pre.as_deref().map(|name| (name, Pretokenizer::named(name))) {
            Some((_, Some(pre))) => pre,
            Some((name, None)) if !sentencepiece => {
                tracing::warn!(pre = name, "unknown pre-tokenizer: text may be cut a little differently than in training");
                Pretokenizer::FALLBACK
            }
            _ => Pretokenizer::FALLBACK,
        };
        let letters = byte_letters();
        let bytes = fields.tokens.iter().zip(&kinds);
        let bytes = bytes.map(|(token, kind)| token_bytes(token, *kind, sentencepiece, &letters).into_boxed_slice()).collect();
        let space_prefix = sentencepiece && fields.add_space_prefix.unwrap_or(true);
        let mut tokenizer =
            if sentencepiece { sentencepiece_tokenizer(fields, &kinds, space_prefix) } else { byte_pair_tokenizer(fields, pre) }
                .map_err(|error| EngineError::UnsupportedModel(format!("cannot build the tokenizer: {error}")))?;
        let special: Vec<AddedToken> = fields
            .tokens
            .iter()
            .zip(&kinds)
            .filter(|(_, kind)| matches!(kind, Kind::Control | Kind::UserDefined))
            .map(|(token, _)| AddedToken::from(token.clone(), true).normalized(false))
            .collect();
        tokenizer.add_special_tokens(&special);
        let count = fields.tokens.len();
        let known = |id: &u32| (*id as usize) < count;
        let mut ends: Vec<u32> = fields.ends.iter().copied().filter(known).collect();
        ends.extend(
            (0u32..)
                .zip(fields.tokens.iter().zip(&kinds))
                .filter_map(|(id, (token, kind))| (*kind == Kind::Control && TURN_ENDS.contains(&token.as_str())).then_some(id)),
        );
        ends.sort_unstable();
        ends.dedup();
        let bos = fields.bos.filter(known);
        Ok(Self {
            bytes,
            kinds,
            ends,
            bos,
            adds_bos: fields.add_bos.unwrap_or(sentencepiece || pre.adds_bos),
            space_prefix,
            tokenizer,
        })
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of a token; none for ids beyond the vocabulary. For a control token, the bytes of its name.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// The bytes of a token as an answer shows them: none for control tokens.
    pub(crate) fn shown(&self, id: u32) -> &[u8] {
        match self.kinds.get(id as usize) {
            Some(Kind::Normal | Kind::UserDefined | Kind::Byte) => self.bytes(id),
            _ => &[],
        }
    }

    /// The tokens that end an answer, ascending.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Adds tokens that end an answer.
    pub(crate) fn add_ends(&mut self, ids: &[u32]) {
        self.ends.extend(ids.iter().filter(|id| (**id as usize) < self.bytes.len()));
        self.ends.sort_unstable();
        self.ends.dedup();
    }

    /// Tokens that hardly any prompt holds, those that suit best first: unused ones, then control tokens that end nothing.
    pub(crate) fn oddities(&self) -> impl Iterator<Item = u32> + '_ {
        let of = |wanted: Kind| (0u32..).zip(&self.kinds).filter(move |(_, kind)| **kind == wanted).map(|(id, _)| id);
        of(Kind::Unused).chain(of(Kind::Control)).filter(|id| !self.ends.contains(id) && self.bos != Some(*id))
    }

    /// The ids of `text`; special tokens written in it are read as such. `add_special` adds BOS where the model wants one.
    pub(crate) fn ids(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|error| EngineError::Failed(format!("tokenizer: {error}")))?;
        let bos = self.bos.filter(|_| add_special && self.adds_bos);
        Ok(bos.into_iter().chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The text of `ids`, special tokens by their names: what [`Self::ids`] reads back as the same ids.
    pub(crate) fn text(&self, ids: &[u32]) -> String {
        let mut bytes: Vec<u8> = ids.iter().flat_map(|id| self.bytes(*id)).copied().collect();
        let prefixed = self.space_prefix && bytes.first() == Some(&b' ');
        if prefixed {
            bytes.remove(0);
        }
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

fn kind(fields: &TokenizerFields, at: usize) -> Kind {
    // gguf: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    match fields.kinds.get(at) {
        Some(2 | 3) => Kind::Control,
        Some(4) => Kind::UserDefined,
        Some(5) => Kind::Unused,
        Some(6) => Kind::Byte,
        _ => Kind::Normal,
    }
}

fn token_bytes(token: &str, kind: Kind, sentencepiece: bool, letters: &HashMap<char, u8>) -> Vec<u8> {
    match kind {
        Kind::Control | Kind::UserDefined => token.as_bytes().to_vec(),
        Kind::Byte => token
            .strip_prefix("<0x")
            .and_then(|rest| u8::from_str_radix(rest.trim_end_matches('>'), 16).ok())
            .map_or_else(|| token.as_bytes().to_vec(), |byte| vec![byte]),
        _ if sentencepiece => token.replace(SPACE_MARK, " ").into_bytes(),
        _ => token
            .chars()
            .map(|letter| letters.get(&letter).copied())
            .collect::<Option<_>>()
            .unwrap_or_else(|| token.as_bytes().to_vec()),
    }
}

/// GPT-2's alphabet: printable bytes stand for themselves, the others for the characters from U+0100 on.
fn byte_letters() -> HashMap<char, u8> {
    let mut next = 0x100;
    (0..=255u8)
        .map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let letter = if printable {
                char::from(byte)
            } else {
                next += 1;
                char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
            };
            (letter, byte)
        })
        .collect()
}

fn byte_pair_tokenizer(fields: &TokenizerFields, pre: Pretokenizer) -> tokenizers::Result<Tokenizer> {
    let merges =
        fields.merges.iter().filter_map(|pair| pair.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    let model = BPE::builder().vocab_and_merges(vocab(fields), merges).ignore_merges(pre.whole_words).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for pattern in pre.patterns {
        steps.push(Split::new(SplitPattern::Regex((*pattern).into()), SplitDelimiterBehavior::Isolated, false)?.into());
    }
    steps.push(ByteLevel::new(false, false, false).into());
    tokenizer.with_pre_tokenizer(Some(Pretokenizers::new(steps)));
    Ok(tokenizer)
}

/// SentencePiece's byte pairs: the pair that makes the likeliest token is merged first. The pairs are found as the `transformers`
/// library finds them when it converts such a vocabulary (`convert_slow_tokenizer.py`, `generate_merges`).
fn sentencepiece_tokenizer(fields: &TokenizerFields, kinds: &[Kind], space_prefix: bool) -> tokenizers::Result<Tokenizer> {
    let normal: HashMap<&str, usize> = fields
        .tokens
        .iter()
        .enumerate()
        .filter(|(at, _)| kinds[*at] == Kind::Normal)
        .map(|(at, token)| (token.as_str(), at))
        .collect();
    let mut merges: Vec<(f32, usize, usize)> = Vec::new();
    for (token, at) in &normal {
        let score = fields.scores.get(*at).copied().unwrap_or_default();
        for (cut, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(cut);
            if let (Some(left), Some(right)) = (normal.get(left), normal.get(right)) {
                merges.push((score, *left, *right));
            }
        }
    }
    merges.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let merges = merges.into_iter().map(|(_, left, right)| (fields.tokens[left].clone(), fields.tokens[right].clone())).collect();
    let mut model = BPE::builder().vocab_and_merges(vocab(fields), merges).byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = fields.tokens.get(fields.unknown.unwrap_or(0) as usize) {
        model = model.unk_token(unknown.clone());
    }
    let mut tokenizer = Tokenizer::new(model.build()?);
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if space_prefix {
        steps.push(Prepend::new(SPACE_MARK.into()).into());
    }
    steps.push(Replace::new(" ", SPACE_MARK)?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(steps)));
    Ok(tokenizer)
}

fn vocab(fields: &TokenizerFields) -> Vocab {
    fields.tokens.iter().cloned().zip(0u32..).collect()
}

#[cfg(test)]
mod tests;
