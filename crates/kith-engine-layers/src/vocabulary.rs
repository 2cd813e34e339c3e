//! The vocabulary of a model: its tokens, and how text is cut into them.

mod fields;
mod merge;
mod pretokenizer;

pub(crate) use fields::TokenizerFields;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use kith_decoding::{Kind, SPACE_MARK, Spelling, Tokens};
use kith_engine::EngineError;
use merge::{BytePairs, Pieces};
use pretokenizer::Pretokenizer;
use std::{borrow::Cow, sync::Arc};

/// How what lies between special tokens is cut.
enum Cutter {
    /// By patterns, then byte pairs are merged by rank.
    Bytes(Pretokenizer, BytePairs),
    /// SentencePiece's: the neighbours that make the likeliest token are merged first.
    Pieces { pieces: Pieces, space_prefix: bool },
}

/// The vocabulary of one model.
pub(crate) struct Vocabulary {
    tokens: Arc<Tokens>,
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
        let kinds: Vec<Kind> = (0..fields.tokens.len()).map(|at| Kind::numbered(fields.kinds.get(at).copied())).collect();
        let special = special(&fields.tokens, &kinds)?;
        let spelling = if sentencepiece { Spelling::Marked } else { Spelling::Letters };
        let tokens = Tokens::new(&fields.tokens, kinds, spelling, fields.ends.iter().copied());
        let (cutter, adds_bos) = if sentencepiece {
            let pieces = Pieces::new(&fields.tokens, &tokens, &fields.scores, fields.unknown);
            (Cutter::Pieces { pieces, space_prefix: fields.add_space_prefix.unwrap_or(true) }, true)
        } else {
            let pre = fields.pre.as_deref().and_then(Pretokenizer::named);
            if let (None, Some(name)) = (&pre, &fields.pre) {
                return Err(EngineError::UnsupportedModel(format!("the pre-tokenizer {name:?} is not known")));
            }
            let pre = pre.unwrap_or_else(Pretokenizer::fallback)?;
            let pairs = BytePairs::new(&fields.tokens, &fields.merges, &tokens, pre.whole_words)?;
            let adds_bos = pre.adds_bos;
            (Cutter::Bytes(pre, pairs), adds_bos)
        };
        let count = fields.tokens.len();
        let known = |id: &u32| (*id as usize) < count;
        Ok(Self {
            special,
            tokens: Arc::new(tokens),
            bos: fields.bos.filter(known),
            adds_bos: fields.add_bos.unwrap_or(adds_bos),
            close: fields.eos.filter(|id| known(id) && fields.add_eos == Some(true)),
            cutter,
        })
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Refuses a vocabulary that differs in any token, with the first difference.
    pub(crate) fn must_be(&self, other: &Self) -> Result<(), String> {
        if self.len() != other.len() {
            return Err(format!("it has {} tokens instead of {}", other.len(), self.len()));
        }
        let (own, others) = (self.tokens(), other.tokens());
        let differs = |id: &u32| own.bytes(*id) != others.bytes(*id) || own.kind(*id) != others.kind(*id);
        match (0u32..).take(self.len()).find(differs) {
            None => Ok(()),
            Some(id) => {
                let [wanted, found] = [own, others].map(|all| String::from_utf8_lossy(all.bytes(id)).into_owned());
                Err(format!("its token {id} is {found:?} instead of {wanted:?}, or of another kind"))
            }
        }
    }

    /// Its tokens.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The same, to keep.
    pub(crate) fn shared(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens)
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
        self.tokens.text(ids, matches!(self.cutter, Cutter::Pieces { space_prefix: true, .. }))
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

#[cfg(test)]
mod tests;
