//! Promises of slices: what was encoded is decoded, for every size and range; nothing changed on the way is given out.

use super::*;
use crate::tree::{TreeHasher, groups};
use proptest::prelude::*;
use std::io::Cursor;

/// Bytes that differ from group to group.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8 ^ (at >> 14) as u8).collect()
}

fn tree(bytes: &[u8]) -> (Blake3, Vec<u8>) {
    let (mut hasher, mut pairs) = (TreeHasher::default(), Vec::new());
    hasher.update(bytes, |pair| pairs.extend_from_slice(pair));
    let root = hasher.finalize(|pair| pairs.extend_from_slice(pair));
    (Blake3::from_bytes(root), pairs)
}

fn encode(bytes: &[u8], ranges: &Ranges) -> (Blake3, Vec<u8>) {
    let (root, pairs) = tree(bytes);
    let walk = Walk::new(&root, bytes.len() as u64, ranges.clone()).unwrap();
    let mut encoder = Encoder::new(walk, Cursor::new(bytes), Cursor::new(pairs));
    let mut slice = Vec::new();
    while encoder.fill(&mut slice, usize::MAX).unwrap() {}
    (root, slice)
}

type Groups = Vec<(u64, Vec<u8>)>;

fn decoded(slice: &[u8], root: &Blake3, size: u64, ranges: &Ranges) -> (Groups, Result<(), DecodeError>) {
    let mut got = Vec::new();
    let done = decode(slice, root, size, ranges.clone(), |index, bytes| got.push((index, bytes.to_vec())));
    (got, done)
}

fn comes_through(size: usize, ranges: &Ranges) {
    let bytes = bytes(size);
    let (root, slice) = encode(&bytes, ranges);
    assert_eq!(root.as_bytes(), blake3::hash(&bytes).as_bytes());
    let (got, done) = decoded(&slice, &root, size as u64, ranges);
    assert_eq!(done, Ok(()));
    let wanted: Vec<u64> = ranges.pairs().iter().flat_map(|&(first, count)| first..first + count).collect();
    assert_eq!(got.iter().map(|(index, _)| *index).collect::<Vec<_>>(), wanted);
    for (index, group) in got {
        let from = index as usize * GROUP;
        assert_eq!(group, bytes[from..size.min(from + GROUP)]);
    }
}

