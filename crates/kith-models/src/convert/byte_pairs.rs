//! The vocabulary of a decoder: byte pairs out of `tokenizer.json`, on bytes or, as SentencePiece's models do, on characters.

use super::{header::Header, json, refused};
use crate::ModelError;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

/// The most entries of a vocabulary. The largest known have 262 144.
const MAX_TOKENS: usize = 1 << 20;
/// The most merges.
const MAX_MERGES: usize = 1 << 21;

/// `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// How text is cut before bytes are merged: the patterns in the folder, and the name in GGUF files
/// (llama.cpp, `convert_hf_to_gguf.py` and `src/llama-vocab.cpp`).
const CUTS: [(&str, &str); 3] = [
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "llama-bpe",
    ),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", "qwen2"),
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "tekken",
    ),
];

#[derive(Debug, Deserialize)]
struct File {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
    pre_tokenizer: Option<Value>,
    normalizer: Option<Value>,
    post_processor: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: HashMap<String, u64>,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
    unk_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Debug, Deserialize)]
struct Added {
    id: u64,
    content: String,
    #[serde(default)]
    special: bool,
}

/// `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
struct Settings {
    bos_token: Option<Value>,
    eos_token: Option<Value>,
    unk_token: Option<Value>,
    pad_token: Option<Value>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
}

/// How pieces of text become tokens.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// Of bytes, after the text was cut in the way of this name.
    Bytes(&'static str),
    /// Of characters, with the marks of SentencePiece; whether a space is put before the text.
    Characters { space: bool },
}

/// A decoder's vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BytePairs {
    kind: Kind,
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<String>,
    scores: Vec<f32>,
    /// Keys of GGUF files and the ids under them.
    marks: Vec<(&'static str, u32)>,
    add_bos: bool,
    add_eos: Option<bool>,
}

impl BytePairs {
    /// Reads the folder's files, for a model with embeddings for `size` tokens.
    pub(super) fn read(folder: &Path, size: u64) -> Result<Self, ModelError> {
        let Some(file) = json::<File>(&folder.join("tokenizer.json"))? else {
            return refused("the folder has no tokenizer.json (`save_pretrained` of a fast tokenizer writes it)");
        };
        let settings = json::<Settings>(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        file.vocabulary(&settings, size)
    }

    /// Writes the keys.
    pub(super) fn write(&self, header: &mut Header) {
        match self.kind {
            Kind::Bytes(cut) => {
                header.text("tokenizer.ggml.model", "gpt2");
                header.text("tokenizer.ggml.pre", cut);
                header.texts("tokenizer.ggml.merges", &self.merges);
            }
            Kind::Characters { space } => {
                header.text("tokenizer.ggml.model", "llama");
                header.text("tokenizer.ggml.pre", "default");
                header.fractions("tokenizer.ggml.scores", &self.scores);
                header.flag("tokenizer.ggml.add_space_prefix", space);
            }
        }
        header.texts("tokenizer.ggml.tokens", &self.tokens);
        header.numbers("tokenizer.ggml.token_type", &self.types);
        for (key, id) in &self.marks {
            header.number(key, *id);
        }
        header.flag("tokenizer.ggml.add_bos_token", self.add_bos);
        if let Some(add) = self.add_eos {
            header.flag("tokenizer.ggml.add_eos_token", add);
        }
    }
}

impl File {
    fn vocabulary(self, settings: &Settings, size: u64) -> Result<BytePairs, ModelError> {
        if self.model.kind.as_deref().is_some_and(|kind| kind != "BPE") {
            return refused(format!(
                "the tokenizer is of the kind {}; of decoders, BPE is read",
                self.model.kind.unwrap_or_default()
            ));
        }
        let kind = if self.model.byte_fallback {
            characters(self.normalizer.as_ref(), self.pre_tokenizer.as_ref())?
        } else {
            Kind::Bytes(cut(self.pre_tokenizer.as_ref())?)
        };
        if self.model.vocab.len() > MAX_TOKENS
            || self.added_tokens.len() > MAX_TOKENS
            || size > MAX_TOKENS as u64
            || self.model.merges.len() > MAX_MERGES
        {
            return refused(format!("the tokenizer has more than {MAX_TOKENS} tokens or {MAX_MERGES} merges"));
        }
        let merges: Vec<(String, String)> = self
            .model
            .merges
            .into_iter()
            .map(Merge::parts)
            .collect::<Option<_>>()
            .map_or_else(|| refused("a merge of the tokenizer is not of two parts"), Ok)?;
        let mut by_id: BTreeMap<u64, (String, i32)> = BTreeMap::new();
        for (token, id) in self.model.vocab {
            let is_byte = self.model.byte_fallback && token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
            let is_unknown = self.model.unk_token.as_deref() == Some(token.as_str());
            let kind = if is_byte {
                BYTE
            } else if is_unknown {
                UNKNOWN
            } else {
                NORMAL
            };
            if by_id.insert(id, (token, kind)).is_some() {
                return refused(format!("the tokenizer gives the id {id} twice"));
            }
        }
        for Added { id, content, special } in self.added_tokens {
            let kind = match by_id.get(&id) {
                Some((there, _)) if *there != content => return refused(format!("the tokenizer gives the id {id} twice")),
                Some((_, UNKNOWN)) => UNKNOWN,
                _ if special => CONTROL,
                _ => USER_DEFINED,
            };
            by_id.insert(id, (content, kind));
        }
        if let Some((id, _)) = by_id.last_key_value().filter(|(id, _)| **id >= size) {
            return refused(format!("the tokenizer has a token {id}, the model embeddings for {size} only"));
        }
        // Embeddings are often more than tokens, for the sake of round numbers.
        let (tokens, types): (Vec<String>, Vec<i32>) =
            (0..size).map(|id| by_id.remove(&id).unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED))).unzip();
        let ids: HashMap<&str, u32> = tokens.iter().map(String::as_str).zip(0u32..).collect();
        let id = |token: &Option<Value>| ids.get(content(token.as_ref()?)?).copied();
        let marks = [
            ("tokenizer.ggml.bos_token_id", id(&settings.bos_token)),
            ("tokenizer.ggml.eos_token_id", id(&settings.eos_token)),
            ("tokenizer.ggml.unknown_token_id", id(&settings.unk_token)),
            ("tokenizer.ggml.padding_token_id", id(&settings.pad_token)),
        ];
        let opened =
            settings.bos_token.as_ref().and_then(content).is_some_and(|bos| opens_with(self.post_processor.as_ref(), bos));
        let scores = scores(&tokens, &types, &merges);
        Ok(BytePairs {
            scores: if matches!(kind, Kind::Characters { .. }) { scores } else { Vec::new() },
            kind,
            marks: marks.into_iter().filter_map(|(key, id)| Some((key, id?))).collect(),
            add_bos: settings.add_bos_token.unwrap_or(opened),
            add_eos: settings.add_eos_token,
            merges: merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect(),
            tokens,
            types,
        })
    }
}

