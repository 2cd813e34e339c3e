//! The vocabulary of a model: its tokens, and how text is cut into them.

mod json;

pub(crate) use json::JsonTokenizer;

use crate::{header::TokenizerFields, pretokenizer::Pretokenizer};
use kith_decoding::{Kind, SPACE_MARK, Spelling, Tokens};
use kith_engine::EngineError;
use std::{collections::HashMap, sync::Arc};
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

/// The vocabulary of one model.
pub(crate) struct Vocabulary {
    tokens: Arc<Tokens>,
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
        let kinds: Vec<Kind> = (0..fields.tokens.len()).map(|at| Kind::numbered(fields.kinds.get(at).copied())).collect();
        let pre = match fields.pre.as_deref().map(|name| (name, Pretokenizer::named(name))) {
            Some((_, Some(pre))) => pre,
            Some((name, None)) if !sentencepiece => {
                tracing::warn!(pre = name, "unknown pre-tokenizer: text may be cut a little differently than in training");
                Pretokenizer::FALLBACK
            }
            _ => Pretokenizer::FALLBACK,
        };
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
        let spelling = if sentencepiece { Spelling::Marked } else { Spelling::Letters };
        Ok(Self {
            tokens: Arc::new(Tokens::new(&fields.tokens, kinds, spelling, fields.ends.iter().copied())),
            bos: fields.bos.filter(|id| (*id as usize) < count),
            adds_bos: fields.add_bos.unwrap_or(sentencepiece || pre.adds_bos),
            space_prefix,
            tokenizer,
        })
    }

    /// Its tokens.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The same, to keep.
    pub(crate) fn shared(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens)
    }

    /// Adds tokens that end an answer, to what is taken from here from now on.
    pub(crate) fn add_ends(&mut self, ids: &[u32]) {
        Arc::make_mut(&mut self.tokens).add_ends(ids.iter().copied());
    }

    /// Tokens that hardly any prompt holds, those that suit best first: unused ones, then control tokens that end nothing.
    pub(crate) fn oddities(&self) -> impl Iterator<Item = u32> + '_ {
        let of = |wanted: Kind| (0u32..).take(self.tokens.len()).filter(move |id| self.tokens.kind(*id) == Some(wanted));
        of(Kind::Unused).chain(of(Kind::Control)).filter(|id| !self.tokens.ends().contains(id) && self.bos != Some(*id))
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
        self.tokens.text(ids, self.space_prefix)
    }
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
