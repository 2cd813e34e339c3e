//! How often each model was asked for in the last hour, by minutes.

use kith_types::Timestamp;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

/// The span that is counted, in minutes.
const SPAN: i64 = 60;
/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;
/// Models counted at once. Where all of them were asked for lately, a further one is passed over.
const MAX_MODELS: usize = 256;

/// Counts of requests, by model.
#[derive(Debug, Default)]
pub(crate) struct Demand(Mutex<HashMap<String, Hour>>);

/// Minutes since 1970 in which there were requests, the oldest first, and how many: at most [`SPAN`] of them.
#[derive(Debug, Default)]
struct Hour(VecDeque<(i64, u64)>);

impl Hour {
    /// Forgets what is older than the span.
    fn trim(&mut self, minute: i64) {
        while self.0.front().is_some_and(|(at, _)| *at <= minute - SPAN) {
            self.0.pop_front();
        }
    }

    fn add(&mut self, minute: i64) {
        self.trim(minute);
        match self.0.back_mut() {
            // A clock that was set back counts on in the minute that was the last.
            Some((at, count)) if *at >= minute => *count += 1,
            _ => self.0.push_back((minute, 1)),
        }
    }

    fn count(&mut self, minute: i64) -> u64 {
        self.trim(minute);
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl Demand {
    /// Counts a request for a model.
    pub fn note(&self, model: &str, now: Timestamp) {
        let minute = now.ms().div_euclid(MINUTE_MS);
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hour) = models.get_mut(model) {
            return hour.add(minute);
        }
        if models.len() >= MAX_MODELS {
            models.retain(|_, hour| hour.count(minute) > 0);
        }
        if models.len() < MAX_MODELS {
            models.entry(model.to_owned()).or_default().add(minute);
        }
    }

    /// Requests of the last hour by model, without those that nobody asked for.
    pub fn lately(&self, now: Timestamp) -> BTreeMap<String, u64> {
        let minute = now.ms().div_euclid(MINUTE_MS);
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = models.iter_mut().map(|(model, hour)| (model.clone(), hour.count(minute)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_ms(minute * MINUTE_MS)
    }

    #[test]
    fn a_request_counts_for_an_hour() {
        let demand = Demand::default();
        for minute in 0..90 {
            demand.note("a:1", at(minute));
        }
        demand.note("b:1", at(89));
        assert_eq!(demand.lately(at(89)), BTreeMap::from([("a:1".into(), 60), ("b:1".into(), 1)]));
        assert_eq!(demand.lately(at(148)), BTreeMap::from([("a:1".into(), 1), ("b:1".into(), 1)]));
        assert!(demand.lately(at(149)).is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_loses_and_adds_nothing() {
        let demand = Demand::default();
        for minute in [100, 40, 101] {
            demand.note("a:1", at(minute));
        }
        assert_eq!(demand.lately(at(101))["a:1"], 3);
    }

    #[test]
    fn so_many_models_are_counted_and_those_not_asked_for_make_room() {
        let demand = Demand::default();
        for model in 0..=MAX_MODELS {
            demand.note(&model.to_string(), at(0));
        }
        assert_eq!(demand.lately(at(0)).len(), MAX_MODELS);
        demand.note("late", at(59));
        assert!(!demand.lately(at(59)).contains_key("late"));
        demand.note("later", at(60));
        assert_eq!(demand.lately(at(60)), BTreeMap::from([("later".into(), 1)]));
    }
}
