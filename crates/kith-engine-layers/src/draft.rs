//! Guessing what an answer will say by looking up what followed the same tokens before (prompt lookup). A guess is only ever checked,
//! never believed: the model reads it together with the last token, and it counts as far as the model says the same.

/// Tokens that must have occurred before in the same order.
const KEY: usize = 3;
/// Tokens guessed at a time, at most.
pub(crate) const MOST: usize = 7;

/// How far the guesses of one answer have been good lately.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    length: usize,
}

impl Default for Draft {
    fn default() -> Self {
        Self { length: 3 }
    }
}

impl Draft {
    /// What may follow `context`: at most `most` tokens, none without precedent.
    pub(crate) fn guess<'a>(&self, context: &'a [u32], most: usize) -> &'a [u32] {
        let length = self.length.min(most);
        let Some(key) = context.len().checked_sub(KEY).filter(|_| length > 0) else { return &[] };
        let (before, key) = (&context[..context.len() - 1], &context[key..]);
        // The latest precedent: what was said last is repeated soonest.
        let found = before.windows(KEY).rposition(|window| window == key);
        found.map_or(&[], |at| &context[at + KEY..context.len().min(at + KEY + length)])
    }

    /// Takes note of how many of the guessed tokens were right.
    pub(crate) fn learn(&mut self, guessed: usize, right: usize) {
        if guessed > 0 {
            self.length = if right == guessed { (self.length * 2).min(MOST) } else { (right + 1).min(MOST) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_what_followed_the_same_tokens_last() {
        let draft = Draft { length: 4 };
        assert_eq!(draft.guess(&[1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 1, 2, 3], MOST), [6, 7, 1, 2]);
        assert_eq!(draft.guess(&[1, 2, 3, 4, 5, 1, 2, 3], 1), [4]);
        assert_eq!(draft.guess(&[1, 2, 3, 4], MOST), [] as [u32; 0]);
        assert_eq!(draft.guess(&[1, 2], MOST), [] as [u32; 0]);
        assert_eq!(draft.guess(&[7, 7, 7, 7, 7], MOST), [7]);
    }

    #[test]
    fn guesses_grow_while_they_are_right_and_shrink_when_they_are_not() {
        let mut draft = Draft::default();
        for _ in 0..3 {
            draft.learn(draft.length, draft.length);
        }
        assert_eq!(draft.length, MOST);
        draft.learn(7, 0);
        assert_eq!(draft.length, 1);
        draft.learn(0, 0);
        assert_eq!(draft.length, 1);
    }
}
