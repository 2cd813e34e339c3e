//! Slices that were changed on their way: what is given out is right, whatever comes; a slice that was not changed comes through.
#![no_main]

use kith_blobs::{
    Ranges, decode,
    fuzzing::{GROUP, Grown, groups},
};
use kith_blobs_fuzz::{BLOBS, Input, plant};
use kith_types::Blake3;
use libfuzzer_sys::fuzz_target;

/// In an input that begins with it the slice, its root and its size are the input's own.
const OWN: u8 = 200;

fn seeds() -> Vec<Vec<u8>> {
    let (small, empty) = (&BLOBS[0], &BLOBS[1]);
    let own = |root: &Blake3, size: u64, slice: &[u8]| {
        [&[OWN, 1, 0, 1], root.as_bytes().as_slice(), &size.to_be_bytes(), slice].concat()
    };
    let mut seeds: Vec<_> = (0..7).map(|blob| vec![blob, 1, 0, 66, 0]).collect();
    seeds.extend([
        vec![4, 2, 0, 1, 2, 2, 1, 0, 0, 3, 4],
        vec![5, 3, 0, 1, 4, 1, 7, 1, 2, 0, 0, 64, 1, 0, 64, 0, 128],
        own(&small.root, 5, &small.bytes),
        own(&empty.root, 0, &[]),
        own(&BLOBS[4].root, 3 * GROUP as u64 + 7, &[7; 200]),
    ]);
    seeds
}

/// Ranges of groups in short form: a first and a number of one byte each.
fn ranges(input: &mut Input<'_>, end: u64) -> Option<Ranges> {
    let count = input.byte() % 6;
    let pairs: Vec<_> = (0..count).map(|_| (input.number(1), input.number(1))).collect();
    let pairs: Vec<_> = pairs.into_iter().map(|(first, count)| (first, count.min(end.saturating_sub(first)))).collect();
    Ranges::read(&pairs, end)
}

fn own(input: &mut Input<'_>) {
    let Some(ranges) = ranges(input, u64::MAX) else { return };
    let root = Blake3::from_bytes(std::array::from_fn(|_| input.byte()));
    let size = input.number(8);
    let alone = groups(size) == 1;
    let _ = decode(input.0, &root, size, ranges, |_, bytes| {
        assert!(!alone || Grown::of(bytes.to_vec()).root == root, "other bytes were given out");
    });
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let mut input = Input(bytes);
    let kind = input.byte();
    if kind >= OWN {
        return own(&mut input);
    }
    let blob = &BLOBS[usize::from(kind) % BLOBS.len()];
    let size = blob.bytes.len() as u64;
    let Some(ranges) = ranges(&mut input, groups(size)) else { return };
    let honest = blob.slice(&ranges).expect("the blob has these ranges");
    let mut slice = honest.clone();
    for _ in 0..input.byte() % 6 {
        let (place, by) = (input.number(3) as usize, input.byte());
        match slice.len() {
            0 => slice.push(by),
            _ if by == 0 => slice.truncate(place % slice.len()),
            length => slice[place % length] ^= by,
        }
    }
    slice.extend_from_slice(input.0);
    let done = decode(&slice, &blob.root, size, ranges, |index, given| {
        let from = index as usize * GROUP;
        assert!(given == &blob.bytes[from..blob.bytes.len().min(from + GROUP)], "other bytes were given out");
    });
    assert_eq!(done.is_ok(), slice == honest);
});