impl Merge {
    fn parts(self) -> Option<(String, String)> {
        match self {
            Self::Pair(left, right) => Some((left, right)),
            Self::Text(text) => text.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())),
        }
    }
}

/// The text of a special token: a string, or an object with its content.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// SentencePiece merges the pair whose token has the highest score; the order of merges says the same.
fn scores(tokens: &[String], types: &[i32], merges: &[(String, String)]) -> Vec<f32> {
    let mut ranks: HashMap<String, usize> = HashMap::with_capacity(merges.len());
    for (rank, (left, right)) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    let score = |(token, kind): (&String, &i32)| match kind {
        &NORMAL => -(ranks.get(token).copied().unwrap_or(merges.len()) as f32),
        _ => 0.0,
    };
    tokens.iter().zip(types).map(score).collect()
}

/// Whether the text that is tokenised is opened with this token.
fn opens_with(processor: Option<&Value>, bos: &str) -> bool {
    let Some(processor) = processor else { return false };
    let inner = processor["processors"].as_array().into_iter().flatten();
    std::iter::once(processor).chain(inner).any(|one| one["single"][0]["SpecialToken"]["id"] == bos)
}

/// The parts of a pre-tokenizer or normalizer: itself, or those of a sequence.
fn parts<'a>(whole: &'a Value, list: &str) -> Vec<&'a Value> {
    if whole["type"] == "Sequence" {
        whole[list].as_array().map(|all| all.iter().collect()).unwrap_or_default()
    } else {
        vec![whole]
    }
}

/// The name of the way text is cut.
fn cut(pre: Option<&Value>) -> Result<&'static str, ModelError> {
    let unknown = || refused("the tokenizer cuts text in a way that is not known; import the model as GGUF");
    let Some(pre) = pre else { return unknown() };
    let all = parts(pre, "pretokenizers");
    if all.iter().any(|one| one["add_prefix_space"] == true) {
        return unknown();
    }
    let kinds: Vec<&str> = all.iter().map(|one| one["type"].as_str().unwrap_or_default()).collect();
    let own_pattern = |one: &Value| one["use_regex"] != false;
    match (kinds.as_slice(), all.as_slice()) {
        (["ByteLevel"], [bytes]) if own_pattern(bytes) => Ok("gpt-2"),
        (["Digits", "ByteLevel"], [digits, bytes]) if digits["individual_digits"] == true && own_pattern(bytes) => Ok("smollm"),
        (["Split", "ByteLevel"], [split, bytes]) if !own_pattern(bytes) && split["behavior"] == "Isolated" => {
            let pattern = split["pattern"]["Regex"].as_str().unwrap_or_default();
            CUTS.iter().find(|(known, _)| *known == pattern).map_or_else(unknown, |(_, name)| Ok(name))
        }
        _ => unknown(),
    }
}

