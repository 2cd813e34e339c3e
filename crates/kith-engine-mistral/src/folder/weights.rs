//! The safetensors files of a folder: which they are, and how much memory their tensors take.

use super::files::{Files, missing};
use kith_engine::EngineError;
use mistralrs_core::IsqType;
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The most bytes of a file's header: what the format allows.
const MAX_HEADER: u64 = 100_000_000;
/// The most files.
const MAX_FILES: usize = 1024;
/// The list of files of a model in several.
const INDEX: &str = "model.safetensors.index.json";

/// The files, and what is in them.
pub(super) struct Weights {
    files: Vec<PathBuf>,
    bytes: u64,
    /// Numbers in the matrices that mistral.rs can quantise.
    matrices: u64,
    /// All other numbers.
    others: u64,
}

impl Weights {
    /// Reads the headers.
    pub(super) fn read(files: &Files) -> Result<Self, EngineError> {
        let files = match files {
            Files::Folder(folder) => in_folder(folder, files)?,
            Files::Packed { path, .. } => vec![path.clone()],
        };
        let mut weights = Self { files, bytes: 0, matrices: 0, others: 0 };
        for file in weights.files.clone() {
            weights.add(&file).map_err(|why| {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                EngineError::UnsupportedModel(format!("{name} {why}"))
            })?;
        }
        Ok(weights)
    }

    /// The files under names that mistral.rs takes, those that have others in `folder`.
    pub(super) fn named(&self, folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
        let named = |(place, file): (usize, &PathBuf)| {
            if file.extension().is_some_and(|extension| extension == "safetensors") {
                return Ok(file.clone());
            }
            let name = folder.join(format!("{place}.safetensors"));
            std::path::absolute(file)
                .and_then(|file| link(&file, &name))
                .map_err(|error| EngineError::Failed(format!("the weights cannot be given a name: {error}")))?;
            Ok(name)
        };
        self.files.iter().enumerate().map(named).collect()
    }

    /// Bytes of the tensors on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the tensors in memory: four for each number, or what its quantisation takes.
    pub(super) fn held(&self, quantised: Option<IsqType>) -> u64 {
        let matrices = match quantised {
            Some(IsqType::Q8_0) => self.matrices / 32 * 34,
            Some(_) => self.matrices / 256 * 144,
            None => self.matrices.saturating_mul(4),
        };
        self.others.saturating_mul(4).saturating_add(matrices)
    }

    fn add(&mut self, path: &Path) -> Result<(), String> {
        for (name, tensor) in &header(path)? {
            if name == "__metadata__" {
                continue;
            }
            let shape = tensor.get("shape").and_then(Value::as_array).ok_or("has a broken header")?;
            let count = shape.iter().map(|side| side.as_u64().unwrap_or(u64::MAX)).fold(1, u64::saturating_mul);
            let width = match tensor.get("dtype").and_then(Value::as_str) {
                Some("F32") => 4,
                Some("F16" | "BF16") => 2,
                // Tables of positions that some writers leave in.
                Some("I64" | "I32" | "U8" | "BOOL") => continue,
                other => return Err(format!("has weights of the type {}, which are not read", other.unwrap_or("?"))),
            };
            self.bytes = self.bytes.saturating_add(count.saturating_mul(width));
            let kind = if is_matrix(name) { &mut self.matrices } else { &mut self.others };
            *kind = kind.saturating_add(count);
        }
        Ok(())
    }
}

/// Whether mistral.rs quantises this tensor where it is told to: the matrices of the language model's layers.
fn is_matrix(name: &str) -> bool {
    const MATRICES: &[&str] = &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"];
    let vision = ["vision", "visual"].iter().any(|part| name.contains(part));
    !vision && name.strip_suffix(".weight").is_some_and(|name| MATRICES.iter().any(|matrix| name.ends_with(matrix)))
}

/// The header of a safetensors file.
pub(super) fn header(path: &Path) -> Result<Map<String, Value>, String> {
    let broken = |error: std::io::Error| format!("cannot be read: {error}");
    let mut file = File::open(path).map_err(broken)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(broken)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err("is no safetensors file".into());
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(broken)?;
    serde_json::from_slice(&header).map_err(|error| format!("has a broken header: {error}"))
}

/// A second name for a file.
fn link(file: &Path, name: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(file, name)
    }
    #[cfg(not(unix))]
    {
        std::fs::hard_link(file, name)
    }
}

fn in_folder(folder: &Path, files: &Files) -> Result<Vec<PathBuf>, EngineError> {
    let unsupported = EngineError::UnsupportedModel;
    let Some(index) = files.optional(INDEX)? else {
        let only = folder.join("model.safetensors");
        return if only.is_file() { Ok(vec![only]) } else { Err(missing("model.safetensors")) };
    };
    let map = index.get("weight_map").and_then(Value::as_object).ok_or_else(|| unsupported(format!("{INDEX} names no files")))?;
    let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    if names.is_empty() || names.len() > MAX_FILES {
        return Err(unsupported(format!("{INDEX} names {} files; from 1 to {MAX_FILES} are read", names.len())));
    }
    names
        .into_iter()
        .map(|name| {
            let plain = Path::new(name).file_name().is_some_and(|file| file == name);
            let path = folder.join(name);
            if plain && path.is_file() {
                Ok(path)
            } else {
                Err(unsupported(format!("{INDEX} names {name:?}, which is not there")))
            }
        })
        .collect()
}
