//! Counters of prompts and tokens since the node started.

use crate::latency::{Histogram, Percentiles};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use std::time::{Duration, Instant};

/// Weight of the newest answer in the running mean of answer times, as a divisor.
const MEAN_WEIGHT: u64 = 8;

/// A reading of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// Prompts taken.
    pub prompts: u64,
    /// Prompts answered to their end.
    pub finished: u64,
    /// Prompts that ended in an error.
    pub failed: u64,
    /// Prompts whose client went away.
    pub cancelled: u64,
    /// Prompts being answered or loaded for now.
    pub running: u64,
    /// Prompts waiting for their turn.
    pub waiting: usize,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Running mean of the time an answer takes, in milliseconds; 0 before the first one.
    pub mean_ms: u64,
    /// Prompts taken in the last 60 seconds.
    pub last_minute: u64,
    /// From a prompt's arrival to its answer's first token.
    pub first_token: Percentiles,
    /// From a prompt's arrival to its answer's end.
    pub total: Percentiles,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    prompts: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    running: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    mean_ms: AtomicU64,
    minute: Minute,
    first_token: Histogram,
    total: Histogram,
}

impl Counters {
    pub fn read(&self, waiting: usize) -> Stats {
        Stats {
            prompts: self.prompts.load(Relaxed),
            finished: self.finished.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            running: self.running.load(Relaxed),
            waiting,
            prompt_tokens: self.prompt_tokens.load(Relaxed),
            completion_tokens: self.completion_tokens.load(Relaxed),
            mean_ms: self.mean_ms.load(Relaxed),
            last_minute: self.minute.count(Instant::now()),
            first_token: self.first_token.percentiles(),
            total: self.total.percentiles(),
        }
    }

    /// Counts one prompt from now until the tally is dropped.
    pub fn begin(self: &Arc<Self>) -> Tally {
        self.prompts.fetch_add(1, Relaxed);
        self.running.fetch_add(1, Relaxed);
        self.minute.add(Instant::now());
        Tally { counters: Arc::clone(self), ended: false }
    }

    /// When a request that is the `waiting`th in a queue before `parallel` places may hope for a turn.
    pub fn patience(&self, waiting: usize, parallel: u32) -> Duration {
        let rounds = (waiting as u64 / u64::from(parallel.max(1))).saturating_add(1);
        Duration::from_millis(self.mean_ms.load(Relaxed).saturating_mul(rounds))
            .clamp(Duration::from_secs(1), Duration::from_secs(60))
    }
}

/// One prompt in the counters. Dropped without an end, it was cancelled.
pub(crate) struct Tally {
    counters: Arc<Counters>,
    ended: bool,
}

impl Tally {
    /// The first token came this long after the prompt.
    pub fn first_token(&self, after: Duration) {
        self.counters.first_token.record(after);
    }

    pub fn finish(&mut self, prompt: u32, completion: u32, total: Duration) {
        self.ended = true;
        self.counters.finished.fetch_add(1, Relaxed);
        self.counters.prompt_tokens.fetch_add(u64::from(prompt), Relaxed);
        self.counters.completion_tokens.fetch_add(u64::from(completion), Relaxed);
        self.counters.total.record(total);
        let took = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
        let old = self.counters.mean_ms.load(Relaxed);
        let mean = if old == 0 { took } else { (old * (MEAN_WEIGHT - 1)).saturating_add(took) / MEAN_WEIGHT };
        self.counters.mean_ms.store(mean, Relaxed);
    }

    pub fn fail(&mut self) {
        self.ended = true;
        self.counters.failed.fetch_add(1, Relaxed);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.ended {
            self.counters.cancelled.fetch_add(1, Relaxed);
        }
        self.counters.running.fetch_sub(1, Relaxed);
    }
}

/// Counts by second, for the last 60 seconds.
#[derive(Debug)]
struct Minute {
    start: Instant,
    seconds: Mutex<[(u64, u64); 60]>,
}

impl Default for Minute {
    fn default() -> Self {
        Self { start: Instant::now(), seconds: Mutex::new([(0, 0); 60]) }
    }
}

impl Minute {
    /// Seconds since the start, from 1 on: 0 is a place never used.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() + 1
    }

    fn add(&self, now: Instant) {
        let second = self.second(now);
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(second % 60).unwrap_or(0);
        let place = &mut seconds[at];
        *place = if place.0 == second { (second, place.1 + 1) } else { (second, 1) };
    }

    fn count(&self, now: Instant) -> u64 {
        let second = self.second(now);
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        seconds.iter().filter(|(at, _)| *at > 0 && at + 60 > second).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_ends_in_exactly_one_way() {
        let counters = Arc::new(Counters::default());
        counters.begin().finish(3, 4, Duration::from_millis(80));
        counters.begin().fail();
        drop(counters.begin());
        let _open = counters.begin();
        let stats = counters.read(0);
        assert_eq!((stats.prompts, stats.finished, stats.failed, stats.cancelled, stats.running), (4, 1, 1, 1, 1));
        assert_eq!((stats.prompt_tokens, stats.completion_tokens, stats.mean_ms), (3, 4, 80));
    }

    #[test]
    fn a_minute_counts_sixty_seconds_and_forgets_what_is_older() {
        let minute = Minute::default();
        let at = |seconds| minute.start + Duration::from_secs(seconds);
        for second in 0..90 {
            minute.add(at(second));
        }
        assert_eq!(minute.count(at(89)), 60);
        assert_eq!(minute.count(at(119)), 30);
        assert_eq!(minute.count(at(149)), 0);
    }

    #[test]
    fn patience_grows_with_the_queue_and_is_bounded() {
        let counters = Arc::new(Counters::default());
        assert_eq!(counters.patience(512, 16), Duration::from_secs(1));
        counters.begin().finish(1, 1, Duration::from_secs(2));
        assert!(counters.patience(512, 16) > counters.patience(16, 16));
        assert_eq!(counters.patience(usize::MAX, 1), Duration::from_secs(60));
    }
}
