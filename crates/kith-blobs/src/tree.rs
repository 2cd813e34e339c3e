//! The tree of BLAKE3 (specification, section 2.1) over groups of sixteen chunks. Pure: it knows neither files nor streams.
//!
//! A blob of `n` groups has `n - 1` pairs (inner nodes), each the hashes of two children. They are numbered, and kept, in the order in
//! which a single pass over the bytes finishes them: left subtree, right subtree, then the pair above both.

use blake3::hazmat::{self, HasherExt, Mode};

/// Bytes of a group: what is verified, refused and asked for as one.
pub const GROUP: usize = 16 << 10;
/// Bytes of a pair: the hashes of its two children.
pub const PAIR: usize = 64;
/// The largest blob that has a tree here: 1 PiB, so that no number of bytes or groups ever overflows.
pub const MAX_SIZE: u64 = 1 << 50;

/// The hash of a subtree, or of the whole.
pub type Hash = [u8; 32];

/// Groups of a blob of `size` bytes. The empty blob has one empty group.
pub const fn groups(size: u64) -> u64 {
    let groups = size.div_ceil(GROUP as u64);
    if groups == 0 { 1 } else { groups }
}

/// Bytes of the group at `index` of a blob of `size` bytes: [`GROUP`] but for the last.
pub fn group_len(size: u64, index: u64) -> usize {
    let left = size.saturating_sub(index.saturating_mul(GROUP as u64));
    usize::try_from(left).unwrap_or(GROUP).min(GROUP)
}

/// Bytes of the file that keeps the pairs of a blob of `size` bytes.
pub fn pairs_len(size: u64) -> u64 {
    (groups(size) - 1) * PAIR as u64
}

/// Some groups in a row that have a common hash in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// Its first group.
    pub first: u64,
    /// Its number of groups, at least one.
    pub count: u64,
    /// The number of the first of its pairs.
    base: u64,
}

impl Subtree {
    /// The whole tree of so many groups.
    pub const fn whole(groups: u64) -> Self {
        Self { first: 0, count: groups, base: 0 }
    }

    /// Its two children, unless it is a single group. The left one has the largest power of two of groups that leaves some to the right.
    pub fn split(&self) -> Option<(Self, Self)> {
        if self.count < 2 {
            return None;
        }
        let left = self.count.div_ceil(2).next_power_of_two();
        let right = Self { first: self.first + left, count: self.count - left, base: self.base + left - 1 };
        Some((Self { count: left, ..*self }, right))
    }

    /// The number of the pair at its top, if it has one.
    pub const fn pair(&self) -> Option<u64> {
        if self.count < 2 { None } else { Some(self.base + self.count - 2) }
    }
}

/// The hash of one group. `alone`: it is the whole blob.
pub fn group_hash(index: u64, bytes: &[u8], alone: bool) -> Hash {
    if alone || bytes.is_empty() {
        return *blake3::hash(bytes).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index.saturating_mul(GROUP as u64));
    hasher.update(bytes).finalize_non_root()
}

/// The hash of a pair. `root`: it stands at the top of the whole tree.
pub fn pair_hash(pair: &[u8; PAIR], root: bool) -> Hash {
    let (left, right) = children(pair);
    merged(&left, &right, root)
}

/// The two hashes in a pair.
pub fn children(pair: &[u8; PAIR]) -> (Hash, Hash) {
    let (mut left, mut right) = ([0; 32], [0; 32]);
    let (first, second) = pair.split_at(32);
    left.copy_from_slice(first);
    right.copy_from_slice(second);
    (left, right)
}

fn merged(left: &Hash, right: &Hash, root: bool) -> Hash {
    if root {
        *hazmat::merge_subtrees_root(left, right, Mode::Hash).as_bytes()
    } else {
        hazmat::merge_subtrees_non_root(left, right, Mode::Hash)
    }
}

/// Hashes bytes as they come and hands out the pairs of their tree in order. It keeps one hash for each level of the tree.
pub struct TreeHasher {
    group: blake3::Hasher,
    filled: usize,
    finished: u64,
    waiting: Vec<Hash>,
}

impl Default for TreeHasher {
    fn default() -> Self {
        Self { group: blake3::Hasher::new(), filled: 0, finished: 0, waiting: Vec::new() }
    }
}

