//! Writing GGUF files out of others: metadata is copied byte for byte, so that vocabularies of raw bytes stay what they are.

use super::{Gguf, GgufError, MAGIC, MAX_HEADER, TensorInfo};
use std::io::{Read, Seek, SeekFrom, Write};

/// The version written.
const VERSION: u32 = 3;
/// The numbers of the types that are not plain numbers.
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// One metadata entry: its key, and its type and value as they stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry {
    /// The key.
    pub key: String,
    /// The value's type and the value.
    pub value: Vec<u8>,
}

/// The metadata of a file that is to be written, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawMetadata(Vec<RawEntry>);

impl RawMetadata {
    /// Takes the entries of a file whose header was read as `gguf`.
    ///
    /// # Errors
    /// [`GgufError::Refused`] if the file is no longer the one that was read.
    pub fn read(mut file: impl Read + Seek, gguf: &Gguf) -> Result<Self, GgufError> {
        file.seek(SeekFrom::Start(0))?;
        let mut header = Vec::new();
        file.take(gguf.data_offset.min(MAX_HEADER)).read_to_end(&mut header)?;
        // Magic, version, tensors, entries.
        let mut walk = Walk { bytes: &header, at: 24 };
        let mut entries = Vec::with_capacity(gguf.metadata.len());
        for (key, _) in &gguf.metadata {
            entries.push(walk.entry(key).ok_or_else(changed)?);
        }
        Ok(Self(entries))
    }

    /// Sets a key to a number of four bytes.
    pub fn set_u32(&mut self, key: &str, value: u32) {
        let value = [U32.to_le_bytes(), value.to_le_bytes()].concat();
        match self.0.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.0.push(RawEntry { key: key.to_owned(), value }),
        }
    }

    /// Leaves a key out.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|entry| entry.key != key);
    }
}

fn changed() -> GgufError {
    GgufError::Refused("the file changed while it was read".to_owned())
}

/// A walk over entries whose lengths were checked when the header was read; it still believes none of them.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn entry(&mut self, expected: &str) -> Option<RawEntry> {
        let length = self.length()?;
        let key = self.skip(length)?;
        if self.bytes.get(key..self.at)? != expected.as_bytes() {
            return None;
        }
        let start = self.at;
        let kind = self.number()?;
        self.value(kind, 0)?;
        Some(RawEntry { key: expected.to_owned(), value: self.bytes.get(start..self.at)?.to_vec() })
    }

    fn value(&mut self, kind: u32, depth: u32) -> Option<()> {
        match kind {
            STRING => {
                let length = self.length()?;
                self.skip(length)?;
            }
            // Deeper lists were refused when the header was read.
            ARRAY if depth < 8 => {
                let inner = self.number()?;
                let count = self.length()?;
                match width(inner) {
                    Some(width) => {
                        self.skip(count.checked_mul(width)?)?;
                    }
                    None => {
                        for _ in 0..count {
                            self.value(inner, depth + 1)?;
                        }
                    }
                }
            }
            kind => {
                self.skip(width(kind)?)?;
            }
        }
        Some(())
    }

    fn number(&mut self) -> Option<u32> {
        let start = self.skip(4)?;
        Some(u32::from_le_bytes(self.bytes.get(start..self.at)?.try_into().ok()?))
    }

    fn length(&mut self) -> Option<usize> {
        let start = self.skip(8)?;
        usize::try_from(u64::from_le_bytes(self.bytes.get(start..self.at)?.try_into().ok()?)).ok()
    }

    /// Goes on by `count` bytes; gives where it was.
    fn skip(&mut self, count: usize) -> Option<usize> {
        let start = self.at;
        self.at = start.checked_add(count).filter(|end| *end <= self.bytes.len())?;
        Some(start)
    }
}

/// Bytes of a value of this type, if all have the same number.
fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Everything before the tensors' data: `tensors` with the offsets that [`place`] gave them.
pub fn header(metadata: &RawMetadata, tensors: &[TensorInfo], alignment: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.0.len() as u64).to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for entry in &metadata.0 {
        text(&mut bytes, &entry.key);
        bytes.extend(&entry.value);
    }
    for tensor in tensors {
        text(&mut bytes, &tensor.name);
        // At most four dimensions.
        bytes.extend(u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX).to_le_bytes());
        tensor.shape.iter().for_each(|dimension| bytes.extend(dimension.to_le_bytes()));
        bytes.extend(tensor.kind.code().to_le_bytes());
        bytes.extend(tensor.offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(usize::try_from(alignment).unwrap_or(1).max(1)), 0);
    bytes
}

/// Lays the tensors' data out one after the other; gives the number of bytes from the first to the end of the last.
pub fn place(tensors: &mut [TensorInfo], alignment: u64) -> u64 {
    let mut at: u64 = 0;
    for tensor in tensors {
        at = at.next_multiple_of(alignment.max(1));
        tensor.offset = at;
        at = at.saturating_add(tensor.bytes());
    }
    at
}

/// Zeros from `at` to the next multiple of `alignment`.
pub fn pad(out: &mut impl Write, at: u64, alignment: u64) -> Result<(), std::io::Error> {
    let mut zeros = at.next_multiple_of(alignment.max(1)) - at;
    while zeros > 0 {
        let some = zeros.min(64);
        out.write_all(&[0; 64][..usize::try_from(some).unwrap_or(64)])?;
        zeros -= some;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gguf::Value, testing::GgufBuilder};
    use std::io::Cursor;

    #[test]
    fn what_is_copied_reads_as_the_original_did() {
        let bytes = GgufBuilder::tiny(3).with("x.flag", Value::Bool(true)).with("x.wide", Value::U64(7)).build();
        let gguf = Gguf::from_bytes(&bytes).unwrap();
        let raw = RawMetadata::read(Cursor::new(&bytes), &gguf).unwrap();
        let mut tensors = gguf.tensors.clone();
        let data = place(&mut tensors, gguf.alignment());
        let mut out = header(&raw, &tensors, gguf.alignment());
        out.resize(out.len() + usize::try_from(data).unwrap(), 0);
        let again = Gguf::from_bytes(&out).unwrap();
        assert_eq!((again.metadata, again.tensors), (gguf.metadata, gguf.tensors));
    }

    #[test]
    fn keys_are_set_and_left_out() {
        let bytes = GgufBuilder::tiny(3).build();
        let gguf = Gguf::from_bytes(&bytes).unwrap();
        let mut raw = RawMetadata::read(Cursor::new(&bytes), &gguf).unwrap();
        raw.set_u32("general.file_type", 7);
        raw.set_u32("general.quantization_version", 2);
        raw.remove("general.license");
        let out = header(&raw, &[], 32);
        let again = Gguf::from_bytes(&out).unwrap();
        assert_eq!(again.get("general.file_type").and_then(Value::as_u64), Some(7));
        assert_eq!(again.get("general.quantization_version").and_then(Value::as_u64), Some(2));
        assert_eq!(again.get("general.license"), None);
        assert_eq!(again.metadata.len(), gguf.metadata.len());
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_refused_and_never_overruns() {
        let bytes = GgufBuilder::tiny(3).build();
        let gguf = Gguf::from_bytes(&bytes).unwrap();
        for cut in [24, 30, 60, 200] {
            assert!(RawMetadata::read(Cursor::new(&bytes[..cut]), &gguf).is_err(), "{cut}");
        }
    }
}
