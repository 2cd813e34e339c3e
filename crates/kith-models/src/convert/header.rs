//! Writes the header of a GGUF file, version 3.

use super::tensors::Moved;

const STRING: u32 = 8;
const ARRAY: u32 = 9;
const INT32: u32 = 5;
const FLOAT32: u32 = 6;

/// A header in the making.
#[derive(Debug, Default)]
pub(super) struct Header {
    entries: Vec<u8>,
    entry_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    /// Where the next tensor begins, from the end of the header.
    offset: u64,
}

impl Header {
    /// One without entries.
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn entry(&mut self, key: &str, kind: u32, value: &[u8]) {
        text(&mut self.entries, key);
        self.entries.extend(kind.to_le_bytes());
        self.entries.extend(value);
        self.entry_count += 1;
    }

    pub(super) fn number(&mut self, key: &str, value: u32) {
        self.entry(key, 4, &value.to_le_bytes());
    }

    pub(super) fn fraction(&mut self, key: &str, value: f32) {
        self.entry(key, 6, &value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.entry(key, 7, &[value.into()]);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        let mut bytes = Vec::new();
        text(&mut bytes, value);
        self.entry(key, STRING, &bytes);
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String]) {
        let mut bytes = list(STRING, values.len());
        values.iter().for_each(|value| text(&mut bytes, value));
        self.entry(key, ARRAY, &bytes);
    }

    pub(super) fn fractions(&mut self, key: &str, values: &[f32]) {
        let mut bytes = list(FLOAT32, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.entry(key, ARRAY, &bytes);
    }

    pub(super) fn numbers(&mut self, key: &str, values: &[i32]) {
        let mut bytes = list(INT32, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.entry(key, ARRAY, &bytes);
    }

    /// Announces a tensor behind those announced before.
    pub(super) fn tensor(&mut self, tensor: &Moved, alignment: u64) {
        text(&mut self.tensors, &tensor.name);
        let dimensions = u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX);
        self.tensors.extend(dimensions.to_le_bytes());
        // Innermost first.
        tensor.shape.iter().rev().for_each(|dimension| self.tensors.extend(dimension.to_le_bytes()));
        self.tensors.extend(tensor.kind.code().to_le_bytes());
        self.tensors.extend(self.offset.to_le_bytes());
        self.offset += tensor.bytes.next_multiple_of(alignment);
        self.tensor_count += 1;
    }

    /// The bytes, up to where the first tensor begins.
    pub(super) fn finish(self, alignment: u64) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.entry_count.to_le_bytes());
        bytes.extend(self.entries);
        bytes.extend(self.tensors);
        let alignment = usize::try_from(alignment).unwrap_or(1);
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        bytes
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn list(kind: u32, count: usize) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend((count as u64).to_le_bytes());
    bytes
}
