//! How long requests take: a histogram whose buckets grow by an eighth of a doubling, so that a percentile is off by 6 % at most.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets of each doubling, as a power of two.
const SUB_BITS: u32 = 3;
const SUBS: u64 = 1 << SUB_BITS;
/// Buckets up to 2^40 µs, twelve days; what takes longer counts as that.
const BUCKETS: usize = ((40 - SUB_BITS as usize) + 1) << SUB_BITS;

fn bucket(micros: u64) -> usize {
    if micros < SUBS {
        return usize::try_from(micros).unwrap_or(0);
    }
    let doublings = micros.ilog2() - SUB_BITS;
    let sub = (micros >> doublings) - SUBS;
    let index = (u64::from(doublings) + 1) * SUBS + sub;
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    if bucket < SUBS {
        return bucket as f64;
    }
    let doublings = bucket / SUBS - 1;
    let low = (SUBS + bucket % SUBS) << doublings;
    low as f64 + ((1u64 << doublings) as f64 - 1.0) / 2.0
}

/// Counts durations since the node started. Safe to use from many threads.
#[derive(Debug)]
pub struct LatencyRecorder(Box<[AtomicU64]>);

impl Default for LatencyRecorder {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl LatencyRecorder {
    /// Counts one duration.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.0.get(bucket(micros)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// What was counted so far.
    pub fn read(&self) -> Latencies {
        let counts = self.0.iter().enumerate().map(|(bucket, count)| (bucket, count.load(Relaxed)));
        Latencies(counts.filter(|(_, count)| *count > 0).collect())
    }
}

/// Durations by bucket; buckets with nothing in them are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies(BTreeMap<usize, u64>);

impl Latencies {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// What came since `earlier`, a reading of the same recorder.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = |(bucket, count): (&usize, &u64)| {
            let new = count.saturating_sub(earlier.0.get(bucket).copied().unwrap_or(0));
            (new > 0).then_some((*bucket, new))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            let sum = self.0.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// The duration that `percent` of the durations do not exceed, in milliseconds; `None` where nothing was counted.
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let total = self.count();
        let rank = (total as f64 * percent / 100.0).ceil().max(1.0);
        let mut seen = 0u64;
        for (bucket, count) in &self.0 {
            seen = seen.saturating_add(*count);
            if seen as f64 >= rank {
                return Some(middle(*bucket) / 1000.0);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_duration_falls_into_a_bucket_within_six_percent_of_it(micros in 0u64..1 << 40) {
            let middle = middle(bucket(micros));
            prop_assert!((middle - micros as f64).abs() <= micros as f64 * 0.063, "{micros} {middle}");
        }

        #[test]
        fn later_durations_fall_into_later_buckets(a in any::<u64>(), b in any::<u64>()) {
            prop_assert_eq!(bucket(a.min(b)) <= bucket(a.max(b)), true);
            prop_assert!(bucket(a) < BUCKETS);
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let recorder = LatencyRecorder::default();
        assert_eq!(recorder.read().percentile_ms(50.0), None);
        for ms in 1..=100 {
            recorder.record(Duration::from_millis(ms));
        }
        let all = recorder.read();
        assert!((all.percentile_ms(50.0).unwrap() - 50.0).abs() < 4.0);
        assert!((all.percentile_ms(95.0).unwrap() - 95.0).abs() < 7.0);
        recorder.record(Duration::from_secs(1));
        let mut new = recorder.read().since(&all);
        assert_eq!(new.count(), 1);
        assert!(new.percentile_ms(50.0).unwrap() > 900.0);
        new.add(&all);
        assert_eq!(new, recorder.read());
    }
}
