//! Slows down those who guess the password: each failure from a network doubles the wait before its next attempt is looked at.

use crate::principal::network;
use kith_types::Timestamp;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Networks remembered at once; over that the one whose turn is longest past is forgotten.
const MAX_NETWORKS: usize = 4096;
/// The wait after the first failure; it doubles with each one.
const FIRST_DELAY_MS: i64 = 100;
/// The longest wait between two attempts.
const MAX_DELAY_MS: i64 = 30_000;
/// The longest an attempt is held back; what would wait longer is refused at once and told when to come again.
const MAX_HELD_MS: i64 = 5_000;
/// A network that is quiet for so long starts afresh.
const FORGET_MS: i64 = 15 * 60_000;

#[derive(Default)]
pub(crate) struct Guesses {
    networks: Mutex<HashMap<IpAddr, Record>>,
}

struct Record {
    /// Attempts since the last success, those in progress included: many at once are no way around the wait.
    attempts: u32,
    /// When the next attempt may be looked at.
    next: Timestamp,
}

impl Guesses {
    /// Takes one attempt from `remote`: how long to hold it back, or in how many whole seconds to come again. It counts as failed until
    /// [`Guesses::succeeded`].
    pub(crate) fn attempt(&self, remote: IpAddr, now: Timestamp) -> Result<Duration, u64> {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let key = network(remote);
        if !networks.contains_key(&key) && networks.len() >= MAX_NETWORKS {
            make_room(&mut networks, now);
        }
        let record = networks.entry(key).or_insert(Record { attempts: 0, next: now });
        let wait = record.next.ms().saturating_sub(now.ms());
        // A wait that was never given means that the clock was set back.
        if wait.saturating_add(FORGET_MS) <= 0 || wait > MAX_HELD_MS + MAX_DELAY_MS {
            *record = Record { attempts: 0, next: now };
        }
        let wait = record.next.ms().saturating_sub(now.ms()).max(0);
        if wait > MAX_HELD_MS {
            return Err(wait.unsigned_abs().div_ceil(1000));
        }
        record.attempts = record.attempts.saturating_add(1);
        record.next = now.plus_ms(wait + delay_ms(record.attempts));
        Ok(Duration::from_millis(wait.unsigned_abs()))
    }

    /// The attempt was right: the network starts afresh.
    pub(crate) fn succeeded(&self, remote: IpAddr) {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(remote));
    }
}

fn make_room(networks: &mut HashMap<IpAddr, Record>, now: Timestamp) {
    networks.retain(|_, record| record.next.plus_ms(FORGET_MS) > now);
    if networks.len() >= MAX_NETWORKS
        && let Some(oldest) = networks.iter().min_by_key(|(_, record)| record.next).map(|(key, _)| *key)
    {
        networks.remove(&oldest);
    }
}

fn delay_ms(failures: u32) -> i64 {
    FIRST_DELAY_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(MAX_DELAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    fn ip(last: u8) -> IpAddr {
        [203, 0, 113, last].into()
    }

    fn waits(guesses: &Guesses, remote: IpAddr, now: Timestamp, count: usize) -> Vec<Result<u128, u64>> {
        (0..count).map(|_| guesses.attempt(remote, now).map(|wait| wait.as_millis())).collect()
    }

    #[test]
    fn attempts_at_once_wait_for_each_other_and_then_are_refused() {
        let guesses = Guesses::default();
        assert_eq!(waits(&guesses, ip(1), NOW, 8), [Ok(0), Ok(100), Ok(300), Ok(700), Ok(1500), Ok(3100), Err(7), Err(7)]);
        assert_eq!(waits(&guesses, ip(2), NOW, 1), [Ok(0)], "another network is not held back");
    }

    #[test]
    fn the_wait_grows_to_half_a_minute_and_no_further() {
        let guesses = Guesses::default();
        let mut now = NOW;
        let mut longest = 0;
        for _ in 0..40 {
            // A guesser who always comes as early as is any use.
            match guesses.attempt(ip(1), now) {
                Ok(wait) => now = now.plus_ms(i64::try_from(wait.as_millis()).unwrap()),
                Err(seconds) => {
                    assert!(seconds <= 30, "{seconds}");
                    longest = longest.max(seconds);
                    now = now.plus_ms(i64::try_from(seconds).unwrap() * 1000);
                }
            }
        }
        assert_eq!(longest, 30);
        assert!(now.ms() - NOW.ms() > 300_000, "40 tries take minutes");
    }

    #[test]
    fn success_and_a_quarter_of_an_hour_of_silence_start_afresh() {
        let guesses = Guesses::default();
        waits(&guesses, ip(1), NOW, 6);
        guesses.succeeded(ip(1));
        assert_eq!(waits(&guesses, ip(1), NOW, 3), [Ok(0), Ok(100), Ok(300)]);
        let next = NOW.plus_ms(700);
        assert_eq!(waits(&guesses, ip(1), next.plus_ms(FORGET_MS), 2), [Ok(0), Ok(100)]);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let guesses = Guesses::default();
        waits(&guesses, ip(1), NOW, 6);
        assert_eq!(waits(&guesses, ip(1), NOW.plus_ms(-86_400_000), 1), [Ok(0)]);
    }

    #[test]
    fn one_ipv6_network_is_one_guesser() {
        let guesses = Guesses::default();
        waits(&guesses, "2001:db8::1".parse().unwrap(), NOW, 6);
        assert!(guesses.attempt("2001:db8::ffff:2".parse().unwrap(), NOW).is_err());
        assert!(guesses.attempt("2001:db8:0:1::1".parse().unwrap(), NOW).is_ok());
    }

    #[test]
    fn only_so_many_networks_are_remembered_and_the_busiest_longest() {
        let guesses = Guesses::default();
        waits(&guesses, ip(1), NOW, 6);
        for index in 0..u32::try_from(MAX_NETWORKS).unwrap() + 100 {
            guesses.attempt(std::net::Ipv4Addr::from_bits(0x0a00_0000 + index).into(), NOW).unwrap();
        }
        assert_eq!(guesses.networks.lock().unwrap().len(), MAX_NETWORKS);
        assert!(guesses.attempt(ip(1), NOW).is_err(), "still held back");
    }
}
