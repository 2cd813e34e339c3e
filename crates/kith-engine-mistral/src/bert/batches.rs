//! Which texts go through the network together. A pure function of their lengths.

/// The most tokens in one batch, padding among them, unless one text alone has more.
pub(super) const TOKENS: usize = 2048;
/// The most pairs of tokens that one attention head compares in one batch, unless one text alone has more.
pub(super) const PAIRS: usize = 1 << 19;

/// The places of the texts, batch by batch: texts of like length together, so that little is padded.
pub(super) fn plan(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|at| lengths[*at]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for at in order {
        // The last of an ascending order is the batch's longest.
        let length = lengths[at];
        match batches.last_mut() {
            Some(batch) if fits(batch.len() + 1, length) => batch.push(at),
            _ => batches.push(vec![at]),
        }
    }
    batches
}

fn fits(count: usize, length: usize) -> bool {
    let tokens = count.saturating_mul(length);
    tokens <= TOKENS && tokens.saturating_mul(length) <= PAIRS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_of_like_length_go_together() {
        assert_eq!(plan(&[512, 3, 512, 4]), [vec![1, 3], vec![0, 2]]);
        assert_eq!(plan(&[8192, 8192]), [vec![0], vec![1]], "longer than a batch may be, each goes alone");
        assert_eq!(plan(&[]), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn every_text_goes_once_and_no_batch_of_several_is_too_large(lengths in prop::collection::vec(1usize..600, 0..300)) {
            let batches = plan(&lengths);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches.iter().filter(|batch| batch.len() > 1) {
                let longest = batch.iter().map(|at| lengths[*at]).max().unwrap();
                prop_assert!(batch.len() * longest <= TOKENS && batch.len() * longest * longest <= PAIRS);
            }
        }
    }
}
