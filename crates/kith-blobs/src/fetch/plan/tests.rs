//! Promises of the plan: everything is fetched once and by those who have it; slow ones are found, and lose nothing.

use super::*;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn plan(mib: u64) -> Plan {
    Plan::new(mib * MIB, &[], &Terms::default())
}

/// Lets a holder work for a second in which it moves so many bytes.
fn works(plan: &mut Plan, key: Key, bytes: u64) {
    plan.came(key, bytes);
}

#[test]
fn nothing_is_given_to_two_while_there_is_something_else() {
    let (mut plan, now) = (plan(8), Instant::now());
    for key in 0..3 {
        plan.seat(key, &Ranges::up_to(512), now);
    }
    let mut given: Vec<u64> = (0..8).flat_map(|at| plan.assign(at % 3, now)).collect();
    assert_eq!(plan.assign(0, now), [] as [u64; 0]);
    given.sort_unstable();
    assert_eq!(given, (0..8).collect::<Vec<_>>());
    plan.leave(1);
    assert!(!plan.assign(0, now).is_empty(), "what a lost holder was to bring is open again");
}

#[test]
fn rare_pieces_come_first_and_only_from_those_who_have_them() {
    let (mut plan, now) = (plan(4), Instant::now());
    plan.seat(0, &Ranges::up_to(256), now);
    plan.seat(1, &Ranges::up_to(128), now);
    assert_eq!(plan.assign(0, now), [2], "only holder 0 has it");
    assert_eq!((plan.assign(1, now), plan.assign(1, now), plan.assign(1, now)), (vec![0], vec![1], vec![]));
    plan.lacks(1, 0);
    assert_eq!(plan.assign(0, now), [0], "it is the only one now");
    assert_eq!(plan.assign(0, now), [3]);
}

#[test]
fn a_fast_holder_gets_longer_runs() {
    let (mut plan, begin) = (plan(100), Instant::now());
    plan.seat(0, &Ranges::up_to(6400), begin);
    assert_eq!(plan.assign(0, begin).len(), 1);
    works(&mut plan, 0, 7 * MIB);
    plan.measure(begin + Duration::from_secs(1));
    assert_eq!(plan.assign(0, begin).len(), 7);
    works(&mut plan, 0, 900 * MIB);
    plan.measure(begin + Duration::from_secs(2));
    assert_eq!(plan.assign(0, begin).len() as u64, LONGEST);
}

#[test]
fn a_holder_at_less_than_a_quarter_of_the_median_is_slow_after_a_while() {
    let (mut plan, begin) = (plan(1000), Instant::now());
    for key in 0..4 {
        plan.seat(key, &Ranges::up_to(64_000), begin);
        plan.assign(key, begin);
    }
    for second in 1..=8 {
        for (key, mib) in [(0, 4), (1, 4), (2, 2)] {
            works(&mut plan, key, mib * MIB);
        }
        works(&mut plan, 3, MIB / 2);
        let now = begin + Duration::from_secs(second);
        plan.measure(now);
        let slow = plan.slow(now);
        assert_eq!(slow, if second < 5 { vec![] } else { vec![3] }, "after {second} s; half the median is not slow");
    }
    let now = begin + Duration::from_secs(9);
    plan.idle(3);
    assert_eq!(plan.slow(now), [] as [Key; 0], "who has nothing to do is not slow");
}

#[test]
fn the_only_holder_of_a_piece_is_never_slow() {
    let (mut plan, begin) = (plan(100), Instant::now());
    plan.seat(0, &Ranges::up_to(6400), begin);
    plan.seat(1, &Ranges::up_to(6336), begin);
    for key in 0..2 {
        assert!(!plan.assign(key, begin).is_empty());
    }
    works(&mut plan, 1, 100 * MIB);
    works(&mut plan, 0, 1000);
    let now = begin + Duration::from_secs(10);
    plan.measure(now);
    assert_eq!(plan.slow(now), [] as [Key; 0]);
    plan.done(99);
    assert_eq!(plan.slow(now), [0], "nobody needs it any more");
}

#[test]
fn at_the_end_a_late_piece_is_given_to_one_more() {
    let (mut plan, begin) = (plan(2), Instant::now());
    for key in 0..3 {
        plan.seat(key, &Ranges::up_to(128), begin);
    }
    let slow = plan.assign(0, begin);
    plan.assign(1, begin);
    works(&mut plan, 1, MIB);
    plan.measure(begin + Duration::from_secs(1));
    plan.done(1);
    let at = |seconds| begin + Duration::from_secs(seconds);
    assert!(plan.assign(1, at(2)).is_empty(), "twice what it takes itself is not over");
    assert!(plan.assign(2, at(9)).is_empty(), "nobody knows what this one can do");
    assert_eq!(plan.assign(1, at(3)), slow);
    assert!(plan.assign(1, at(9)).is_empty());
    assert!(plan.done(slow[0]));
    assert!(!plan.done(slow[0]), "it comes twice and counts once");
    assert!(plan.is_done() && plan.held() == 2 * MIB);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_happens_all_of_it_is_fetched_while_somebody_has_it(size in 0u64..40 << 20, steps in prop::collection::vec((0usize..4, 0u8..6), 0..200), start in any::<u64>()) {
        let terms = Terms { start, ..Terms::default() };
        let (mut plan, mut now) = (Plan::new(size, &[true], &terms), Instant::now());
        let mut working: Vec<(Key, u64)> = Vec::new();
        for (key, what) in steps {
            now += Duration::from_millis(700);
            match what {
                0 => plan.seat(key, &Ranges::up_to(crate::tree::groups(size) / (key as u64 + 1)), now),
                1 => {
                    plan.leave(key);
                    working.retain(|(other, _)| *other != key);
                }
                2 | 3 => {
                    let run = plan.assign(key, now);
                    prop_assert!(run.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                    prop_assert!(run.iter().all(|number| !plan.is_held(*number) && !working.contains(&(key, *number))));
                    working.extend(run.into_iter().map(|number| (key, number)));
                }
                4 => plan.measure(now),
                _ => {
                    if let Some((key, number)) = working.pop() {
                        plan.came(key, piece_len(size, number));
                        plan.done(number);
                        working.retain(|(_, other)| *other != number);
                    }
                }
            }
        }
        for (key, _) in working {
            plan.leave(key);
        }
        plan.seat(9, &Ranges::up_to(crate::tree::groups(size)), now);
        for key in 0..4 {
            plan.leave(key);
        }
        for _ in 0..pieces(size) {
            for number in plan.assign(9, now) {
                plan.done(number);
            }
        }
        prop_assert!(plan.is_done());
        prop_assert_eq!(plan.held(), size);
    }
}