/// Whether the marks of SentencePiece are set as its models do: a mark for each space, and perhaps one before the text.
fn characters(normalizer: Option<&Value>, pre: Option<&Value>) -> Result<Kind, ModelError> {
    let marks: Vec<&Value> = normalizer.map(|all| parts(all, "normalizers")).unwrap_or_default();
    let pre: Vec<&Value> = pre.map(|all| parts(all, "pretokenizers")).unwrap_or_default();
    let replaces = |one: &&Value| one["type"] == "Replace" && one["pattern"]["String"] == " " && one["content"] == "\u{2581}";
    let prepends = |one: &&Value| one["type"] == "Prepend" && one["prepend"] == "\u{2581}";
    if pre.is_empty() && marks.iter().all(|one| replaces(one) || prepends(one)) && marks.iter().any(replaces) {
        return Ok(Kind::Characters { space: marks.iter().any(prepends) });
    }
    match (marks.as_slice(), pre.as_slice()) {
        ([], [meta]) if meta["type"] == "Metaspace" && meta["split"] != true => {
            Ok(Kind::Characters { space: meta["prepend_scheme"] != "never" && meta["add_prefix_space"] != false })
        }
        _ => refused("the tokenizer prepares text in a way that is not known; import the model as GGUF"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    fn read(tokenizer: Value, settings: Value, size: u64) -> Result<BytePairs, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
        BytePairs::read(folder.path(), size)
    }

    fn bytes() -> Value {
        value!({
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
            "added_tokens": [{"id": 3, "content": "<|end|>", "special": true}, {"id": 4, "content": "<tool>", "special": false}],
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": true}, {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]},
        })
    }

    #[test]
    fn tokens_have_their_kinds_and_missing_ones_are_unused() {
        let pairs = read(bytes(), value!({"eos_token": "<|end|>", "bos_token": {"content": "<|end|>"}}), 6).unwrap();
        assert_eq!(pairs.kind, Kind::Bytes("smollm"));
        assert_eq!(pairs.tokens, ["a", "b", "ab", "<|end|>", "<tool>", "[PAD5]"]);
        assert_eq!(pairs.types, [NORMAL, NORMAL, NORMAL, CONTROL, USER_DEFINED, UNUSED]);
        assert_eq!(pairs.marks, [("tokenizer.ggml.bos_token_id", 3), ("tokenizer.ggml.eos_token_id", 3)]);
        assert_eq!((pairs.merges, pairs.add_bos), (vec!["a b".to_owned()], false));
    }

    #[test]
    fn merges_may_be_pairs_and_the_text_may_be_opened_by_the_post_processor() {
        let mut tokenizer = bytes();
        tokenizer["model"]["merges"] = value!([["a", "b"]]);
        tokenizer["post_processor"] = value!({"type": "Sequence", "processors": [{"type": "ByteLevel"},
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A"}}]}]});
        let pairs = read(tokenizer, value!({"bos_token": "<|end|>"}), 5).unwrap();
        assert_eq!((pairs.merges, pairs.add_bos), (vec!["a b".to_owned()], true));
    }

    #[test]
    fn characters_are_merged_by_score_in_the_order_of_the_merges() {
        let tokenizer = value!({
            "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "merges": ["\u{2581} a", "\u{2581}a b"],
                "vocab": {"<unk>": 0, "<0x0A>": 1, "\u{2581}": 2, "a": 3, "b": 4, "\u{2581}a": 5, "\u{2581}ab": 6}},
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]},
        });
        let pairs = read(tokenizer, value!({}), 7).unwrap();
        assert_eq!(pairs.kind, Kind::Characters { space: true });
        assert_eq!(pairs.types, [UNKNOWN, BYTE, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL]);
        assert_eq!(pairs.scores, [0.0, 0.0, -2.0, -2.0, -2.0, 0.0, -1.0]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let with = |path: &str, new: Value| {
            let mut tokenizer = bytes();
            *tokenizer.pointer_mut(path).unwrap() = new;
            read(tokenizer, value!({}), 5)
        };
        for result in [
            with("/model/type", value!("Unigram")),
            with("/model/merges", value!(["ab"])),
            with("/model/vocab", value!({"a": 0, "b": 0})),
            with("/added_tokens/0/id", value!(2)),
            with("/added_tokens/0/id", value!(99)),
            with("/pre_tokenizer/pretokenizers/0/individual_digits", value!(false)),
            with("/pre_tokenizer/pretokenizers/1/add_prefix_space", value!(true)),
            with("/pre_tokenizer", value!(null)),
        ] {
            assert!(matches!(result, Err(ModelError::BadFile { .. })), "{result:?}");
        }
    }
}
