//! One GGUF file out of others: parts joined, matrices quantised on the way. Holds a few rows at a time, whatever the model's size.

use crate::{
    gguf::{GgmlType, Gguf, GgufError, TensorInfo, Value, write},
    quantize::{self, Surroundings, Target},
};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

/// Weights read at once; whole blocks of every source and target.
const CHUNK: u64 = 64 << 10;
/// `general.quantization_version` of the formats written (`GGML_QNT_VERSION` in `ggml.h`).
const QUANTIZATION_VERSION: u32 = 2;

/// A file that is to be written.
#[derive(Debug)]
pub struct Assembly {
    files: Vec<File>,
    /// Everything before the tensors' data.
    header: Vec<u8>,
    alignment: u64,
    /// The tensors as they will stand in the file, and where they come from.
    tensors: Vec<TensorInfo>,
    sources: Vec<Source>,
    /// Bytes of all tensors as they are read.
    total: u64,
    /// Bytes of the file.
    size: u64,
}

#[derive(Debug)]
struct Source {
    file: usize,
    /// In bytes from the file's start.
    at: u64,
    kind: GgmlType,
    bytes: u64,
}

/// Joins files, the one whose metadata counts first; quantises the matrices to `target`.
pub fn join(files: Vec<(File, Gguf)>, target: Option<Target>) -> Result<Assembly, GgufError> {
    let Some((first, head)) = files.first() else { return Err(GgufError::Refused("there is no file to read".to_owned())) };
    let mut metadata = write::RawMetadata::read(first, head)?;
    let alignment = head.alignment();
    for key in ["split.no", "split.count", "split.tensors.count"] {
        metadata.remove(key);
    }
    if let Some(target) = target {
        metadata.set_u32("general.file_type", target.file_type);
        metadata.set_u32("general.quantization_version", QUANTIZATION_VERSION);
    }
    let number = |key: &str| head.of_architecture(key).and_then(Value::as_u64);
    let around = Surroundings {
        own_output: files.iter().any(|(_, gguf)| gguf.tensors.iter().any(|tensor| tensor.name == "output.weight")),
        layers: number("block_count").unwrap_or(0),
        experts: number("expert_count").unwrap_or(0),
    };
    let (mut tensors, mut sources, mut handles, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0u64);
    for (index, (file, gguf)) in files.into_iter().enumerate() {
        for tensor in gguf.tensors {
            let bytes = tensor.bytes();
            total = total.saturating_add(bytes);
            sources.push(Source { file: index, at: gguf.data_offset.saturating_add(tensor.offset), kind: tensor.kind, bytes });
            let wanted = target.filter(|_| is_matrix(&tensor)).and_then(|target| target.kind_of(&tensor, &around));
            let kind = wanted.unwrap_or(tensor.kind);
            tensors.push(TensorInfo { kind, ..tensor });
        }
        handles.push(file);
    }
    let data = write::place(&mut tensors, alignment);
    let header = write::header(&metadata, &tensors, alignment);
    let size = (header.len() as u64).saturating_add(data);
    Ok(Assembly { files: handles, header, alignment, tensors, sources, total, size })
}

/// Whether a tensor is quantised: a matrix of weights, and none of those that choose experts or positions, which are small and
/// delicate.
fn is_matrix(tensor: &TensorInfo) -> bool {
    let delicate = ["_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "ssm_conv1d.weight"];
    tensor.shape.len() >= 2
        && tensor.name.ends_with("weight")
        && !delicate.iter().any(|end| tensor.name.ends_with(end))
        && quantize::is_source(tensor.kind)
}

impl Assembly {
    /// Bytes of all tensors as they are read.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that [`Assembly::write`] writes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes the file; `progress` is told the bytes of tensors read so far.
    pub fn write(mut self, out: &mut impl Write, mut progress: impl FnMut(u64)) -> Result<(), GgufError> {
        out.write_all(&self.header)?;
        let (mut at, mut done) = (0u64, 0u64);
        for (tensor, source) in self.tensors.iter().zip(&self.sources) {
            write::pad(out, at, self.alignment)?;
            let Some(file) = self.files.get_mut(source.file) else { continue };
            file.seek(SeekFrom::Start(source.at))?;
            let mut left = source.bytes;
            let (mut weights, mut blocks) = (Vec::new(), Vec::new());
            while left > 0 {
                // Sources of quantising are blocks of one weight; others are copied and may be cut anywhere.
                let step = left.min(CHUNK * source.kind.block_bytes());
                let mut bytes = vec![0; usize::try_from(step).map_err(io::Error::other)?];
                file.read_exact(&mut bytes)?;
                left -= step;
                done += step;
                if tensor.kind == source.kind {
                    out.write_all(&bytes)?;
                } else {
                    weights.clear();
                    blocks.clear();
                    quantize::read_source(source.kind, &bytes, &mut weights);
                    if quantize::quantize(tensor.kind, &weights, &mut blocks).is_none() {
                        return Err(GgufError::Refused(format!("weights cannot be stored as {}", tensor.kind.as_str())));
                    }
                    out.write_all(&blocks)?;
                }
                progress(done);
            }
            at = tensor.offset.saturating_add(tensor.bytes());
        }
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests;
