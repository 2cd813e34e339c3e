//! Reading forward with a bound: nothing is read, and no memory taken, beyond what the file and the header's limit allow.

use super::GgufError;
use std::io::{BufReader, Read};

/// Bytes read from the file at once.
const BUFFER: usize = 64 << 10;

/// A position in the header.
pub struct Cursor<R: Read> {
    reader: BufReader<R>,
    position: u64,
    end: u64,
    /// The file goes on beyond `end`: it is the header's limit that ends there, not the file.
    capped: bool,
}

impl<R: Read> Cursor<R> {
    /// Starts at the start of a file of `file_size` bytes; reads at most `limit` of them.
    pub fn new(reader: R, file_size: u64, limit: u64) -> Self {
        let reader = BufReader::with_capacity(BUFFER, reader);
        Self { reader, position: 0, end: file_size.min(limit), capped: file_size > limit }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether `count` things of at least `least` bytes each can still follow.
    pub fn holds(&self, count: u64, least: u64) -> bool {
        count.checked_mul(least).is_some_and(|bytes| bytes <= self.end - self.position)
    }

    /// Reads `count` bytes, after seeing that there are so many.
    pub fn bytes(&mut self, count: u64) -> Result<Vec<u8>, GgufError> {
        let size = self.advance(count)?;
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.advance(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a number of four bytes.
    pub fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a text with its length before it. Bytes that are not UTF-8 become U+FFFD: some vocabularies hold raw bytes.
    pub fn text(&mut self) -> Result<String, GgufError> {
        let count = self.u64()?;
        let bytes = self.bytes(count)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Reads a text that names something, and so must be one; `what` is said of it otherwise.
    pub fn name(&mut self, what: &str) -> Result<String, GgufError> {
        let count = self.u64()?;
        let bytes = self.bytes(count)?;
        match String::from_utf8(bytes) {
            Ok(name) if !name.is_empty() => Ok(name),
            Ok(_) => GgufError::refused(format!("{what} is empty")),
            Err(_) => GgufError::refused(format!("{what} is not UTF-8 text")),
        }
    }

    fn advance(&mut self, count: u64) -> Result<usize, GgufError> {
        let left = self.end - self.position;
        match usize::try_from(count) {
            Ok(size) if count <= left => {
                self.position += count;
                Ok(size)
            }
            _ if self.capped => {
                let limit = self.end >> 20;
                GgufError::refused(format!(
                    "the file's header is larger than the {limit} MiB that are read, or a length in it is false"
                ))
            }
            _ => GgufError::refused(format!(
                "the file is incomplete or damaged: {count} bytes of header are announced at byte {}, {left} follow",
                self.position
            )),
        }
    }
}

/// The beginning of a name from a file, fit to be shown in a message.
pub fn shown(name: &str) -> String {
    name.chars().take(64).filter(|c| !c.is_control()).collect()
}
