//! Makes small GGUF files for tests, here and in other crates. Not for production: it writes whatever it is told, right or wrong.

pub mod adapters;
pub mod sight;

use crate::{
    ModelError,
    convert::Conversion,
    gguf::{Array, GgmlType, Gguf, TensorInfo, Value, blocks},
};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Writes a GGUF file piece by piece.
#[derive(Debug, Clone)]
pub struct GgufBuilder {
    /// The version to announce.
    pub version: u32,
    /// The alignment of tensors, in bytes; written as a key only if it is not 32.
    pub alignment: usize,
    /// The metadata, in order.
    pub metadata: Vec<(String, Value)>,
    /// Name, shape, type and first bytes of tensors; the rest of a tensor's bytes is zero.
    pub tensors: Vec<(String, Vec<u64>, GgmlType, Vec<u8>)>,
}

impl Default for GgufBuilder {
    fn default() -> Self {
        Self { version: 3, alignment: 32, metadata: Vec::new(), tensors: Vec::new() }
    }
}

impl GgufBuilder {
    /// The header of a very small language model of the Llama architecture, with a vocabulary and a chat template, and one tensor
    /// that begins with `seed`: other seeds make other bytes.
    pub fn tiny(seed: u64) -> Self {
        let tokens = ["<unk>", "<s>", "</s>", "hello", "world"].map(Box::from).to_vec();
        Self::default()
            .with("general.architecture", Value::String("llama".into()))
            .with("general.name", Value::String(format!("Tiny {seed}")))
            .with("general.license", Value::String("apache-2.0".into()))
            .with("general.file_type", Value::U32(0))
            .with("llama.context_length", Value::U32(128))
            .with("llama.block_count", Value::U32(1))
            .with("llama.embedding_length", Value::U32(8))
            .with("llama.feed_forward_length", Value::U32(16))
            .with("llama.attention.head_count", Value::U32(2))
            .with("llama.attention.head_count_kv", Value::U32(1))
            .with("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5))
            .with("tokenizer.ggml.model", Value::String("llama".into()))
            .with("tokenizer.ggml.tokens", Value::Array(Array::String(tokens)))
            .with("tokenizer.ggml.scores", Value::Array(Array::F32(vec![0.0; 5])))
            .with("tokenizer.ggml.token_type", Value::Array(Array::I32(vec![2, 3, 3, 1, 1])))
            .with("tokenizer.ggml.bos_token_id", Value::U32(1))
            .with("tokenizer.ggml.eos_token_id", Value::U32(2))
            .with(
                "tokenizer.chat_template",
                Value::String("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}".into()),
            )
            .tensor("token_embd.weight", &[8, 5], GgmlType::F32, &seed.to_le_bytes())
    }

    /// Adds a key, or gives the key that is there another value.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        match self.metadata.iter_mut().find(|(name, _)| name == key) {
            Some((_, there)) => *there = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
        self
    }

    /// Leaves a key out.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(name, _)| name != key);
        self
    }

    /// Adds a tensor.
    #[must_use]
    pub fn tensor(mut self, name: &str, shape: &[u64], kind: GgmlType, bytes: &[u8]) -> Self {
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes.to_vec()));
        self
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        if self.alignment != 32 {
            let alignment = u32::try_from(self.alignment).unwrap_or_default();
            metadata.push(("general.alignment".to_owned(), Value::U32(alignment)));
        }
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in &metadata {
            text(&mut file, key);
            put(&mut file, value);
        }
        let mut data = Vec::new();
        for (name, shape, kind, bytes) in &self.tensors {
            pad(&mut data, self.alignment);
            text(&mut file, name);
            file.extend(u32::try_from(shape.len()).unwrap_or(u32::MAX).to_le_bytes());
            shape.iter().for_each(|dimension| file.extend(dimension.to_le_bytes()));
            file.extend(kind.code().to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            let elements: u64 = shape.iter().product();
            let size = usize::try_from(elements / kind.block() * kind.block_bytes()).unwrap_or_default();
            let start = data.len();
            data.extend(bytes);
            data.resize(start + size, 0);
        }
        pad(&mut file, self.alignment);
        file.extend(data);
        file
    }
}

/// A whole small GGUF file; other seeds make other bytes. Its header is a language model's, its weights are none that write sense.
pub fn tiny_gguf(seed: u64) -> Vec<u8> {
    GgufBuilder::tiny(seed).build()
}

/// The numbers of a tensor of the file at `path`, whose header was read as `gguf`.
pub fn decoded(path: &Path, gguf: &Gguf, tensor: &TensorInfo) -> Result<Vec<f32>, ModelError> {
    let unreadable = |error: std::io::Error| ModelError::BadFile { reason: error.to_string() };
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(gguf.data_offset + tensor.offset)).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(tensor.bytes()).read_to_end(&mut bytes).map_err(unreadable)?;
    let mut numbers = vec![0.0; usize::try_from(tensor.elements()).unwrap_or_default()];
    if blocks::decode(tensor.kind, &bytes, &mut numbers) {
        Ok(numbers)
    } else {
        Err(ModelError::BadFile { reason: format!("{} cannot be decoded", tensor.name) })
    }
}

/// The GGUF file that a folder of safetensors makes.
pub fn converted(folder: &Path) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    let read = Conversion::of(folder)?.read_to_end(&mut bytes);
    read.map_err(|error| ModelError::BadFile { reason: error.to_string() })?;
    Ok(bytes)
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment.max(1)), 0);
}

fn text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}

fn put(file: &mut Vec<u8>, value: &Value) {
    let (kind, bytes): (u32, Vec<u8>) = match value {
        Value::U8(value) => (0, value.to_le_bytes().into()),
        Value::I8(value) => (1, value.to_le_bytes().into()),
        Value::U16(value) => (2, value.to_le_bytes().into()),
        Value::I16(value) => (3, value.to_le_bytes().into()),
        Value::U32(value) => (4, value.to_le_bytes().into()),
        Value::I32(value) => (5, value.to_le_bytes().into()),
        Value::F32(value) => (6, value.to_le_bytes().into()),
        Value::Bool(value) => (7, vec![(*value).into()]),
        Value::String(value) => {
            let mut bytes = Vec::new();
            text(&mut bytes, value);
            (8, bytes)
        }
        Value::Array(array) => {
            let mut bytes = Vec::new();
            list(&mut bytes, array);
            (9, bytes)
        }
        Value::U64(value) => (10, value.to_le_bytes().into()),
        Value::I64(value) => (11, value.to_le_bytes().into()),
        Value::F64(value) => (12, value.to_le_bytes().into()),
    };
    file.extend(kind.to_le_bytes());
    file.extend(bytes);
}

fn list(file: &mut Vec<u8>, array: &Array) {
    file.extend(array.kind().to_le_bytes());
    file.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(values) => file.extend(values),
        Array::I8(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::U16(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::I16(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::U32(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::I32(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::F32(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::U64(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::I64(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::F64(values) => values.iter().for_each(|value| file.extend(value.to_le_bytes())),
        Array::Bool(values) => values.iter().for_each(|value| file.push((*value).into())),
        Array::String(values) => values.iter().for_each(|value| text(file, value)),
        Array::Array(values) => values.iter().for_each(|value| list(file, value)),
    }
}
