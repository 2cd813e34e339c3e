//! What `sampling` promises, sentence by sentence.

use super::*;
use crate::random::SplitMix64;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn plain() -> Sampling {
    Sampling::default()
}

/// All tokens that can come out, found by drawing along the whole interval.
fn reachable(logits: &[f32], sampling: &Sampling) -> BTreeSet<u32> {
    (0..20_000).filter_map(|step| choose(logits, sampling, || f64::from(step) / 20_000.0)).collect()
}

fn probabilities(logits: &[f32]) -> Vec<f64> {
    let norm = f64::from(log_sum_exp(logits));
    logits.iter().map(|logit| (f64::from(*logit) - norm).exp()).collect()
}

#[test]
fn temperature_zero_takes_the_likeliest_and_of_equals_the_first() {
    let greedy = Sampling { temperature: 0.0, ..plain() };
    assert_eq!(choose(&[0.1, 2.0, 2.0, -1.0], &greedy, || unreachable!("greedy draws nothing")), Some(1));
}

#[test]
fn nothing_comes_out_when_all_is_forbidden() {
    assert_eq!(choose(&[f32::NEG_INFINITY, f32::NAN], &plain(), || 0.5), None);
    assert_eq!(choose(&[], &plain(), || 0.5), None);
}

#[test]
fn forbidden_tokens_and_tokens_that_are_no_number_are_never_taken() {
    assert_eq!(reachable(&[f32::NEG_INFINITY, 0.0, f32::NAN, 0.0], &plain()), BTreeSet::from([1, 3]));
}

#[test]
fn penalties_are_as_computed_by_hand() {
    let mut logits = [2.0, -2.0, 1.0, 0.5, 3.0];
    let sampling = Sampling {
        repetition_penalty: 2.0,
        repeat_last_n: 3,
        frequency_penalty: 0.5,
        presence_penalty: 0.25,
        logit_bias: vec![(4, -1.5), (99, 7.0)],
        ..plain()
    };
    // Of the context only the last three count: 0, 1, 1. The answer is 1, 1, 3.
    penalise(&mut logits, &sampling, &[2, 0, 1, 1], &[1, 1, 3]);
    // 0: 2/2. 1: -2*2 - (2*0.5 + 0.25). 2: out of reach. 3: 0.5 - (0.5 + 0.25). 4: bias.
    assert_eq!(logits, [1.0, -5.25, 1.0, -0.25, 1.5]);
}

#[test]
fn looking_back_over_no_token_penalises_none() {
    let mut logits = [1.0, 1.0];
    penalise(&mut logits, &Sampling { repetition_penalty: 2.0, repeat_last_n: 0, ..plain() }, &[0, 1], &[]);
    assert_eq!(logits, [1.0, 1.0]);
    penalise(&mut logits, &Sampling { repetition_penalty: 2.0, repeat_last_n: u32::MAX, ..plain() }, &[0, 0], &[]);
    assert_eq!(logits, [0.5, 1.0]);
}