#[test]
fn every_range_of_blobs_of_every_kind_of_size_comes_through() {
    for size in [0, 1, 1024, 1025, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 3 * GROUP + 7, 5 * GROUP, 1 << 20, (1 << 20) + 1] {
        let all = groups(size as u64);
        comes_through(size, &Ranges::up_to(all));
        comes_through(size, &Ranges::one(all - 1, 1));
        comes_through(size, &Ranges::one(all / 2, 1));
        comes_through(size, &Ranges::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_ranges_come_through(size in 0usize..40 * GROUP, parts in prop::collection::vec((0u64..40, 1u64..6), 0..5)) {
        let all = groups(size as u64);
        let parts: Vec<_> = parts.into_iter().filter(|(first, count)| first + count <= all).collect();
        comes_through(size, &Ranges::read(&parts, all).unwrap());
    }

    #[test]
    fn any_bytes_are_read_or_refused(slice in prop::collection::vec(any::<u8>(), 0..4096), size in 0u64..1 << 52, first in any::<u64>(), root in any::<[u8; 32]>()) {
        let ranges = Ranges::one(first % (1 << 37), 1);
        prop_assert!(decode(&slice, &Blake3::from_bytes(root), size, ranges, |_, _| panic!("nothing was proven")).is_err());
    }
}

#[test]
fn every_flipped_bit_is_refused_before_its_group_is_given_out() {
    let size = 4 * GROUP + 100;
    let (bytes, ranges) = (bytes(size), Ranges::read(&[(1, 2), (4, 1)], 5).unwrap());
    let (root, slice) = encode(&bytes, &ranges);
    // All bits of the pairs, and of the ends of the groups; of the others, every 97th byte.
    let mut walk = Walk::new(&root, size as u64, ranges.clone()).unwrap();
    let (mut places, mut at) = (Vec::new(), 0);
    while let Some(step) = walk.step() {
        match step {
            Step::Pair(_) => {
                places.extend(at..at + PAIR);
                walk.pair(slice[at..at + PAIR].try_into().unwrap()).unwrap();
                at += PAIR;
            }
            Step::Group { len, .. } => {
                places.extend((at..at + len).filter(|place| (place - at) % 97 == 0 || *place == at + len - 1));
                walk.group(&slice[at..at + len]).unwrap();
                at += len;
            }
        }
    }
    assert_eq!(at, slice.len());
    for place in places {
        for bit in [0, 3, 7] {
            let mut changed = slice.clone();
            changed[place] ^= 1 << bit;
            let (got, done) = decoded(&changed, &root, size as u64, &ranges);
            assert!(matches!(done, Err(DecodeError::Mismatch(_))), "bit {bit} of byte {place}: {done:?}");
            for (index, group) in got {
                let from = index as usize * GROUP;
                assert_eq!(group, bytes[from..size.min(from + GROUP)], "what was given out is right");
            }
        }
    }
}

#[test]
fn cut_and_lengthened_slices_are_refused() {
    let (bytes, ranges) = (bytes(3 * GROUP), Ranges::up_to(3));
    let (root, mut slice) = encode(&bytes, &ranges);
    for cut in [0, 63, 64, 128, 128 + GROUP, slice.len() - 1] {
        assert_eq!(decoded(&slice[..cut], &root, bytes.len() as u64, &ranges).1, Err(DecodeError::Short), "{cut}");
    }
    slice.push(0);
    assert_eq!(decoded(&slice, &root, bytes.len() as u64, &ranges).1, Err(DecodeError::Long));
}

#[test]
fn a_wrong_size_is_refused_with_the_last_group() {
    for (size, said) in
        [(5 * GROUP, 5 * GROUP + 1), (5 * GROUP + 9, 5 * GROUP + 10), (GROUP, GROUP - 1), (3 * GROUP, 4 * GROUP), (0, 1)]
    {
        let bytes = bytes(size);
        let (root, pairs) = tree(&bytes);
        let last = Ranges::one(groups(said as u64) - 1, 1);
        // The liar sends what fits its lie best: the bytes it has, and zeros.
        let mut longer = bytes.clone();
        longer.resize(said.max(size), 0);
        let walk = Walk::new(&root, said as u64, last).unwrap();
        let mut pairs = pairs;
        pairs.resize(1 << 12, 0);
        let mut encoder = Encoder::new(walk, Cursor::new(&longer), Cursor::new(pairs));
        assert!(encoder.fill(&mut Vec::new(), usize::MAX).is_err(), "{size} is not {said}");
    }
}

#[test]
fn damage_on_the_own_disk_is_noticed_before_it_is_sent() {
    let mut bytes = bytes(3 * GROUP);
    let (root, pairs) = tree(&bytes);
    bytes[2 * GROUP + 5] ^= 1;
    let walk = Walk::new(&root, bytes.len() as u64, Ranges::up_to(3)).unwrap();
    let mut encoder = Encoder::new(walk, Cursor::new(&bytes), Cursor::new(pairs));
    let mut out = Vec::new();
    assert!(matches!(encoder.fill(&mut out, usize::MAX), Err(EncodeError::Damaged(Mismatch { group: 2 }))));
    assert_eq!(out.len(), 2 * PAIR + 2 * GROUP, "what was sound is there, and nothing of the rest");
}

#[test]
fn ranges_beyond_the_end_have_no_slice() {
    let root = Blake3::from_bytes([0; 32]);
    assert!(Walk::new(&root, GROUP as u64, Ranges::one(1, 1)).is_none());
    assert!(Walk::new(&root, MAX_SIZE + 1, Ranges::one(0, 1)).is_none());
}
