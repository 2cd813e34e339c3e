//! For those who try the decoders with all kinds of bytes: what a holder that keeps to the rules would send.

use crate::{
    ranges::Ranges,
    slice::{Encoder, Walk},
    tree::TreeHasher,
};
use kith_types::Blake3;
use std::io::Cursor;

pub use crate::tree::{GROUP, groups};

/// A blob in memory, with its tree.
#[derive(Debug)]
pub struct Grown {
    /// The digest of the whole.
    pub root: Blake3,
    /// Its bytes.
    pub bytes: Vec<u8>,
    pairs: Vec<u8>,
}

impl Grown {
    /// The tree of `bytes`.
    pub fn of(bytes: Vec<u8>) -> Self {
        let (mut hasher, mut pairs) = (TreeHasher::default(), Vec::new());
        hasher.update(&bytes, |pair| pairs.extend_from_slice(pair));
        let root = Blake3::from_bytes(hasher.finalize(|pair| pairs.extend_from_slice(pair)));
        Self { root, bytes, pairs }
    }

    /// The slice with these groups; `None` if it has no such ones.
    pub fn slice(&self, ranges: &Ranges) -> Option<Vec<u8>> {
        let walk = Walk::new(&self.root, self.bytes.len() as u64, ranges.clone())?;
        let mut slice = Vec::new();
        let mut encoder = Encoder::new(walk, Cursor::new(&self.bytes), Cursor::new(&self.pairs));
        while encoder.fill(&mut slice, usize::MAX).ok()? {}
        Some(slice)
    }
}
