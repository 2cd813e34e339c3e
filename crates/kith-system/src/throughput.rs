//! How much goes through the node: ten minutes in buckets of ten seconds.

use kith_types::Timestamp;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// The length of a bucket.
pub const BUCKET_MS: i64 = 10_000;
/// Buckets kept: ten minutes.
const BUCKETS: usize = 60;

/// What went through in one span of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bucket {
    /// When it began.
    pub start: Timestamp,
    /// How long it was, in milliseconds; more than 0.
    pub span_ms: u32,
    /// Bytes received by the node's listeners.
    pub bytes_in: u64,
    /// Bytes sent by them.
    pub bytes_out: u64,
    /// Tokens of prompts whose answers ended in it.
    pub tokens_in: u64,
    /// Tokens of answers that ended in it.
    pub tokens_out: u64,
}

/// Rates over a span of time, per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// Milliseconds that were measured.
    pub measured_ms: u64,
    /// Bytes received.
    pub bytes_in: f64,
    /// Bytes sent.
    pub bytes_out: f64,
    /// Tokens of prompts.
    pub tokens_in: f64,
    /// Tokens of answers.
    pub tokens_out: f64,
}

impl Window {
    /// The rates over these buckets; `None` where there are none.
    fn over<'a>(buckets: impl Iterator<Item = &'a Bucket>) -> Option<Self> {
        let mut sum = Bucket::default();
        let mut measured_ms = 0u64;
        for bucket in buckets {
            measured_ms += u64::from(bucket.span_ms);
            sum.bytes_in += bucket.bytes_in;
            sum.bytes_out += bucket.bytes_out;
            sum.tokens_in += bucket.tokens_in;
            sum.tokens_out += bucket.tokens_out;
        }
        let rate = |amount: u64| amount as f64 * 1000.0 / measured_ms as f64;
        (measured_ms > 0).then(|| Self {
            measured_ms,
            bytes_in: rate(sum.bytes_in),
            bytes_out: rate(sum.bytes_out),
            tokens_in: rate(sum.tokens_in),
            tokens_out: rate(sum.tokens_out),
        })
    }
}

impl Bucket {
    /// Its rates.
    pub fn rates(&self) -> Window {
        Window::over(std::iter::once(self)).unwrap_or_default()
    }
}

/// The last ten minutes.
#[derive(Debug, Default)]
pub struct Throughput(Mutex<VecDeque<Bucket>>);

impl Throughput {
    pub(crate) fn push(&self, bucket: Bucket) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() == BUCKETS {
            buckets.pop_front();
        }
        buckets.push_back(bucket);
    }

    /// The buckets that began in the ten minutes before `now`, oldest first. Time that was not measured has none.
    pub fn buckets(&self, now: Timestamp) -> Vec<Bucket> {
        let oldest = now.plus_ms(-BUCKET_MS * BUCKETS as i64);
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.iter().filter(|bucket| bucket.start >= oldest && bucket.start <= now).copied().collect()
    }

    /// The rates over the buckets that began in the `ms` before `now`; `None` where nothing was measured.
    pub fn window(&self, now: Timestamp, ms: i64) -> Option<Window> {
        let oldest = now.plus_ms(-ms);
        Window::over(self.buckets(now).iter().filter(|bucket| bucket.start >= oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(index: i64) -> Bucket {
        Bucket {
            start: Timestamp::from_ms(index * BUCKET_MS),
            span_ms: 10_000,
            bytes_in: 1000,
            tokens_out: 50,
            ..Bucket::default()
        }
    }

    #[test]
    fn ten_minutes_are_kept_and_older_ones_leave() {
        let throughput = Throughput::default();
        assert_eq!(throughput.window(Timestamp::from_ms(0), 600_000), None);
        (0..100).for_each(|index| throughput.push(bucket(index)));
        let now = Timestamp::from_ms(100 * BUCKET_MS);
        assert_eq!(throughput.buckets(now).len(), 60);
        assert_eq!(throughput.buckets(now.plus_ms(300_000)).len(), 30);
        assert_eq!(throughput.buckets(now.plus_ms(3_600_000)), []);
    }

    #[test]
    fn rates_are_of_the_time_that_was_measured() {
        let throughput = Throughput::default();
        throughput.push(bucket(0));
        throughput.push(Bucket { bytes_in: 3000, ..bucket(30) });
        let now = Timestamp::from_ms(31 * BUCKET_MS);
        let window = throughput.window(now, 600_000).unwrap();
        assert_eq!((window.measured_ms, window.bytes_in, window.tokens_out), (20_000, 200.0, 5.0));
        assert_eq!(throughput.window(now, 60_000).unwrap().bytes_in, 300.0);
        assert_eq!(throughput.window(now.plus_ms(60_000), 60_000), None);
    }
}
