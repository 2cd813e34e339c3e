//! Encoders in folders of safetensors, made into one GGUF file, so that the library keeps every model as one file.
//!
//! The file is not written to be copied: it is computed while it is read. Its header comes from the folder's small files, its
//! tensors are the folder's own bytes, in another frame. The same folder makes the same bytes.
//!
//! Names of keys and tensors: llama.cpp, `gguf-py/gguf/constants.py`; of the folder's files: the `transformers` and
//! `sentence-transformers` libraries.

mod config;
mod header;
mod pipe;
mod safetensors;
mod tensors;
mod vocabulary;

pub(crate) use pipe::piped;

use crate::ModelError;
use config::Config;
use header::Header;
use safetensors::Safetensors;
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
    file: File,
    /// The tensors that are not read yet, the next one last.
    left: Vec<Stretch>,
    size: u64,
}

/// Bytes of the weights' file, and the zeros after them.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: u64,
    bytes: u64,
    zeros: u64,
    /// Whether the file stands at `from`.
    placed: bool,
}

impl Conversion {
    /// Looks at all of the folder but the tensors' numbers.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] with the way out, if it does not hold one whole encoder of a kind that is known.
    pub(crate) fn of(folder: &Path) -> Result<Self, ModelError> {
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
            left.push(Stretch { from: tensor.from, bytes: tensor.bytes, zeros, placed: false });
        }
        let header = header.finish(ALIGNMENT);
        let size = left.iter().fold(header.len() as u64, |size, stretch| size + stretch.bytes + stretch.zeros);
        left.reverse();
        Ok(Self { header: io::Cursor::new(header), file, left, size })
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
            if stretch.bytes > 0 {
                if !stretch.placed {
                    self.file.seek(SeekFrom::Start(stretch.from))?;
                    stretch.placed = true;
                }
                let count = at_most(buffer, stretch.bytes);
                let count = self.file.read(&mut buffer[..count])?;
                if count == 0 && !buffer.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the weights' file became shorter"));
                }
                stretch.bytes -= count as u64;
                return Ok(count);
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
