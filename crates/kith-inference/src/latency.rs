//! How long things took: a histogram of fixed size, from which percentiles are read.
//!
//! Sixteen steps for each doubling, so a percentile told is at most one sixteenth above the true one.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Steps for each doubling, as a power of two.
const STEP_BITS: u32 = 4;
const STEPS: u64 = 1 << STEP_BITS;
/// Doublings that are told apart: 2^40 microseconds are twelve days; what takes longer is counted there.
const DOUBLINGS: u32 = 40;
const BUCKETS: usize = ((DOUBLINGS - STEP_BITS + 1) as usize) << STEP_BITS;

/// Percentiles of a set of times, in milliseconds with their fractions; 0 before the first one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percentiles {
    /// Times counted.
    pub count: u64,
    /// The mean.
    pub mean_ms: f64,
    /// Half took at most this long.
    pub p50_ms: f64,
    /// 95 of 100 took at most this long.
    pub p95_ms: f64,
    /// 99 of 100 took at most this long.
    pub p99_ms: f64,
}

/// Counts times. Any number of threads may write and read it at once.
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum_us: AtomicU64::new(0) }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.percentiles()).finish()
    }
}

fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << DOUBLINGS) - 1);
    if us < STEPS {
        return usize::try_from(us).unwrap_or(0);
    }
    let shift = us.ilog2() - STEP_BITS;
    let place = u64::from(shift + 1) * STEPS + ((us >> shift) - STEPS);
    usize::try_from(place).unwrap_or(BUCKETS - 1).min(BUCKETS - 1)
}

/// The largest time counted in this bucket, in microseconds.
fn top_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (doubling, step) = (bucket / STEPS - 1, bucket % STEPS);
    ((STEPS + step + 1) << doubling) - 1
}

#[allow(clippy::cast_precision_loss)]
fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl Histogram {
    pub fn record(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(us)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        if count == 0 {
            return Percentiles::default();
        }
        let at = |hundredths: u64| {
            let rank = (count * hundredths).div_ceil(100).max(1);
            let mut below = 0;
            let bucket = counts.iter().position(|n| {
                below += n;
                below >= rank
            });
            ms(bucket.map_or(0, top_of))
        };
        #[allow(clippy::cast_precision_loss)]
        let mean_ms = ms(self.sum_us.load(Relaxed)) / count as f64;
        Percentiles { count, mean_ms, p50_ms: at(50), p95_ms: at(95), p99_ms: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_counted_is_nothing_told() {
        assert_eq!(Histogram::default().percentiles(), Percentiles::default());
    }

    #[test]
    fn times_beyond_the_last_bucket_are_counted_in_it() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_secs(u64::MAX));
        assert_eq!(histogram.percentiles().count, 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn every_bucket_holds_what_lies_up_to_its_top(us in 0u64..1 << DOUBLINGS) {
            let bucket = bucket_of(us);
            prop_assert!(us <= top_of(bucket));
            prop_assert!(bucket == 0 || us > top_of(bucket - 1));
        }

        #[test]
        fn a_percentile_is_at_most_a_sixteenth_above_the_true_one(mut times in prop::collection::vec(0u64..10_000_000, 1..300)) {
            let histogram = Histogram::default();
            for us in &times {
                histogram.record(Duration::from_micros(*us));
            }
            times.sort_unstable();
            let told = histogram.percentiles();
            for (hundredths, told) in [(50, told.p50_ms), (95, told.p95_ms), (99, told.p99_ms)] {
                let truth = ms(times[(times.len() * hundredths).div_ceil(100).max(1) - 1]);
                prop_assert!(told >= truth - 1e-9 && told <= truth * 1.0626 + 0.001, "{told} for {truth}");
            }
        }
    }
}
