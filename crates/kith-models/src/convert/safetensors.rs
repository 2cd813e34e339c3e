//! The header of a safetensors file: a length, JSON of that length, then the tensors' bytes. Nothing in it is trusted.

use super::{open, refused};
use crate::{ModelError, gguf::GgmlType, quantize::read_source};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// The largest header read, in bytes. Known encoders stay under 100 KiB.
const MAX_HEADER: u64 = 16 << 20;

/// A tensor as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// How its numbers are stored; `None` for ways that GGUF files of encoders do not know.
    pub(super) kind: Option<GgmlType>,
    /// Its dimensions, outermost first.
    pub(super) shape: Vec<u64>,
    /// Where its bytes begin, from the file's start.
    pub(super) from: u64,
    /// Their number.
    pub(super) bytes: u64,
}

/// The tensors of a file, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Safetensors(pub(super) BTreeMap<String, Stored>);

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The numbers of a tensor that is small enough to be held: a norm or a bias.
pub(super) fn numbers(file: &mut File, stored: &Stored) -> Result<Vec<f32>, ModelError> {
    let unreadable = |error: std::io::Error| ModelError::BadFile { reason: format!("the weights cannot be read: {error}") };
    file.seek(SeekFrom::Start(stored.from)).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(stored.bytes).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 != stored.bytes {
        return refused("the weights' file became shorter");
    }
    let mut numbers = Vec::new();
    read_source(stored.kind.unwrap_or(GgmlType::F32), &bytes, &mut numbers);
    Ok(numbers)
}

impl Safetensors {
    /// Opens the file and reads its header.
    pub(super) fn open(path: &Path) -> Result<(File, Self), ModelError> {
        let Some(mut file) = open(path)? else {
            return refused(format!(
                "{} is missing: only weights in one file of that name are read (`save_pretrained` writes it)",
                path.display()
            ));
        };
        let unreadable =
            |error: std::io::Error| ModelError::BadFile { reason: format!("{} cannot be read: {error}", path.display()) };
        let size = file.metadata().map_err(unreadable)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(unreadable)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > size.saturating_sub(8) {
            return refused(format!("{} is no safetensors file, or is cut off", path.display()));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact(&mut header).map_err(unreadable)?;
        Ok((file, Self::parse(&header, size)?))
    }

    /// Reads a header that ends at byte `8 + header.len()` of a file of `size` bytes.
    pub(super) fn parse(header: &[u8], size: u64) -> Result<Self, ModelError> {
        let damaged = |what: String| refused(format!("the weights' file is damaged: {what}"));
        let entries: BTreeMap<String, serde_json::Value> = match serde_json::from_slice(header) {
            Ok(entries) => entries,
            Err(error) => return damaged(format!("its header is not JSON: {error}")),
        };
        let data = 8 + header.len() as u64;
        let mut tensors = BTreeMap::new();
        let mut total: u64 = 0;
        for (name, entry) in entries {
            if name == "__metadata__" {
                continue;
            }
            let entry: Entry = match serde_json::from_value(entry) {
                Ok(entry) => entry,
                Err(error) => return damaged(format!("the tensor `{name}`: {error}")),
            };
            let (kind, width) = match entry.dtype.as_str() {
                "F32" => (Some(GgmlType::F32), 4),
                "F16" => (Some(GgmlType::F16), 2),
                "BF16" => (Some(GgmlType::BF16), 2),
                // Only counted: position ids and such.
                "F64" | "I64" | "U64" => (None, 8),
                "I32" | "U32" => (None, 4),
                "I16" | "U16" => (None, 2),
                "I8" | "U8" | "BOOL" => (None, 1),
                other => return refused(format!("the tensor `{name}` is of type {other}: save the model as float32 or float16")),
            };
            let [begin, end] = entry.data_offsets;
            let elements = entry.shape.iter().try_fold(1u64, |product, dimension| product.checked_mul(*dimension));
            let bytes = elements.and_then(|elements| elements.checked_mul(width));
            let there = end.checked_add(data).is_some_and(|end| end <= size);
            if !there || end.checked_sub(begin) != bytes || bytes.is_none() {
                return damaged(format!("the bytes of the tensor `{name}` do not fit its shape, or the file's end"));
            }
            // Tensors that lay on top of each other would make a file of any size out of a small one.
            total = total.saturating_add(end - begin);
            if total > size {
                return damaged("its tensors overlap".into());
            }
            tensors.insert(name, Stored { kind, shape: entry.shape, from: data + begin, bytes: end - begin });
        }
        Ok(Self(tensors))
    }
}
