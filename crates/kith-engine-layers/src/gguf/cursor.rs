//! Reading numbers and texts off bytes that nobody vouches for.

use super::Malformed;
use std::ops::Range;

/// A place in the bytes. Nothing is read beyond their end, and nothing is allocated for what is not there.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were skipped.
    pub(super) fn bytes(&self, range: Range<usize>) -> &'a [u8] {
        &self.bytes[range]
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `length` bytes, by their place.
    pub(super) fn skip(&mut self, length: u64) -> Result<Range<usize>, Malformed> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.left()).ok_or(Malformed::Short)?;
        self.at += length;
        Ok(self.at - length..self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let range = self.skip(N as u64)?;
        self.bytes[range].try_into().map_err(|_| Malformed::Short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of things of at least `least` bytes each: not more than the rest can hold.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.u64()?;
        usize::try_from(count).ok().filter(|count| *count <= self.left() / least).ok_or(Malformed::Count(count))
    }

    /// A text of at most `most` bytes.
    pub(super) fn text(&mut self, most: u64) -> Result<&'a str, Malformed> {
        let length = self.u64()?;
        if length > most {
            return Err(Malformed::Name(length));
        }
        let range = self.skip(length)?;
        std::str::from_utf8(&self.bytes[range]).map_err(|_| Malformed::Text)
    }
}
