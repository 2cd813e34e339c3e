//! How many bytes may move in a second, shared fairly: a bucket of tokens before which everybody waits in turn. Whoever has one stream
//! gets as much as whoever has many.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// The slowest limit, in bytes a second; less would keep a stream silent for longer than its other end waits.
pub const SLOWEST: u64 = 16 << 10;
/// What may move at once after a pause: the bytes of so long a time at the limit.
const BURST: Duration = Duration::from_millis(100);

/// A limit of bytes a second. Clones share it.
#[derive(Clone, Default)]
pub struct Throttle(Arc<Mutex<Bucket>>);

#[derive(Default)]
struct Bucket {
    /// Bytes a second; `None` without limit.
    limit: Option<u64>,
    /// Bytes that may move now; below zero is a debt that time pays.
    tokens: f64,
    filled: Option<Instant>,
    /// Who waits, in the order of their turns.
    order: VecDeque<String>,
    waiting: HashMap<String, VecDeque<(u64, Arc<Notify>)>>,
    next: u64,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let Some(limit) = self.limit else { return };
        let passed = self.filled.map_or(Duration::ZERO, |filled| now.saturating_duration_since(filled));
        let most = limit as f64 * BURST.as_secs_f64();
        self.tokens = (self.tokens + limit as f64 * passed.as_secs_f64()).min(most);
        self.filled = Some(now);
    }

    /// Whose turn it is.
    fn head(&self) -> Option<&(u64, Arc<Notify>)> {
        self.waiting.get(self.order.front()?)?.front()
    }

    /// A place at the end of the party's own line.
    fn enter(&mut self, party: &str) -> (u64, Arc<Notify>) {
        let (ticket, turn) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        if !self.waiting.contains_key(party) {
            self.order.push_back(party.to_owned());
        }
        self.waiting.entry(party.to_owned()).or_default().push_back((ticket, Arc::clone(&turn)));
        (ticket, turn)
    }

    /// Lets the bytes move if it is their turn and there are tokens.
    fn ask(&mut self, ticket: u64, bytes: u64, now: Instant) -> Ask {
        let Some(limit) = self.limit else { return Ask::Granted };
        self.refill(now);
        if self.head().is_none_or(|(first, _)| *first != ticket) {
            Ask::NotYet
        } else if self.tokens > 0.0 {
            self.tokens -= bytes as f64;
            Ask::Granted
        } else {
            // A millisecond more than needed: timers are no finer, and a debt of exactly nothing is still to be paid.
            Ask::Wait(Duration::from_secs_f64(-self.tokens / limit as f64) + Duration::from_millis(1))
        }
    }

    fn wake(&self) {
        if let Some((_, turn)) = self.head() {
            turn.notify_one();
        }
    }

    /// Takes a waiter out. Its party goes to the back of the line if it waits for more.
    fn leave(&mut self, party: &str, ticket: u64) {
        let Some(line) = self.waiting.get_mut(party) else { return };
        let first = line.front().is_some_and(|(first, _)| *first == ticket);
        line.retain(|(other, _)| *other != ticket);
        let over = line.is_empty();
        if over {
            self.waiting.remove(party);
        }
        if over || first {
            self.order.retain(|other| other != party);
        }
        if first && !over {
            self.order.push_back(party.to_owned());
        }
    }
}

/// What the bucket says to the first in line, or another.
enum Ask {
    Granted,
    NotYet,
    Wait(Duration),
}

/// A place in the line, given up when it is dropped.
struct Place<'a> {
    throttle: &'a Throttle,
    party: &'a str,
    ticket: u64,
    turn: Arc<Notify>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut bucket = self.throttle.bucket();
        bucket.leave(self.party, self.ticket);
        bucket.wake();
    }
}

impl Throttle {
    /// A limit of so many bytes a second, at least [`SLOWEST`]; `None` is none.
    pub fn new(limit: Option<u64>) -> Self {
        let throttle = Self::default();
        throttle.set(limit);
        throttle
    }

    /// Changes the limit, for those who wait too.
    pub fn set(&self, limit: Option<u64>) {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.limit = limit.map(|limit| limit.max(SLOWEST));
        bucket.tokens = bucket.tokens.min(0.0);
        bucket.filled = Some(Instant::now());
        bucket.wake();
    }

    /// The limit in bytes a second.
    pub fn limit(&self) -> Option<u64> {
        self.bucket().limit
    }

