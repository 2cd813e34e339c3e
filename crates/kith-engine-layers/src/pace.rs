//! How long steps take by how many tokens they read: a straight line through what was measured lately. It knows nothing of models.

/// What remains of a measurement's weight with each later one.
const KEPT: f64 = 0.95;
/// A measurement counts as at most so many times what is usual for a token: the machine may have been busy with something else.
const MOST_APART: f64 = 4.0;
/// The least spread of the measured lengths, in tokens squared, from which a slope is read.
const LEAST_SPREAD: f64 = 0.01;

/// The line, as weighted sums.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    weight: f64,
    tokens: f64,
    seconds: f64,
    squares: f64,
    products: f64,
}

impl Pace {
    /// Takes note of a step.
    pub(crate) fn note(&mut self, tokens: usize, seconds: f64) {
        let tokens = tokens as f64;
        let seconds = match self.middle() {
            None => seconds,
            Some((middle, usual)) => seconds.min(MOST_APART * usual * (tokens / middle).max(1.0)),
        };
        let add = |sum: &mut f64, number: f64| *sum = *sum * KEPT + number;
        add(&mut self.weight, 1.0);
        add(&mut self.tokens, tokens);
        add(&mut self.seconds, seconds);
        add(&mut self.squares, tokens * tokens);
        add(&mut self.products, tokens * seconds);
    }

    /// The seconds that a step of so many tokens should take; `None` before anything was measured. More tokens never take less, and twice as
    /// many at most twice as long.
    pub(crate) fn seconds(&self, tokens: usize) -> Option<f64> {
        let (middle, usual) = self.middle()?;
        let spread = self.squares / self.weight - middle * middle;
        let slope = if spread < LEAST_SPREAD { 0.0 } else { (self.products / self.weight - middle * usual) / spread };
        Some(usual + slope.clamp(0.0, usual / middle) * (tokens as f64 - middle))
    }

    /// How many tokens the steps had, at least one, and how long they took, on average.
    fn middle(&self) -> Option<(f64, f64)> {
        (self.weight > 0.0).then(|| ((self.tokens / self.weight).max(1.0), self.seconds / self.weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_through_what_was_measured() {
        let mut pace = Pace::default();
        assert_eq!(pace.seconds(1), None);
        pace.note(1, 0.010);
        assert!((pace.seconds(5).unwrap() - 0.010).abs() < 1e-9, "nothing is known of longer steps");
        for tokens in [4, 1, 8, 2, 1, 5] {
            pace.note(tokens, 0.009 + 0.001 * tokens as f64);
        }
        assert!((pace.seconds(3).unwrap() - 0.012).abs() < 1e-6);
        assert!((pace.seconds(1).unwrap() - 0.010).abs() < 1e-6);
    }

    #[test]
    fn one_slow_step_is_soon_forgotten() {
        let mut pace = Pace::default();
        (0..20).for_each(|at| pace.note(1 + at % 3, 0.010));
        pace.note(1, 60.0);
        assert!(pace.seconds(1).unwrap() < 0.02, "{:?}", pace.seconds(1));
        (0..60).for_each(|at| pace.note(1 + at % 3, 0.010));
        assert!((pace.seconds(1).unwrap() - 0.010).abs() < 5e-4);
    }

    #[test]
    fn more_tokens_never_take_less_nor_more_than_in_proportion() {
        let mut pace = Pace::default();
        [(1, 0.02), (8, 0.01), (1, 0.02)].iter().for_each(|(tokens, seconds)| pace.note(*tokens, *seconds));
        assert!(pace.seconds(8) >= pace.seconds(1) && pace.seconds(1) > Some(0.0));
        let mut pace = Pace::default();
        [(1, 0.001), (2, 0.1)].iter().for_each(|(tokens, seconds)| pace.note(*tokens, *seconds));
        assert!(pace.seconds(8).unwrap() <= 8.0 * pace.seconds(1).unwrap() + 1e-9 && pace.seconds(1).unwrap() > 0.0);
    }
}