#[test]
fn top_p_keeps_the_smallest_set_that_reaches_p() {
    // Probabilities 0.5, 0.25, 0.125, 0.125.
    let logits: Vec<f32> = [0.5f32, 0.25, 0.125, 0.125].iter().map(|p| p.ln()).collect();
    let with = |p| Sampling { top_p: Some(p), ..plain() };
    assert_eq!(reachable(&logits, &with(0.4)), BTreeSet::from([0]));
    assert_eq!(reachable(&logits, &with(0.6)), BTreeSet::from([0, 1]));
    assert_eq!(reachable(&logits, &with(0.8)), BTreeSet::from([0, 1, 2]));
    assert_eq!(reachable(&logits, &with(1.0)), BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn top_p_counts_within_top_k() {
    let logits: Vec<f32> = [0.4f32, 0.3, 0.2, 0.1].iter().map(|p| p.ln()).collect();
    // Among the two likeliest the first holds 4/7 = 0.571.
    let sampling = |p| Sampling { top_k: Some(2), top_p: Some(p), ..plain() };
    assert_eq!(reachable(&logits, &sampling(0.57)), BTreeSet::from([0]));
    assert_eq!(reachable(&logits, &sampling(0.58)), BTreeSet::from([0, 1]));
}

#[test]
fn top_p_and_min_p_see_the_distribution_after_temperature() {
    let logits: Vec<f32> = [0.6f32, 0.3, 0.1].iter().map(|p| p.ln()).collect();
    // At temperature 1/2 probabilities are squared: 0.783, 0.196, 0.022.
    let sharp = Sampling { temperature: 0.5, top_p: Some(0.7), ..plain() };
    assert_eq!(reachable(&logits, &sharp), BTreeSet::from([0]));
    let sharp = Sampling { temperature: 0.5, min_p: Some(0.1), ..plain() };
    assert_eq!(reachable(&logits, &sharp), BTreeSet::from([0, 1]));
}

#[test]
fn draws_follow_the_distribution() {
    let logits: Vec<f32> = [0.7f32, 0.2, 0.1].iter().map(|p| p.ln()).collect();
    let mut random = SplitMix64::new(3);
    let mut seen = [0u32; 3];
    for _ in 0..20_000 {
        seen[choose(&logits, &plain(), || random.next_unit()).unwrap() as usize] += 1;
    }
    for (count, expected) in seen.iter().zip([0.7, 0.2, 0.1]) {
        assert!((f64::from(*count) / 20_000.0 - expected).abs() < 0.015, "{seen:?}");
    }
}

#[test]
fn draws_from_a_whole_vocabulary_find_the_token_at_their_share() {
    // 1000 tokens, every third forbidden; the others weigh alike.
    let logits: Vec<f32> = (0..1000).map(|id| if id % 3 == 0 { f32::NEG_INFINITY } else { 0.5 }).collect();
    let open: Vec<u32> = (0..1000).filter(|id| id % 3 != 0).collect();
    for (place, id) in open.iter().enumerate() {
        let share = (place as f64 + 0.5) / open.len() as f64;
        assert_eq!(choose(&logits, &plain(), || share), Some(*id));
    }
    assert_eq!(choose(&logits, &plain(), || 1.0 - f64::EPSILON / 2.0), Some(998));
    assert_eq!(choose(&[-900.0, 0.0, -900.0], &plain(), || 1.0 - f64::EPSILON / 2.0), Some(1));
}

#[test]
fn the_exponential_is_near_the_true_one() {
    for step in 0..870_000 {
        let x = -(step as f32) * 1e-4;
        let (near, exact) = (f64::from(exp(x)), f64::from(x).exp());
        assert!((near - exact).abs() <= 4e-7 * exact, "{x}: {near} instead of {exact}");
    }
    assert_eq!((exp(0.0), exp(-88.0), exp(f32::NEG_INFINITY), exp(f32::NAN)), (1.0, 0.0, 0.0, 0.0));
}

#[test]
fn the_top_list_is_sorted_and_no_longer_than_the_vocabulary() {
    assert_eq!(top(&[0.0, 3.0, 1.0, 3.0], 3), [1, 3, 2]);
    assert_eq!(top(&[0.0, f32::NEG_INFINITY], 5), [0]);
    assert!(top(&[0.0], 0).is_empty());
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-12.0f32..12.0, 1..60)
}

proptest! {
    #[test]
    fn probabilities_sum_to_one(logits in logits()) {
        let sum: f64 = probabilities(&logits).iter().sum();
        prop_assert!((sum - 1.0).abs() < 1e-4, "{}", sum);
    }

    #[test]
    fn the_nucleus_reaches_p_and_would_not_without_its_last(logits in logits(), p in 0.01f32..0.99) {
        let p = f64::from(p);
        let highest = logits.iter().copied().fold(f32::MIN, f32::max);
        let weights = Weights { logits: &logits, highest, temperature: 1.0 };
        let mut kept = open(&logits);
        keep_nucleus(&mut kept, &weights, p);
        let total: f64 = (0u32..).take(logits.len()).map(|id| weights.of(id)).sum();
        let mass: f64 = kept.iter().map(|id| weights.of(*id)).sum::<f64>() / total;
        let last = weights.of(*kept.last().unwrap()) / total;
        prop_assert!(mass >= p - 1e-9);
        prop_assert!(mass - last < p + 1e-9);
        let lowest_kept = kept.iter().map(|id| logits[*id as usize]).fold(f32::MAX, f32::min);
        for (id, logit) in (0u32..).zip(&logits) {
            prop_assert!(kept.contains(&id) || *logit <= lowest_kept);
        }
    }

    #[test]
    fn min_p_lets_through_just_what_is_likely_enough(logits in logits(), p in 0.01f32..0.9, draw in 0.0f64..1.0) {
        let id = choose(&logits, &Sampling { min_p: Some(p), ..plain() }, || draw).unwrap();
        let all = probabilities(&logits);
        let best = all.iter().copied().fold(0.0, f64::max);
        prop_assert!(all[id as usize] >= f64::from(p) * best - 1e-6);
    }

    #[test]
    fn top_k_lets_through_only_the_k_likeliest(logits in logits(), k in 1u32..20, draw in 0.0f64..1.0) {
        let id = choose(&logits, &Sampling { top_k: Some(k), ..plain() }, || draw).unwrap();
        let better = logits.iter().filter(|other| **other > logits[id as usize]).count();
        prop_assert!(better < k as usize);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens(logits in logits(), seed in any::<u64>()) {
        let run = || {
            let mut random = SplitMix64::new(seed);
            (0..20).map(|_| choose(&logits, &plain(), || random.next_unit())).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn greedy_is_the_argmax(logits in logits()) {
        let id = choose(&logits, &Sampling { temperature: 0.0, ..plain() }, || 0.0).unwrap();
        prop_assert!(logits.iter().all(|other| *other <= logits[id as usize]));
        prop_assert_eq!(top(&logits, 1), vec![id]);
    }
}
