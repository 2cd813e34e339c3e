//! Models in folders of safetensors, made into one file each, so that the library keeps every model as one file: a GGUF file, or, for
//! models that see, the folder as it is ([`packed`]).
//!
//! The file is not written to be copied: it is computed while it is read. Its header comes from the folder's small files, its
//! tensors are the folder's own bytes, in another frame. The same folder makes the same bytes.
//!
//! Names of keys and tensors: llama.cpp, `gguf-py/gguf/constants.py`; of the folder's files: the `transformers` and
//! `sentence-transformers` libraries.

mod byte_pairs;
mod config;
mod decoder;
mod decoder_tensors;
mod header;
mod packed;
mod pipe;
mod safetensors;
mod shards;
mod tensors;
mod vocabulary;

pub(crate) use packed::{FILES as SMALL_FILES, Packed, families};
pub(crate) use pipe::piped;

use crate::{ModelError, gguf::GgmlType};
use byte_pairs::BytePairs;
use config::Config;
use decoder::Decoder;
use header::Header;
use safetensors::Safetensors;
use shards::Shards;
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};
use vocabulary::Vocabulary;

/// The largest JSON or text file read of a folder, in bytes. Tokenizers of known encoders stay under 20 MiB.
const MAX_TEXT: u64 = 32 << 20;
/// Tensors begin at multiples of so many bytes, the format's default.
const ALIGNMENT: u64 = 32;
/// The file with the weights.
const WEIGHTS: &str = "model.safetensors";

/// The GGUF file that a folder makes, to be read from its start to its end.
#[derive(Debug)]
pub(crate) struct Conversion {
    /// The header and its padding, as far as it is not read yet.
    header: io::Cursor<Vec<u8>>,
    files: Vec<File>,
    /// What is not read yet of the tensors, the next stretch last.
    left: Vec<Stretch>,
    size: u64,
}

/// Bytes of a tensor, and the zeros after them.
#[derive(Debug)]
struct Stretch {
    source: Source,
    zeros: u64,
}

/// Where bytes of a tensor come from.
#[derive(Debug)]
enum Source {
    /// One of the files. `placed` tells whether it stands at the first of these bytes.
    File { file: usize, from: u64, bytes: u64, placed: bool },
    /// Computed ones.
    Computed(io::Cursor<Vec<u8>>),
}

impl Conversion {
    /// Looks at all of the folder but the tensors' numbers.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] with the way out, if it does not hold one whole model of a kind that is known.
    pub(crate) fn of(folder: &Path) -> Result<Self, ModelError> {
        match config::kind(folder)?.as_str() {
            "bert" => Self::of_encoder(folder),
            kind if packed::takes(kind) => packed::of(folder),
            kind => Self::of_decoder(folder, kind),
        }
    }

    fn of_encoder(folder: &Path) -> Result<Self, ModelError> {
        let config = Config::read(folder)?;
        let vocabulary = Vocabulary::read(folder)?;
        let (file, safetensors) = Safetensors::open(&folder.join(WEIGHTS))?;
        let tensors = tensors::select(&safetensors, &config, vocabulary.tokens.len())?;
        let mut header = Header::new();
        config.write(&mut header, &tensors);
        vocabulary.write(&mut header);
        let mut left = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let zeros = tensor.bytes.next_multiple_of(ALIGNMENT) - tensor.bytes;
            header.tensor(&tensor, ALIGNMENT);
            let source = Source::File { file: 0, from: tensor.from, bytes: tensor.bytes, placed: false };
            left.push(Stretch { source, zeros });
        }
        Ok(Self::new(header, vec![file], left))
    }

    fn of_decoder(folder: &Path, kind: &str) -> Result<Self, ModelError> {
        let decoder = Decoder::read(folder, kind)?;
        let vocabulary = BytePairs::read(folder, decoder.vocabulary)?;
        let Shards { mut files, tensors } = Shards::open(folder)?;
        let selected = decoder_tensors::select(&tensors, &decoder)?;
        let mut header = Header::new();
        let most = selected.first().and_then(|(_, (_, stored))| stored.kind).unwrap_or(GgmlType::F32);
        decoder.write(&mut header, config::file_type_of(most));
        vocabulary.write(&mut header);
        let mut left = Vec::new();
        if let Some(factors) = decoder.frequency_factors() {
            computed("rope_freqs.weight", &factors, &mut header, &mut left);
        }
        for (wanted, (file, stored)) in selected {
            let rows = wanted.shape.first().copied().unwrap_or_default();
            let row = |at: u64| wanted.reordered.map_or(at, |head| decoder_tensors::source_row(at, head));
            if wanted.shape.len() == 1 {
                // Norms and biases are few numbers, which engines want whole.
                let numbers = safetensors::numbers(&mut files[*file], stored)?;
                let ordered: Vec<f32> = (0..rows).filter_map(|at| numbers.get(usize::try_from(row(at)).ok()?).copied()).collect();
                computed(&wanted.name, &ordered, &mut header, &mut left);
                continue;
            }
            let kind = stored.kind.unwrap_or(GgmlType::F32);
            let moved =
                tensors::Moved { name: wanted.name.clone(), shape: wanted.shape.clone(), kind, from: 0, bytes: stored.bytes };
            header.tensor(&moved, ALIGNMENT);
            let piece =
                |from: u64, bytes: u64| Stretch { source: Source::File { file: *file, from, bytes, placed: false }, zeros: 0 };
            if wanted.reordered.is_none() {
                left.push(piece(stored.from, stored.bytes));
            } else {
                let width = stored.bytes / rows.max(1);
                left.extend((0..rows).map(|at| piece(stored.from + row(at) * width, width)));
            }
            if let Some(last) = left.last_mut() {
                last.zeros = stored.bytes.next_multiple_of(ALIGNMENT) - stored.bytes;
            }
        }
        Ok(Self::new(header, files, left))
    }

    fn new(header: Header, files: Vec<File>, mut left: Vec<Stretch>) -> Self {
        let header = header.finish(ALIGNMENT);
        let size = left.iter().fold(header.len() as u64, |size, stretch| size + stretch.source.len() + stretch.zeros);
        left.reverse();
        Self { header: io::Cursor::new(header), files, left, size }
    }

    /// Bytes in all.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

