//! Sets of groups of a blob, as ranges in ascending order.

/// Groups of a blob: ranges `(first, count)` that neither touch nor overlap, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The first `groups` groups.
    pub fn up_to(groups: u64) -> Self {
        Self::one(0, groups)
    }

    /// A single range.
    pub fn one(first: u64, count: u64) -> Self {
        Self(if count == 0 { Vec::new() } else { vec![(first, count)] })
    }

    /// Any ranges in any order, which may overlap. `None` if one of them is empty or reaches beyond `end`.
    pub fn read(pairs: &[(u64, u64)], end: u64) -> Option<Self> {
        let mut sorted = pairs.to_vec();
        sorted.sort_unstable();
        let mut ranges = Self::default();
        for (first, count) in sorted {
            if count == 0 || first.checked_add(count)? > end {
                return None;
            }
            ranges.push(first, count);
        }
        Some(ranges)
    }

    /// Adds a range that begins no earlier than the last one.
    fn push(&mut self, first: u64, count: u64) {
        let end = first + count;
        match self.0.last_mut() {
            Some((start, length)) if first <= *start + *length => *length = (*length).max(end - *start),
            _ => self.0.push((first, count)),
        }
    }

    /// The ranges.
    pub fn pairs(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of groups in all ranges.
    pub fn groups(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Whether one of the `count` groups from `first` on is among them.
    pub fn touch(&self, first: u64, count: u64) -> bool {
        self.at(first).is_some_and(|(start, _)| start < first.saturating_add(count))
    }

    /// Whether all of the `count` groups from `first` on are among them.
    pub fn cover(&self, first: u64, count: u64) -> bool {
        self.at(first).is_some_and(|(start, length)| start <= first && first.saturating_add(count) <= start + length)
    }

    /// The first range that ends behind `group`.
    fn at(&self, group: u64) -> Option<(u64, u64)> {
        let place = self.0.partition_point(|(start, length)| start + length <= group);
        self.0.get(place).copied()
    }

    /// Those that are among `other` too, at most `most` groups, the first ones.
    pub fn among(&self, other: &Self, most: u64) -> Self {
        let (mut both, mut left) = (Self::default(), most);
        for &(first, count) in &self.0 {
            let end = first + count;
            let mut from = first;
            while let Some((start, length)) = other.at(from) {
                let begin = from.max(start);
                let stop = end.min(start + length);
                if begin >= stop || left == 0 {
                    break;
                }
                let taken = left.min(stop - begin);
                both.push(begin, taken);
                left -= taken;
                from = stop;
                if from >= end {
                    break;
                }
            }
        }
        both
    }

    /// The first `most` ranges.
    pub fn shortened(mut self, most: usize) -> Self {
        self.0.truncate(most);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(pairs: &[(u64, u64)]) -> BTreeSet<u64> {
        pairs.iter().flat_map(|&(first, count)| first..first + count).collect()
    }

    fn pairs() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0u64..60, 1u64..10), 0..8)
    }

    proptest! {
        #[test]
        fn ranges_are_sets(one in pairs(), two in pairs(), first in 0u64..70, count in 1u64..10, most in 0u64..40) {
            let (a, b) = (Ranges::read(&one, 100).unwrap(), Ranges::read(&two, 100).unwrap());
            let (p, q) = (set(&one), set(&two));
            prop_assert_eq!(set(a.pairs()), p.clone());
            prop_assert_eq!(a.groups(), p.len() as u64);
            prop_assert!(a.pairs().windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0), "none touch");
            prop_assert_eq!(a.touch(first, count), (first..first + count).any(|group| p.contains(&group)));
            prop_assert_eq!(a.cover(first, count), (first..first + count).all(|group| p.contains(&group)));
            let both: Vec<u64> = p.intersection(&q).copied().take(most as usize).collect();
            prop_assert_eq!(set(a.among(&b, most).pairs()).into_iter().collect::<Vec<_>>(), both);
        }
    }

    #[test]
    fn empty_ranges_and_those_beyond_the_end_are_refused() {
        assert_eq!(Ranges::read(&[(0, 0)], 10), None);
        assert_eq!(Ranges::read(&[(9, 2)], 10), None);
        assert_eq!(Ranges::read(&[(u64::MAX, 2)], u64::MAX), None);
        assert_eq!(Ranges::read(&[(9, 1), (8, 1)], 10), Some(Ranges::one(8, 2)));
    }
}
