//! The vocabulary of an encoder: from `tokenizer.json`, or from `vocab.txt` and `tokenizer_config.json`.

use super::{header::Header, json, refused, text};
use crate::ModelError;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// The most entries of a vocabulary. The largest known have 250 000.
const MAX_TOKENS: usize = 1 << 20;
/// Marks a piece that begins a word, in GGUF files.
const BEGINS: char = '\u{2581}';
/// Marks a piece that continues a word, in the original.
const CONTINUES: &str = "##";
/// The longest word that is cut into pieces, in characters; the engine knows no other limit.
const LONGEST_WORD: u64 = 100;
/// The tokens that stand for no text, by their keys. `seperator` is the format's own spelling.
const SPECIAL: [(&str, &str); 5] = [
    ("[PAD]", "tokenizer.ggml.padding_token_id"),
    ("[UNK]", "tokenizer.ggml.unknown_token_id"),
    ("[CLS]", "tokenizer.ggml.cls_token_id"),
    ("[SEP]", "tokenizer.ggml.seperator_token_id"),
    ("[MASK]", "tokenizer.ggml.mask_token_id"),
];

/// `tokenizer.json`, as far as it matters.
#[derive(Debug, Deserialize)]
struct File {
    model: Model,
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<Kind>,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Debug, Deserialize)]
struct Model {
    /// Older files leave it out.
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    vocab: serde_json::Value,
    continuing_subword_prefix: Option<String>,
    max_input_chars_per_word: Option<u64>,
    unk_token: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Normalizer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "yes")]
    clean_text: bool,
    #[serde(default = "yes")]
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    lowercase: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct Added {
    id: u64,
    content: String,
}

/// `tokenizer_config.json`, which goes with `vocab.txt`.
#[derive(Debug, Default, Deserialize)]
struct Settings {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
}

/// `sentence_bert_config.json`.
#[derive(Debug, Default, Deserialize)]
struct Sentences {
    #[serde(default)]
    do_lower_case: bool,
}

/// An encoder's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vocabulary {
    /// The tokens by their ids, as the original writes them.
    pub(super) tokens: Vec<String>,
    lowercase: bool,
    strip_accents: bool,
}

impl Vocabulary {
    /// Reads the folder's files.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let mut vocabulary = match json::<File>(&folder.join("tokenizer.json"))? {
            Some(file) => file.vocabulary()?,
            None => match text(&folder.join("vocab.txt"))? {
                Some(lines) => {
                    let settings = json::<Settings>(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
                    of_lines(&lines, &settings)?
                }
                None => return refused(format!("{} has neither tokenizer.json nor vocab.txt", folder.display())),
            },
        };
        vocabulary.lowercase |= json::<Sentences>(&folder.join("sentence_bert_config.json"))?.unwrap_or_default().do_lower_case;
        vocabulary.check()?;
        Ok(vocabulary)
    }

    fn check(&self) -> Result<(), ModelError> {
        if self.tokens.len() > MAX_TOKENS {
            return refused(format!("the tokenizer has {} tokens; at most {MAX_TOKENS} are read", self.tokens.len()));
        }
        for name in ["[UNK]", "[CLS]", "[SEP]"] {
            if !self.tokens.iter().any(|token| token == name) {
                return refused(format!("the tokenizer has no token {name}, which BERT's have"));
            }
        }
        let mut seen = HashSet::new();
        let lost = self.tokens.iter().find(|token| original(&written(token)) != **token || !seen.insert(token.as_str()));
        if let Some(token) = lost {
            return refused(format!(
                "the tokenizer's token `{}` is there twice, or cannot be told from another in a GGUF file",
                shown(token)
            ));
        }
        Ok(())
    }

    /// Writes the keys.
    pub(super) fn write(&self, header: &mut Header) {
        let special = |token: &str| SPECIAL.iter().any(|(name, _)| *name == token);
        header.text("tokenizer.ggml.model", "bert");
        header.texts("tokenizer.ggml.tokens", &self.tokens.iter().map(|token| written(token)).collect::<Vec<_>>());
        // 1 is text, 3 steers.
        let kinds: Vec<i32> = self.tokens.iter().map(|token| if special(token) { 3 } else { 1 }).collect();
        header.numbers("tokenizer.ggml.token_type", &kinds);
        for (name, key) in SPECIAL {
            let place = self.tokens.iter().position(|token| token == name);
            if let Some(id) = place.and_then(|at| u32::try_from(at).ok()) {
                header.number(key, id);
            }
        }
        header.flag("tokenizer.ggml.normalizer.lowercase", self.lowercase);
        header.flag("tokenizer.ggml.normalizer.strip_accents", self.strip_accents);
    }
}

