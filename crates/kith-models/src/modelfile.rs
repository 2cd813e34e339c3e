//! Modelfiles: what a model is made of, in the words of Ollama's format.
//!
//! <https://github.com/ollama/ollama/blob/main/docs/modelfile.md>. Read and written; knows nothing of the files that it names.

pub mod go;
mod parameter;
mod read;
mod write;

pub use crate::Message;
use serde_json::{Map, Value};

/// The longest Modelfile read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A Modelfile, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Modelfile {
    /// `FROM`: a model's name, a file, a folder, `@sha256:…`. At least one; several for a model in parts.
    pub from: Vec<String>,
    /// `ADAPTER`: files of adapters, applied in this order.
    pub adapters: Vec<String>,
    /// `PARAMETER`: default options; `stop` is a list.
    pub parameters: Map<String, Value>,
    /// `TEMPLATE`: the chat template, as it stands there.
    pub template: Option<String>,
    /// `SYSTEM`: standing instructions.
    pub system: Option<String>,
    /// `MESSAGE`: messages that open every conversation.
    pub messages: Vec<Message>,
    /// `LICENSE`, each as it stands there.
    pub license: Vec<String>,
    /// `REQUIRES`: the release of Ollama that it asks for. Kept and shown; it says nothing of this program.
    pub requires: Option<String>,
}

/// Why a text is no Modelfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelfileError {
    /// Something is wrong on this line.
    #[error("line {line} of the Modelfile: {reason}")]
    Line {
        /// The line, from 1; of a text in quotes, the line where it begins.
        line: usize,
        /// One sentence.
        reason: String,
    },
    /// There is no `FROM`.
    #[error("the Modelfile names no model: a line `FROM …` is needed")]
    NoFrom,
    /// The text is too long.
    #[error("the Modelfile has {0} bytes; at most {MAX_BYTES} are read")]
    TooLong(usize),
}

/// A text that no Modelfile can hold: it contains three quotes at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text with three quotes at the end of a line cannot be written in a Modelfile")]
pub struct Unwritable;

#[cfg(test)]
mod tests;
