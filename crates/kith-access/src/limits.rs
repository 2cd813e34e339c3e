//! How often a principal may ask: a fixed window for each class of request, counted from its first one.
//!
//! The counts are our own, and not a leaky bucket's, because callers are told whole numbers that must hold: how many requests remain,
//! and the second at which all of them are back. A bucket refills continuously and has no such second.

use crate::{LimitKey, Principal};
use kith_types::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError, RwLock},
};

/// Principals counted at once; over that the one that has not asked for longest is forgotten.
const MAX_PRINCIPALS: usize = 10_000;

/// What a request costs the node, and so by what limit it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Anything not below; per hour.
    Standard,
    /// Prompts; per minute.
    Inference,
    /// Changes to the node; per minute.
    Admin,
}

/// Requests allowed each principal; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of [`Class::Standard`], each hour.
    pub standard_per_hour: u32,
    /// Of [`Class::Inference`], each minute.
    pub inference_per_minute: u32,
    /// Of [`Class::Admin`], each minute.
    pub admin_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { standard_per_hour: 1000, inference_per_minute: 100, admin_per_minute: 60 }
    }
}

/// Where a principal stands with one class after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests allowed in a window; 0 where there is no limit.
    pub limit: u32,
    /// Requests left in this window; 0 where there is no limit.
    pub remaining: u32,
    /// When all of them are back, on a whole second. Now, where nothing was counted.
    pub reset: Timestamp,
    /// Whole seconds until then, at least 1, when the request is refused.
    pub retry_after: Option<u64>,
}

impl Rate {
    /// Whether the request may go on.
    pub fn allowed(&self) -> bool {
        self.retry_after.is_none()
    }
}

impl Class {
    fn period_ms(self) -> i64 {
        match self {
            Self::Standard => 3_600_000,
            Self::Inference | Self::Admin => 60_000,
        }
    }

    fn limit(self, limits: Limits) -> u32 {
        match self {
            Self::Standard => limits.standard_per_hour,
            Self::Inference => limits.inference_per_minute,
            Self::Admin => limits.admin_per_minute,
        }
    }
}

/// The open windows of every principal.
pub(crate) struct Windows {
    limits: RwLock<Limits>,
    counts: Mutex<Counts>,
}

impl Windows {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits: RwLock::new(limits), counts: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    pub(crate) fn check(&self, principal: &Principal, class: Class, now: Timestamp) -> Rate {
        let limit = class.limit(self.limits());
        if limit == 0 || principal.is_local_window() {
            return Rate { limit, remaining: limit, reset: whole_second(now), retry_after: None };
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let window = &mut counts.of(principal.limit_key())[class as usize];
        let left_ms = window.end.ms().saturating_sub(now.ms());
        // A window that ends later than any can means that the clock was set back.
        if left_ms <= 0 || left_ms > class.period_ms() + 1000 {
            *window = Window { end: whole_second(now.plus_ms(class.period_ms())), used: 0 };
        }
        let allowed = window.used < limit;
        window.used += u32::from(allowed);
        Rate {
            limit,
            remaining: limit.saturating_sub(window.used),
            reset: window.end,
            retry_after: (!allowed).then(|| (window.end.ms() - now.ms()).unsigned_abs().div_ceil(1000)),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Window {
    end: Timestamp,
    used: u32,
}

/// Windows by principal, one per class, with the order in which principals last asked.
#[derive(Default)]
struct Counts {
    of: HashMap<LimitKey, (u64, [Window; 3])>,
    order: BTreeMap<u64, LimitKey>,
    turn: u64,
}

impl Counts {
    fn of(&mut self, key: LimitKey) -> &mut [Window; 3] {
        self.turn += 1;
        if !self.of.contains_key(&key)
            && self.of.len() >= MAX_PRINCIPALS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.of.remove(&oldest);
        }
        let (turn, windows) = self.of.entry(key.clone()).or_default();
        self.order.remove(turn);
        *turn = self.turn;
        self.order.insert(self.turn, key);
        windows
    }
}

/// The first whole second not before `at`, so that it never promises too early.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_ms(at.plus_ms(999).secs().saturating_mul(1000))
}

#[cfg(test)]
mod tests;