/// A token as GGUF files write it: marked where it begins a word, not where it continues one.
fn written(token: &str) -> String {
    match token.strip_prefix(CONTINUES) {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ if bracketed(token) => token.to_owned(),
        _ => format!("{BEGINS}{token}"),
    }
}

/// What readers of GGUF files make of a token.
fn original(written: &str) -> String {
    match written.strip_prefix(BEGINS) {
        Some(word) => word.to_owned(),
        None if bracketed(written) => written.to_owned(),
        None => format!("{CONTINUES}{written}"),
    }
}

fn bracketed(token: &str) -> bool {
    token.len() > 2 && token.starts_with('[') && token.ends_with(']')
}

fn shown(token: &str) -> String {
    token.chars().take(64).filter(|c| !c.is_control()).collect()
}

impl File {
    fn vocabulary(self) -> Result<Vocabulary, ModelError> {
        let model = self.model;
        let other = |what: &str| refused(format!("the tokenizer's {what} is not that of BERT, the only one that is known"));
        if model.kind.as_deref().is_some_and(|kind| kind != "WordPiece")
            || model.continuing_subword_prefix.as_deref() != Some(CONTINUES)
            || model.max_input_chars_per_word.is_some_and(|most| most != LONGEST_WORD)
            || model.unk_token.is_some_and(|token| token != "[UNK]")
        {
            return other("model");
        }
        if self.pre_tokenizer.is_none_or(|kind| kind.kind != "BertPreTokenizer") {
            return other("pre-tokenizer");
        }
        let Some(normalizer) = self.normalizer.filter(|n| n.kind == "BertNormalizer" && n.clean_text && n.handle_chinese_chars)
        else {
            return other("normalizer");
        };
        let Ok(vocab) = serde_json::from_value::<BTreeMap<String, u64>>(model.vocab) else { return other("vocabulary") };
        let mut by_id: BTreeMap<u64, String> = BTreeMap::new();
        let added = self.added_tokens.into_iter().map(|token| (token.content, token.id));
        for (token, id) in vocab.into_iter().chain(added) {
            if by_id.insert(id, token.clone()).is_some_and(|there| there != token) {
                return refused(format!("the tokenizer gives the id {id} twice"));
            }
        }
        if by_id.keys().copied().ne(0..by_id.len() as u64) {
            return refused("the tokenizer leaves out ids");
        }
        Ok(Vocabulary {
            tokens: by_id.into_values().collect(),
            lowercase: normalizer.lowercase,
            strip_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
        })
    }
}

/// One token a line; its id is the line's number.
fn of_lines(lines: &str, settings: &Settings) -> Result<Vocabulary, ModelError> {
    if settings.tokenize_chinese_chars == Some(false) {
        return refused("the tokenizer does not part Chinese characters, which is not known");
    }
    let lowercase = settings.do_lower_case.unwrap_or(true);
    Ok(Vocabulary {
        tokens: lines.lines().map(str::to_owned).collect(),
        lowercase,
        strip_accents: settings.strip_accents.unwrap_or(lowercase),
    })
}
