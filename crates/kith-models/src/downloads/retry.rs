//! How long to wait before the next try, and whether there is one.

use super::{Bounds, Random};
use crate::{SourceError, web::MAX_WAIT};
use std::time::Duration;

/// Tries that failed in a row, and in all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tries {
    row: u32,
    all: u32,
}

/// The most tries of one request, however much each brings.
const MAX_TRIES: u32 = 1000;

impl Tries {
    /// The last try brought something: the row is broken.
    pub fn progressed(&mut self) {
        self.row = 0;
    }

    /// The pause before the next try after `error`: doubled with each try in a row, by chance up to half less, and not shorter than
    /// the source asked for. Without a next try, the error.
    pub fn next(&mut self, error: SourceError, bounds: &Bounds, random: &Random) -> Result<Duration, SourceError> {
        self.row += 1;
        self.all += 1;
        let asked = match &error {
            SourceError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if !error.passes() || self.row >= bounds.tries || self.all >= MAX_TRIES || asked > MAX_WAIT {
            return Err(error);
        }
        let doubled = bounds.pause.saturating_mul(1 << (self.row - 1).min(16)).min(bounds.longest_pause);
        let mut byte = [0];
        random(&mut byte);
        let jittered = doubled.mul_f64(1.0 - f64::from(byte[0]) / 512.0);
        Ok(jittered.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn broken() -> SourceError {
        SourceError::Broken { host: "h".into(), reason: "r".into() }
    }

    fn random(byte: u8) -> Random {
        Arc::new(move |bytes: &mut [u8]| bytes.fill(byte))
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_chance_shortens_them_by_half_at_most() {
        let bounds = Bounds { tries: 100, ..Bounds::default() };
        let pauses = |byte| {
            let mut tries = Tries::default();
            (0..10).map(|_| tries.next(broken(), &bounds, &random(byte)).unwrap().as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(0)[..8], [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert!(pauses(255).iter().zip(pauses(0)).all(|(short, long)| *short * 2 >= long && *short < long));
    }

    #[test]
    fn tries_end_unless_one_brings_something() {
        let bounds = Bounds { tries: 3, ..Bounds::default() };
        let mut tries = Tries::default();
        for _ in 0..5 {
            assert!(tries.next(broken(), &bounds, &random(0)).is_ok());
            assert!(tries.next(broken(), &bounds, &random(0)).is_ok());
            tries.progressed();
        }
        tries.next(broken(), &bounds, &random(0)).unwrap();
        tries.next(broken(), &bounds, &random(0)).unwrap();
        assert!(matches!(tries.next(broken(), &bounds, &random(0)), Err(SourceError::Broken { .. })));
        assert!(Tries { row: 0, all: MAX_TRIES }.next(broken(), &bounds, &random(0)).is_err());
    }

    #[test]
    fn a_source_that_asks_for_patience_gets_it_up_to_a_bound() {
        let busy = |seconds| SourceError::Busy { host: "h".into(), retry_after: Some(Duration::from_secs(seconds)) };
        let bounds = Bounds::default();
        assert_eq!(Tries::default().next(busy(7), &bounds, &random(9)).unwrap(), Duration::from_secs(7));
        assert!(Tries::default().next(busy(MAX_WAIT.as_secs() + 1), &bounds, &random(9)).is_err());
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let refused = SourceError::NotFound("x".into());
        assert!(Tries::default().next(refused, &Bounds::default(), &random(0)).is_err());
    }
}
