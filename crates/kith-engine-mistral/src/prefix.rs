//! A mirror of mistral.rs's prefix cache: what it holds, how much memory that is, and what it will do with a prompt.
//!
//! The cache keeps the keys and values of every turn that ended, under the tokens of the prompt and the answer. Of mistral.rs 0.8.1
//! one must know that on the CPU nothing is ever evicted, so somebody else has to notice when it is full and empty it; that a
//! prompt it knows from end to end is computed again; and that it takes the last token of an entry for computed, though it is not.
//! The last token of our entries is the stop token, which hardly any prompt holds; if one does, the cache must be emptied.

/// The most entries; looking a prompt up compares it with each.
const ENTRIES: usize = 64;

/// What mistral.rs will do with a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It takes the first `tokens` from an entry that has room for `capacity` tokens. Zero: it computes all.
    Reuse {
        /// Tokens of the prompt.
        tokens: u32,
        /// Tokens.
        capacity: u64,
    },
    /// It would take a token for computed that is not.
    Spoilt,
}

/// The mirror.
#[derive(Debug)]
pub(crate) struct PrefixMirror {
    entries: Vec<Entry>,
    step: u64,
    /// The most tokens that the entries together may have room for.
    ceiling: u64,
}

#[derive(Debug)]
struct Entry {
    /// As mistral.rs names it: the last is the stop token.
    tokens: Vec<u32>,
    capacity: u64,
}

impl PrefixMirror {
    /// An empty mirror. Memory is taken in steps of `step` tokens; all entries together may hold `ceiling` tokens.
    pub(crate) fn new(step: u64, ceiling: u64) -> Self {
        Self { entries: Vec::new(), step: step.max(1), ceiling }
    }

    /// What mistral.rs will do with this prompt.
    pub(crate) fn lookup(&self, prompt: &[u32]) -> Lookup {
        let mut best: Option<(usize, &Entry)> = None;
        for entry in &self.entries {
            let shared = prompt.iter().zip(&entry.tokens).take_while(|(a, b)| a == b).count();
            // Of equals the oldest: as mistral.rs chooses.
            if shared > best.map_or(0, |(most, _)| most) {
                best = Some((shared, entry));
            }
        }
        match best {
            Some((shared, _)) if shared == prompt.len() => Lookup::Reuse { tokens: 0, capacity: 0 },
            Some((shared, entry)) if shared == entry.tokens.len() => Lookup::Spoilt,
            Some((shared, entry)) => {
                Lookup::Reuse { tokens: u32::try_from(shared).unwrap_or(u32::MAX), capacity: entry.capacity }
            }
            None => Lookup::Reuse { tokens: 0, capacity: 0 },
        }
    }

    /// Notes that a turn has ended that had read `read` and was then given `stop`, in a cache that began with room for `capacity`.
    pub(crate) fn keep(&mut self, read: &[u32], stop: u32, capacity: u64) {
        let capacity = self.in_steps(read.len() as u64).max(capacity);
        let tokens: Vec<u32> = read.iter().copied().chain([stop]).collect();
        match self.entries.iter_mut().find(|entry| entry.tokens == tokens) {
            Some(entry) => entry.capacity = capacity,
            None => self.entries.push(Entry { tokens, capacity }),
        }
    }

    /// Whether entries for answers of these lengths still go in.
    pub(crate) fn has_room_for(&self, lengths: impl Iterator<Item = u64>) -> bool {
        let (mut entries, mut tokens) = (self.entries.len(), self.tokens());
        for length in lengths {
            entries += 1;
            tokens += self.in_steps(length);
        }
        entries <= ENTRIES && tokens <= self.ceiling
    }

    fn in_steps(&self, tokens: u64) -> u64 {
        tokens.div_ceil(self.step).max(1) * self.step
    }

    /// Tokens that the entries have room for.
    pub(crate) fn tokens(&self) -> u64 {
        self.entries.iter().map(|entry| entry.capacity).sum()
    }

    /// Notes that the cache was emptied.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: u32 = 99;

    fn reuse(tokens: u32) -> Lookup {
        Lookup::Reuse { tokens, capacity: if tokens == 0 { 0 } else { 4 } }
    }

    #[test]
    fn the_longest_shared_beginning_is_reused() {
        let mut mirror = PrefixMirror::new(4, 100);
        assert_eq!(mirror.lookup(&[1, 2]), reuse(0));
        mirror.keep(&[1, 2], STOP, 0);
        mirror.keep(&[1, 2, 3], STOP, 0);
        assert_eq!(mirror.lookup(&[1, 5]), reuse(1));
        assert_eq!(mirror.lookup(&[1, 2, 3, 4, 5]), reuse(3));
        assert_eq!(mirror.lookup(&[7]), reuse(0));
    }

    #[test]
    fn a_prompt_known_from_end_to_end_is_computed_again() {
        let mut mirror = PrefixMirror::new(4, 100);
        mirror.keep(&[1, 2, 3], STOP, 0);
        assert_eq!(mirror.lookup(&[1, 2, 3]), reuse(0));
        assert_eq!(mirror.lookup(&[1, 2]), reuse(0));
    }

    #[test]
    fn a_prompt_that_holds_the_stop_token_where_an_entry_does_is_noticed() {
        let mut mirror = PrefixMirror::new(4, 100);
        mirror.keep(&[1, 2], STOP, 0);
        assert_eq!(mirror.lookup(&[1, 2, STOP, 4]), Lookup::Spoilt);
        assert_eq!(mirror.lookup(&[1, STOP, 4]), reuse(1));
    }

    #[test]
    fn room_is_counted_in_steps_and_in_entries() {
        let mut mirror = PrefixMirror::new(4, 16);
        mirror.keep(&[1; 5], STOP, 0);
        assert_eq!(mirror.tokens(), 8);
        assert!(mirror.has_room_for([4, 4].into_iter()));
        assert!(!mirror.has_room_for([5, 4].into_iter()));
        // An entry that continues a longer one holds the longer one's memory.
        mirror.keep(&[2], STOP, 12);
        assert_eq!(mirror.tokens(), 20);
        assert!(!mirror.has_room_for([].into_iter()));
        mirror.clear();
        assert!(mirror.has_room_for([16].into_iter()));

        let mut mirror = PrefixMirror::new(1, u64::MAX);
        for id in 0..ENTRIES as u32 {
            assert!(mirror.has_room_for([1].into_iter()));
            mirror.keep(&[id], STOP, 0);
            mirror.keep(&[id], STOP, 0);
        }
        assert!(!mirror.has_room_for([1].into_iter()));
    }
}
