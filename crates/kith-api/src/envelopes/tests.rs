//! Counting, keeping and canonical forms.

use super::*;
use serde_json::json;

fn node(number: u32) -> NodeId {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    NodeId::from_ed25519(&key)
}

#[test]
fn keys_are_sorted_at_every_depth_and_lists_stay_as_they_are() {
    let value = json!({"b": [{"d": 1, "c": 2}, 3], "a": null});
    assert_eq!(canonical(&value).to_string(), r#"{"a":null,"b":[{"c":2,"d":1},3]}"#);
}

#[test]
fn each_sender_has_a_count_of_its_own_and_more_senders_than_there_can_be_are_refused() {
    let (envelopes, now) = (Envelopes::default(), Timestamp::from_ms(0));
    let all = u32::try_from(MAX_SENDERS).unwrap();
    for sender in 0..all {
        assert!(envelopes.allowed(&node(sender), now));
    }
    assert!(!envelopes.allowed(&node(all), now));
    for _ in 1..MAX_IN_WINDOW {
        assert!(envelopes.allowed(&node(0), now));
    }
    assert!(!envelopes.allowed(&node(0), now));
    assert!(envelopes.allowed(&node(0), now.plus_ms(WINDOW_MS)));
}

#[test]
fn a_summary_is_good_for_three_minutes_and_their_number_is_bounded() {
    let (envelopes, now) = (Envelopes::default(), Timestamp::from_ms(0));
    let summary = |number: u32| CoordinatorCapabilities {
        coordinator_id: node(number).to_string(),
        agent_count: 1,
        model_availability: Default::default(),
        timestamp: now,
        chat_enabled: false,
    };
    let all = u32::try_from(MAX_SENDERS).unwrap();
    for number in 0..=all {
        envelopes.keep(node(number), summary(number), now);
    }
    assert_eq!(envelopes.summaries(now).len(), MAX_SENDERS);
    assert!(!envelopes.summaries(now).contains_key(&node(all)));
    assert!(envelopes.summaries(now.plus_ms(SUMMARY_MS)).is_empty());
    envelopes.keep(node(all), summary(all), now.plus_ms(SUMMARY_MS));
    assert_eq!(envelopes.summaries(now.plus_ms(SUMMARY_MS)).len(), 1);
}