impl TreeHasher {
    /// Takes more bytes; `keep` is given each pair that they finish.
    pub fn update(&mut self, mut bytes: &[u8], mut keep: impl FnMut(&[u8; PAIR])) {
        while !bytes.is_empty() {
            // Not before another byte is there: the last group may have to be hashed as the whole.
            if self.filled == GROUP {
                self.finish_group(&mut keep);
            }
            let (now, later) = bytes.split_at(bytes.len().min(GROUP - self.filled));
            self.group.update(now);
            self.filled += now.len();
            bytes = later;
        }
    }

    /// The hash of all the bytes; `keep` is given the last pairs.
    pub fn finalize(mut self, mut keep: impl FnMut(&[u8; PAIR])) -> Hash {
        if self.waiting.is_empty() {
            return *self.group.finalize().as_bytes();
        }
        let mut right = self.group.finalize_non_root();
        while let Some(left) = self.waiting.pop() {
            keep(&joined(&left, &right));
            right = merged(&left, &right, self.waiting.is_empty());
        }
        right
    }

    fn finish_group(&mut self, keep: &mut impl FnMut(&[u8; PAIR])) {
        let mut hash = self.group.finalize_non_root();
        self.finished += 1;
        // As many subtrees are full now as the number of full groups has zeros at its end.
        for _ in 0..self.finished.trailing_zeros() {
            let Some(left) = self.waiting.pop() else { break };
            keep(&joined(&left, &hash));
            hash = merged(&left, &hash, false);
        }
        self.waiting.push(hash);
        self.group = blake3::Hasher::new();
        self.group.set_input_offset(self.finished * GROUP as u64);
        self.filled = 0;
    }
}

fn joined(left: &Hash, right: &Hash) -> [u8; PAIR] {
    let mut pair = [0; PAIR];
    let (first, second) = pair.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The hash of a subtree by the definition, and its pairs in order.
    fn plainly(bytes: &[u8], subtree: Subtree, root: bool, pairs: &mut Vec<[u8; PAIR]>) -> Hash {
        let Some((left, right)) = subtree.split() else {
            let from = subtree.first as usize * GROUP;
            return group_hash(subtree.first, &bytes[from..bytes.len().min(from + GROUP)], root);
        };
        let pair = joined(&plainly(bytes, left, false, pairs), &plainly(bytes, right, false, pairs));
        assert_eq!(subtree.pair(), Some(pairs.len() as u64));
        pairs.push(pair);
        pair_hash(&pair, root)
    }

    fn agree(bytes: &[u8], step: usize) {
        let (mut hasher, mut pairs, mut plain) = (TreeHasher::default(), Vec::new(), Vec::new());
        for part in bytes.chunks(step) {
            hasher.update(part, |pair| pairs.push(*pair));
        }
        let hash = hasher.finalize(|pair| pairs.push(*pair));
        assert_eq!(hash, *blake3::hash(bytes).as_bytes(), "{} bytes", bytes.len());
        assert_eq!(hash, plainly(bytes, Subtree::whole(groups(bytes.len() as u64)), true, &mut plain));
        assert_eq!(pairs, plain);
        assert_eq!(pairs.len() as u64 * PAIR as u64, pairs_len(bytes.len() as u64));
    }

    #[test]
    fn the_tree_has_the_digest_of_the_bytes_for_every_number_of_groups() {
        for count in 0..20 {
            for odd in [0, 1, 1023, GROUP - 1] {
                agree(&vec![count as u8; count * GROUP + odd], GROUP * 3 + 1);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_tree_has_the_digest_of_the_bytes_however_they_come(size in 0usize..1 << 20, step in 1usize..100_000) {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            agree(&bytes, step);
        }
    }

    #[test]
    fn the_last_group_has_what_is_left() {
        let group = GROUP as u64;
        assert_eq!((groups(0), group_len(0, 0)), (1, 0));
        assert_eq!((groups(group), group_len(group, 0)), (1, GROUP));
        assert_eq!((groups(group + 1), group_len(group + 1, 1)), (2, 1));
        assert_eq!(group_len(group, 7), 0);
        assert_eq!(groups(MAX_SIZE), 1 << 36);
    }
}
