//! What crossed the mesh in the last ten minutes, in steps of ten seconds.

use kith_api::mesh::Throughput;
use kith_types::Timestamp;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One step.
pub(super) const STEP: Duration = Duration::from_secs(10);
const STEP_MS: i64 = 10_000;
/// Ten minutes of them.
const STEPS: usize = 60;
const ALL_MS: i64 = STEP_MS * STEPS as i64;

/// The ring of steps.
#[derive(Default)]
pub(super) struct Traffic(Mutex<VecDeque<Throughput>>);

impl Traffic {
    /// Closes a step. In the time between it and the one before, if there is any, nothing crossed.
    pub fn note(&self, step: Throughput) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.back().is_some_and(|last| step.at.ms().saturating_sub(last.at.ms()) > ALL_MS) {
            steps.clear();
        }
        while let Some(last) = steps.back().copied()
            && step.at.ms().saturating_sub(last.at.ms()) >= 2 * STEP_MS
        {
            steps.push_back(Throughput { at: last.at.plus_ms(STEP_MS), bytes_in: 0, bytes_out: 0 });
        }
        steps.push_back(step);
        let over = steps.len().saturating_sub(STEPS);
        steps.drain(..over);
    }

    /// The steps of the ten minutes before `now`, the oldest first.
    pub fn steps(&self, now: Timestamp) -> Vec<Throughput> {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.iter().filter(|step| step.at.plus_ms(ALL_MS) >= now).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(seconds: i64, bytes: u64) -> Throughput {
        Throughput { at: Timestamp::from_ms(seconds * 1000), bytes_in: bytes, bytes_out: bytes }
    }

    fn told(traffic: &Traffic, seconds: i64) -> Vec<(i64, u64)> {
        let steps = traffic.steps(Timestamp::from_ms(seconds * 1000));
        steps.into_iter().map(|step| (step.at.ms() / 1000, step.bytes_in)).collect()
    }

    #[test]
    fn only_the_last_ten_minutes_are_told_and_kept() {
        let traffic = Traffic::default();
        for n in 0..100 {
            traffic.note(step(n * 10, 1));
        }
        assert_eq!(told(&traffic, 990).len(), STEPS);
        assert_eq!(told(&traffic, 990 + 600), [(990, 1)]);
        assert!(told(&traffic, 990 + 3600).is_empty());
    }

    #[test]
    fn nothing_crossed_while_nothing_was_connected() {
        let traffic = Traffic::default();
        traffic.note(step(0, 5));
        traffic.note(step(12, 6));
        traffic.note(step(40, 7));
        assert_eq!(told(&traffic, 50), [(0, 5), (12, 6), (22, 0), (40, 7)]);
        traffic.note(step(100_000, 8));
        assert_eq!(told(&traffic, 100_000), [(100_000, 8)]);
        traffic.note(step(10, 9));
        assert!(told(&traffic, 100_000).len() <= 2, "a clock that was set back breaks nothing");
    }
}