impl Read for Conversion {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.header.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        while let Some(stretch) = self.left.last_mut() {
            match &mut stretch.source {
                Source::File { file, from, bytes, placed } if *bytes > 0 => {
                    let file = &mut self.files[*file];
                    if !*placed {
                        file.seek(SeekFrom::Start(*from))?;
                        *placed = true;
                    }
                    let count = at_most(buffer, *bytes);
                    let count = file.read(&mut buffer[..count])?;
                    if count == 0 && !buffer.is_empty() {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the weights' file became shorter"));
                    }
                    *bytes -= count as u64;
                    return Ok(count);
                }
                Source::File { .. } => {}
                Source::Computed(numbers) => {
                    let count = numbers.read(buffer)?;
                    if count > 0 {
                        return Ok(count);
                    }
                }
            }
            if stretch.zeros > 0 {
                let count = at_most(buffer, stretch.zeros);
                buffer[..count].fill(0);
                stretch.zeros -= count as u64;
                return Ok(count);
            }
            self.left.pop();
        }
        Ok(0)
    }
}

impl Source {
    fn len(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Computed(numbers) => numbers.get_ref().len() as u64,
        }
    }
}

/// Announces a tensor of one dimension whose numbers are known here.
fn computed(name: &str, numbers: &[f32], header: &mut Header, left: &mut Vec<Stretch>) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let length = bytes.len() as u64;
    let moved =
        tensors::Moved { name: name.to_owned(), shape: vec![numbers.len() as u64], kind: GgmlType::F32, from: 0, bytes: length };
    header.tensor(&moved, ALIGNMENT);
    let zeros = length.next_multiple_of(ALIGNMENT) - length;
    left.push(Stretch { source: Source::Computed(io::Cursor::new(bytes)), zeros });
}

fn at_most(buffer: &[u8], bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(buffer.len())
}

fn refused<T>(reason: impl Into<String>) -> Result<T, ModelError> {
    Err(ModelError::BadFile { reason: reason.into() })
}

/// Opens a regular file of the folder; `None` if there is none of that name.
fn open(path: &Path) -> Result<Option<File>, ModelError> {
    let unreadable = |error: io::Error| ModelError::BadFile { reason: format!("{} cannot be read: {error}", path.display()) };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error)),
        // Opening a pipe would wait for its writer.
        Ok(metadata) if !metadata.is_file() => refused(format!("{} is not a file", path.display())),
        Ok(_) => File::open(path).map(Some).map_err(unreadable),
    }
}

/// The text of a small file; `None` if there is none of that name.
fn text(path: &Path) -> Result<Option<String>, ModelError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut text = String::new();
    match file.take(MAX_TEXT + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > MAX_TEXT => refused(format!("{} has more than {} MiB", path.display(), MAX_TEXT >> 20)),
        Ok(_) => Ok(Some(text)),
        Err(error) => refused(format!("{} cannot be read: {error}", path.display())),
    }
}

/// A small JSON file; `None` if there is none of that name.
fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, ModelError> {
    let Some(text) = text(path)? else { return Ok(None) };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => refused(format!("{} is not as expected: {error}", path.display())),
    }
}

#[cfg(test)]
pub(crate) mod tests;
