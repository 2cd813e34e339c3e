//! A test for each statement about messages.

use super::*;
use crate::{
    store::tests::temporary,
    tables::conversations::tests::{ROOMY, begin, new, say},
};

async fn head(store: &Store) -> (Option<String>, u64, u64) {
    let row = store.conversation("a").await.unwrap().unwrap().0;
    (row.head, row.messages, row.bytes)
}

async fn parents(store: &Store) -> Vec<(String, Option<String>)> {
    store.messages("a").await.unwrap().into_iter().map(|message| (message.id, message.parent)).collect()
}

fn picture(byte: u8, size: u64) -> PictureRow {
    PictureRow { blob: Blake3::from_bytes([byte; 32]), size, media_type: "image/png".to_owned() }
}

#[tokio::test]
async fn a_message_follows_the_head_unless_told_otherwise_and_becomes_the_head() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    say(&store, "a", "m1", None, "one").await;
    say(&store, "a", "m2", None, "two").await;
    say(&store, "a", "x2", Some(Some("m1")), "two again").await;
    say(&store, "a", "y1", Some(None), "anew").await;
    let (m1, none) = (Some("m1".to_owned()), None);
    assert_eq!(
        parents(&store).await,
        [("m1".into(), none.clone()), ("m2".into(), m1.clone()), ("x2".into(), m1), ("y1".into(), none)]
    );
    assert_eq!(head(&store).await, (Some("y1".into()), 4, 3 + 3 + 9 + 4 + 4 * 2));
    let read = store.message("a", "x2").await.unwrap().unwrap();
    assert_eq!((read.content.as_str(), read.role.as_str(), read.created), ("two again", "user", Timestamp::from_ms(50)));
    assert_eq!(store.message("a", "nobody").await.unwrap(), None);
    assert_eq!(store.message_first("a", "user").await.unwrap().unwrap().id, "m1");
    assert_eq!(store.message_first("a", "assistant").await.unwrap(), None);
}

#[tokio::test]
async fn a_message_that_cannot_be_added_changes_nothing() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    begin(&store, "b", 5).await;
    say(&store, "a", "m1", None, "one").await;
    say(&store, "b", "other", None, "one").await;
    let before = (parents(&store).await, head(&store).await);
    let tight = MessageBounds { messages: 100, bytes: 100, picture_bytes: 100 };
    let pictures = [picture(1, 60), picture(2, 41)];
    let large = MessageNew { pictures: &pictures, ..new("m2", None, "x") };
    let body = "x".repeat(100);
    for (conversation, message, bounds, told) in [
        ("nobody", new("m2", None, "x"), ROOMY, MessagePut::NoConversation),
        ("a", new("m2", Some(Some("other")), "x"), ROOMY, MessagePut::NoParent),
        ("a", new("m2", Some(Some("m2")), "x"), ROOMY, MessagePut::NoParent),
        ("a", new("m2", None, "x"), MessageBounds { messages: 1, ..ROOMY }, MessagePut::TooMany),
        ("a", new("m2", None, &body), tight, MessagePut::TooLarge),
        ("a", large, tight, MessagePut::TooLargePictures),
    ] {
        assert_eq!(store.message_add(conversation, &message, &bounds).await.unwrap(), told);
    }
    let there = store.message_add("a", &new("m1", None, "two"), &ROOMY).await.unwrap();
    assert!(matches!(there, MessagePut::Exists(_, message) if message.content == "one"));
    store.conversation_mark("b", Some(Timestamp::from_ms(1))).await.unwrap();
    assert_eq!(store.message_add("b", &new("m2", None, "x"), &ROOMY).await.unwrap(), MessagePut::NoConversation);
    assert_eq!((parents(&store).await, head(&store).await), before);
}

#[tokio::test]
async fn replacing_changes_what_is_said_and_not_its_place() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    say(&store, "a", "m1", None, "one").await;
    say(&store, "a", "m2", None, "two").await;
    let first = [picture(1, 10)];
    let later = MessageNew { at: Timestamp::from_ms(70), pictures: &first, ..new("m1", None, "longer") };
    assert!(matches!(store.message_replace("a", &later, &ROOMY).await.unwrap(), MessagePut::Done(..)));
    let read = store.message("a", "m1").await.unwrap().unwrap();
    assert_eq!((read.content.as_str(), read.created.ms(), read.updated.ms()), ("longer", 50, 70));
    assert_eq!(head(&store).await, (Some("m2".into()), 2, 6 + 3 + 4));
    assert_eq!(store.conversation("a").await.unwrap().unwrap().0.updated.ms(), 70);
    // Its own pictures make room for its new ones.
    let second = [picture(2, 95)];
    let swapped = MessageNew { pictures: &second, ..new("m1", None, "longer") };
    let bounds = MessageBounds { picture_bytes: 100, ..ROOMY };
    assert!(matches!(store.message_replace("a", &swapped, &bounds).await.unwrap(), MessagePut::Done(..)));
    assert_eq!(store.picture_blobs().await.unwrap(), HashSet::from([Blake3::from_bytes([2; 32])]));
    assert_eq!(store.picture("a", &Blake3::from_bytes([1; 32])).await.unwrap(), None);
    for (message, bounds, told) in [
        (new("m3", None, "x"), ROOMY, MessagePut::NoMessage),
        (MessageNew { role: "assistant", ..new("m1", None, "x") }, ROOMY, MessagePut::Differs),
        (new("m2", Some(None), "x"), ROOMY, MessagePut::Differs),
        (new("m2", Some(Some("m1")), "xxxxx"), MessageBounds { bytes: 14, ..ROOMY }, MessagePut::TooLarge),
    ] {
        assert_eq!(store.message_replace("a", &message, &bounds).await.unwrap(), told);
    }
    assert_eq!(store.message_replace("b", &new("m1", None, "x"), &ROOMY).await.unwrap(), MessagePut::NoConversation);
    assert_eq!(store.message("a", "m2").await.unwrap().unwrap().content, "two");
}

#[tokio::test]
async fn a_title_is_taken_from_a_message_only_where_there_is_none() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    let title = async |store: &Store| store.conversation("a").await.unwrap().unwrap().0.title;
    store.message_add("a", &new("m1", None, "x"), &ROOMY).await.unwrap();
    assert_eq!(title(&store).await, "");
    store.message_add("a", &MessageNew { title: Some("First"), ..new("m2", None, "x") }, &ROOMY).await.unwrap();
    store.message_add("a", &MessageNew { title: Some("Second"), ..new("m3", None, "x") }, &ROOMY).await.unwrap();
    assert_eq!(title(&store).await, "First");
}

#[tokio::test]
async fn writers_at_once_queue_and_make_one_chain() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    let writes: Vec<_> = (0..40)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { say(&store, "a", &format!("m{n}"), None, "x").await })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    let chain = parents(&store).await;
    assert_eq!(chain.len(), 40);
    for pair in chain.windows(2) {
        assert_eq!(pair[1].1.as_ref(), Some(&pair[0].0));
    }
}
