//! Slices: some groups of a blob with the pairs that prove them, in the order of the tree from its root (the encoding of Bao, with
//! groups instead of chunks). What is read is verified before the next step; a wrong bit is found before its group is given out.

use crate::{
    ranges::Ranges,
    tree::{self, GROUP, Hash, MAX_SIZE, PAIR, Subtree},
};
use kith_types::Blake3;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes are not the ones that the root's hash stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes at group {group} are not the ones of this blob")]
pub struct Mismatch {
    /// The group, or the first group under the pair, that is wrong.
    pub group: u64,
}

/// What a slice holds next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The pair with this number, [`PAIR`] bytes.
    Pair(u64),
    /// The bytes of a group.
    Group {
        /// Which one.
        index: u64,
        /// Their number.
        len: usize,
    },
}

/// The way through the tree that meets some ranges of a blob. It holds two hashes for each level of the tree, whatever the ranges.
#[derive(Debug)]
pub struct Walk {
    open: Vec<(Subtree, Hash)>,
    ranges: Ranges,
    groups: u64,
    size: u64,
}

impl Walk {
    /// The way to `ranges` of the blob `root` of `size` bytes. `None` if the ranges reach beyond its end, or it is larger than [`MAX_SIZE`].
    pub fn new(root: &Blake3, size: u64, ranges: Ranges) -> Option<Self> {
        let groups = tree::groups(size);
        let end = ranges.pairs().last().map_or(0, |(first, count)| first.saturating_add(*count));
        if size > MAX_SIZE || end > groups {
            return None;
        }
        Some(Self { open: vec![(Subtree::whole(groups), *root.as_bytes())], ranges, groups, size })
    }

    /// What comes next; `None` at the end. It stays the same until [`Walk::pair`] or [`Walk::group`] was given it.
    pub fn step(&mut self) -> Option<Step> {
        while let Some((subtree, _)) = self.open.last() {
            if !self.ranges.touch(subtree.first, subtree.count) {
                self.open.pop();
                continue;
            }
            return Some(match subtree.pair() {
                Some(pair) => Step::Pair(pair),
                None => Step::Group { index: subtree.first, len: tree::group_len(self.size, subtree.first) },
            });
        }
        None
    }

    /// Verifies the pair that comes next and goes on below it.
    pub fn pair(&mut self, pair: &[u8; PAIR]) -> Result<(), Mismatch> {
        let Some((subtree, expected)) = self.open.pop() else { return Err(Mismatch { group: self.groups }) };
        let root = subtree.count == self.groups;
        let split = subtree.split().filter(|_| tree::pair_hash(pair, root) == expected);
        let Some((left, right)) = split else { return Err(Mismatch { group: subtree.first }) };
        let (first, second) = tree::children(pair);
        self.open.push((right, second));
        self.open.push((left, first));
        Ok(())
    }

    /// Verifies the group that comes next and goes on behind it.
    pub fn group(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        let Some((subtree, expected)) = self.open.pop() else { return Err(Mismatch { group: self.groups }) };
        let mismatch = Mismatch { group: subtree.first };
        if subtree.count != 1 || bytes.len() != tree::group_len(self.size, subtree.first) {
            return Err(mismatch);
        }
        if tree::group_hash(subtree.first, bytes, self.groups == 1) == expected { Ok(()) } else { Err(mismatch) }
    }
}

/// Why a slice could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// What lies on this disk is damaged; nothing of it was given out.
    #[error("what lies on the disk is damaged: {0}")]
    Damaged(#[from] Mismatch),
    /// The disk could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes a slice from a blob's bytes and its file of pairs, both verified on the way out.
#[derive(Debug)]
pub struct Encoder<B, P> {
    walk: Walk,
    bytes: Placed<B>,
    pairs: Placed<P>,
}

/// A file and where it stands.
#[derive(Debug)]
struct Placed<F> {
    file: F,
    at: Option<u64>,
}

impl<F: Read + Seek> Placed<F> {
    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        if self.at != Some(at) {
            self.at = None;
            self.file.seek(SeekFrom::Start(at))?;
        }
        self.file.read_exact(into)?;
        self.at = Some(at + into.len() as u64);
        Ok(())
    }
}

impl<B: Read + Seek, P: Read + Seek> Encoder<B, P> {
    /// Encodes the groups that `walk` meets.
    pub fn new(walk: Walk, bytes: B, pairs: P) -> Self {
        Self { walk, bytes: Placed { file: bytes, at: None }, pairs: Placed { file: pairs, at: None } }
    }

    /// Appends to `out` until it has at least `enough` bytes (at most one group more) or the slice ends; says whether more is to come.
    ///
    /// # Errors
    /// [`EncodeError`]; `out` then holds what was verified before.
    pub fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> Result<bool, EncodeError> {
        while out.len() < enough {
            match self.walk.step() {
                None => return Ok(false),
                Some(Step::Pair(number)) => {
                    let mut pair = [0; PAIR];
                    self.pairs.read(number * PAIR as u64, &mut pair)?;
                    self.walk.pair(&pair)?;
                    out.extend_from_slice(&pair);
                }
                Some(Step::Group { index, len }) => {
                    let start = out.len();
                    out.resize(start + len, 0);
                    let place = out.get_mut(start..).unwrap_or_default();
                    let read = self.bytes.read(index * GROUP as u64, place).map_err(EncodeError::from);
                    if let Err(error) = read.and_then(|()| Ok(self.walk.group(place)?)) {
                        out.truncate(start);
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.walk.step().is_some())
    }
}

/// Why a slice was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Wrong bytes.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// It ended before its last group.
    #[error("the slice ended early")]
    Short,
    /// Something follows behind its last group.
    #[error("bytes follow behind the slice")]
    Long,
    /// Such ranges the blob does not have.
    #[error("the blob has no such ranges")]
    Ranges,
}

/// Reads a slice from memory and gives each verified group to `take`. No input makes it panic or take more than two hashes a level.
///
/// # Errors
/// [`DecodeError`], after the groups that came before the fault were given out.
pub fn decode(
    mut slice: &[u8],
    root: &Blake3,
    size: u64,
    ranges: Ranges,
    mut take: impl FnMut(u64, &[u8]),
) -> Result<(), DecodeError> {
    let mut walk = Walk::new(root, size, ranges).ok_or(DecodeError::Ranges)?;
    while let Some(step) = walk.step() {
        let len = match step {
            Step::Pair(_) => PAIR,
            Step::Group { len, .. } => len,
        };
        let (now, later) = slice.split_at_checked(len).ok_or(DecodeError::Short)?;
        match step {
            Step::Pair(_) => walk.pair(now.try_into().map_err(|_| DecodeError::Short)?)?,
            Step::Group { index, .. } => {
                walk.group(now)?;
                take(index, now);
            }
        }
        slice = later;
    }
    if slice.is_empty() { Ok(()) } else { Err(DecodeError::Long) }
}

#[cfg(test)]
mod tests;
