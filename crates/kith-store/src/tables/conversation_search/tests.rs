//! A test for each statement about lists of conversations.

use super::*;
use crate::{
    ConversationChange,
    store::tests::temporary,
    tables::conversations::tests::{begin, say},
};

fn place(row: &ConversationRow) -> ConversationPlace {
    ConversationPlace { pinned: row.pinned, updated: row.updated, id: row.id.clone() }
}

fn words(query: &str) -> ConversationWords {
    ConversationWords { words: Some(query.to_owned()), letters: Vec::new() }
}

async fn found(store: &Store, sought: &ConversationWords) -> Vec<(String, Option<String>)> {
    let hits = store.conversations_search(sought, None, 10).await.unwrap();
    hits.into_iter().map(|hit| (hit.row.id, hit.snippet)).collect()
}

#[tokio::test]
async fn pages_show_each_conversation_once_pinned_ones_first() {
    let (_folder, store) = temporary().await;
    for (id, at) in [("a", 1), ("b", 2), ("c", 2), ("d", 4), ("e", 5)] {
        begin(&store, id, at).await;
    }
    let pin = ConversationChange { pinned: Some(true), ..ConversationChange::default() };
    store.conversation_change("a", &pin).await.unwrap();
    store.conversation_mark("d", Some(Timestamp::from_ms(9))).await.unwrap();
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = store.conversations_page(false, after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(place(last));
        ids.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(ids, ["a", "e", "c", "b"]);
    let thrown = store.conversations_page(true, None, 9).await.unwrap();
    assert_eq!(thrown.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["d"]);
}

#[tokio::test]
async fn words_are_found_in_messages_and_titles_by_their_beginnings_and_without_accents() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 1).await;
    begin(&store, "b", 2).await;
    say(&store, "a", "m1", None, "Une crème brûlée, please").await;
    say(&store, "a", "m2", None, "nothing here").await;
    let title = ConversationChange { title: Some(("Creme fraiche", true)), ..ConversationChange::default() };
    store.conversation_change("b", &title).await.unwrap();
    // What was talked in last stands first.
    let both = [("a".to_owned(), Some("Une crème brûlée, please".to_owned())), ("b".to_owned(), None)];
    assert_eq!(found(&store, &words("\"CREM\"*")).await, both);
    assert_eq!(found(&store, &words("\"crem\"* \"brulee\"*")).await, both[..1]);
    assert_eq!(found(&store, &words("\"pudding\"*")).await, []);
    let first = store.conversations_search(&words("\"creme\"*"), None, 1).await.unwrap();
    let second = store.conversations_search(&words("\"creme\"*"), Some(&place(&first[0].row)), 9).await.unwrap();
    assert_eq!((first.len(), second.len(), second[0].row.id.as_str()), (1, 1, "b"));
    store.conversation_mark("a", Some(Timestamp::from_ms(9))).await.unwrap();
    assert_eq!(found(&store, &words("\"crem\"*")).await, both[1..]);
}

#[tokio::test]
async fn the_index_follows_changes() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 1).await;
    say(&store, "a", "m1", None, "before").await;
    let change = crate::tables::conversations::tests::new("m1", None, "after");
    store.message_replace("a", &change, &crate::tables::conversations::tests::ROOMY).await.unwrap();
    assert_eq!(found(&store, &words("\"before\"")).await, []);
    assert_eq!(found(&store, &words("\"after\"")).await.len(), 1);
    for (title, hits) in [("Winter", 1), ("Summer", 0)] {
        let change = ConversationChange { title: Some((title, true)), ..ConversationChange::default() };
        store.conversation_change("a", &change).await.unwrap();
        assert_eq!(found(&store, &words("\"winter\"")).await.len(), hits);
    }
}

#[tokio::test]
async fn scripts_without_spaces_and_signs_are_found_letter_by_letter() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 1).await;
    begin(&store, "b", 2).await;
    say(&store, "a", "m1", None, "昨日、猫が好きになった。100% sure").await;
    say(&store, "b", "m1", None, "犬が好き。100 sure").await;
    let letters =
        |texts: &[&str]| ConversationWords { words: None, letters: texts.iter().map(|text| (*text).to_owned()).collect() };
    let hits = found(&store, &letters(&["猫が好き"])).await;
    assert_eq!(hits.len(), 1);
    assert!(hits[0].1.as_ref().unwrap().contains("猫が好き"), "{hits:?}");
    assert_eq!(found(&store, &letters(&["好き"])).await.len(), 2);
    assert_eq!(found(&store, &letters(&["好き", "犬"])).await.len(), 1);
    assert_eq!(found(&store, &letters(&["0%"])).await.len(), 1);
    assert_eq!(found(&store, &letters(&["0_"])).await.len(), 0);
    let mixed = ConversationWords { words: Some("\"sure\"*".into()), letters: vec!["猫".into()] };
    assert_eq!(found(&store, &mixed).await.len(), 1);
    assert_eq!(found(&store, &ConversationWords::default()).await, []);
}
