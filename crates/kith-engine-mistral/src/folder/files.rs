//! The small files of a model: in its folder, or in the header of the one file that the folder was made into.

use super::weights::header;
use kith_engine::EngineError;
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The most bytes of a small file. Tokenizers of known models stay under 40 MiB.
const MAX_FILE: u64 = 128 << 20;
/// What goes before a small file's name in the header's metadata.
const FILE: &str = "kith.file.";

/// Where the files are.
pub(super) enum Files {
    /// Side by side.
    Folder(PathBuf),
    /// In the header of this file, which holds the weights too.
    Packed {
        /// The file.
        path: PathBuf,
        /// Its metadata.
        files: Map<String, Value>,
    },
}

impl Files {
    /// The files at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let unsupported = |why: String| EngineError::UnsupportedModel(format!("the model file {why}"));
        let mut header = header(path).map_err(unsupported)?;
        match header.remove("__metadata__") {
            Some(Value::Object(files)) => Ok(Self::Packed { path: path.to_owned(), files }),
            _ => Err(unsupported("has weights alone".into())),
        }
    }

    /// A JSON file that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<Value, EngineError> {
        self.optional(name)?.ok_or_else(|| missing(name))
    }

    /// A JSON file.
    pub(super) fn optional(&self, name: &str) -> Result<Option<Value>, EngineError> {
        let unsupported = |why: String| EngineError::UnsupportedModel(format!("{name} {why}"));
        let bytes = match self {
            Self::Packed { files, .. } => match files.get(&format!("{FILE}{name}")).and_then(Value::as_str) {
                Some(text) => text.as_bytes().to_vec(),
                None => return Ok(None),
            },
            Self::Folder(folder) => {
                let file = match File::open(folder.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(unsupported(format!("cannot be read: {error}"))),
                };
                let mut bytes = Vec::new();
                file.take(MAX_FILE + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| unsupported(format!("cannot be read: {error}")))?;
                if bytes.len() as u64 > MAX_FILE {
                    return Err(unsupported(format!("is larger than {MAX_FILE} bytes")));
                }
                bytes
            }
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unsupported(format!("is not JSON: {error}")))
    }
}

/// What is told of a file that must be there.
pub(super) fn missing(name: &str) -> EngineError {
    EngineError::UnsupportedModel(format!("the folder has no {name}"))
}
