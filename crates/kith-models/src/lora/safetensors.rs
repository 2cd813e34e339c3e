//! The header of a safetensors file, read with distrust: a length, that many bytes of JSON, then the tensors' data.
//!
//! Format: <https://github.com/huggingface/safetensors#format>. Only what adapters hold is taken: F32, F16 and BF16.

use super::{bad, failed, shown};
use crate::{ModelError, gguf::GgmlType};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    io::{Read, Seek, SeekFrom},
};

/// The longest header read, in bytes. An adapter to every matrix of a model of 200 layers takes about 1 MiB.
const MAX_HEADER: u64 = 16 << 20;
/// The most tensors.
const MAX_TENSORS: usize = 1 << 16;
/// The most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;

/// What a header says. The tensors it lists lie within the file and not over each other.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// Free texts of the file's maker.
    pub metadata: BTreeMap<String, String>,
    /// The tensors.
    pub tensors: Vec<Tensor>,
}

/// One tensor's description.
#[derive(Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// How its elements are stored.
    pub kind: GgmlType,
    /// Its dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Where its data begins, in bytes from the file's start.
    pub offset: u64,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The header's object in the file's order, with names that occur twice still in it.
#[derive(Default)]
struct Listed {
    metadata: BTreeMap<String, String>,
    entries: Vec<(String, Entry)>,
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Listed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Listed, A::Error> {
                let mut listed = Listed::default();
                while let Some(name) = object.next_key::<String>()? {
                    if name == "__metadata__" {
                        listed.metadata = object.next_value()?;
                    } else if listed.entries.len() == MAX_TENSORS {
                        return Err(de::Error::custom(format!("more than {MAX_TENSORS} tensors")));
                    } else {
                        listed.entries.push((name, object.next_value()?));
                    }
                }
                Ok(listed)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads the header at the start of `reader`. Takes memory for at most a few times the longest header, whatever the bytes.
pub fn read(mut reader: impl Read + Seek) -> Result<Header, ModelError> {
    let size = reader.seek(SeekFrom::End(0)).map_err(failed)?;
    reader.rewind().map_err(failed)?;
    let no_adapter = || bad("the file is neither safetensors nor GGUF: it is no adapter");
    if size < 8 {
        return no_adapter();
    }
    let mut length = [0; 8];
    reader.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length > size - 8 {
        return no_adapter();
    }
    let mut text = Vec::new();
    reader.take(length).read_to_end(&mut text).map_err(failed)?;
    if text.first() != Some(&b'{') {
        return no_adapter();
    }
    let listed: Listed = match serde_json::from_slice(&text) {
        Ok(listed) => listed,
        Err(error) => return bad(format!("the file's header cannot be read: {error}")),
    };
    let (start, room) = (8 + length, size - 8 - length);
    let mut names = HashSet::new();
    let mut spans = Vec::new();
    let mut tensors = Vec::new();
    for (name, entry) in listed.entries {
        if !names.insert(name.clone()) {
            return bad(format!("the tensor `{}` occurs twice", shown(&name)));
        }
        let kind = match entry.dtype.as_str() {
            "F32" => GgmlType::F32,
            "F16" => GgmlType::F16,
            "BF16" => GgmlType::BF16,
            other => {
                return bad(format!("the tensor `{}` is of type {}; F32, F16 and BF16 are read", shown(&name), shown(other)));
            }
        };
        let [begin, end] = entry.data_offsets;
        let elements = entry.shape.iter().try_fold(1u64, |product, dimension| product.checked_mul(*dimension));
        let bytes = elements.and_then(|elements| elements.checked_mul(kind.block_bytes()));
        if entry.shape.len() > MAX_DIMENSIONS || begin > end || end > room || bytes != Some(end - begin) {
            return bad(format!("the file is incomplete or damaged: the data of `{}` does not lie where it says", shown(&name)));
        }
        spans.push((begin, end));
        tensors.push(Tensor { name, kind, shape: entry.shape, offset: start + begin });
    }
    spans.sort_unstable();
    if spans.array_windows::<2>().any(|[(_, end), (begin, _)]| begin < end) {
        return bad("the file is damaged: data of two tensors lies in the same place");
    }
    Ok(Header { metadata: listed.metadata, tensors })
}
