//! One model of the library, and what may be asked about it.

use crate::{
    Details, Message, ModelError,
    gguf::{Array as GgufArray, Gguf, Value as GgufValue},
};
use kith_blobs::Blobs;
use kith_store::ModelRow;
use kith_types::{Blake3, ModelName, Sha256, Timestamp};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The format of files that hold a model as GGUF.
pub const GGUF: &str = "gguf";
/// The format of files that hold a folder of safetensors, whole.
pub const SAFETENSORS: &str = "safetensors";
/// Lists longer than this are left out of the short form of metadata.
const LONG_LIST: usize = 64;

/// A model in the library.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: ModelName,
    /// Its bytes' name on this node.
    pub blob: Blake3,
    /// Its bytes' name towards hubs and registries.
    pub sha256: Sha256,
    /// Where its file lies. Read-only, and shared by all models of the same bytes.
    pub path: PathBuf,
    /// The file's length in bytes.
    pub size: u64,
    /// The file's format: `gguf`, or `safetensors` for a folder in one file.
    pub format: String,
    /// What the file says of it.
    pub details: Details,
    /// A chat template (Jinja) in place of the file's own, [`Details::chat_template`].
    pub template: Option<String>,
    /// A system text for chats that bring none.
    pub system: Option<String>,
    /// Default options, by Ollama's names.
    pub parameters: Map<String, Value>,
    /// The licence: as given at the import, or else as the file names it.
    pub license: Option<String>,
    /// Where it came from.
    pub source: String,
    /// When it came under this name.
    pub modified: Timestamp,
    /// Messages that open every conversation with it.
    pub messages: Vec<Message>,
    /// The model it was made from.
    pub parent: Option<String>,
    /// The release of Ollama its maker asks for. Shown, and without effect here.
    pub requires: Option<String>,
}

/// What an import sets beside the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    /// A chat template (Jinja) in place of the file's own.
    pub template: Option<String>,
    /// A system text for chats that bring none.
    pub system: Option<String>,
    /// Default options, by Ollama's names.
    pub parameters: Option<Map<String, Value>>,
    /// The licence's text or name.
    pub license: Option<String>,
    /// Messages that open every conversation with it.
    pub messages: Option<Vec<Message>>,
    /// The model it is made from.
    pub parent: Option<String>,
    /// The release of Ollama its maker asks for.
    pub requires: Option<String>,
}

/// What a model's header says in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The header's keys and values, in its order.
    pub model_info: Map<String, Value>,
    /// The tensors, in the file's order.
    pub tensors: Vec<Tensor>,
    /// Where tensors' data begins, in bytes from the file's start.
    pub data_offset: u64,
}

/// One tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// How it is stored, `Q4_1`.
    pub kind: String,
    /// Its dimensions, innermost first.
    pub shape: Vec<u64>,
}

impl Model {
    /// The model that a row describes. Rows whose texts cannot be read are [`ModelError::Damaged`].
    pub(crate) fn of_row(row: ModelRow, blobs: &Blobs) -> Result<Self, ModelError> {
        let read = || {
            let name = row.name.parse().ok()?;
            let mut details: Details = serde_json::from_str(&row.metadata).ok()?;
            // What a model can do follows from the template it is laid out with.
            if let Some(template) = &row.template {
                details.follow(template);
            }
            let parameters = serde_json::from_str(&row.parameters).ok()?;
            let messages = serde_json::from_str(&row.messages).ok()?;
            Some((name, details, parameters, messages))
        };
        let Some((name, details, parameters, messages)) = read() else { return Err(ModelError::Damaged { name: row.name }) };
        Ok(Self {
            name,
            blob: row.blob,
            sha256: row.sha256,
            path: blobs.path(&row.blob),
            size: row.size,
            format: row.format,
            details,
            template: row.template,
            system: row.system,
            parameters,
            license: row.license,
            source: row.source,
            modified: row.modified,
            messages,
            parent: row.parent,
            requires: row.requires,
        })
    }
}

impl Metadata {
    /// The header with its long lists (vocabulary, merges) as null, which is how Ollama shows it.
    pub(crate) fn short(gguf: &Gguf) -> Self {
        Self::with(gguf, |value| match value {
            GgufValue::Array(GgufArray::Array(_)) => Value::Null,
            GgufValue::Array(array) if array.len() > LONG_LIST => Value::Null,
            value => value.to_json(),
        })
    }

    /// The header with everything.
    pub(crate) fn full(gguf: &Gguf) -> Self {
        // Lists of lists have no use in files that models come in, and no bound on what they would take as JSON.
        Self::with(gguf, |value| match value {
            GgufValue::Array(GgufArray::Array(_)) => Value::Null,
            value => value.to_json(),
        })
    }

    fn with(gguf: &Gguf, show: impl Fn(&GgufValue) -> Value) -> Self {
        let mut model_info: Map<_, _> = gguf.metadata.iter().map(|(key, value)| (key.clone(), show(value))).collect();
        model_info.insert("general.parameter_count".to_owned(), gguf.parameter_count().into());
        let tensors = gguf.tensors.iter().map(|tensor| Tensor {
            name: tensor.name.clone(),
            kind: tensor.kind.as_str().to_owned(),
            shape: tensor.shape.clone(),
        });
        Self { model_info, tensors: tensors.collect(), data_offset: gguf.data_offset }
    }
}