    /// Waits until `party` may move `bytes` bytes. Parties take turns; a dropped wait costs nothing.
    pub async fn take(&self, party: &str, bytes: u64) {
        let place = {
            let mut bucket = self.bucket();
            if bucket.limit.is_none() {
                return;
            }
            let (ticket, turn) = bucket.enter(party);
            Place { throttle: self, party, ticket, turn }
        };
        loop {
            let said = self.bucket().ask(place.ticket, bytes, Instant::now());
            match said {
                Ask::Granted => return,
                Ask::NotYet => place.turn.notified().await,
                Ask::Wait(wait) => {
                    let _ = tokio::time::timeout(wait, place.turn.notified()).await;
                }
            }
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Throttle").field(&self.limit()).finish()
    }
}

/// Whether bytes may move now: quiet hours and metered connections say no. Asked often; it must be quick.
pub type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

/// How often a closed gate is asked again.
pub const GATE_POLL: Duration = Duration::from_secs(1);

/// Waits until the gate is open.
pub async fn pass(gate: &Gate) {
    while !gate() {
        sleep(GATE_POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 16 << 10;

    /// Bytes that each of `parties` moved in so many seconds of a clock that goes on whenever all wait.
    fn moved(limit: u64, parties: &[&str], seconds: u64) -> Vec<u64> {
        let throttle = Throttle::new(Some(limit));
        let mut bucket = throttle.bucket();
        let (begin, mut now) = (Instant::now(), Instant::now());
        let mut moved = vec![0; parties.len()];
        let mut tickets: Vec<_> = parties.iter().map(|party| bucket.enter(party).0).collect();
        while now - begin < Duration::from_secs(seconds) {
            let mut wait = Duration::MAX;
            for ((party, ticket), moved) in parties.iter().zip(&mut tickets).zip(&mut moved) {
                match bucket.ask(*ticket, BLOCK, now) {
                    Ask::Granted => {
                        *moved += BLOCK;
                        bucket.leave(party, *ticket);
                        *ticket = bucket.enter(party).0;
                        wait = Duration::ZERO;
                    }
                    Ask::NotYet => {}
                    Ask::Wait(least) => wait = wait.min(least),
                }
            }
            assert_ne!(wait, Duration::MAX, "somebody is always first");
            now += wait;
        }
        moved
    }

    #[test]
    fn a_limit_holds_within_a_tenth() {
        for limit in [SLOWEST, 100_000, 1 << 20, 50 << 20] {
            let rate = moved(limit, &["a", "b", "c"], 20).iter().sum::<u64>() as f64 / 20.0;
            assert!((rate / limit as f64 - 1.0).abs() < 0.1, "{rate} instead of {limit}");
        }
    }

    #[test]
    fn parties_get_the_same_however_many_streams_they_have() {
        let moved = moved(1 << 20, &["one", "many", "many", "many", "many"], 20);
        let many: u64 = moved[1..].iter().sum();
        assert!((moved[0] as f64 / many as f64 - 1.0).abs() < 0.1, "{moved:?}");
        assert!(moved[1..].iter().all(|count| count * 5 > many), "{moved:?}");
    }

    #[tokio::test]
    async fn a_limit_holds_on_the_real_clock_within_a_tenth() {
        let (throttle, begin, mut moved) = (Throttle::new(Some(8 << 20)), Instant::now(), 0);
        while moved < 8 << 20 {
            throttle.take("a", BLOCK).await;
            moved += BLOCK;
        }
        // A burst comes for free; a busy machine may be late.
        let passed = begin.elapsed().as_secs_f64();
        assert!((0.88..1.3).contains(&passed), "{passed}");
    }

    #[tokio::test]
    async fn a_limit_changes_while_others_wait() {
        let throttle = Throttle::new(Some(SLOWEST));
        throttle.take("a", 100 * SLOWEST).await;
        let waiting = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.take("a", 1).await }
        });
        sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished(), "a debt is paid first");
        throttle.set(None);
        tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
        assert!(throttle.bucket().waiting.is_empty() && throttle.bucket().order.is_empty());
        throttle.set(Some(1));
        assert_eq!(throttle.limit(), Some(SLOWEST));
    }

    #[tokio::test]
    async fn who_gives_up_holds_up_nobody() {
        let throttle = Throttle::new(Some(SLOWEST));
        throttle.take("a", SLOWEST).await;
        let (one, two) = (throttle.clone(), throttle.clone());
        let first = tokio::spawn(async move { one.take("a", 1 << 30).await });
        tokio::task::yield_now().await;
        let second = tokio::spawn(async move { two.take("b", 1).await });
        tokio::task::yield_now().await;
        first.abort();
        tokio::time::timeout(Duration::from_secs(3), second).await.unwrap().unwrap();
        assert!(throttle.bucket().waiting.is_empty() && throttle.bucket().order.is_empty());
    }

    #[tokio::test]
    async fn a_closed_gate_is_passed_once_it_opens() {
        let asked = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&asked);
        let gate: Gate = Arc::new(move || {
            *seen.lock().unwrap() += 1;
            *seen.lock().unwrap() > 1
        });
        pass(&gate).await;
        assert_eq!(*asked.lock().unwrap(), 2);
    }
}
