//! The ring from the event to the record.

use super::*;
use crate::system::tests::House;
use kith_events::RING;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// A house whose audit is being written.
async fn recording() -> (House, CancellationToken, tokio::task::JoinHandle<()>) {
    let mut house = House::new().await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(house.writer.take().unwrap().run(stop.clone()));
    (house, stop, task)
}

#[tokio::test]
async fn what_happened_is_read_back_at_once_and_newest_first() {
    let (house, ..) = recording().await;
    house.events.publish("access.login", json!({"remote": "127.0.0.1"}));
    house.events.publish("inference.finished", json!({}));
    house.clock.forward(5);
    house.events.publish("model.removed", json!({"model": "tiny:1b"}));
    let records = house.system.audit.search(Question::default()).await.unwrap();
    let kinds: Vec<_> = records.iter().map(|record| (record.seq, record.entry.kind.as_str())).collect();
    assert_eq!(kinds, [(2, "model.removed"), (1, "access.login")]);
    let since = Question { since: Some(house.clock.now().ms()), ..Question::default() };
    assert_eq!(house.system.audit.search(since).await.unwrap().len(), 1);
    let kinds = Question { kinds: Some("access".into()), ..Question::default() };
    assert_eq!(house.system.audit.search(kinds).await.unwrap().len(), 1);
    assert_eq!(house.system.audit.check().await.unwrap().unwrap().seq, 2);
}

#[tokio::test]
async fn a_stop_writes_what_was_told_before_it() {
    let (house, stop, task) = recording().await;
    for _ in 0..500 {
        house.events.publish("node.x", json!({}));
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(house.store.audit_head().await.unwrap().seq, 500);
}

#[tokio::test]
async fn the_ring_is_bounded_and_what_is_left_still_verifies() {
    let house = House::new().await;
    let entries = vec![Entry { at: house.clock.now(), kind: "node.x".into(), data: "{}".into() }; 1500];
    for _ in 0..8 {
        house.store.audit_append(&entries, KEPT, record_hash).await.unwrap();
    }
    assert_eq!(house.system.audit.anchor().await.unwrap().seq, 12_000 - KEPT);
    assert_eq!(house.system.audit.check().await.unwrap().unwrap().seq, 12_000);
    let broken = house.system.audit.page(0, 12_000).await.unwrap_err();
    assert!(matches!(broken, SystemError::NotFound(_)));
}

#[tokio::test]
async fn a_byte_flipped_on_disk_is_found() {
    let house = House::new().await;
    let word = "findable-word";
    for name in ["one", word, "three"] {
        append(&house.store, house.clock.as_ref(), "node.x", &json!({"name": name})).await.unwrap();
    }
    assert_eq!(house.system.audit.check().await.unwrap().unwrap().seq, 3);
    let folder = house.close().await;
    let path = folder.path().join("kith.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<usize> =
        bytes.windows(word.len()).enumerate().filter(|(_, window)| *window == word.as_bytes()).map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let house = House::on(folder, 0, |_, _| {}).await;
    assert_eq!(house.system.audit.check().await.unwrap(), Err(Broken { seq: 2 }));
}

#[tokio::test]
async fn events_that_were_lost_are_told_of() {
    let mut house = House::new().await;
    for _ in 0..RING + 7 {
        house.events.publish("node.x", json!({}));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    house.writer.take().unwrap().run(stop).await;
    let missed = Question { kinds: Some("audit.missed".into()), ..Question::default() };
    let records = house.system.audit.search(missed).await.unwrap();
    assert_eq!(records[0].entry.data, r#"{"count":7}"#);
}

#[tokio::test]
async fn no_secret_of_an_event_is_recorded() {
    let (house, ..) = recording().await;
    house
        .events
        .publish("access.key_minted", json!({"name": "ci", "token": "kith_SECRETSECRET", "deep": {"api_key": "SECRETSECRET"}}));
    house.system.audit.head().await.unwrap();
    let folder = house.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"SECRETSECRET"));
    }
}

#[tokio::test]
async fn questions_out_of_bounds_are_refused() {
    let house = House::new().await;
    let questions = [
        Question { limit: Some(0), ..Question::default() },
        Question { limit: Some(MAX_LIMIT + 1), ..Question::default() },
        Question { since: Some(-1), ..Question::default() },
        Question { kinds: Some("access' OR 1".into()), ..Question::default() },
        Question { kinds: Some("a".repeat(2000)), ..Question::default() },
    ];
    for question in questions {
        let error = house.system.audit.search(question.clone()).await.unwrap_err();
        assert!(matches!(error, SystemError::Invalid { .. }), "{question:?}");
    }
}
