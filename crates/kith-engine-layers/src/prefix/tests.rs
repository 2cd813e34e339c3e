//! What `prefix` promises, sentence by sentence.

use super::*;
use crate::cache::CacheLayout;
use kith_kernels::attention::{CacheShape, Stored};

fn layout() -> CacheLayout {
    CacheLayout::new(CacheShape::new(1, 8, Stored::Half), 1)
}

fn read(layout: &CacheLayout, tokens: usize) -> Track {
    let mut track = Track::new();
    track.grow(layout, tokens);
    track.advance(tokens);
    track
}

fn tokens(first: u32, count: usize) -> Vec<u32> {
    (first..).take(count).collect()
}

#[test]
fn what_was_kept_is_found_up_to_the_first_difference() {
    let layout = layout();
    let mut tree = PrefixTree::new(10);
    let kept = tokens(0, 150);
    tree.keep(&kept, &read(&layout, 150), true);
    assert_eq!(tree.len(), 3);
    assert_eq!(tree.find(&kept, 149, None).len(), 149);
    assert_eq!(tree.find(&tokens(0, 400), 399, None).len(), 150);
    let mut other = kept.clone();
    other[100] = 9999;
    assert_eq!(tree.find(&other, 149, None).len(), 100);
    other[0] = 9999;
    assert!(tree.find(&other, 149, None).is_empty());
}

#[test]
fn a_sequence_that_goes_on_takes_the_place_of_its_beginning() {
    let layout = layout();
    let mut tree = PrefixTree::new(10);
    let all = tokens(0, 128);
    for length in [10, 64, 100, 128, 90] {
        tree.keep(&all[..length], &read(&layout, length), true);
    }
    assert_eq!(tree.len(), 2);
    assert_eq!(tree.find(&all, 128, None).len(), 128);
}

#[test]
fn only_full_blocks_of_a_sequence_that_still_runs_are_kept() {
    let layout = layout();
    let mut tree = PrefixTree::new(10);
    tree.keep(&tokens(0, 100), &read(&layout, 100), false);
    assert_eq!(tree.find(&tokens(0, 100), 99, None).len(), 64);
}

#[test]
fn the_leaf_unused_for_longest_goes_first_and_the_bound_holds() {
    let layout = layout();
    let mut tree = PrefixTree::new(4);
    let (first, second) = (tokens(0, 128), tokens(1000, 128));
    tree.keep(&first, &read(&layout, 128), true);
    tree.keep(&second, &read(&layout, 128), true);
    assert_eq!(tree.find(&first, 128, None).len(), 128);
    tree.keep(&tokens(2000, 64), &read(&layout, 64), true);
    assert_eq!(tree.len(), 4);
    assert_eq!(tree.find(&second, 128, None).len(), 64);
    assert_eq!(tree.find(&first, 128, None).len(), 128);
    tree.keep(&tokens(3000, 640), &read(&layout, 640), true);
    assert_eq!(tree.len(), 4);
    // Blocks that nobody holds are gone.
    assert_eq!(layout.counter().load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn sequences_with_different_adapters_share_nothing() {
    let layout = layout();
    let mut tree = PrefixTree::new(20);
    let [one, other] = ["one", "other"].map(crate::adapter::tests::empty);
    let read = |adapter: Option<&Arc<Weights>>| {
        let mut track = Track::of(Vec::new(), 0, adapter.cloned());
        track.grow(&layout, 150);
        track.advance(150);
        track
    };
    let all = tokens(0, 150);
    tree.keep(&all, &read(None), true);
    assert!(tree.find(&all, 149, Some(&one)).is_empty());
    tree.keep(&all, &read(Some(&one)), true);
    assert_eq!(tree.len(), 6);
    for (adapter, length) in [(None, 149), (Some(&one), 149), (Some(&other), 0)] {
        let found = tree.find(&all, 149, adapter);
        assert_eq!(found.len(), length);
        assert_eq!(found.adapter().map(|adapter| adapter.key()), adapter.map(|adapter| adapter.key()));
    }
    // One that was read again is known by what tells adapters apart.
    assert_eq!(tree.find(&all, 149, Some(&crate::adapter::tests::empty("one"))).len(), 149);
}
