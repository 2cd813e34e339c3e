//! The vocabulary of a folder: its `tokenizer.json`, and what the files beside it say of special tokens.

use super::Vocabulary;
use kith_decoding::{Kind, Spelling, Tokens};
use kith_engine::EngineError;
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};
use tokenizers::Tokenizer;

/// The most entries of a vocabulary.
const MAX_TOKENS: usize = 4 << 20;

/// A `tokenizer.json` and what is said beside it.
pub(crate) struct JsonTokenizer {
    /// Without its post-processor: opening tokens are added here, and by nobody else.
    json: Value,
    bos: Option<String>,
    adds_bos: bool,
    ends: Vec<End>,
}

enum End {
    Id(u32),
    Text(String),
}

impl JsonTokenizer {
    /// Reads what matters of `tokenizer.json`, of `tokenizer_config.json`, and of configurations that number the tokens which end an
    /// answer.
    pub(crate) fn new(
        mut json: Value,
        config: Option<Value>,
        numbering: impl Iterator<Item = Value>,
    ) -> Result<Self, EngineError> {
        // mistral.rs unwraps these.
        let vocabulary = json.get("model").and_then(|model| model.get("vocab")).is_some_and(Value::is_object);
        let added = json.get("added_tokens").and_then(Value::as_array).is_some_and(|tokens| {
            tokens
                .iter()
                .all(|token| token.get("id").is_some_and(Value::is_u64) && token.get("content").is_some_and(Value::is_string))
        });
        if !vocabulary || !added {
            return Err(unsupported("tokenizer.json has no vocabulary of byte pairs with its added tokens".into()));
        }
        let text = |name: &str| {
            let token = config.as_ref()?.get(name)?;
            token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned)
        };
        let bos = text("bos_token");
        let told = config.as_ref().and_then(|config| config.get("add_bos_token")).and_then(Value::as_bool);
        let adds_bos = told.unwrap_or_else(|| opens_with(&json, bos.as_deref()));
        let mut ends: Vec<End> = text("eos_token").map(End::Text).into_iter().collect();
        for config in numbering {
            for part in [Some(&config), config.get("text_config")].into_iter().flatten() {
                match part.get("eos_token_id") {
                    Some(Value::Array(ids)) => ends.extend(ids.iter().filter_map(number).map(End::Id)),
                    Some(id) => ends.extend(number(id).map(End::Id)),
                    None => {}
                }
            }
        }
        if let Some(object) = json.as_object_mut() {
            object.insert("post_processor".into(), Value::Null);
            object.insert("truncation".into(), Value::Null);
            object.insert("padding".into(), Value::Null);
        }
        Ok(Self { json, bos, adds_bos, ends })
    }

    /// The file for mistral.rs.
    pub(crate) fn json(&self) -> &Value {
        &self.json
    }
}

impl Vocabulary {
    /// Builds it from a folder's files. Takes tenths of a second.
    pub(crate) fn of_folder(files: &JsonTokenizer) -> Result<Self, EngineError> {
        let mut tokenizer = Tokenizer::from_bytes(files.json.to_string())
            .map_err(|error| unsupported(format!("tokenizer.json cannot be read: {error}")))?;
        tokenizer.with_truncation(None).map_err(|error| unsupported(format!("tokenizer.json cannot be read: {error}")))?;
        let ids = tokenizer.get_vocab(true);
        let count = ids.values().max().map_or(0, |most| *most as usize + 1);
        if count == 0 || count > MAX_TOKENS {
            return Err(unsupported(format!("the vocabulary has {count} entries; from 1 to {MAX_TOKENS} are read")));
        }
        let mut tokens = vec![String::new(); count];
        for (token, id) in &ids {
            tokens[*id as usize].clone_from(token);
        }
        let mut added: HashMap<u32, bool> = HashMap::new();
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            added.insert(id, token.special);
        }
        let byte_level = mentions(&files.json["decoder"], "ByteLevel") || mentions(&files.json["pre_tokenizer"], "ByteLevel");
        let kinds: Vec<Kind> = (0u32..)
            .zip(&tokens)
            .map(|(id, token)| match added.get(&id) {
                Some(true) => Kind::Control,
                Some(false) => Kind::UserDefined,
                None if token.is_empty() => Kind::Unused,
                None if !byte_level && token.len() == 6 && token.starts_with("<0x") && token.ends_with('>') => Kind::Byte,
                None => Kind::Normal,
            })
            .collect();
        let ends = files.ends.iter().filter_map(|end| match end {
            End::Id(id) => Some(*id),
            End::Text(text) => ids.get(text).copied(),
        });
        let spelling = if byte_level { Spelling::Letters } else { Spelling::Marked };
        let tokens = Arc::new(Tokens::new(&tokens, kinds, spelling, ends));
        let bos = files.bos.as_ref().and_then(|bos| ids.get(bos).copied());
        let mut vocabulary = Self { tokens, bos, adds_bos: files.adds_bos, space_prefix: false, tokenizer };
        // Some put a space before a text that begins with a word.
        vocabulary.space_prefix =
            vocabulary.ids("a", false)?.first().is_some_and(|id| vocabulary.tokens.bytes(*id).first() == Some(&b' '));
        Ok(vocabulary)
    }

    /// The id of the token with this name.
    pub(crate) fn id_of(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// The text with the opening token before it, where the model wants one.
    pub(crate) fn opened(&self, text: String) -> String {
        match self.bos.filter(|_| self.adds_bos) {
            Some(bos) => format!("{}{text}", String::from_utf8_lossy(self.tokens.bytes(bos))),
            None => text,
        }
    }
}

fn number(id: &Value) -> Option<u32> {
    id.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// Whether the post-processor writes `bos` before a text.
fn opens_with(json: &Value, bos: Option<&str>) -> bool {
    let Some(bos) = bos else { return false };
    let processor = &json["post_processor"];
    let steps = processor["processors"].as_array().map_or_else(|| std::slice::from_ref(processor), Vec::as_slice);
    steps.iter().any(|step| step["single"][0]["SpecialToken"]["id"] == bos)
}

/// Whether the type of this part, or of one inside it, is `kind`.
fn mentions(part: &Value, kind: &str) -> bool {
    match part {
        Value::Object(fields) => {
            fields.get("type").and_then(Value::as_str) == Some(kind) || fields.values().any(|value| mentions(value, kind))
        }
        Value::Array(parts) => parts.iter().any(|part| mentions(part, kind)),
        _ => false,
    }
}

fn unsupported(why: String) -> EngineError {
    EngineError::UnsupportedModel(why)
}
