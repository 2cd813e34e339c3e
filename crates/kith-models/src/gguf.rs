//! The header of a GGUF file, read with distrust: every length is checked before it is believed, whatever the bytes.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

pub(crate) mod blocks;
mod cursor;
mod facts;
mod file_type;
pub(crate) mod half;
mod tensor;
mod value;
pub(crate) mod write;

pub use file_type::label;
pub use tensor::{GgmlType, TensorInfo};
pub use value::{Array, Value};

use cursor::Cursor;
use std::io::{self, Read, Seek};

/// The first four bytes of every GGUF file.
const MAGIC: [u8; 4] = *b"GGUF";
/// The least bytes of one metadata entry: a key's length, its type, one byte of value.
const LEAST_ENTRY: u64 = 8 + 4 + 1;
/// The least bytes of one tensor's description: name's length, dimensions' number, type, offset.
const LEAST_TENSOR: u64 = 8 + 4 + 4 + 8;
/// Bytes between the starts of tensors are a multiple of this unless the file says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The largest alignment believed, in bytes.
const MAX_ALIGNMENT: u64 = 1 << 20;

/// The longest header read, in bytes. Vocabularies of 256 thousand tokens with as many merges take about 15 MiB.
pub const MAX_HEADER: u64 = 64 << 20;

/// Why a header was not read.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The bytes are not a GGUF header that Kith takes; the text is a sentence about them.
    #[error("{0}")]
    Refused(String),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Io(#[from] io::Error),
}

impl GgufError {
    fn refused<T>(sentence: impl Into<String>) -> Result<T, Self> {
        Err(Self::Refused(sentence.into()))
    }
}

/// What the header of a GGUF file says. The tensors it lists lie within the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Gguf {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// Keys, each once, in the file's order, and their values.
    pub metadata: Vec<(String, Value)>,
    /// The tensors, each name once, in the file's order.
    pub tensors: Vec<TensorInfo>,
    /// Where tensors' data begins, in bytes from the file's start.
    pub data_offset: u64,
    /// Where the metadata ends and the tensors' descriptions begin, in bytes from the file's start.
    pub metadata_end: u64,
    /// The starts of tensors' data are multiples of this, a power of two.
    pub alignment: u64,
}

impl Gguf {
    /// Reads the header at the start of `reader`. Takes memory for at most a few times [`MAX_HEADER`], whatever the bytes.
    ///
    /// # Errors
    /// [`GgufError::Refused`] for anything but a whole, consistent GGUF file of version 2 or 3 and little-endian byte order.
    pub fn read(mut reader: impl Read + Seek) -> Result<Self, GgufError> {
        let file_size = reader.seek(io::SeekFrom::End(0))?;
        reader.rewind()?;
        let mut cursor = Cursor::new(reader, file_size, MAX_HEADER);
        let version = version(&mut cursor)?;
        let tensor_count = cursor.u64()?;
        let entry_count = cursor.u64()?;
        let metadata = entries(&mut cursor, entry_count)?;
        let alignment = alignment(&metadata)?;
        if !cursor.holds(tensor_count, LEAST_TENSOR) {
            return GgufError::refused(format!(
                "the file is incomplete or damaged: it announces {tensor_count} tensors, more than there is room for"
            ));
        }
        let metadata_end = cursor.position();
        let mut tensors = Vec::new();
        for _ in 0..tensor_count {
            tensors.push(TensorInfo::read(&mut cursor)?);
        }
        only_once(tensors.iter().map(|tensor| tensor.name.as_str()), "tensor")?;
        // No overflow: the position is at most MAX_HEADER.
        let data_offset = cursor.position().next_multiple_of(alignment);
        for tensor in &tensors {
            tensor.check(data_offset, alignment, file_size)?;
        }
        // Tensors that lay on top of each other would make a file of any size out of a small one.
        let total = tensors.iter().fold(0u64, |total, tensor| total.saturating_add(tensor.bytes()));
        if total > file_size.saturating_sub(data_offset) {
            return GgufError::refused("the file is damaged: its tensors overlap");
        }
        Ok(Self { version, metadata, tensors, data_offset, metadata_end, alignment })
    }

    /// Reads the header of a whole file in memory; as [`Gguf::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GgufError> {
        Self::read(io::Cursor::new(bytes))
    }

    /// Bytes of which the starts of tensors' data are multiples.
    pub fn alignment(&self) -> u64 {
        // What was read had a possible one.
        alignment(&self.metadata).unwrap_or(DEFAULT_ALIGNMENT)
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

fn version(cursor: &mut Cursor<impl Read>) -> Result<u32, GgufError> {
    let magic = cursor.array::<4>().or_else(|error| match error {
        GgufError::Refused(_) => Ok([0; 4]),
        error => Err(error),
    })?;
    match magic {
        MAGIC => {}
        [b'P', b'K', ..] => return GgufError::refused("the file is an archive, not a GGUF model: unpack it first"),
        _ => return GgufError::refused("the file is not a GGUF model: it does not begin with `GGUF`"),
    }
    match cursor.u32()? {
        version @ (2 | 3) => Ok(version),
        1 => GgufError::refused("the file is GGUF version 1, which is no longer read: convert it again"),
        swapped if matches!(swapped.swap_bytes(), 1..=3) => {
            GgufError::refused("the file is a big-endian GGUF, made for other processors: only little-endian files are read")
        }
        version => GgufError::refused(format!("the file is GGUF version {version}; only versions 2 and 3 are known")),
    }
}

fn entries(cursor: &mut Cursor<impl Read>, count: u64) -> Result<Vec<(String, Value)>, GgufError> {
    if !cursor.holds(count, LEAST_ENTRY) {
        return GgufError::refused(format!(
            "the file is incomplete or damaged: it announces {count} metadata entries, more than there is room for"
        ));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = cursor.name("a metadata key")?;
        let kind = cursor.u32()?;
        let value = Value::read(cursor, kind)?;
        entries.push((key, value));
    }
    only_once(entries.iter().map(|(key, _)| key.as_str()), "metadata key")?;
    Ok(entries)
}

fn alignment(metadata: &[(String, Value)]) -> Result<u64, GgufError> {
    match metadata.iter().find(|(key, _)| key == "general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some((_, value)) => match value.as_u64() {
            Some(alignment) if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT => Ok(alignment),
            _ => GgufError::refused(format!("the alignment must be a power of two up to {MAX_ALIGNMENT}")),
        },
    }
}

fn only_once<'a>(names: impl Iterator<Item = &'a str>, what: &str) -> Result<(), GgufError> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    match names.array_windows::<2>().find(|[one, next]| one == next) {
        Some([name, _]) => GgufError::refused(format!("the {what} `{}` occurs twice", cursor::shown(name))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
