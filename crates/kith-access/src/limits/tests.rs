//! What a caller is told about limits, and that it is true.

use super::*;
use crate::{BearerId, Who};
use kith_store::BearerKind;
use kith_types::Scope;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_123);
/// The end of a minute's window that starts now.
const MINUTE_END: Timestamp = Timestamp::from_ms(1_700_000_061_000);

fn windows(inference_per_minute: u32) -> Windows {
    Windows::new(Limits { inference_per_minute, ..Limits::default() })
}

fn from(remote: impl Into<std::net::IpAddr>) -> Principal {
    Principal::without_credentials(remote.into())
}

fn bearer(id: &str, kind: BearerKind, loopback: bool) -> Principal {
    let who = Who::Bearer { id: BearerId::from(id.to_owned()), name: String::new(), kind };
    Principal { who, scope: Some(Scope::User), loopback }
}

#[test]
fn the_limits_are_those_of_the_specification() {
    let windows = Windows::new(Limits::default());
    let who = from([203, 0, 113, 1]);
    for (class, limit, seconds) in [(Class::Standard, 1000, 3600), (Class::Inference, 100, 60), (Class::Admin, 60, 60)] {
        for used in 1..=limit {
            let rate = windows.check(&who, class, NOW);
            assert_eq!((rate.limit, rate.remaining, rate.allowed()), (limit, limit - used, true));
            assert_eq!(rate.reset, Timestamp::from_ms((1_700_000_001 + seconds) * 1000));
        }
        let rate = windows.check(&who, class, NOW);
        assert_eq!((rate.remaining, rate.retry_after), (0, Some(u64::try_from(seconds).unwrap() + 1)));
    }
}

#[test]
fn all_requests_are_back_at_the_second_that_was_told_and_not_before() {
    let windows = windows(2);
    let who = from([203, 0, 113, 1]);
    windows.check(&who, Class::Inference, NOW);
    windows.check(&who, Class::Inference, NOW.plus_ms(59_000));
    let refused = windows.check(&who, Class::Inference, MINUTE_END.plus_ms(-1));
    assert_eq!(refused, Rate { limit: 2, remaining: 0, reset: MINUTE_END, retry_after: Some(1) });
    let rate = windows.check(&who, Class::Inference, MINUTE_END);
    assert_eq!(rate, Rate { limit: 2, remaining: 1, reset: MINUTE_END.plus_ms(60_000), retry_after: None });
}

#[test]
fn each_principal_and_each_class_has_its_own_count() {
    let windows = windows(1);
    let (one, two) = (from([203, 0, 113, 1]), from([203, 0, 113, 2]));
    assert!(windows.check(&one, Class::Inference, NOW).allowed());
    assert!(!windows.check(&one, Class::Inference, NOW).allowed());
    assert!(windows.check(&one, Class::Standard, NOW).allowed());
    assert!(windows.check(&two, Class::Inference, NOW).allowed());
    assert!(windows.check(&bearer("key", BearerKind::ApiKey, false), Class::Inference, NOW).allowed());
    assert!(
        !windows.check(&bearer("key", BearerKind::ApiKey, true), Class::Inference, NOW).allowed(),
        "a key is one wherever it is used"
    );
}

#[test]
fn the_window_on_this_machine_is_never_held_back_and_no_other_is_spared() {
    let windows = windows(1);
    let window = bearer("w", BearerKind::Window, true);
    for _ in 0..5 {
        let rate = windows.check(&window, Class::Inference, NOW);
        assert_eq!((rate.limit, rate.remaining, rate.retry_after), (1, 1, None));
    }
    let others = [
        bearer("w", BearerKind::Window, false),
        bearer("l", BearerKind::Login, true),
        bearer("k", BearerKind::ApiKey, true),
        from([127, 0, 0, 1]),
    ];
    for other in others {
        windows.check(&other, Class::Inference, NOW);
        assert!(!windows.check(&other, Class::Inference, NOW).allowed(), "{other:?}");
    }
}

#[test]
fn limits_change_while_running() {
    let windows = windows(3);
    let who = from([203, 0, 113, 1]);
    windows.check(&who, Class::Inference, NOW);
    windows.check(&who, Class::Inference, NOW);
    windows.set_limits(Limits { inference_per_minute: 1, ..Limits::default() });
    let rate = windows.check(&who, Class::Inference, NOW);
    assert_eq!((rate.limit, rate.remaining, rate.allowed()), (1, 0, false));
    windows.set_limits(Limits { inference_per_minute: 4, ..Limits::default() });
    let rate = windows.check(&who, Class::Inference, NOW);
    assert_eq!((rate.limit, rate.remaining, rate.allowed()), (4, 1, true));
    windows.set_limits(Limits { inference_per_minute: 0, ..Limits::default() });
    let off = windows.check(&who, Class::Inference, NOW);
    assert_eq!((off.limit, off.remaining, off.allowed()), (0, 0, true));
    assert_eq!(windows.limits().inference_per_minute, 0);
}

#[test]
fn a_clock_set_back_opens_a_new_window() {
    let windows = windows(1);
    let who = from([203, 0, 113, 1]);
    windows.check(&who, Class::Inference, NOW);
    assert!(windows.check(&who, Class::Inference, NOW.plus_ms(-86_400_000)).allowed());
}

#[test]
fn ten_thousand_principals_are_counted_and_the_oldest_forgotten() {
    let windows = windows(1);
    let who = |index: u32| from(Ipv4Addr::from_bits(0x0a00_0000 + index));
    let last = u32::try_from(MAX_PRINCIPALS).unwrap();
    for index in 0..last {
        assert!(windows.check(&who(index), Class::Inference, NOW).allowed());
    }
    assert!(!windows.check(&who(0), Class::Inference, NOW).allowed(), "the first asks again, so the second is oldest");
    assert!(windows.check(&who(last), Class::Inference, NOW).allowed());
    assert!(!windows.check(&who(0), Class::Inference, NOW).allowed());
    assert!(windows.check(&who(1), Class::Inference, NOW).allowed(), "forgotten, so counted afresh");
    let counts = windows.counts.lock().unwrap();
    assert_eq!((counts.of.len(), counts.order.len()), (MAX_PRINCIPALS, MAX_PRINCIPALS));
}

proptest! {
    /// Whatever the pace, what a caller was told remains is what it gets, and no window lets more through than its limit.
    #[test]
    fn what_is_told_holds(limit in 1..8u32, gaps in prop::collection::vec(0..40_000i64, 1..60)) {
        let windows = windows(limit);
        let who = from([203, 0, 113, 1]);
        let mut now = NOW;
        let mut told: Option<Rate> = None;
        let mut passed = HashMap::<i64, u32>::new();
        for gap in gaps {
            now = now.plus_ms(gap);
            let rate = windows.check(&who, Class::Inference, now);
            prop_assert!(rate.reset > now && rate.reset.ms() % 1000 == 0);
            if let Some(before) = told && now < before.reset {
                prop_assert_eq!(rate.reset, before.reset);
                prop_assert_eq!(rate.allowed(), before.remaining > 0);
                prop_assert_eq!(rate.remaining, before.remaining.saturating_sub(1));
            } else {
                prop_assert_eq!((rate.allowed(), rate.remaining), (true, limit - 1));
            }
            if let Some(seconds) = rate.retry_after {
                prop_assert!(now.plus_ms(i64::try_from(seconds).unwrap() * 1000) >= rate.reset && seconds >= 1);
            }
            *passed.entry(rate.reset.ms()).or_default() += u32::from(rate.allowed());
            told = Some(rate);
        }
        prop_assert!(passed.values().all(|count| *count <= limit));
    }
}
